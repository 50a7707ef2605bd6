/* SPDX-License-Identifier: Apache-2.0
 * Who uses a GPU, by the pids that this process knows them by. A container's process is looked up by the pid that it
 * has in there and by the moment of its start; one that this process cannot see is left out, as on a real machine. */
#include "sim/nvml.h"

#include "base/atomic.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID_BITS 24 /* see shared_process.c */

static ssize_t read_file(uint32_t pid, const char *name, char *ret, size_t size)
{
        char path[48];
        snprintf(path, sizeof path, "/proc/%u/%s", pid, name);
        int fd fg_autoclose = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);
        ret[n < 0 ? 0 : n] = '\0';
        return n;
}

static bool started_at(uint32_t pid, uint64_t ticks)
{
        char text[1024];
        unsigned long long start;
        if (read_file(pid, "stat", text, sizeof text) <= 0)
                return false;
        const char *s = strrchr(text, ')');
        return s &&
               sscanf(s + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                      &start) == 1 &&
               start == ticks;
}

/* Its pid in the innermost namespace that it is in. */
static uint32_t inner_pid(uint32_t pid)
{
        char text[4096];
        if (read_file(pid, "status", text, sizeof text) <= 0)
                return 0;
        char *line = strstr(text, "\nNSpid:");
        if (!line)
                return 0;
        line[1 + strcspn(line + 1, "\n")] = '\0';
        const char *last = strrchr(line, '\t');
        return last ? (uint32_t)strtoul(last + 1, NULL, 10) : 0;
}

static uint32_t find_elsewhere(uint32_t pid, uint64_t start)
{
        DIR *folder = opendir("/proc");
        uint32_t found = 0;
        for (struct dirent *e; folder && !found && (e = readdir(folder));) {
                uint32_t candidate = (uint32_t)strtoul(e->d_name, NULL, 10);
                if (candidate && started_at(candidate, start) && inner_pid(candidate) == pid)
                        found = candidate;
        }
        if (folder)
                closedir(folder);
        return found;
}

static uint32_t own_namespace(void)
{
        struct stat st;
        return stat("/proc/self/ns/pid", &st) == 0 ? (uint32_t)st.st_ino : 0;
}

uint32_t fgsim_nvml_processes(uint32_t gpu, struct fgsim_nvml_process *ret, uint32_t max)
{
        uint32_t slots = fg_load_acquire(&fgsim_shared->slots), count = 0, space = own_namespace();
        for (uint32_t slot = 0; slot < slots && slot < FGSIM_SLOTS_MAX; slot++) {
                const struct fgsim_process *process = &fgsim_shared->process[slot];
                uint64_t who = fg_load_acquire(&process->who), bytes = who ? fgsim_share_held(gpu, slot) : 0;
                if (!who || (!bytes && !fg_load_relaxed(&fgsim_shared->gpu[gpu].share[slot].contexts)) ||
                    !fgsim_slot_lives(slot))
                        continue;
                uint32_t pid = (uint32_t)(who & ((1u << PID_BITS) - 1)),
                         its_space = fg_load_acquire(&process->pid_namespace);
                if (its_space && its_space != space)
                        pid = find_elsewhere(pid, who >> PID_BITS);
                if (!pid || fg_load_acquire(&process->who) != who)
                        continue;
                if (count < max)
                        ret[count] = (struct fgsim_nvml_process){.pid = pid, .slot = slot, .bytes = bytes};
                count++;
        }
        return count;
}
