/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/oci/config.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int bad(const char *what, struct fg_error *err)
{
        return fg_error_set(err, -EINVAL, "config.json is not what an engine writes: %s", what);
}

/* A GPU that came by another way is a whole one, and its driver would lie over ours. */
static int refuse_gpus(const json_t *config, struct fg_error *err)
{
        const json_t *device, *mount;
        size_t i;
        json_array_foreach(json_object_get(json_object_get(config, "linux"), "devices"), i, device) {
                const char *path = json_string_value(json_object_get(device, "path"));
                if (path && strncmp(path, "/dev/nvidia", 11) == 0)
                        return fg_error_set(err, -EPERM, "the container has %.60s besides a vGPU: leave out --privileged, --device and nvidia.com/gpu", path);
        }
        json_array_foreach(json_object_get(config, "mounts"), i, mount) {
                const char *to = json_string_value(json_object_get(mount, "destination"));
                const char *file = to ? strrchr(to, '/') : NULL;
                if (file && (strncmp(file, "/libcuda.so", 11) == 0 || strncmp(file, "/libnvidia-ml.so", 16) == 0))
                        return fg_error_set(err, -EPERM, "the container has a driver of its own at %.80s besides a vGPU: leave out that volume or device", to);
        }
        return 0;
}

static void strip_hooks(json_t *config)
{
        const char *kind;
        json_t *list;
        json_object_foreach(json_object_get(config, "hooks"), kind, list)
                for (size_t i = json_array_size(list); i-- > 0;)
                        if (fgi_oci_is_foreign_hook(json_array_get(list, i)))
                                json_array_remove(list, i);
}

/* An entry of the same name is replaced, so that what an image says does not count. */
static int add_variable(json_t *env, const char *entry)
{
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(entry, "="), entry);
        for (size_t i = json_array_size(env); i-- > 0;)
                if (fgi_oci_variable(json_string_value(json_array_get(env, i)), name))
                        json_array_remove(env, i);
        return json_array_append_new(env, json_string(entry));
}

static int add_environment(json_t *config, const json_t *edits, struct fg_error *err)
{
        json_t *process = fgi_oci_member(config, "process", JSON_OBJECT), *env = process ? fgi_oci_member(process, "env", JSON_ARRAY) : NULL;
        const json_t *entry;
        size_t i;
        if (!env)
                return bad("process.env", err);
        json_array_foreach(json_object_get(edits, "env"), i, entry)
                if (!json_is_string(entry) || add_variable(env, json_string_value(entry)) < 0)
                        return fg_error_set(err, -EPROTO, "fastgpud's answer has a variable that is none");
        return 0;
}

static int add_mounts(json_t *config, const json_t *edits, struct fg_error *err)
{
        json_t *mounts = fgi_oci_member(config, "mounts", JSON_ARRAY);
        const json_t *mount;
        size_t i;
        if (!mounts)
                return bad("mounts", err);
        json_array_foreach(json_object_get(edits, "mounts"), i, mount) {
                const char *from = json_string_value(json_object_get(mount, "hostPath")), *to = json_string_value(json_object_get(mount, "containerPath"));
                json_t *options = json_object_get(mount, "options");
                if (!from || !to || !json_is_array(options))
                        return fg_error_set(err, -EPROTO, "fastgpud's answer has a mount that is none");
                if (access(from, F_OK) < 0)
                        return fg_error_set(err, -errno, "%.160s, which the container is to get, is not there: %m; after an update of FastGPU or of the GPU's driver: "
                                            "systemctl restart fastgpud", from);
                /* Last, and so over everything that lies there already. */
                if (json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:O}", "destination", to, "type", "bind", "source", from, "options", options)) < 0)
                        return fg_error_set(err, -ENOMEM, "out of memory");
        }
        return 0;
}

int fgi_oci_add_node(json_t *devices, json_t *rules, const char *path, struct fg_error *err)
{
        struct stat st;
        if (stat(path, &st) < 0)
                return fg_error_set(err, -errno, "%s: %m; is the driver's module loaded (nvidia, nvidia_uvm)?", path);
        if (!S_ISCHR(st.st_mode))
                return fg_error_set(err, -ENODEV, "%s is no device node", path);
        json_int_t big = major(st.st_rdev), small = minor(st.st_rdev);
        json_t *node = json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:i}", "path", path, "type", "c", "major", big, "minor", small, "fileMode",
                                 (int)(st.st_mode & 0777), "uid", (int)st.st_uid, "gid", (int)st.st_gid);
        int r = json_array_append_new(devices, node);
        if (r == 0 && rules)
                r = json_array_append_new(rules, json_pack("{s:b, s:s, s:I, s:I, s:s}", "allow", 1, "type", "c", "major", big, "minor", small, "access", "rw"));
        return r < 0 ? fg_error_set(err, -ENOMEM, "out of memory") : 0;
}

int fgi_oci_devices(json_t *config, json_t **ret_devices, json_t **ret_rules, struct fg_error *err)
{
        json_t *linux_part = fgi_oci_member(config, "linux", JSON_OBJECT);
        json_t *devices = linux_part ? fgi_oci_member(linux_part, "devices", JSON_ARRAY) : NULL;
        json_t *resources = devices ? fgi_oci_member(linux_part, "resources", JSON_OBJECT) : NULL;
        *ret_devices = devices;
        *ret_rules = resources ? fgi_oci_member(resources, "devices", JSON_ARRAY) : NULL;
        return *ret_rules ? 0 : bad("linux.resources.devices", err);
}

static int add_nodes(json_t *config, const json_t *edits, struct fg_error *err)
{
        json_t *nodes = json_object_get(edits, "deviceNodes"), *node, *devices, *rules;
        size_t i;
        if (!json_array_size(nodes))
                return 0;
        int r = fgi_oci_devices(config, &devices, &rules, err);
        json_array_foreach(nodes, i, node) {
                const char *path = json_string_value(json_object_get(node, "path"));
                if (r == 0)
                        r = path ? fgi_oci_add_node(devices, rules, path, err) : fg_error_set(err, -EPROTO, "fastgpud's answer has a node that is none");
        }
        return r;
}

int fgi_oci_apply(json_t *config, const json_t *edits, struct fg_error *err)
{
        int r = json_is_object(edits) ? refuse_gpus(config, err) : fg_error_set(err, -EPROTO, "fastgpud's answer says nothing about containers");
        if (r == 0)
                r = add_environment(config, edits, err);
        if (r == 0)
                r = add_mounts(config, edits, err);
        if (r == 0)
                r = add_nodes(config, edits, err);
        if (r == 0)
                strip_hooks(config);
        return r;
}
