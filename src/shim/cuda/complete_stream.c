/* SPDX-License-Identifier: Apache-2.0
 * The program's streams: which context each is in, and which there are. Only looked at where work is tracked. */
#include "shim/cuda/complete.h"
#include "shim/cuda/hook.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS 256u

struct stream {
        struct stream *next;
        CUstream handle;
        CUcontext context;
        struct fgc_vgpu *vgpu;
        uint32_t pins; /* of threads that use it; the last one destroys an orphan */
        bool orphan;   /* the program destroyed it meanwhile */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all of it; no driver call is made under it */
static struct stream *bucket[BUCKETS];

static struct stream **find(CUstream handle)
{
        struct stream **at = &bucket[(uintptr_t)handle * 0x9e3779b97f4a7c15ull >> 56];

        while (*at && (*at)->handle != handle)
                at = &(*at)->next;
        return at;
}

static void drop(struct stream **at)
{
        struct stream *s = *at;

        *at = s->next;
        free(s);
}

void fgc_complete_stream_add(CUstream handle, CUcontext context, struct fgc_vgpu *vgpu)
{
        struct stream *new = calloc(1, sizeof(*new)), **at;

        if (!new)
                return; /* found by asking */
        pthread_mutex_lock(&lock);
        at = find(handle);
        if (*at) { /* of a stream that went round the hooks */
                (*at)->context = context;
                (*at)->vgpu = vgpu;
                free(new);
        } else {
                *new = (struct stream){.handle = handle, .context = context, .vgpu = vgpu};
                *at = new;
        }
        pthread_mutex_unlock(&lock);
}

bool fgc_complete_stream_remove(CUstream handle)
{
        struct stream **at;
        bool free_to_go = true;

        pthread_mutex_lock(&lock);
        at = find(handle);
        if (*at && (*at)->pins) {
                (*at)->orphan = true;
                free_to_go = false;
        } else if (*at) {
                drop(at);
        }
        pthread_mutex_unlock(&lock);
        return free_to_go;
}

void fgc_complete_streams_forget(CUcontext context)
{
        pthread_mutex_lock(&lock);
        for (unsigned i = 0; i < BUCKETS; i++)
                for (struct stream **at = &bucket[i]; *at;) {
                        if ((*at)->context == context && !(*at)->pins)
                                drop(at);
                        else
                                at = &(*at)->next;
                }
        pthread_mutex_unlock(&lock);
}

/* Takes the first stream of `vgpu` in bucket `i` after `after` (unpinned here; *ret_orphan: destroy it); NULL: no more. */
static struct stream *step(struct fgc_vgpu *vgpu, unsigned i, struct stream *after, CUstream *ret_orphan)
{
        struct stream *next;

        *ret_orphan = NULL;
        pthread_mutex_lock(&lock);
        next = after ? after->next : bucket[i];
        while (next && (next->vgpu != vgpu || next->orphan))
                next = next->next;
        if (next)
                next->pins++;
        if (after && --after->pins == 0 && after->orphan) {
                *ret_orphan = after->handle;
                drop(find(after->handle));
        }
        pthread_mutex_unlock(&lock);
        return next;
}

void fgc_complete_streams(struct fgc_vgpu *vgpu, void (*visit)(CUstream stream, void *user), void *user)
{
        for (unsigned i = 0; i < BUCKETS; i++) {
                struct stream *s = NULL;
                do {
                        CUstream orphan;
                        s = step(vgpu, i, s, &orphan);
                        if (orphan)
                                FGC_REAL(cuStreamDestroy_v2, orphan);
                        if (s)
                                visit(s->handle, user);
                } while (s);
        }
}

CUcontext fgc_complete_stream_context(CUstream handle)
{
        CUcontext context = NULL;
        struct stream *s = NULL;

        if ((uintptr_t)handle > 2) {
                pthread_mutex_lock(&lock);
                s = *find(handle);
                context = s ? s->context : NULL;
                pthread_mutex_unlock(&lock);
        }
        if (s)
                return context;
        if ((uintptr_t)handle <= 2 || !fgc_real.cuStreamGetCtx)
                return FGC_REAL(cuCtxGetCurrent, &context) == CUDA_SUCCESS ? context : NULL;
        return FGC_REAL(cuStreamGetCtx, handle, &context) == CUDA_SUCCESS ? context : NULL;
}
