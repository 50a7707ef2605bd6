/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/attach_link.h"

#include "base/log.h"
#include "cdi/cdi.h"
#include "daemon/attach_server.h"
#include "daemon/jobs.h"
#include "daemon/manager.h"
#include "daemon/tenants.h"
#include "ledger/attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void fgd_link_close(struct fgd_link *link)
{
        struct fgd_attach *attach = link->view->manager->attach;
        if (link->use)
                link->use->link = NULL;
        attach->pending -= link->pending;
        TAILQ_REMOVE(&attach->links, link, order);
        sd_event_source_disable_unref(link->source);
        sd_event_source_disable_unref(link->patience);
        close(link->fd);
        free(link);
}

void fgd_attach_forget(struct fgd_link *link)
{
        link->use = NULL;
        fgd_link_close(link);
}

void fgd_link_drop_oldest(struct fgd_manager *m)
{
        struct fgd_link *link;
        TAILQ_FOREACH(link, &m->attach->links, order)
                if (link->pending && !link->use) {
                        fgd_link_close(link);
                        return;
                }
}

static int on_impatience(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_link *link = user;
        struct fgd_use *use = link->use;
        fgd_link_close(link); /* the descriptors that were sent are worth nothing without their slot */
        if (use) {
                struct fgd_process *process = use->process;
                fgd_use_end(use);
                fgd_process_drop(process);
        }
        return 0;
}

static int send_reply(struct fgd_link *link, uint32_t status, uint32_t count)
{
        struct fg_attach_reply reply = {FG_ATTACH_MAGIC, FG_ATTACH_VERSION, status, count};
        if (link->view->is_box)
                snprintf(reply.driver_path, sizeof reply.driver_path, "%s", FG_CDI_DRIVER_INSIDE);
        else
                fgd_driver_path(link->view->manager, reply.driver_path);
        return send(link->fd, &reply, sizeof reply, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int send_vgpu(struct fgd_link *link, uint32_t position)
{
        const struct fgd_pages *p = link->use->set->vgpu[link->use->first + position].pages;
        struct fg_attach_reply_vgpu reply = {FG_ATTACH_MAGIC, FG_ATTACH_VERSION, position, link->use->slot[position]};
        if (reply.slot == FGD_NO_SLOT)
                reply.slot = FG_SLOTS - 1; /* never written to by who only looks */
        const int fds[3] = {p->limits_fd, p->usage_fd, p->poke_fd};
        union {
                char bytes[CMSG_SPACE(sizeof fds)];
                struct cmsghdr align;
        } control = {0};
        struct iovec iov = {&reply, sizeof reply};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(header), fds, sizeof fds);
        return sendmsg(link->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Sends what fits. 0: all of it; -EAGAIN: the rest when there is room. */
static int serve(struct fgd_link *link)
{
        int r = 0;
        if (link->sent == 0) {
                r = send_reply(link, 0, link->use->count);
                link->sent = r == 0;
        }
        while (r == 0 && link->sent <= link->use->count) {
                r = send_vgpu(link, link->sent - 1);
                link->sent += r == 0;
        }
        if (r < 0)
                return r == -ETOOMANYREFS ? -EAGAIN : r;
        link->view->manager->attach->pending--;
        link->pending = false;
        link->patience = sd_event_source_disable_unref(link->patience);
        sd_event_source_set_io_events(link->source, EPOLLIN);
        return 0;
}

/* 0 or the errno that the peer is told. */
static uint32_t refuse_reason(const struct fgd_link *link)
{
        const struct fgd_set *set = link->view->set;
        uint32_t first = link->view->index < 0 ? 0 : (uint32_t)link->view->index;
        uint32_t end = link->view->index < 0 ? set->count : first + 1;
        if (set->ending)
                return EACCES;
        for (uint32_t i = first; i < end; i++) {
                const struct fgd_vgpu *vgpu = &set->vgpu[i];
                if (vgpu->quarantined || (vgpu->pages && vgpu->pages->damaged))
                        return EUCLEAN;
                if (!vgpu->device->present)
                        return ENODEV;
        }
        return 0;
}

/* Where there are several users, those attach who opened the vGPU, by user; the socket's mode admits a whole group. */
static bool may_attach(const struct fgd_view *view, const struct fgd_process *process)
{
        const struct fgd_use *use;
        bool is_shared = fgd_tenants_on(view->manager) || (!view->manager->paths.is_private && geteuid() == 0);
        if (view->is_box || !is_shared || process->uid == 0 || process->uid == geteuid())
                return true;
        if (view->set->run && view->set->run->job->uid == process->uid)
                return true;
        TAILQ_FOREACH(use, &view->set->uses, of_set)
                if (use->process->uid == process->uid)
                        return true;
        return false;
}

static int begin(struct fgd_link *link)
{
        struct fgd_view *view = link->view;
        struct fgd_process *process;
        struct fg_error err = {0};
        struct fg_attach_hello hello;
        ssize_t n = recv(link->fd, &hello, sizeof hello, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
                return 0;
        if (n != sizeof hello || hello.magic != FG_ATTACH_MAGIC || hello.reserved != 0)
                return -EPROTO;
        uint32_t status = hello.version != FG_ATTACH_VERSION ? EPROTONOSUPPORT : refuse_reason(link);
        int r = 0;
        if (status == 0) {
                r = fgd_process_of_socket(view->manager, link->fd, &process, &err);
                if (r == 0) {
                        r = may_attach(view, process) ? fgd_use_new_attached(view->manager, process, view->set, view->index, hello.api == FG_API_NVML, &link->use, &err)
                                                      : fg_error_set(&err, -EACCES, "user %u has opened nothing of it", process->uid);
                        fgd_process_drop(process);
                }
                status = (uint32_t)-r;
        }
        if (status) {
                fg_log_debug("attach to %s refused: %s", view->set->name, r < 0 ? err.text : strerror((int)status));
                send_reply(link, status, 0);
                return -(int)status;
        }
        link->use->link = link;
        return serve(link);
}

static int on_link(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_link *link = user;
        struct fgd_use *use = link->use;
        int r;
        if (use && !link->pending)
                r = -ECONNRESET; /* a served peer has nothing more to say: words and silence end alike */
        else if (use && (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
                r = -ECONNRESET;
        else
                r = use ? serve(link) : begin(link);
        if (r == -EAGAIN) {
                sd_event_source_set_io_events(link->source, EPOLLOUT);
        } else if (r < 0) {
                use = link->use;
                fgd_link_close(link);
                if (use)
                        fgd_use_hung_up(use);
        }
        return 0;
}

void fgd_link_accept(struct fgd_view *view, int fd)
{
        struct fgd_manager *m = view->manager;
        struct fgd_link *link = calloc(1, sizeof *link);
        if (!link) {
                close(fd);
                return;
        }
        if (m->attach->pending >= FGD_LINK_PENDING_MAX)
                fgd_link_drop_oldest(m);
        *link = (struct fgd_link){.view = view, .fd = fd, .pending = true};
        m->attach->pending++;
        TAILQ_INSERT_TAIL(&m->attach->links, link, order);
        if (sd_event_add_io(m->event, &link->source, fd, EPOLLIN, on_link, link) < 0 ||
            sd_event_add_time_relative(m->event, &link->patience, CLOCK_MONOTONIC, FGD_LINK_PATIENCE_SEC * 1000000ull, 100000,
                                       on_impatience, link) < 0)
                fgd_link_close(link);
}
