/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/gate/gate.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS    SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1ul
#endif

/* With these a node is opened and nothing else is asked for; the kernel has the last word about all others. */
#define PLAIN (O_ACCMODE | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW)

struct server {
        int listener;
        const struct fgi_gate_box *box;
        struct fgi_gate_asker asker;
        uint64_t said; /* when a refusal was logged last */
        unsigned unsaid;
};

/* Whoever waits may have been killed: then there is nobody to answer, and that is no error. */
static void reply(struct server *s, uint64_t id, int error)
{
        struct seccomp_notif_resp r = {.id = id, .error = error, .flags = error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static void log_refusal(struct server *s, const char *node, unsigned thread, const struct fg_error *err)
{
        uint64_t now = fg_now();
        if (s->said && now - s->said < FG_NSEC_PER_SEC) {
                s->unsaid++;
                return;
        }
        fg_log_warning("%s: thread %u may not open %s: %s (%u more before)", s->box->target, thread, node, err->text, s->unsaid);
        s->said = now;
        s->unsaid = 0;
}

static const char *find_node(const struct fgi_gate_box *box, const char *path)
{
        for (unsigned i = 0; i < box->nodes; i++)
                if (strcmp(box->node[i], path) == 0)
                        return box->node[i];
        return NULL;
}

/* What was read decides whether something is given, never whether something goes on: that the kernel decides, for the path as it finds it
 * then. What is given was opened here. The program waits in its call all the while, so its number is no other's. */
static void answer(struct server *s, const struct seccomp_notif *n)
{
        char path[FGI_GATE_PATH_MAX];
        struct fgi_gate_call call;
        struct fg_error err = {0};
        const char *node = NULL;
        if (fgi_gate_call(&n->data, &call) && (call.flags & O_ACCMODE) == O_RDWR && !(call.flags & ~PLAIN) &&
            fgi_gate_read_path((pid_t)n->pid, call.path, path) == 0)
                node = find_node(s->box, path);
        if (!node) {
                reply(s, n->id, 0);
                return;
        }
        fg_autoclose int fd = fgi_gate_open(&s->asker, s->box, node, (pid_t)n->pid, call.flags, &err);
        struct seccomp_notif_addfd add = {.id = n->id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (uint32_t)fd, .newfd_flags = (uint32_t)(call.flags & O_CLOEXEC)};
        if (fd < 0) {
                log_refusal(s, node, n->pid, &err);
                reply(s, n->id, fd);
        } else if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0) {
                reply(s, n->id, -errno);
        }
}

static int loop(struct server *s, struct seccomp_notif *n, size_t size)
{
        for (;;) {
                struct pollfd p = {.fd = s->listener, .events = POLLIN};
                if (poll(&p, 1, -1) < 0 && errno != EINTR)
                        return -errno;
                if (p.revents & POLLIN) {
                        memset(n, 0, size); /* the kernel insists */
                        if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, n) == 0)
                                answer(s, n);
                        else if (errno != ENOENT && errno != EINTR)
                                return -errno;
                } else if (p.revents) {
                        return 0;
                }
        }
}

int fgi_gate_serve(int listener, const struct fgi_gate_box *box, struct fg_error *err)
{
        struct server s = {.listener = listener, .box = box};
        struct seccomp_notif_sizes sizes;
        if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
                return fg_error_set(err, -errno, "this kernel has no seccomp notification: %m");
        size_t size = sizes.seccomp_notif > sizeof(struct seccomp_notif) ? sizes.seccomp_notif : sizeof(struct seccomp_notif);
        fg_autofree struct seccomp_notif *n = malloc(size);
        if (!n)
                return fg_error_set(err, -ENOMEM, "out of memory");
        /* The program goes on at once, on the processor that served it. Linux before 6.6 does not know it. */
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
        int r = loop(&s, n, size);
        return r < 0 ? fg_error_set(err, r, "%s: the seccomp listener is not what it was: %m", box->target) : 0;
}
