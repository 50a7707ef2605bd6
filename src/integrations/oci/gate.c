/* SPDX-License-Identifier: Apache-2.0
 * The open gate. Which nodes a container may open is the kernel's to say, by their numbers: its control group has none of a GPU's. What the
 * gate reads from a program's memory therefore opens nothing that was forbidden; it only gives. */
#include "integrations/oci/config.h"

#include "base/cleanup.h"
#include "base/paths.h"
#include "integrations/gate/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define EVERY (-1) /* a rule without a number */

/* Drivers of GPUs and their like, as /proc/devices has them, and what is theirs on every Linux. */
static bool is_gpu(json_int_t number)
{
        static const char *const driver[] = {"nvidia", "drm", "kfd", "accel"};
        char line[128], name[64];
        unsigned found;
        bool is = number == 195 || number == 226;
        FILE *file = fopen("/proc/devices", "re");
        while (file && !is && fgets(line, sizeof line, file) && strncmp(line, "Block", 5) != 0)
                for (size_t i = 0; i < sizeof driver / sizeof *driver; i++)
                        if (sscanf(line, "%u %63s", &found, name) == 2 && found == number && strncmp(name, driver[i], strlen(driver[i])) == 0)
                                is = true;
        if (file)
                fclose(file);
        return is;
}

static json_int_t number_of(const json_t *rule, const char *name)
{
        const json_t *number = json_object_get(rule, name);
        return json_is_integer(number) ? json_integer_value(number) : EVERY;
}

/* About characters, and about more than making nodes. */
static bool is_about(const json_t *rule)
{
        const char *type = json_string_value(json_object_get(rule, "type")), *access = json_string_value(json_object_get(rule, "access"));
        return (!type || strcmp(type, "b") != 0) && (!access || strpbrk(access, "rw"));
}

static bool opens(const json_t *rule, const json_t *paths)
{
        json_int_t big = number_of(rule, "major"), small = number_of(rule, "minor");
        const json_t *path;
        struct stat st;
        size_t i;
        if (!json_is_true(json_object_get(rule, "allow")) || !is_about(rule))
                return false;
        if (big == EVERY || is_gpu(big))
                return true;
        json_array_foreach(paths, i, path)
                if (stat(json_string_value(path), &st) == 0 && big == (json_int_t)major(st.st_rdev) && (small == EVERY || small == (json_int_t)minor(st.st_rdev)))
                        return true;
        return false;
}

/* Forbids every device of characters, for reading and for writing. */
static bool closes(const json_t *rule)
{
        const char *access = json_string_value(json_object_get(rule, "access"));
        return !json_is_true(json_object_get(rule, "allow")) && is_about(rule) && number_of(rule, "major") == EVERY && number_of(rule, "minor") == EVERY &&
               (!access || (strchr(access, 'r') && strchr(access, 'w')));
}

static int refuse_openers(const json_t *rules, const json_t *paths, struct fg_error *err)
{
        const json_t *rule;
        size_t i;
        json_array_foreach(rules, i, rule)
                if (opens(rule, paths))
                        return fg_error_set(err, -EPERM, "the container may open GPUs, or nodes of gate-nodes, without the gate (open-gate = on in runtime.conf): leave "
                                            "out --privileged, --device and --device-cgroup-rule");
        return 0;
}

static bool is_closed(const json_t *rules)
{
        const json_t *rule;
        size_t i;
        json_array_foreach(rules, i, rule)
                if (closes(rule))
                        return true;
        return false;
}

/* Nothing but what is allowed, and no GPU is. */
static int refuse_rules(const json_t *rules, const json_t *paths, struct fg_error *err)
{
        int r = refuse_openers(rules, paths, err);
        if (r < 0 || is_closed(rules))
                return r;
        return fg_error_set(err, -EPERM, "the container may open every device, and so no gate can be kept (open-gate = on in runtime.conf): leave out --privileged");
}

/* As engines write --privileged: one rule that allows all, and nothing is forbidden. */
static bool is_privileged(const json_t *rules)
{
        const json_t *rule;
        size_t i;
        json_array_foreach(rules, i, rule) {
                const char *type = json_string_value(json_object_get(rule, "type"));
                if (json_is_true(json_object_get(rule, "allow")) && is_about(rule) && (!type || strcmp(type, "a") == 0) && number_of(rule, "major") == EVERY)
                        return !is_closed(rules);
        }
        return false;
}

static int add_path(json_t *paths, const char *path, struct fg_error *err)
{
        if (!path || strlen(path) >= FGI_GATE_PATH_MAX || json_array_size(paths) == FGI_GATE_NODES_MAX)
                return fg_error_set(err, -E2BIG, "the gate keeps %u nodes with paths of %u bytes, not \"%.80s\"", FGI_GATE_NODES_MAX, FGI_GATE_PATH_MAX - 1,
                                    path ? path : "");
        if (!fgi_oci_lists(paths, path) && json_array_append_new(paths, json_string(path)) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        return 0;
}

/* Those of the edits, and those of the policy. */
static int collect(const json_t *nodes, const char *more, json_t *paths, struct fg_error *err)
{
        fg_autofree char *copy = strdup(more);
        char *rest = copy, *word;
        const json_t *node;
        size_t i;
        int r = copy ? 0 : fg_error_set(err, -ENOMEM, "out of memory");
        json_array_foreach(nodes, i, node)
                if (r == 0)
                        r = add_path(paths, json_string_value(json_object_get(node, "path")), err);
        while (r == 0 && (word = strsep(&rest, " \t")))
                if (*word)
                        r = add_path(paths, word, err);
        return r;
}

int fgi_oci_gate_apply(json_t *config, const json_t *nodes, const struct fgi_oci_gate *gate, struct fg_error *err)
{
        fgi_autojson json_t *paths = json_array();
        json_t *devices, *rules;
        size_t i;
        const json_t *path;
        int r = fgi_oci_devices(config, &devices, &rules, err);
        if (r == 0)
                r = collect(nodes, gate->nodes, paths, err);
        if (r == 0)
                r = refuse_rules(rules, paths, err);
        json_array_foreach(paths, i, path)
                if (r == 0)
                        r = fgi_oci_add_node(devices, NULL, json_string_value(path), err);
        if (r < 0)
                return r;
        fgi_autojson json_t *grant = json_pack("{s:s, s:O}", "target", gate->target, "nodes", paths);
        fg_autofree char *metadata = grant ? json_dumps(grant, JSON_COMPACT) : NULL;
        if (!metadata)
                return fg_error_set(err, -ENOMEM, "out of memory");
        return fgi_oci_gate_seccomp(json_object_get(config, "linux"), gate->socket, metadata, err);
}

static int refuse_cdi(const json_t *config, struct fg_error *err)
{
        const json_t *mount;
        size_t i;
        json_array_foreach(json_object_get(config, "mounts"), i, mount) {
                const char *to = json_string_value(json_object_get(mount, "destination"));
                if (to && strcmp(to, FG_CONTAINER_FOLDER) == 0)
                        return fg_error_set(err, -EPERM, "a vGPU that comes by CDI has no gate (open-gate = on in runtime.conf): give it by the annotation "
                                            FGI_OCI_ANNOTATION "=NAME or by " FGI_OCI_ENV);
        }
        return 0;
}

int fgi_oci_gate_refuse_others(const json_t *config, const char *more, struct fg_error *err)
{
        const json_t *rules = json_object_get(json_object_get(json_object_get(config, "linux"), "resources"), "devices");
        fgi_autojson json_t *paths = json_array();
        int r = refuse_cdi(config, err);
        if (r < 0 || is_privileged(rules))
                return r;
        if (fgi_oci_has_foreign_gpu(config))
                return fg_error_set(err, -EPERM, "NVIDIA's hook would bring GPUs without the gate (open-gate = on in runtime.conf): leave out --gpus, or set gpus there");
        r = collect(NULL, more, paths, err);
        return r < 0 ? r : refuse_openers(rules, paths, err);
}

/* In a user namespace nobody keeps what devices a control group has. */
int fgi_oci_gate_refuse_call(const struct fgi_oci_call *call, struct fg_error *err)
{
        unsigned first = 1, host = 1;
        unsigned long count = 0;
        FILE *file = fopen("/proc/self/uid_map", "re");
        bool is_whole = file && fscanf(file, "%u %u %lu", &first, &host, &count) == 3 && first == 0 && host == 0 && count == 0xffffffff;
        if (file)
                fclose(file);
        if (!call->without_cgroups && geteuid() == 0 && is_whole)
                return 0;
        return fg_error_set(err, -EPERM, "the open gate (open-gate = on in runtime.conf) needs an engine that runs as root and uses control groups");
}
