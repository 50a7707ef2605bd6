/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/attach.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define ATTACH_TIMEOUT_S 5
#define ATTACH_MAX_COUNT 4096u

enum { FD_LIMITS, FD_USAGE, FD_POKE, FD_COUNT };

struct descriptors {
        int fd[FD_COUNT];
};

static void descriptors_close(struct descriptors *d)
{
        for (int i = 0; i < FD_COUNT; i++)
                if (d->fd[i] >= 0)
                        close(d->fd[i]);
}

#define HIGH_FD 512 /* below it programs expect the numbers that open(2) gives them */

struct fg_own_fd fg_own_fd_take(int fd)
{
        struct fg_own_fd own = {.fd = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD)};
        struct stat st = {0};

        if (own.fd >= 0)
                close(fd);
        else
                own.fd = fd; /* the limit is lower than that: better a low number than none */
        fstat(own.fd, &st);
        own.device = st.st_dev;
        own.inode = st.st_ino;
        return own;
}

static bool still_own(const struct fg_own_fd *own)
{
        struct stat st;

        return own->fd >= 0 && fstat(own->fd, &st) == 0 && st.st_dev == own->device && st.st_ino == own->inode;
}

void fg_own_fd_close(struct fg_own_fd *own)
{
        if (still_own(own))
                close(own->fd);
        own->fd = -1;
}

void fg_session_poke(const struct fg_own_fd *poke)
{
        ssize_t ignored;

        if (!still_own(poke))
                return;
        /* A full pipe is as good as one byte: the arbiter has not looked yet. */
        ignored = write(poke->fd, "", 1);
        (void)ignored;
}

static int receive(int fd, void *message, size_t size)
{
        ssize_t n;

        do
                n = recv(fd, message, size, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        return (size_t)n == size ? 0 : -EPROTO;
}

/* Whatever descriptors came are in *ret, to be closed by the caller, also on failure. */
static int receive_vgpu(int fd, struct fg_attach_reply_vgpu *message, struct descriptors *ret)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(FD_COUNT * sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = message, .iov_len = sizeof(*message)};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = CMSG_LEN(FD_COUNT * sizeof(int))}; /* no room for a fourth */
        struct cmsghdr *cmsg;
        ssize_t n;

        do
                n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        cmsg = CMSG_FIRSTHDR(&msg);
        if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
                memcpy(ret->fd, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
        if ((size_t)n != sizeof(*message) || (msg.msg_flags & MSG_CTRUNC) || message->magic != FG_ATTACH_MAGIC || ret->fd[FD_POKE] < 0)
                return -EPROTO;
        return 0;
}

static void *map_page(int fd, size_t size, int protection)
{
        struct stat st;
        void *page;

        if (fstat(fd, &st) < 0 || st.st_size < (off_t)size)
                return NULL;
        page = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
        return page == MAP_FAILED ? NULL : page;
}

static int attach_one(int fd, struct fg_session *session)
{
        FG_CLEANUP(descriptors_close) struct descriptors d = {{-1, -1, -1}};
        struct fg_attach_reply_vgpu message = {0};
        struct fg_session_vgpu *vgpu;
        const struct fg_limits_page *limits;
        struct fg_usage_page *usage;
        int r = receive_vgpu(fd, &message, &d);

        if (r < 0)
                return r;
        if (message.position >= session->count || message.slot >= FG_SLOTS)
                return -EPROTO;
        vgpu = &session->vgpu[message.position];
        if (vgpu->ledger.limits)
                return -EPROTO;
        limits = map_page(d.fd[FD_LIMITS], sizeof(*limits), PROT_READ);
        usage = map_page(d.fd[FD_USAGE], sizeof(*usage), PROT_READ | PROT_WRITE);
        if (limits && usage && fg_page_check_limits(limits, sizeof(*limits), limits->boot_id, NULL) == 0 &&
            fg_page_check_usage(usage, sizeof(*usage), NULL) == 0) {
                fg_ledger_open(&vgpu->ledger, limits, usage, message.slot);
                vgpu->poke = fg_own_fd_take(FG_TAKE_FD(d.fd[FD_POKE]));
                return 0;
        }
        if (limits)
                munmap((void *)limits, sizeof(*limits));
        if (usage)
                munmap(usage, sizeof(*usage));
        return -EPROTO;
}

static int session_greet(int fd, enum fg_api api, struct fg_attach_reply *reply)
{
        struct fg_attach_hello hello = {.magic = FG_ATTACH_MAGIC, .version = FG_ATTACH_VERSION, .api = api};
        int r;

        if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello))
                return -errno;
        r = receive(fd, reply, sizeof(*reply));
        if (r < 0)
                return r;
        if (reply->magic != FG_ATTACH_MAGIC || reply->version != FG_ATTACH_VERSION || reply->count > ATTACH_MAX_COUNT)
                return -EPROTO;
        return reply->status ? -(int)(reply->status & 0xfff) : 0;
}

const char *fg_session_path(void)
{
        const char *path = getenv(FG_ATTACH_ENV);

        if (access(FG_CONTAINER_FOLDER, F_OK) == 0)
                return FG_CONTAINER_SOCKET;
        return path && *path ? path : NULL;
}

int fg_session_open(const char *path, enum fg_api api, struct fg_session *ret)
{
        FG_CLEANUP(fg_session_close) struct fg_session session = {.connection.fd = -1};
        struct timeval timeout = {.tv_sec = ATTACH_TIMEOUT_S};
        struct fg_attach_reply reply = {0};
        int r = fg_unix_connect(path, SOCK_SEQPACKET), fd;

        if (r < 0)
                return r;
        session.connection = fg_own_fd_take(r);
        fd = session.connection.fd;
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                return -errno;
        r = session_greet(fd, api, &reply);
        if (r < 0)
                return r;
        session.vgpu = calloc(reply.count ? reply.count : 1, sizeof(*session.vgpu));
        if (!session.vgpu)
                return -ENOMEM;
        session.count = reply.count;
        memcpy(session.driver_path, reply.driver_path, sizeof(session.driver_path) - 1); /* the last byte stays NUL */
        for (uint32_t i = 0; i < session.count; i++)
                session.vgpu[i].poke.fd = -1;
        for (uint32_t i = 0; i < session.count; i++) {
                r = attach_one(fd, &session);
                if (r < 0)
                        return r;
        }
        *ret = session;
        session = (struct fg_session){.connection.fd = -1};
        return 0;
}

void fg_session_close(struct fg_session *session)
{
        for (uint32_t i = 0; session->vgpu && i < session->count; i++) {
                struct fg_session_vgpu *vgpu = &session->vgpu[i];

                fg_own_fd_close(&vgpu->poke);
                if (vgpu->ledger.limits) {
                        munmap((void *)vgpu->ledger.limits, sizeof(*vgpu->ledger.limits));
                        munmap(vgpu->ledger.usage, sizeof(*vgpu->ledger.usage));
                }
        }
        free(session->vgpu);
        fg_own_fd_close(&session->connection);
        *session = (struct fg_session){.connection.fd = -1};
}

void fg_session_forget(struct fg_session *session)
{
        /* Closing the copy of the descriptor says nothing to the daemon: the parent's is still open. */
        fg_session_close(session);
}
