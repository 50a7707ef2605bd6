/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/guard.h"

#include "base/atomic.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK 64

/* The signal handler walks these in any thread at any time: chunks are never freed, `start` is written last and cleared
 * first. */
struct range {
        uintptr_t start; /* (a) 0: vacant */
        size_t size;
        uint32_t *damaged;
};
struct chunk {
        struct chunk *next; /* (a) */
        struct range range[CHUNK];
};

static struct chunk first;
static int event_fd = -1;

static struct range *find(uintptr_t address)
{
        for (struct chunk *c = &first; c; c = fg_load_acquire(&c->next))
                for (int i = 0; i < CHUNK; i++) {
                        uintptr_t start = fg_load_acquire(&c->range[i].start);
                        if (start && address >= start && address - start < c->range[i].size)
                                return &c->range[i];
                }
        return NULL;
}

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
        int saved = errno;
        uintptr_t address = (uintptr_t)info->si_addr, page = address & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
        struct range *range = info->si_code > 0 ? find(address) : NULL;
        if (!range || mmap((void *)page, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                           MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) {
                struct sigaction normal = {.sa_handler = SIG_DFL};
                sigaction(SIGBUS, &normal, NULL); /* not ours: the instruction faults again and ends the daemon */
        } else {
                uint64_t one = 1;
                fg_store_release(range->damaged, 1u);
                if (write(event_fd, &one, sizeof one) < 0)
                        errno = 0; /* a full counter is readable too */
        }
        errno = saved;
}

int fgd_guard_start(void)
{
        struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};
        event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (event_fd < 0 || sigaction(SIGBUS, &action, NULL) < 0)
                return -errno;
        return event_fd;
}

static struct range *vacant(void)
{
        for (struct chunk *c = &first;; c = c->next) {
                for (int i = 0; i < CHUNK; i++)
                        if (!c->range[i].start)
                                return &c->range[i];
                if (!c->next) {
                        struct chunk *more = calloc(1, sizeof *more);
                        if (!more)
                                return NULL;
                        fg_store_release(&c->next, more);
                }
        }
}

int fgd_guard_add(void *address, size_t size, uint32_t *damaged)
{
        struct range *range = vacant();
        if (!range)
                return -ENOMEM;
        range->size = size;
        range->damaged = damaged;
        fg_store_release(&range->start, (uintptr_t)address);
        return 0;
}

void fgd_guard_remove(void *address)
{
        struct range *range = find((uintptr_t)address);
        if (range)
                fg_store_release(&range->start, (uintptr_t)0);
}
