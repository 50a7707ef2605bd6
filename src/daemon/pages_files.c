/* SPDX-License-Identifier: Apache-2.0
 * The files behind a vGPU's pages. */
#include "daemon/pages.h"

#include "base/atomic.h"
#include "base/cleanup.h"
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void fill_limits(struct fg_limits_page *limits, const struct fgd_vgpu *vgpu, const uint8_t boot_id[16])
{
        limits->magic = FG_LIMITS_MAGIC;
        limits->version = FG_PAGE_VERSION;
        limits->size = sizeof *limits;
        limits->index = vgpu->index;
        memcpy(limits->boot_id, boot_id, 16);
        memcpy(limits->uuid, vgpu->uuid, 16);
        snprintf(limits->name, sizeof limits->name, "%s/%u", vgpu->set->name, vgpu->index);
        snprintf(limits->device_key, sizeof limits->device_key, "%s", vgpu->device->key);
        limits->quota = vgpu->memory;
        limits->share_permille = vgpu->share;
        limits->mode = vgpu->mode;
        limits->priority = vgpu->priority;
        limits->context_bytes = vgpu->device->context_bytes;
}

/* A new file of `size` bytes that are really there: a full disk is an error here and not a signal later. */
static int make_file(const char *folder, const char *name, size_t size, void **ret, struct fg_error *err)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        fg_autoclose int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return fg_error_set(err, -errno, "cannot create %s: %m", path);
        int r = -posix_fallocate(fd, 0, (off_t)size);
        if (r < 0)
                return fg_error_set(err, r, "cannot create %s of %zu bytes: %m", path, size);
        *ret = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return *ret == MAP_FAILED ? fg_error_set(err, -errno, "cannot map %s: %m", path) : 0;
}

static int fill_folder(const char *folder, const struct fgd_vgpu *vgpu, const uint8_t boot_id[16], struct fg_error *err)
{
        char fifo[PATH_MAX];
        void *page;
        int r = make_file(folder, "limits", sizeof(struct fg_limits_page), &page, err);
        if (r < 0)
                return r;
        fill_limits(page, vgpu, boot_id);
        munmap(page, sizeof(struct fg_limits_page));
        r = make_file(folder, "usage", sizeof(struct fg_usage_page), &page, err);
        if (r < 0)
                return r;
        fg_page_init_usage(page);
        munmap(page, sizeof(struct fg_usage_page));
        snprintf(fifo, sizeof fifo, "%s/poke", folder);
        return mkfifo(fifo, 0600) < 0 ? fg_error_set(err, -errno, "cannot create %s: %m", fifo) : 0;
}

/* All files or none: made aside, then renamed. */
int fgd_pages_files_make(const char *folder, const struct fgd_vgpu *vgpu, const uint8_t boot_id[16], struct fg_error *err)
{
        char aside[PATH_MAX];
        snprintf(aside, sizeof aside, "%s.new", folder);
        fgd_folder_remove(aside);
        if (mkdir(aside, 0700) < 0)
                return fg_error_set(err, -errno, "cannot create %s: %m", aside);
        int r = fill_folder(aside, vgpu, boot_id, err);
        if (r == 0 && rename(aside, folder) < 0)
                r = fg_error_set(err, -errno, "cannot rename %s: %m", aside);
        if (r < 0)
                fgd_folder_remove(aside);
        return r;
}

/* A read-only descriptor that stays so: reopening it through /proc/self/fd would ask the mount, and that is a read-only
 * one of its own. Needs privileges; without them the plain descriptor has to do. */
static int harden_read_only(int plain)
{
        char path[64];
        struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
        fg_autoclose int tree = open_tree(plain, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0)
                return plain;
        snprintf(path, sizeof path, "/proc/self/fd/%d", tree);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return plain;
        close(plain);
        return fd;
}

static int open_one(const char *folder, const char *name, int flags, mode_t type, struct fg_error *err)
{
        char path[PATH_MAX];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return fg_error_set(err, -errno, "cannot open %s: %m", path);
        if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != type) {
                close(fd);
                return fg_error_set(err, -EUCLEAN, "%s is not what it was made as", path);
        }
        return fd;
}

int fgd_pages_files_open(const char *folder, struct fgd_pages_files *ret, struct fg_error *err)
{
        static const struct {
                const char *name;
                int flags;
                mode_t type;
        } row[6] = {{"limits", O_RDWR, S_IFREG},   {"usage", O_RDWR, S_IFREG}, {"poke", O_RDWR, S_IFIFO},
                    {"limits", O_RDONLY, S_IFREG}, {"usage", O_RDWR, S_IFREG}, {"poke", O_RDWR, S_IFIFO}};
        int fd[6];
        for (int i = 0; i < 6; i++) {
                fd[i] = open_one(folder, row[i].name, row[i].flags, row[i].type, err);
                if (fd[i] < 0) {
                        int r = fd[i];
                        while (i-- > 0)
                                close(fd[i]);
                        return r;
                }
        }
        *ret = (struct fgd_pages_files){fd[0], fd[1], fd[2], harden_read_only(fd[3]), fd[4], fd[5]};
        return 0;
}

void fgd_pages_files_close(struct fgd_pages_files *files)
{
        const int fd[] = {files->limits,        files->usage,        files->poke,
                          files->tenant_limits, files->tenant_usage, files->tenant_poke};
        for (unsigned i = 0; i < 6; i++)
                if (fd[i] >= 0)
                        close(fd[i]);
}

int fgd_folder_remove(const char *path)
{
        DIR *folder = opendir(path);
        if (!folder)
                return -errno;
        for (struct dirent *e; (e = readdir(folder));)
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        unlinkat(dirfd(folder), e->d_name, 0);
        closedir(folder);
        return rmdir(path) < 0 ? -errno : 0;
}
