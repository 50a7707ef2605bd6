/* SPDX-License-Identifier: Apache-2.0
 * Finding the vendor's library. By its name alone one would find oneself: only absolute paths are tried. */
#include "shim/common/library.h"

#include "shim/common/libc.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 512

static const char *const load_folders[] = {
        "/usr/lib/x86_64-linux-gnu", /* Debian and its kin, and what container runtimes mount there */
        "/usr/lib64",
        "/usr/lib",
        "/lib/x86_64-linux-gnu",
        "/lib64",
        "/usr/lib/x86_64-linux-gnu/nvidia/current",
        "/usr/lib64/nvidia",
        "/usr/lib/nvidia",
        "/usr/local/nvidia/lib64",
        "/usr/local/nvidia/lib",
        "/usr/lib/wsl/lib",
        "/run/opengl-driver/lib",
};

/* The handle, or NULL; *ret_ours: what lies there is one of ours. */
static void *load_path(const char *path, bool *ret_ours)
{
        void *handle = fgx_libc_dlopen(path, RTLD_LAZY | RTLD_LOCAL);

        *ret_ours = handle && fgx_sym(handle, FGX_MARKER);
        if (!*ret_ours)
                return handle;
        fgx_libc_dlclose(handle);
        return NULL;
}

/* Ours lies over "libcuda.so.1": the vendor's own may still be there under its full version. */
static void *load_versioned(const char *folder, const char *file)
{
        size_t stem = (size_t)(strrchr(file, '.') - file) + 1;
        DIR *dir = opendir(folder);
        struct dirent *entry;
        char path[PATH_SIZE];
        void *handle = NULL;
        bool ours;

        while (dir && !handle && (entry = readdir(dir))) {
                if (strncmp(entry->d_name, file, stem) != 0 || strcmp(entry->d_name, file) == 0)
                        continue;
                snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
                handle = load_path(path, &ours);
        }
        if (dir)
                closedir(dir);
        return handle;
}

static void *load_folder(const char *folder, const char *file)
{
        char path[PATH_SIZE];
        bool ours;
        void *handle;

        snprintf(path, sizeof(path), "%s/%s", folder, file);
        handle = load_path(path, &ours);
        return ours ? load_versioned(folder, file) : handle;
}

void *fgx_load(const char *file, const char *folder)
{
        void *handle = NULL;
        int saved = errno;

        if (!fgx_libc_dlopen || !fgx_libc_dlclose)
                return NULL;
        if (folder && folder[0] == '/')
                handle = load_folder(folder, file);
        for (size_t i = 0; !handle && i < sizeof(load_folders) / sizeof(load_folders[0]); i++)
                handle = load_folder(load_folders[i], file);
        fgx_no_error();
        errno = saved;
        return handle;
}
