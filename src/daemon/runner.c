/* SPDX-License-Identifier: Apache-2.0
 * Runner files: one empty file for each process that opened a set, so that a restarted daemon knows whom a set was opened
 * for. The name says it all: BOOT-PID-START-VIEW (set_file.h). Nothing of it needs to survive a power cut. */
#include "daemon/use.h"

#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/set_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void boot_prefix(const struct fgd_manager *m, char ret[9])
{
        for (int i = 0; i < 4; i++)
                sprintf(ret + 2 * i, "%02x", m->boot_id[i]);
}

static void runner_path(const struct fgd_manager *m, const struct fgd_use *use, char *ret, size_t size)
{
        char boot[9], file[FGD_SET_FILE_MAX];
        int64_t index = use->count != use->set->count || use->first ? (int64_t)use->first : -1;
        boot_prefix(m, boot);
        snprintf(ret, size, "%s/runners/%s-%u-%" PRIu64 "-%s", m->paths.run, boot, use->process->pid, use->process->start_time,
                 fgd_set_file(m, use->set, index, file));
}

int fgd_runner_write(struct fgd_manager *m, const struct fgd_use *use, struct fg_error *err)
{
        char path[PATH_MAX];
        runner_path(m, use, path, sizeof path);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return fg_error_set(err, -errno, "cannot create %s: %m", path);
        close(fd);
        return 0;
}

void fgd_runner_remove(struct fgd_manager *m, const struct fgd_use *use)
{
        const struct fgd_use *other;
        char path[PATH_MAX];
        /* A process that opened the same view twice has one file. */
        TAILQ_FOREACH(other, &use->process->uses, of_process)
                if (other != use && !other->attached && other->set == use->set && other->first == use->first &&
                    other->count == use->count)
                        return;
        runner_path(m, use, path, sizeof path);
        unlink(path);
}

/* 0 when the file names a runner that lives. */
static int adopt(struct fgd_manager *m, const char *file)
{
        char boot[9], found[9], target[FGD_SET_FILE_MAX];
        uint32_t pid;
        uint64_t start;
        int64_t index;
        struct fgd_process *process;
        struct fgd_use *use;
        struct fg_error err = {0};
        boot_prefix(m, boot);
        if (sscanf(file, "%8[0-9a-f]-%" SCNu32 "-%" SCNu64 "-%127s", found, &pid, &start, target) != 4 || strcmp(boot, found) != 0)
                return -ESTALE;
        struct fgd_set *set = fgd_set_of_file(m, target, &index);
        if (!set)
                return -ENOENT;
        for (uint32_t i = 0; i < set->count; i++)
                if (set->vgpu[i].damaged_row || !set->vgpu[i].device)
                        return -EUCLEAN;
        int r = fgd_process_of_pid(m, pid, start, &process);
        if (r < 0)
                return r;
        r = fgd_use_new_runner(m, process, set, index, &use, &err);
        fgd_process_drop(process);
        if (r < 0)
                fg_log_warning("process %u runs in %s but cannot be taken over: %s", pid, set->name, err.text);
        return r;
}

void fgd_runner_adopt_all(struct fgd_manager *m)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/runners", m->paths.run);
        DIR *folder = opendir(path);
        if (!folder)
                return;
        for (struct dirent *e; (e = readdir(folder));)
                if (e->d_name[0] != '.' && adopt(m, e->d_name) < 0)
                        unlinkat(dirfd(folder), e->d_name, 0);
        closedir(folder);
}
