/* SPDX-License-Identifier: Apache-2.0 */
#include "test_launch_fake.h"

#include "base/clock.h"
#include "shim/cuda/capture.h"
#include "shim/cuda/graph_memory.h"
#include "shim/cuda/overhead.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#define STREAMS 64
#define OPS     4096

enum op { OP_WORK, OP_RECORD, OP_WAIT, OP_HOST };
struct item {
        enum op op;
        struct event *event;
        unsigned count; /* of the event's records that this one is, or waits for */
        CUhostFn function;
        void *user;
};
struct event {
        struct event *before; /* made before it */
        unsigned recorded, done;
};
struct queue {
        CUstream handle;
        struct item items[OPS];
        unsigned head, tail, tokens;
        CUstreamCaptureStatus capture;
};

struct fake fake;
struct fgc_driver fgc_real;
__thread unsigned fgc_inside;
__thread struct fgc_current fgc_current;
_Atomic uint32_t fgc_context_epoch;
unsigned fgc_vgpu_count;
struct fgc_vgpu *fgc_vgpus;
CUcontext fake_current = FAKE_CONTEXT;

static struct queue *queues[STREAMS];
static unsigned queue_count, held;
static struct event *all_events; /* what is watched keeps its event for the next test */
static CUresult broken;
static struct fgc_vgpu vgpu;
static struct fg_session_vgpu session;
static struct fg_limits_page *limits;
static struct fg_usage_page *usage;
static int pokes;

struct fgc_vgpu *fgc_vgpu_current_ask(void)
{
        return fgc_vgpus;
}

struct fgc_vgpu *fgc_vgpu_of_stream_ask(CUstream stream)
{
        return fgc_vgpus;
}

struct fgc_vgpu *fgc_vgpu_of_context(CUcontext context)
{
        return fgc_vgpus;
}

static struct queue *queue_of(CUstream stream)
{
        stream = stream ? stream : CU_STREAM_LEGACY;
        for (unsigned i = 0; i < queue_count; i++)
                if (queues[i]->handle == stream)
                        return queues[i];
        queues[queue_count] = calloc(1, sizeof(struct queue));
        queues[queue_count]->handle = stream;
        return queues[queue_count++];
}

static void push(CUstream stream, struct item item)
{
        struct queue *q = queue_of(stream);

        assert_true(q->tail - q->head < OPS);
        q->items[q->tail++ % OPS] = item;
}

static int step(struct queue *q)
{
        struct item i = q->items[q->head % OPS];

        if (q->head == q->tail || broken || (i.op == OP_WORK && !q->tokens) || (i.op == OP_WAIT && i.event->done < i.count) ||
            (i.op == OP_HOST && held))
                return 0;
        q->head++;
        if (i.op == OP_WORK && q->tokens != UINT_MAX)
                q->tokens--;
        if (i.op == OP_RECORD && i.event->done < i.count)
                i.event->done = i.count;
        if (i.op == OP_HOST)
                i.function(i.user);
        return 1;
}

static void run(void)
{
        int moved;

        do {
                moved = 0;
                for (unsigned i = 0; i < queue_count; i++)
                        while (step(queues[i]))
                                moved = 1;
        } while (moved);
}

void fake_complete(CUstream stream, unsigned n)
{
        queue_of(stream)->tokens = n;
        run();
        queue_of(stream)->tokens = 0;
}

void fake_complete_all(void)
{
        for (unsigned i = 0; i < queue_count; i++)
                fake_complete(queues[i]->handle, UINT_MAX);
}

void fake_break(CUresult sticky)
{
        broken = sticky;
}

void fake_hold_host_functions(int hold)
{
        held = (unsigned)hold;
        run();
}

/* --- the driver --- */

static CUresult take(CUresult *result)
{
        CUresult r = *result;

        *result = CUDA_SUCCESS;
        return r ? r : broken;
}

static CUresult work(CUstream stream)
{
        CUresult r = take(&fake.launch_result);

        fake.last_stream = stream;
        fake.launches++;
        if (!r && queue_of(stream)->capture == CU_STREAM_CAPTURE_STATUS_NONE)
                push(stream, (struct item){.op = OP_WORK});
        return r;
}

static void touch(CUstream stream)
{
        fake.touched_capture += queue_of(stream)->capture != CU_STREAM_CAPTURE_STATUS_NONE;
}

static CUresult launch_kernel(CUfunction f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned s,
                              CUstream stream, void **params, void **extra)
{
        fake.arguments_arrived = (uintptr_t)f == 100 && a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && g == 6 && s == 7 &&
                                 (uintptr_t)params == 8 && (uintptr_t)extra == 9;
        return work(stream);
}

static CUresult launch_kernel_own(CUfunction f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g,
                                  unsigned s, CUstream stream, void **params, void **extra)
{
        return work(stream ? stream : CU_STREAM_PER_THREAD);
}

static CUresult launch_ex(const CUlaunchConfig *config, CUfunction f, void **params, void **extra)
{
        return config ? work(config->hStream) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult launch_cooperative(CUfunction f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g,
                                   unsigned s, CUstream stream, void **params)
{
        return work(stream);
}

static CUresult launch_multi(CUDA_LAUNCH_PARAMS *list, unsigned count, unsigned flags)
{
        for (unsigned i = 0; i < count; i++)
                work(list[i].hStream);
        return CUDA_SUCCESS;
}

static CUresult launch_first(CUfunction f)
{
        return work(NULL);
}

static CUresult launch_grid(CUfunction f, int width, int height)
{
        return work(NULL);
}

static CUresult launch_grid_async(CUfunction f, int width, int height, CUstream stream)
{
        return work(stream);
}

static CUresult launch_graph(CUgraphExec graph, CUstream stream)
{
        return work(stream);
}

static CUresult copy_to(CUdeviceptr dst, const void *src, size_t bytes, CUstream stream)
{
        return work(stream);
}

static CUresult copy_back(void *dst, CUdeviceptr src, size_t bytes)
{
        CUresult r = work(NULL);

        fake_complete(NULL, UINT_MAX);
        return r;
}

static CUresult copy_plane(const CUDA_MEMCPY2D *copy)
{
        return copy ? work(NULL) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult set_words(CUdeviceptr dst, unsigned value, size_t count, CUstream stream)
{
        return work(stream);
}

static CUresult event_create(CUevent *ret, unsigned flags)
{
        struct event *event = calloc(1, sizeof *event);

        fake.events++;
        event->before = all_events;
        all_events = event;
        *ret = (CUevent)event;
        return CUDA_SUCCESS;
}

static CUresult event_record(CUevent handle, CUstream stream)
{
        struct event *event = (struct event *)handle;
        CUresult r = take(&fake.record_result);

        if (r)
                return r;
        fake.records++;
        fake.last_record = stream;
        touch(stream);
        push(stream, (struct item){.op = OP_RECORD, .event = event, .count = ++event->recorded});
        run();
        return CUDA_SUCCESS;
}

static CUresult event_query(CUevent handle)
{
        struct event *event = (struct event *)handle;

        fake.queries++;
        assert_true(!fg_load_relaxed(&fgc_captures) || fake.mode == CU_STREAM_CAPTURE_MODE_RELAXED);
        if (broken || fake.query_result)
                return broken ? broken : fake.query_result;
        return event->done == event->recorded ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

static CUresult event_synchronize(CUevent handle)
{
        return broken;
}

static CUresult stream_wait(CUstream stream, CUevent handle, unsigned flags)
{
        struct event *event = (struct event *)handle;

        fake.stream_waits++;
        touch(stream);
        push(stream, (struct item){.op = OP_WAIT, .event = event, .count = event->recorded});
        return broken;
}

static CUresult host_function(CUstream stream, CUhostFn function, void *user)
{
        CUresult r = take(&fake.host_result);

        if (r)
                return r;
        fake.host_functions++;
        push(stream, (struct item){.op = OP_HOST, .function = function, .user = user});
        run();
        return CUDA_SUCCESS;
}

static CUresult stream_create(CUstream *ret, unsigned flags)
{
        static uintptr_t next = 0x100;

        fake.streams++;
        *ret = (CUstream)next;
        next += 0x40;
        queue_of(*ret);
        return CUDA_SUCCESS;
}

static CUresult stream_create_with_priority(CUstream *ret, unsigned flags, int priority)
{
        return stream_create(ret, flags);
}

static CUresult stream_destroy(CUstream stream)
{
        fake.destroyed++;
        return CUDA_SUCCESS;
}

static CUresult stream_query(CUstream stream)
{
        struct queue *q = queue_of(stream);

        touch(stream);
        return broken ? broken : q->head == q->tail ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

static CUresult stream_synchronize(CUstream stream)
{
        fake_complete(stream, UINT_MAX);
        return broken;
}

static CUresult context_synchronize(void)
{
        fake_complete_all();
        return broken;
}

static CUresult stream_context(CUstream stream, CUcontext *ret)
{
        *ret = FAKE_CONTEXT;
        return CUDA_SUCCESS;
}

static CUresult stream_is_capturing(CUstream stream, CUstreamCaptureStatus *ret)
{
        for (unsigned i = 0; (uintptr_t)stream <= 1 && i < queue_count; i++)
                if (queues[i]->capture != CU_STREAM_CAPTURE_STATUS_NONE)
                        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        *ret = queue_of(stream)->capture;
        return CUDA_SUCCESS;
}

static CUresult begin_capture(CUstream stream, CUstreamCaptureMode mode)
{
        if ((uintptr_t)stream <= 1)
                return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        queue_of(stream)->capture = CU_STREAM_CAPTURE_STATUS_ACTIVE;
        return CUDA_SUCCESS;
}

static CUresult end_capture(CUstream stream, CUgraph *ret)
{
        if (queue_of(stream)->capture == CU_STREAM_CAPTURE_STATUS_NONE)
                return CUDA_ERROR_ILLEGAL_STATE;
        queue_of(stream)->capture = CU_STREAM_CAPTURE_STATUS_NONE;
        *ret = NULL;
        return CUDA_SUCCESS;
}

static CUresult exchange_mode(CUstreamCaptureMode *mode)
{
        CUstreamCaptureMode old = fake.mode;

        fake.exchanges++;
        fake.mode = *mode;
        *mode = old;
        return CUDA_SUCCESS;
}

static CUresult current_get(CUcontext *ret)
{
        *ret = fake_current;
        return CUDA_SUCCESS;
}

static CUresult current_push(CUcontext context)
{
        return CUDA_SUCCESS;
}

static CUresult current_pop(CUcontext *ret)
{
        return CUDA_SUCCESS;
}

static const struct fgc_driver driver = {
        .cuLaunchKernel = launch_kernel, .cuLaunchKernel_ptsz = launch_kernel_own, .cuLaunchKernelEx = launch_ex,
        .cuLaunchCooperativeKernel = launch_cooperative, .cuLaunchCooperativeKernelMultiDevice = launch_multi,
        .cuLaunch = launch_first, .cuLaunchGrid = launch_grid, .cuLaunchGridAsync = launch_grid_async,
        .cuGraphLaunch = launch_graph, .cuMemcpyHtoDAsync_v2 = copy_to, .cuMemcpyDtoH_v2 = copy_back,
        .cuMemcpy2D_v2 = copy_plane, .cuMemsetD32Async = set_words, .cuEventCreate = event_create,
        .cuEventRecord = event_record, .cuEventQuery = event_query, .cuEventSynchronize = event_synchronize,
        .cuStreamWaitEvent = stream_wait, .cuLaunchHostFunc = host_function, .cuStreamCreate = stream_create,
        .cuStreamCreateWithPriority = stream_create_with_priority, .cuStreamDestroy_v2 = stream_destroy,
        .cuStreamQuery = stream_query, .cuStreamSynchronize = stream_synchronize, .cuCtxSynchronize = context_synchronize,
        .cuStreamGetCtx = stream_context, .cuStreamIsCapturing = stream_is_capturing,
        .cuStreamBeginCapture_v2 = begin_capture, .cuStreamEndCapture = end_capture,
        .cuThreadExchangeStreamCaptureMode = exchange_mode, .cuCtxGetCurrent = current_get,
        .cuCtxPushCurrent_v2 = current_push, .cuCtxPopCurrent_v2 = current_pop};

/* --- the vGPU --- */

struct fg_limits_page *fake_limits(void)
{
        return limits;
}

struct fg_slot *fake_slot(void)
{
        return &usage->slot[2];
}

void fake_grant(enum fg_grant mode)
{
        limits->beat = fg_now();
        fg_store_seq_cst(&limits->grant, ((limits->grant >> 2) + 1) << 2 | mode);
}

int fake_set_up(void **state)
{
        int fds[2];

        fake = (struct fake){.mode = CU_STREAM_CAPTURE_MODE_GLOBAL};
        fgc_real = driver;
        broken = CUDA_SUCCESS;
        held = queue_count = 0;
        limits = aligned_alloc(64, sizeof(*limits));
        usage = aligned_alloc(64, sizeof(*usage));
        memset(limits, 0, sizeof(*limits));
        fg_page_init_usage(usage);
        if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
                return -1;
        pokes = fds[0];
        session.poke = fg_own_fd_take(fds[1]);
        limits->until = fg_now() + 3600 * FG_NSEC_PER_SEC;
        limits->window = 1000 * FG_NSEC_PER_SEC;
        fake_grant(FG_GRANT_FREE);
        fg_ledger_open(&session.ledger, limits, usage, 2);
        vgpu = (struct fgc_vgpu){.session = &session, .ledger = &session.ledger};
        vgpu.gate = fgc_gate_new(&vgpu);
        memset(fgc_times, 0, sizeof(fgc_times));
        fgc_vgpus = &vgpu;
        fgc_vgpu_count = 1;
        return vgpu.gate ? 0 : -1;
}

int fake_tear_down(void **state)
{
        broken = CUDA_SUCCESS;
        held = 0;
        fake_complete_all();
        fgc_complete_context_gone(FAKE_CONTEXT);
        fg_gate_free(vgpu.gate);
        close(pokes);
        fg_own_fd_close(&session.poke);
        for (unsigned i = 0; i < queue_count; i++)
                free(queues[i]);
        free(limits);
        free(usage);
        return 0;
}

/* --- the memory side, which has nothing to do here --- */

uint32_t fgc_graph_memory_seen, fgc_pools_dirty;
uint64_t fgc_pool_waits;

void fgc_pools_settle(bool all)
{
}

CUresult fgc_graph_memory_begin_slow(struct fgc_vgpu *unused, CUgraphExec exec, struct fgc_graph_use *use)
{
        return CUDA_SUCCESS;
}

CUresult fgc_graph_memory_end_slow(struct fgc_graph_use *use, CUresult r)
{
        return r;
}
