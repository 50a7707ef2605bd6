/* SPDX-License-Identifier: Apache-2.0
 * Running a backend's helper and reading what it says. */
#include "daemon/inventory_internal.h"

#include "base/cleanup.h"
#include "base/paths.h"
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

extern char **environ;

void fgd_driver_path(const struct fgd_manager *m, char ret[FG_DRIVER_PATH_MAX])
{
        char prefix[PATH_MAX];
        snprintf(ret, FG_DRIVER_PATH_MAX, "%s", m->options.text[FG_OPT_DRIVER_PATH]);
        if (m->options.text[FG_OPT_SIM][0] && fg_paths_prefix(prefix, sizeof prefix, NULL) == 0)
                snprintf(ret, FG_DRIVER_PATH_MAX, "%s/lib/fastgpu/sim", prefix);
}

/* The helper must see the real devices, no layer or drop-in of ours, and the simulated ones that the options name. */
static bool is_kept(const char *variable)
{
        static const char *const dropped[] = {"OPENCL_LAYERS=", "NOTIFY_SOCKET=", "LD_PRELOAD=", "FASTGPU_ATTACH=", "FASTGPU_SIM=",
                                              "CUDA_VISIBLE_DEVICES="};
        for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
                if (strncmp(variable, dropped[i], strlen(dropped[i])) == 0)
                        return false;
        return true;
}

static char **probe_environment(char *sim)
{
        size_t count = 0, kept = 0;
        while (environ[count])
                count++;
        char **copy = calloc(count + 2, sizeof *copy);
        for (size_t i = 0; copy && i < count; i++)
                if (is_kept(environ[i]))
                        copy[kept++] = environ[i];
        if (copy && sim)
                copy[kept] = sim;
        return copy;
}

static int spawn(char *const argv[], char *sim, int output, pid_t *ret)
{
        fg_autofree char **environment = probe_environment(sim);
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        if (!environment)
                return -ENOMEM;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, output, 1);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        int r = -posix_spawn(ret, argv[0], &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return r;
}

/* Making a context takes a moment and some hundred MiB: once for each GPU. */
static bool wants_contexts(const struct fgd_manager *m)
{
        bool known = false;
        for (uint32_t i = 0; i < m->devices; i++) {
                if (strcmp(m->device[i]->api, "cuda") != 0 || !m->device[i]->present)
                        continue;
                known = true;
                if (!m->device[i]->context_bytes)
                        return true;
        }
        return !known;
}

/* Arguments and environment that say where the driver is. */
static int run_helper(const struct fgd_manager *m, const struct fgd_backend *backend, char *path, const char *mode, unsigned ms, int output,
                      pid_t *ret)
{
        char folder[FG_DRIVER_PATH_MAX], number[16], sim[FG_OPTION_TEXT_MAX + 16];
        const char *argv[8] = {path};
        int n = 1;
        fgd_driver_path(m, folder);
        snprintf(number, sizeof number, "%u", ms);
        snprintf(sim, sizeof sim, "FASTGPU_SIM=%s", m->options.text[FG_OPT_SIM]);
        if (strcmp(backend->name, "cuda") == 0 && folder[0])
                argv[n++] = "--driver-path", argv[n++] = folder;
        if (strcmp(backend->name, "cuda") == 0 && !mode && wants_contexts(m))
                argv[n++] = "--contexts", argv[n++] = "1";
        if (mode)
                argv[n++] = mode, argv[n++] = number;
        return spawn((char *const *)argv, m->options.text[FG_OPT_SIM][0] ? sim : NULL, output, ret);
}

int fgd_probe_spawn(const struct fgd_manager *m, const struct fgd_backend *backend, const char *mode, unsigned ms, pid_t *ret_pid,
                    int *ret_pidfd, int *ret_output, struct fg_error *err)
{
        char prefix[PATH_MAX - 128], path[PATH_MAX];
        int ends[2];
        pid_t pid;
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "%s/lib/fastgpu/%s", prefix, backend->program);
        if (pipe2(ends, O_CLOEXEC) < 0)
                return fg_error_set(err, -errno, "cannot start %s: %m", path);
        r = run_helper(m, backend, path, mode, ms, ends[1], &pid);
        close(ends[1]);
        if (r < 0) {
                close(ends[0]);
                return fg_error_set(err, r, "cannot start %s: %m; is FastGPU installed completely?", path);
        }
        *ret_pidfd = pidfd_open(pid, 0);
        if (*ret_pidfd < 0) {
                r = -errno;
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                close(ends[0]);
                return fg_error_set(err, r, "cannot watch %s: %m", path);
        }
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        *ret_pid = pid;
        *ret_output = ends[0];
        return 0;
}

static void copy_string(json_t *object, const char *name, char *ret, size_t size)
{
        const char *value = json_string_value(json_object_get(object, name));
        snprintf(ret, size, "%s", value ? value : "");
}

static void take_device(struct fgd_inventory *inventory, const struct fgd_backend *backend, json_t *object)
{
        struct fgd_device device = {.present = true};
        json_int_t memory = json_integer_value(json_object_get(object, "memory"));
        json_int_t units = json_integer_value(json_object_get(object, "compute_units"));
        copy_string(object, "key", device.key, sizeof device.key);
        copy_string(object, "uuid", device.uuid, sizeof device.uuid);
        copy_string(object, "model", device.model, sizeof device.model);
        copy_string(object, "vendor", device.vendor, sizeof device.vendor);
        copy_string(object, "driver", device.driver, sizeof device.driver);
        copy_string(object, "type", device.type, sizeof device.type);
        copy_string(object, "mig", device.mig, sizeof device.mig);
        device.mps = json_is_true(json_object_get(object, "mps"));
        snprintf(device.api, sizeof device.api, "%s", backend->name);
        if (!device.key[0] || memory <= 0 || memory > (json_int_t)FGD_MEMORY_MAX || units < 0 || units > UINT32_MAX) {
                fgd_inventory_complain(inventory, "%s: a device without a key or with a memory of %lld bytes is left out", backend->program,
                                       (long long)memory);
                return;
        }
        device.memory = (uint64_t)memory;
        device.compute_units = (uint32_t)units;
        fgd_inventory_saw(inventory, &device);
}

static void take_context(struct fgd_manager *m, const json_t *object)
{
        const char *uuid = json_string_value(json_object_get(object, "context"));
        json_int_t bytes = json_integer_value(json_object_get(object, "bytes"));
        for (uint32_t i = 0; uuid && i < m->devices; i++)
                if (strncmp(m->device[i]->key, "cuda/", 5) == 0 && strcmp(m->device[i]->key + 5, uuid) == 0 && bytes > 0 &&
                    (uint64_t)bytes <= FGD_CONTEXT_MAX)
                        m->device[i]->context_bytes = (uint64_t)bytes;
}

int fgd_probe_parse(struct fgd_inventory *inventory, const struct fgd_backend *backend, char *text)
{
        bool ended = false;
        char *state = NULL;
        for (char *line = strtok_r(text, "\n", &state); line && !ended; line = strtok_r(NULL, "\n", &state)) {
                json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
                const char *problem = json_string_value(json_object_get(object, "problem"));
                if (problem)
                        fgd_inventory_complain(inventory, "%s", problem);
                else if (json_is_true(json_object_get(object, "end")))
                        ended = true;
                else if (json_object_get(object, "context"))
                        take_context(inventory->manager, object);
                else if (json_is_object(object))
                        take_device(inventory, backend, object);
                /* anything else is a driver's chatter on standard output */
                json_decref(object);
        }
        return ended ? 0 : -EPROTO;
}
