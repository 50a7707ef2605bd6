/* SPDX-License-Identifier: Apache-2.0
 * Whether a process still maps a page: the answer to "it hung up, did it exec or only close its descriptors?" */
#include "daemon/process.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define LINES_MAX 16384

static void close_file(FILE **f)
{
        if (*f)
                fclose(*f);
}

struct line {
        unsigned long long start, offset, inode;
        dev_t dev;
};

static bool parse(const char *text, struct line *ret)
{
        unsigned major, minor;
        if (sscanf(text, "%llx-%*x %*s %llx %x:%x %llu", &ret->start, &ret->offset, &major, &minor, &ret->inode) != 5)
                return false;
        ret->dev = makedev(major, minor);
        return true;
}

/* Mappings of the file's first byte in one maps file; -ENOENT when there is no mapping of anything at all. */
static int count_maps(const char *path, dev_t dev, ino_t inode)
{
        FG_CLEANUP(close_file) FILE *f = fopen(path, "re");
        if (!f)
                return -errno;
        char *text = NULL;
        size_t room = 0;
        int found = 0, lines = 0;
        struct line line;
        for (; lines < LINES_MAX && getline(&text, &room, f) > 0; lines++)
                if (parse(text, &line) && line.offset == 0 && line.inode == inode && line.dev == dev)
                        found++;
        free(text);
        if (lines == LINES_MAX) /* as many as a hostile program likes: not the daemon's time */
                return -E2BIG;
        return lines ? found : ferror(f) ? -EIO : -ENOENT;
}

int fgd_process_map_identity(const void *address, dev_t *ret_dev, ino_t *ret_inode)
{
        FG_CLEANUP(close_file) FILE *f = fopen("/proc/self/maps", "re");
        if (!f)
                return -errno;
        char *text = NULL;
        size_t room = 0;
        struct line line;
        int r = -ENOENT;
        while (r < 0 && getline(&text, &room, f) > 0)
                if (parse(text, &line) && line.start == (uintptr_t)address) {
                        *ret_dev = line.dev;
                        *ret_inode = line.inode;
                        r = 0;
                }
        free(text);
        return r;
}

static void close_folder(DIR **d)
{
        if (*d)
                closedir(*d);
}

/* The main thread may have ended while others run: the map of any of them is the process's. */
int fgd_process_maps(uint32_t pid, dev_t dev, ino_t inode)
{
        char path[320];
        snprintf(path, sizeof path, "/proc/%u/maps", pid);
        int r = count_maps(path, dev, inode);
        if (r != -ENOENT)
                return r;
        snprintf(path, sizeof path, "/proc/%u/task", pid);
        FG_CLEANUP(close_folder) DIR *tasks = opendir(path);
        for (struct dirent *e; tasks && (e = readdir(tasks));) {
                if (e->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof path, "/proc/%u/task/%s/maps", pid, e->d_name);
                r = count_maps(path, dev, inode);
                if (r != -ENOENT)
                        return r;
        }
        return -ENOENT;
}
