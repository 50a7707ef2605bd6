/* SPDX-License-Identifier: Apache-2.0
 * The daemon's pids in this process's own PID namespace.
 *
 * A process is known by the moment of its start, to a clock tick. Where the daemon's pid has that start here, too, the
 * namespace is the daemon's (or this process's pids happen to agree, which is as good). Otherwise it is looked for
 * among those that can be seen: the one with that start which has the vGPU's page mapped, or, where maps are not to be
 * read, the only one with that start. */
#include "shim/nvml/device.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *pid_open(const char *pid, const char *file)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
        return fopen(path, "re");
}

/* Clock ticks since boot; 0: no such process to be seen. */
static uint64_t pid_start(const char *pid)
{
        char line[1024];
        uint64_t start = 0;
        FILE *file = pid_open(pid, "stat");
        /* The name may hold anything, so count from its closing bracket. */
        const char *s = file && fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;

        if (!s || sscanf(s + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
                         &start) != 1)
                start = 0;
        if (file)
                fclose(file);
        return start;
}

/* The file mapped at `page` in this process: "device inode", as it stands in every map of it. */
static bool pid_page_file(const void *page, char *ret, size_t size)
{
        char line[512];
        uintptr_t from, to;
        int at = 0, end = 0;
        bool found = false;
        FILE *file = pid_open("self", "maps");

        while (file && !found && fgets(line, sizeof(line), file)) {
                found = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %n%*s %*s%n", &from, &to, &at, &end) == 2 &&
                        from <= (uintptr_t)page && (uintptr_t)page < to;
                if (found)
                        snprintf(ret, size, " %.*s ", end - at, line + at);
        }
        if (file)
                fclose(file);
        return found;
}

/* 1: it has the file mapped; 0: not; -1: not to be seen. */
static int pid_maps(const char *pid, const char *file_text)
{
        char line[512];
        int found = 0;
        FILE *file = pid_open(pid, "maps");

        if (!file)
                return -1;
        while (!found && fgets(line, sizeof(line), file))
                found = strstr(line, file_text) != NULL;
        fclose(file);
        return found;
}

static uint32_t pid_search(uint64_t start_time, const void *page)
{
        char file_text[96];
        uint32_t likely = 0, candidates = 0;
        bool known = pid_page_file(page, file_text, sizeof(file_text));
        DIR *folder = opendir("/proc");

        for (struct dirent *e; folder && (e = readdir(folder));) {
                int maps;

                if (e->d_name[0] < '1' || e->d_name[0] > '9' || pid_start(e->d_name) != start_time)
                        continue;
                maps = known ? pid_maps(e->d_name, file_text) : -1;
                if (maps == 0)
                        continue;
                likely = (uint32_t)strtoul(e->d_name, NULL, 10);
                candidates++;
                if (maps > 0) {
                        candidates = 1;
                        break;
                }
        }
        if (folder)
                closedir(folder);
        return candidates == 1 ? likely : 0;
}

uint32_t fgn_pid_here(uint32_t pid, uint64_t start_time, const void *page)
{
        char text[16];

        if (start_time == 0)
                return 0;
        snprintf(text, sizeof(text), "%u", pid);
        return pid_start(text) == start_time ? pid : pid_search(start_time, page);
}
