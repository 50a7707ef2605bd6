/* SPDX-License-Identifier: Apache-2.0 */
#include "cdi/cdi.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYER   "libfastgpu-opencl.so"
#define ENTER   "libfastgpu-enter.so"
#define PRELOAD "ld.so.preload"
#define EMPTY   "empty"
#define PYTHON  "python"

static void drop(json_t **json)
{
        json_decref(*json);
}
#define autojson FG_CLEANUP(drop)

int fg_cdi_add_mount(json_t *mounts, const char *host_path, const char *container_path, bool writable)
{
        json_t *mount = json_pack("{s:s, s:s, s:[s,s,s,s]}", "hostPath", host_path, "containerPath", container_path, "options", "bind",
                                  writable ? "rw" : "ro", "nosuid", "nodev");
        return mount && json_array_append_new(mounts, mount) == 0 ? 0 : -ENOMEM;
}

int fg_cdi_add_file(json_t *mounts, const char *host_folder, const char *host_file, const char *folder, const char *file)
{
        char from[PATH_MAX], to[PATH_MAX];
        snprintf(from, sizeof from, "%s/%s", host_folder, host_file);
        snprintf(to, sizeof to, "%s/%s", folder, file);
        return fg_cdi_add_mount(mounts, from, to, false);
}

/* A new file each time, put in place by name: containers that run keep the one they started with. */
static int write_preload(const struct fg_cdi_host *host, struct fg_error *err)
{
        char path[PATH_MAX], temporary[PATH_MAX];
        snprintf(path, sizeof path, "%s/" PRELOAD, host->work);
        snprintf(temporary, sizeof temporary, "%s/." PRELOAD ".new", host->work);
        unlink(temporary);
        fg_autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
                return fg_error_set(err, -errno, "cannot create %s: %m", temporary);
        int n = dprintf(fd, FG_CDI_INSIDE "/" ENTER "\n%s", host->cuda ? FG_CDI_INSIDE "/libcuda.so.1\n" FG_CDI_INSIDE "/libnvidia-ml.so.1\n" : "");
        if (n < 0 || fchmod(fd, 0644) < 0 || rename(temporary, path) < 0)
                return fg_error_set(err, -errno, "cannot write %s: %m", path);
        return 0;
}

int fg_cdi_prepare(const struct fg_cdi_host *host, struct fg_error *err)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/" EMPTY, host->work);
        int r = fg_mkdirs(path, 0755, err);
        return r < 0 ? r : write_preload(host, err);
}

static int need(const char *folder, const char *file, struct fg_error *err)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, file);
        return access(path, R_OK) == 0 ? 0 : fg_error_set(err, -errno, "containers get no vGPUs: %s: %m; install FastGPU again", path);
}

/* The package fastgpu and what leads a Python to it: a convenience, so not all trees have it. */
static bool has(const char *folder, const char *file)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, file);
        return access(path, R_OK) == 0;
}

static int add_environment(const struct fg_cdi_host *host, json_t *env)
{
        char text[512];
        int r = json_array_append_new(env, json_string("FASTGPU_ATTACH=" FG_CONTAINER_SOCKET));
        if (r == 0)
                r = json_array_append_new(env, json_string("OPENCL_LAYERS=" FG_CDI_INSIDE "/" LAYER));
        snprintf(text, sizeof text, "FASTGPU_SIM=%s", host->sim);
        if (r == 0 && host->sim[0])
                r = json_array_append_new(env, json_string(text));
        return r < 0 ? -ENOMEM : 0;
}

static int add_own(const struct fg_cdi_host *host, json_t *mounts, struct fg_error *err)
{
        static const char *const file[] = {LAYER, ENTER};
        int r = 0;
        for (size_t i = 0; r == 0 && i < sizeof file / sizeof *file; i++) {
                r = need(host->tree, file[i], err);
                if (r == 0 && fg_cdi_add_file(mounts, host->tree, file[i], FG_CDI_INSIDE, file[i]) < 0)
                        r = fg_error_set(err, -ENOMEM, "out of memory");
        }
        if (r == 0 && fg_cdi_add_file(mounts, host->work, PRELOAD, "/etc", PRELOAD) < 0)
                r = fg_error_set(err, -ENOMEM, "out of memory");
        if (r == 0 && has(host->tree, PYTHON) && fg_cdi_add_file(mounts, host->tree, PYTHON, FG_CDI_INSIDE, PYTHON) < 0)
                r = fg_error_set(err, -ENOMEM, "out of memory");
        return r;
}

/* An image's own driver for newer programs would be found before the one that is mounted. */
static int add_mask(const struct fg_cdi_host *host, json_t *mounts)
{
        return fg_cdi_add_file(mounts, host->work, EMPTY, "/usr/local/cuda", "compat");
}

/* Takes over the edits, NULL included. */
static json_t *with_nodes(json_t *edits, json_t *nodes, struct fg_error *err)
{
        if (edits && (!json_array_size(nodes) || json_object_set(edits, "deviceNodes", nodes) == 0))
                return edits;
        json_decref(edits);
        fg_error_set(err, -ENOMEM, "out of memory");
        return NULL;
}

json_t *fg_cdi_common(const struct fg_cdi_host *host, struct fg_error *err)
{
        autojson json_t *env = json_array();
        autojson json_t *mounts = json_array();
        autojson json_t *nodes = json_array();
        int r = env && mounts && nodes && add_environment(host, env) == 0 ? 0 : fg_error_set(err, -ENOMEM, "out of memory");
        if (r == 0)
                r = add_own(host, mounts, err);
        if (r == 0 && host->cuda)
                r = fg_cdi_add_driver(host, mounts, nodes, err);
        if (r == 0 && host->cuda && add_mask(host, mounts) < 0)
                r = fg_error_set(err, -ENOMEM, "out of memory");
        if (r < 0)
                return NULL;
        json_t *edits = json_pack("{s:O, s:O}", "env", env, "mounts", mounts);
        return with_nodes(edits, nodes, err);
}

json_t *fg_cdi_of_view(const struct fg_cdi_view *view, struct fg_error *err)
{
        autojson json_t *mounts = json_array();
        autojson json_t *nodes = json_array();
        /* The folder, not the socket: a new daemon makes a new socket, which must appear in containers that run. */
        int r = mounts && nodes && fg_cdi_add_mount(mounts, view->folder, FG_CONTAINER_FOLDER, false) == 0 ? 0 : -ENOMEM;
        for (size_t i = 0; r == 0 && i < view->uuids; i++)
                r = fg_cdi_add_gpu(view->uuid[i], nodes, err);
        if (r == -ENOMEM)
                fg_error_set(err, r, "out of memory");
        if (r < 0)
                return NULL;
        return with_nodes(json_pack("{s:O}", "mounts", mounts), nodes, err);
}

json_t *fg_cdi_merge(json_t *common, json_t *view)
{
        json_t *both = json_deep_copy(common), *list;
        const char *key;
        json_object_foreach(view, key, list) {
                json_t *there = json_object_get(both, key);
                if (there ? json_array_extend(there, list) : json_object_set(both, key, list)) {
                        json_decref(both);
                        return NULL;
                }
        }
        return both;
}
