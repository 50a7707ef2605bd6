/* SPDX-License-Identifier: Apache-2.0
 * The daemon knows who is attached; it is asked each time, as a program may have let go since. */
#include "integrations/gate/gate.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "fastgpu/client.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PACE (2 * FG_NSEC_PER_MSEC) /* between questions: a container that tries without end keeps itself busy, not the daemon */

struct who {
        unsigned pid, uid, gid;
        char groups[1024]; /* "4 24 27 ", as /proc has them */
};

static int find_who(pid_t thread, struct who *ret)
{
        char path[64], line[1024];
        snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
        FILE *file = fopen(path, "re");
        unsigned found = 0;
        if (!file)
                return -ESRCH;
        ret->groups[0] = 0;
        while (fgets(line, sizeof line, file)) {
                found += (unsigned)sscanf(line, "Tgid: %u", &ret->pid) == 1;
                found += (unsigned)sscanf(line, "Uid: %*u %*u %*u %u", &ret->uid) == 1;
                found += (unsigned)sscanf(line, "Gid: %*u %*u %*u %u", &ret->gid) == 1;
                if (strncmp(line, "Groups:", 7) == 0)
                        snprintf(ret->groups, sizeof ret->groups, " %s", line + 7 + strspn(line + 7, " \t"));
        }
        fclose(file);
        return found == 3 ? 0 : -ESRCH;
}

static bool has_group(const struct who *who, gid_t gid)
{
        char text[16];
        snprintf(text, sizeof text, " %u ", gid);
        return who->gid == gid || strstr(who->groups, text);
}

/* What the program could do with the node if its control group were no obstacle. The opening is ours, and we are root. */
static bool may(const struct who *who, const struct stat *st)
{
        unsigned mode = who->uid == st->st_uid ? st->st_mode >> 6 : has_group(who, st->st_gid) ? st->st_mode >> 3 : st->st_mode;
        return who->uid == 0 || (mode & 6) == 6;
}

bool fgi_gate_is_attached(const char *answer, size_t size, pid_t pid)
{
        json_t *set = json_loadb(answer, size, 0, NULL);
        const json_t *vgpu, *number;
        bool found = false;
        size_t i, k;
        json_array_foreach(json_object_get(set, "vgpus"), i, vgpu)
                json_array_foreach(json_object_get(json_object_get(vgpu, "usage"), "pids"), k, number)
                        found |= json_is_integer(number) && json_integer_value(number) == pid;
        json_decref(set);
        return found;
}

static void wait_turn(struct fgi_gate_asker *asker)
{
        uint64_t now = fg_now();
        if (asker->last && now - asker->last < PACE) {
                struct timespec rest = {.tv_nsec = (long)(PACE - (now - asker->last))};
                nanosleep(&rest, NULL);
        }
        asker->last = fg_now();
}

static int request(struct fgi_gate_asker *asker, const char *path, struct fg_client_reply *reply, struct fg_error *err)
{
        char why[256];
        int r = asker->client ? 0 : fg_client_open(FG_CLIENT_BRIEF, &asker->client, why, sizeof why);
        if (r < 0) {
                asker->client = NULL;
                return fg_error_set(err, r, "%s", why);
        }
        r = fg_client_request(asker->client, "GET", path, NULL, reply);
        if (r == 0)
                return 0;
        fg_client_close(asker->client);
        asker->client = NULL;
        return fg_error_set(err, r, "fastgpud does not answer: %m");
}

static int check_attached(struct fgi_gate_asker *asker, const struct fgi_gate_box *box, pid_t pid, struct fg_error *err)
{
        char path[256];
        struct fg_client_reply reply = {0};
        snprintf(path, sizeof path, "/v1/vgpus/%s%s%s", box->name, box->project[0] ? "?project=" : "", box->project);
        wait_turn(asker);
        int r = request(asker, path, &reply, err);
        if (r < 0) /* another daemon may be there by now */
                r = request(asker, path, &reply, err);
        if (r < 0)
                return -EPERM;
        if (reply.status != 200)
                r = fg_error_set(err, -EPERM, "fastgpud answers %d about %s", reply.status, box->target);
        else if (!fgi_gate_is_attached(reply.body, reply.size, pid))
                r = fg_error_set(err, -EPERM, "it is not attached to %s", box->target);
        fg_client_reply_clear(&reply);
        return r;
}

int fgi_gate_open(struct fgi_gate_asker *asker, const struct fgi_gate_box *box, const char *node, pid_t thread, int flags, struct fg_error *err)
{
        struct who who;
        struct stat st;
        int r = find_who(thread, &who);
        if (r < 0)
                return fg_error_set(err, -EPERM, "it is gone");
        r = check_attached(asker, box, (pid_t)who.pid, err);
        if (r < 0)
                return r;
        if (stat(node, &st) < 0)
                return fg_error_set(err, -errno, "%m");
        if (!S_ISCHR(st.st_mode))
                return fg_error_set(err, -ENODEV, "on this machine it is no device");
        if (!may(&who, &st))
                return fg_error_set(err, -EACCES, "its mode is %o", st.st_mode & 0777);
        int fd = open(node, O_RDWR | O_CLOEXEC | O_NOCTTY | (flags & O_NONBLOCK));
        return fd < 0 ? fg_error_set(err, -errno, "%m") : fd;
}
