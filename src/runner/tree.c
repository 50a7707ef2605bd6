/* SPDX-License-Identifier: Apache-2.0
 * Descendants of the runner, as /proc shows them. Orphans come back to it (PR_SET_CHILD_SUBREAPER), so none is missed, whatever
 * sessions and groups they made. */
#include "runner/runner.h"

#include "base/cleanup.h"
#include "base/job_group.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct node {
        pid_t pid, parent;
        bool ours;
};

static size_t read_all(struct node **ret)
{
        size_t count = 0, room = 0;
        struct node *node = NULL;
        DIR *proc = opendir("/proc");
        if (!proc)
                return 0;
        for (struct dirent *e; (e = readdir(proc));) {
                struct fg_job_process process;
                pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
                if (pid <= 0 || fg_job_process_read(pid, &process) < 0)
                        continue;
                if (count == room) {
                        struct node *more = realloc(node, (room = room ? 2 * room : 1024) * sizeof *node);
                        if (!more)
                                break; /* those found so far; the caller comes back for the rest */
                        node = more;
                }
                node[count++] = (struct node){.pid = pid, .parent = process.parent};
        }
        closedir(proc);
        *ret = node;
        return count;
}

static int by_pid(const void *a, const void *b)
{
        pid_t x = ((const struct node *)a)->pid, y = ((const struct node *)b)->pid;
        return x < y ? -1 : x > y;
}

static bool is_ours(const struct node *node, size_t count, pid_t parent)
{
        struct node key = {.pid = parent};
        const struct node *found = count ? bsearch(&key, node, count, sizeof *node, by_pid) : NULL;
        return found && found->ours;
}

unsigned fgr_tree_signal(int signal)
{
        fg_autofree struct node *node = NULL;
        size_t count = read_all(&node);
        unsigned found = 0;
        if (count)
                qsort(node, count, sizeof *node, by_pid);
        for (bool more = true; more;) {
                more = false;
                for (size_t i = 0; i < count; i++)
                        if (!node[i].ours && (node[i].parent == getpid() || is_ours(node, count, node[i].parent))) {
                                node[i].ours = more = true;
                                found++;
                        }
        }
        for (size_t i = 0; i < count; i++)
                if (node[i].ours)
                        kill(node[i].pid, signal);
        return found;
}

void fgr_tree_stop(void)
{
        /* What one pass saw can have forked before it was stopped; then the next one finds more. */
        unsigned before = 0, found;
        for (unsigned pass = 0; pass < 64 && (found = fgr_tree_signal(SIGSTOP)) != before; pass++)
                before = found;
}
