/* SPDX-License-Identifier: Apache-2.0
 * Interprocess events: a small file without a name, which other processes open through /proc; it is gone with its
 * users. */
#include "sim/event.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct shared_page {
        uint64_t cookie, asked, done; /* records asked for, records that completed */
};

struct fgsim_event_page {
        uint32_t refs;
        int fd;
        struct shared_page *shared;
};

struct page_op {
        struct fgsim_op op;
        struct fgsim_event_page *page;
        uint64_t turn;
};

/* What CUipcEventHandle holds. */
struct handle {
        uint64_t magic, cookie;
        int32_t pid, fd;
};

#define HANDLE_MAGIC 0x746e657665736746ull

_Static_assert(sizeof(struct handle) <= sizeof(CUipcEventHandle), "the handle fits");

static struct fgsim_event_page *page_map(int fd)
{
        struct fgsim_event_page *page = fd >= 0 ? calloc(1, sizeof(*page)) : NULL;

        if (page) {
                *page = (struct fgsim_event_page){1, fd, mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)};
                if (page->shared != MAP_FAILED)
                        return page;
        }
        free(page);
        if (fd >= 0)
                close(fd);
        return NULL;
}

static struct fgsim_event_page *page_new(void)
{
        static uint32_t count;
        int fd = memfd_create("fastgpu-sim-event", MFD_CLOEXEC);
        struct fgsim_event_page *page = fd >= 0 && ftruncate(fd, 4096) < 0 ? (close(fd), NULL) : page_map(fd);

        if (page)
                page->shared->cookie = fg_now() << 16 | (fg_add_relaxed(&count, 1) & 0xffff);
        return page;
}

void fgsim_event_page_drop(struct fgsim_event_page *page)
{
        if (!page || --page->refs > 0)
                return;
        munmap(page->shared, 4096);
        close(page->fd);
        free(page);
}

bool fgsim_event_page_is_done(const struct fgsim_event_page *page)
{
        return fg_load_acquire(&page->shared->done) >= fg_load_relaxed(&page->shared->asked);
}

static bool page_may(struct fgsim_op *op, uint64_t *at)
{
        const struct page_op *self = (struct page_op *)op;
        bool may = fg_load_acquire(&self->page->shared->done) >= self->turn;
        uint64_t now = may ? fg_now() : 0;

        *at = *at > now ? *at : now;
        return may;
}

static void page_end(struct fgsim_op *op, uint64_t at)
{
        struct page_op *self = (struct page_op *)op;
        uint64_t found = fg_load_relaxed(&self->page->shared->done);

        while (found < self->turn && !fg_cas_acq_rel(&self->page->shared->done, &found, self->turn))
                ;
        fgsim_event_page_drop(self->page);
}

static void page_waited(struct fgsim_op *op, uint64_t at)
{
        fgsim_event_page_drop(((struct page_op *)op)->page);
}

static bool push(struct fgsim_stream *stream, struct fgsim_event_page *page, const struct fgsim_op_class *class,
                 uint64_t turn)
{
        struct page_op *op = calloc(1, sizeof(*op));

        if (!op)
                return false;
        op->op.class = class;
        op->op.lane = FGSIM_LANE_NONE;
        op->page = page;
        op->turn = turn;
        page->refs++;
        fgsim_push(stream, &op->op);
        return true;
}

bool fgsim_event_page_push(struct fgsim_stream *stream, struct fgsim_event_page *page)
{
        static const struct fgsim_op_class class = {.end = page_end};

        return push(stream, page, &class, fg_add_seq_cst(&page->shared->asked, 1) + 1);
}

bool fgsim_event_page_push_wait(struct fgsim_stream *stream, struct fgsim_event_page *page)
{
        static const struct fgsim_op_class class = {.may = page_may, .polls = true, .end = page_waited};

        return fgsim_event_page_is_done(page) || push(stream, page, &class, fg_load_seq_cst(&page->shared->asked));
}

CUresult cuIpcGetEventHandle(CUipcEventHandle *ret, CUevent handle)
{
        struct fgsim_event *event = fgsim_event_get(handle);
        struct handle filled = {.magic = HANDLE_MAGIC, .pid = getpid()};

        FGSIM_ENTER(cuIpcGetEventHandle);
        if (!event)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || !(event->flags & CU_EVENT_INTERPROCESS))
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_lock();
        if (!event->page)
                event->page = page_new();
        fgsim_unlock();
        if (!event->page)
                return CUDA_ERROR_OUT_OF_MEMORY;
        filled.cookie = event->page->shared->cookie;
        filled.fd = event->page->fd;
        memset(ret, 0, sizeof(*ret));
        memcpy(ret, &filled, sizeof(filled));
        return CUDA_SUCCESS;
}

CUresult cuIpcOpenEventHandle(CUevent *ret, CUipcEventHandle ipc)
{
        struct fgsim_event_page *page;
        struct fgsim_event *event;
        struct handle asked;
        char path[64];
        CUresult r;

        FGSIM_ENTER(cuIpcOpenEventHandle);
        memcpy(&asked, &ipc, sizeof(asked));
        if (!ret || asked.magic != HANDLE_MAGIC)
                return CUDA_ERROR_INVALID_VALUE;
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", asked.pid, asked.fd);
        page = page_map(open(path, O_RDWR | O_CLOEXEC));
        if (!page || page->shared->cookie != asked.cookie) {
                fgsim_event_page_drop(page);
                return CUDA_ERROR_MAP_FAILED;
        }
        event = fgsim_event_make(CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS, &r);
        if (!event) {
                fgsim_event_page_drop(page);
                return r;
        }
        event->page = page;
        *ret = (CUevent)event;
        return CUDA_SUCCESS;
}
