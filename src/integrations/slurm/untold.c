/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * Of each use a file that is empty: all it says is its name, "JOB:UID:ENTRY". So it is there whole or not at all, no other use overwrites it,
 * and who takes it away takes away what he has told and nothing else. */
#include "integrations/slurm/slurm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MIN 200 /* ms between two rounds */

int fgi_slurm_untold_keep(const char *folder, uint32_t uid, uint32_t job, const char *entry)
{
        char name[FGI_SLURM_TEXT];
        snprintf(name, sizeof name, "%" PRIu32 ":%" PRIu32 ":%s", job, uid, entry);
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
                return -errno;
        int all = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int one = all < 0 ? -1 : openat(all, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        /* Down to the disk: the daemon's record of the set goes next. */
        int r = one < 0 || fsync(all) < 0 ? -errno : 0;
        if (one >= 0)
                close(one);
        if (all >= 0)
                close(all);
        return r;
}

/* "17:1000:n1.2:vgpus=1,gpu_us=7"; false: none of ours. */
static bool read_name(const char *name, uint32_t *ret_job, uint32_t *ret_uid, const char **ret_entry)
{
        int at = 0;
        if (sscanf(name, "%" SCNu32 ":%" SCNu32 ":%n", ret_job, ret_uid, &at) != 2 || !at)
                return false;
        *ret_entry = name + at;
        return strchr(*ret_entry, ':') != NULL;
}

/* Tells each once. Returns how many stay, or at least one. */
static unsigned tell_round(const char *folder, bool last, fgi_slurm_tell_fn *tell, void *data)
{
        unsigned left = 0;
        uint32_t job, uid;
        int r = 0;
        const struct dirent *one;
        const char *entry;
        DIR *all = opendir(folder);
        while (all && r != -EHOSTDOWN && (one = readdir(all)) != NULL) {
                if (!read_name(one->d_name, &job, &uid, &entry))
                        continue;
                r = tell ? tell(uid, job, entry, last, data) : -EAGAIN;
                if (r == 0)
                        unlinkat(dirfd(all), one->d_name, 0);
                left += r != 0;
        }
        if (all)
                closedir(all);
        return left;
}

bool fgi_slurm_untold_any(const char *folder)
{
        return tell_round(folder, false, NULL, NULL) > 0;
}

static void rest(unsigned ms)
{
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* Changes whenever a file comes or goes. */
static struct timespec changed(int folder)
{
        struct stat st = {0};
        fstat(folder, &st);
        return st.st_mtim;
}

static unsigned ms_since(const struct timespec *then)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (unsigned)((now.tv_sec - then->tv_sec) * 1000 + (now.tv_nsec - then->tv_nsec) / 1000000);
}

/* Until none is left, or none has come or gone for `patience`: meanwhile fewer and fewer rounds. */
static void tell_all(const char *folder, int lock, unsigned patience, fgi_slurm_tell_fn *tell, void *data)
{
        struct timespec since, seen = changed(lock);
        clock_gettime(CLOCK_MONOTONIC, &since);
        for (;;) {
                unsigned idle = ms_since(&since);
                bool last = idle >= patience;
                unsigned left = tell_round(folder, last, tell, data);
                struct timespec is = changed(lock);
                if (is.tv_sec != seen.tv_sec || is.tv_nsec != seen.tv_nsec) {
                        seen = is;
                        clock_gettime(CLOCK_MONOTONIC, &since);
                } else if (!left || last)
                        return;
                if (left)
                        rest(idle / 4 > PAUSE_MIN ? idle / 4 : PAUSE_MIN);
        }
}

/* Whoever tells already comes by what is new as well, unless he is about to leave: that is waited for. */
void fgi_slurm_untold_tell(const char *folder, unsigned patience, fgi_slurm_tell_fn *tell, void *data)
{
        int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = -1;
        for (unsigned i = 0; lock >= 0 && (r = flock(lock, LOCK_EX | LOCK_NB)) < 0 && i < 50; i++)
                rest(20);
        if (r == 0)
                tell_all(folder, lock, patience, tell, data);
        if (lock >= 0)
                close(lock);
}
