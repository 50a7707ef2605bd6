/* SPDX-License-Identifier: Apache-2.0
 * NVIDIA's driver in a container. Ours lies over the driver's libraries under every name they have, the full version above all: who
 * mounts only over "libcuda.so.1" is himself covered when another vendor's device brings the versioned file. The driver itself goes to
 * a folder that only our libraries look into. Nothing of this has been tried on a GPU. */
#include "cdi/cdi.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Where the dynamic linker looks without a cache: Debian and its kin, the others. */
static const char *const inside[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib64"};
static const char *const usual[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/lib64/nvidia",
                                    "/usr/lib/nvidia", "/usr/lib/wsl/lib", "/run/opengl-driver/lib"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Ours stand in front of these. */
static const char *const replaced[] = {"libcuda.so.1", "libnvidia-ml.so.1"};
/* What the driver loads by these names. */
static const char *const needed[] = {"libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4", "libnvidia-opencl.so.1"};
/* And by its own version. */
static const char *const versioned[] = {"libnvidia-gpucomp.so.", "libnvidia-nvvm70.so."};
static const char *const nodes_of_all[] = {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"};

static bool find(const char *first, const char *file, char ret_folder[PATH_MAX], char ret_real[PATH_MAX])
{
        char path[PATH_MAX];
        for (size_t i = 0; i <= COUNT(usual); i++) {
                const char *folder = i == 0 ? first : usual[i - 1];
                snprintf(path, sizeof path, "%s/%s", folder, file);
                if (!*folder || !realpath(path, ret_real))
                        continue;
                snprintf(ret_folder, PATH_MAX, "%s", folder);
                return true;
        }
        return false;
}

static const char *last_part(const char *path)
{
        return strrchr(path, '/') + 1;
}

/* Under one name, in both folders. */
static int add_inside(json_t *mounts, const char *host_path, const char *name)
{
        char path[PATH_MAX];
        int r = 0;
        for (size_t i = 0; r == 0 && i < COUNT(inside); i++) {
                snprintf(path, sizeof path, "%s/%s", inside[i], name);
                r = fg_cdi_add_mount(mounts, host_path, path, false);
        }
        return r;
}

/* The simulator is one folder, without versions. */
static int add_sim(const struct fg_cdi_host *host, json_t *mounts)
{
        int r = fg_cdi_add_file(mounts, host->tree, "sim", FG_CDI_INSIDE, "real");
        for (size_t i = 0; r == 0 && i < COUNT(replaced); i++) {
                char ours[PATH_MAX];
                snprintf(ours, sizeof ours, "%s/%s", host->tree, replaced[i]);
                r = fg_cdi_add_file(mounts, host->tree, replaced[i], FG_CDI_INSIDE, replaced[i]);
                if (r == 0)
                        r = add_inside(mounts, ours, replaced[i]);
        }
        return r;
}

static int add_replaced(const struct fg_cdi_host *host, const char *file, char ret_folder[PATH_MAX], json_t *mounts, struct fg_error *err)
{
        char real[PATH_MAX], ours[PATH_MAX], theirs[PATH_MAX];
        if (!find(host->driver, file, ret_folder, real))
                return fg_error_set(err, -ENOENT, "containers get no vGPUs: NVIDIA's %s is nowhere; install the driver or set driver-path", file);
        snprintf(ours, sizeof ours, "%s/%s", host->tree, file);
        snprintf(theirs, sizeof theirs, FG_CDI_DRIVER_INSIDE "/%s", file);
        int r = fg_cdi_add_mount(mounts, real, theirs, false);
        if (r == 0)
                r = fg_cdi_add_file(mounts, host->tree, file, FG_CDI_INSIDE, file);
        if (r == 0)
                r = add_inside(mounts, ours, file);
        if (r == 0 && strcmp(last_part(real), file) != 0)
                r = add_inside(mounts, ours, last_part(real));
        return r < 0 ? fg_error_set(err, r, "out of memory") : 0;
}

static int add_versioned(const char *folder, json_t *mounts)
{
        struct dirent *entry;
        DIR *dir = opendir(folder);
        int r = 0;
        while (dir && r == 0 && (entry = readdir(dir)))
                for (size_t i = 0; r == 0 && i < COUNT(versioned); i++) {
                        char path[PATH_MAX];
                        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
                        if (strncmp(entry->d_name, versioned[i], strlen(versioned[i])) == 0)
                                r = add_inside(mounts, path, entry->d_name);
                }
        if (dir)
                closedir(dir);
        return r;
}

static int add_rest(const struct fg_cdi_host *host, const char *folder, json_t *mounts)
{
        char elsewhere[PATH_MAX], real[PATH_MAX];
        int r = add_versioned(folder, mounts);
        for (size_t i = 0; r == 0 && i < COUNT(needed); i++)
                if (find(host->driver, needed[i], elsewhere, real))
                        r = add_inside(mounts, real, needed[i]);
        if (r == 0 && access("/usr/bin/nvidia-smi", X_OK) == 0)
                r = fg_cdi_add_mount(mounts, "/usr/bin/nvidia-smi", "/usr/bin/nvidia-smi", false);
        if (r == 0 && access("/etc/OpenCL/vendors/nvidia.icd", R_OK) == 0)
                r = fg_cdi_add_mount(mounts, "/etc/OpenCL/vendors/nvidia.icd", "/etc/OpenCL/vendors/nvidia.icd", false);
        return r;
}

int fg_cdi_link_node(const char *path, const char *folder)
{
        char link[PATH_MAX];
        struct stat st;
        if (stat(path, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode))
                return -ENODEV;
        snprintf(link, sizeof link, "%s/%u:%u", folder, major(st.st_rdev), minor(st.st_rdev));
        return symlink(path, link) < 0 && errno != EEXIST ? -errno : 0;
}

static int add_node(json_t *nodes, const char *path)
{
        fg_cdi_link_node(path, "/dev/char"); /* where it cannot be made, `fastgpu doctor` says so */
        json_t *node = json_pack("{s:s, s:s}", "path", path, "permissions", "rw");
        return node && json_array_append_new(nodes, node) == 0 ? 0 : -ENOMEM;
}

int fg_cdi_add_driver(const struct fg_cdi_host *host, json_t *mounts, json_t *nodes, struct fg_error *err)
{
        char folder[PATH_MAX] = "";
        int r = 0;
        if (host->sim[0])
                return add_sim(host, mounts) < 0 ? fg_error_set(err, -ENOMEM, "out of memory") : 0;
        for (size_t i = COUNT(replaced); r == 0 && i-- > 0;)
                r = add_replaced(host, replaced[i], folder, mounts, err);
        if (r == 0 && add_rest(host, folder, mounts) < 0)
                r = fg_error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; r == 0 && i < COUNT(nodes_of_all); i++)
                if (access(nodes_of_all[i], F_OK) == 0 && add_node(nodes, nodes_of_all[i]) < 0)
                        r = fg_error_set(err, -ENOMEM, "out of memory");
        return r;
}

/* The minor number from a file such as /proc/driver/nvidia/gpus/0000:01:00.0/information, if it is the GPU with this UUID; else -1. */
static int minor_of(const char *path, const char *uuid)
{
        char line[256], found[80] = "";
        int minor = -1;
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof line, file)) {
                sscanf(line, "GPU UUID: %79s", found);
                sscanf(line, "Device Minor: %d", &minor);
        }
        if (file)
                fclose(file);
        return strcmp(found, uuid) == 0 ? minor : -1;
}

int fg_cdi_add_gpu(const char *uuid, json_t *nodes, struct fg_error *err)
{
        static const char folder[] = "/proc/driver/nvidia/gpus";
        char path[PATH_MAX], node[32];
        struct dirent *entry;
        DIR *dir = opendir(folder);
        int minor = -1;
        while (dir && minor < 0 && (entry = readdir(dir))) {
                snprintf(path, sizeof path, "%s/%s/information", folder, entry->d_name);
                minor = minor_of(path, uuid);
        }
        if (dir)
                closedir(dir);
        if (minor < 0)
                return fg_error_set(err, -ENOENT, "GPU %s has no entry in %s: which device node is its, cannot be known", uuid, folder);
        snprintf(node, sizeof node, "/dev/nvidia%d", minor);
        return add_node(nodes, node);
}
