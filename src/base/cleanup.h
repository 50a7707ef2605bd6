/* SPDX-License-Identifier: Apache-2.0
 * Cleanup attributes and the visible hand-over of ownership. */
#ifndef FG_BASE_CLEANUP_H
#define FG_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define FG_CLEANUP(f) __attribute__((cleanup(f)))

/* The value of *p, with *p set to NULL: ownership leaves here. */
#define FG_TAKE_PTR(p)                        \
        ({                                    \
                __typeof__(p) *_pp = &(p);    \
                __typeof__(p) _value = *_pp;  \
                *_pp = NULL;                  \
                _value;                       \
        })
#define FG_TAKE_FD(fd)              \
        ({                          \
                int *_pfd = &(fd);  \
                int _fd = *_pfd;    \
                *_pfd = -1;         \
                _fd;                \
        })

static inline void fg_cleanup_freep(void *p)
{
        free(*(void **)p);
}

static inline void fg_cleanup_closep(const int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

#define fg_autofree  FG_CLEANUP(fg_cleanup_freep)
#define fg_autoclose FG_CLEANUP(fg_cleanup_closep)

#endif
