/* SPDX-License-Identifier: Apache-2.0
 * Finding and mapping the shared state. */
#include "sim/shared.h"

#include "base/atomic.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct fgsim_spec fgsim_spec;
struct fgsim_shared *fgsim_shared;

_Static_assert(sizeof(struct fgsim_process) == 64 && sizeof(struct fgsim_share) == 64, "one cache line each");
_Static_assert(sizeof(struct fgsim_shared) % 64 == 0 && sizeof(struct fgsim_gpu_state) % 64 == 0,
               "arrays keep their alignment");

static int state_path(char *ret, size_t len, struct fg_error *err)
{
        const char *folder = getenv("FASTGPU_SIM_STATE");
        int n = folder && *folder
                        ? snprintf(ret, len, "%s/fastgpu-sim-%016llx", folder, (unsigned long long)fgsim_spec.hash)
                        : snprintf(ret, len, "/dev/shm/fastgpu-sim-%u-%016llx", (unsigned)geteuid(),
                                   (unsigned long long)fgsim_spec.hash);
        return n < (int)len ? 0 : fg_error_set(err, -ENAMETOOLONG, "FASTGPU_SIM_STATE: the path is too long");
}

/* The folder of /dev/shm is everybody's: only a file of our own will do there. */
static int check_file(int fd, const char *path, size_t size, struct fg_error *err)
{
        struct stat st;
        if (fstat(fd, &st) < 0)
                return fg_error_set(err, -errno, "%s: %m", path);
        if (!S_ISREG(st.st_mode) || (!getenv("FASTGPU_SIM_STATE") && st.st_uid != geteuid()))
                return fg_error_set(err, -EPERM, "%s is not a file of this user; remove it", path);
        if (st.st_size != 0 && (size_t)st.st_size != size)
                return fg_error_set(err, -EPROTO, "%s has %lld bytes instead of %zu: another version's; remove it",
                                    path, (long long)st.st_size, size);
        if (st.st_size == 0 && ftruncate(fd, (off_t)size) < 0)
                return fg_error_set(err, -errno, "%s: %m", path);
        return 0;
}

/* Several may do this at once: they write the same. */
static int check_head(struct fgsim_shared *shared, const char *path, size_t size, struct fg_error *err)
{
        uint64_t magic = fg_load_acquire(&shared->magic);
        if (magic == 0) {
                fg_store_relaxed(&shared->hash, fgsim_spec.hash);
                fg_store_relaxed(&shared->version, FGSIM_VERSION);
                fg_store_relaxed(&shared->gpus, fgsim_spec.gpus);
                fg_store_relaxed(&shared->size, size);
                fg_store_release(&shared->magic, FGSIM_MAGIC);
        } else if (magic != FGSIM_MAGIC || shared->version != FGSIM_VERSION || shared->hash != fgsim_spec.hash ||
                   shared->gpus != fgsim_spec.gpus || shared->size != size) {
                return fg_error_set(err, -EPROTO, "%s is not this spec's state; remove it", path);
        }
        return 0;
}

static int map_state(struct fg_error *err)
{
        char path[PATH_MAX];
        size_t size = sizeof(struct fgsim_shared) + fgsim_spec.gpus * sizeof(struct fgsim_gpu_state);
        int r = state_path(path, sizeof path, err);
        if (r < 0)
                return r;
        int fd fg_autoclose =
                open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, getenv("FASTGPU_SIM_STATE") ? 0666 : 0600);
        if (fd < 0)
                return fg_error_set(err, -errno, "%s: %m", path);
        r = check_file(fd, path, size, err);
        if (r < 0)
                return r;
        void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return fg_error_set(err, -errno, "%s: %m", path);
        r = check_head(map, path, size, err);
        if (r < 0) {
                munmap(map, size);
                return r;
        }
        fg_store_release(&fgsim_shared, map);
        return 0;
}

/* A forked child has its parent's mapping, but it is another process. */
static void in_child(void)
{
        fgsim_slot = FGSIM_SLOTS_MAX;
}

int fgsim_attach(struct fg_error *err)
{
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        if (fg_load_acquire(&fgsim_shared))
                return 0;
        const char *value = getenv("FASTGPU_SIM");
        if (!value || !*value)
                return fg_error_set(err, -ENODEV,
                                    "FASTGPU_SIM is not set; set it to a spec such as 2xH100, or to a file's path");
        pthread_mutex_lock(&lock);
        int r = 0;
        if (!fgsim_shared) {
                r = fgsim_spec_load(value, &fgsim_spec, err);
                if (r == 0)
                        r = map_state(err);
                if (r == 0)
                        pthread_atfork(NULL, NULL, in_child);
        }
        pthread_mutex_unlock(&lock);
        return r;
}
