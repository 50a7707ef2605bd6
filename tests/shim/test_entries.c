/* SPDX-License-Identifier: Apache-2.0
 * Every entry that makes the device work, one row each: at a closed gate it waits and the driver hears nothing of it,
 * at an open one it does its work. Run with one vGPU and --gate free; the test closes the gate itself. Each row runs
 * three times: freely, through a gate that opens for good with an event for the program, and through a timed grant
 * without one, where the layer watches an event of its own. Rows that only order commands must pass a closed gate. */
#include "entries.h"

#include <pthread.h>
#include <unistd.h>

#define EMPTY    0xEE
#define MIN_ROWS 12

static const char source[] = "kernel void copy(global const uchar *from, global uchar *to, int n)\n"
                             "{ for (int i = get_global_id(0); i < n; i += get_global_size(0)) to[i] = from[i]; }\n";

static struct bench b;
static cl_program program;
static cl_command_queue looks; /* to look at results while another thread waits */

static void svm_write(unsigned char *block, const void *bytes)
{
        CHECK_OK(clEnqueueSVMMap(work.queue, CL_TRUE, CL_MAP_WRITE, block, BYTES, 0, NULL, NULL));
        memcpy(block, bytes, BYTES);
        CHECK_OK(clEnqueueSVMUnmap(work.queue, block, 0, NULL, NULL));
}

/* The sources hold what no earlier run had, the targets nothing. */
static void reset(void)
{
        static unsigned seed;

        seed++;
        for (unsigned i = 0; i < BYTES; i++)
                work.host_from[i] = (unsigned char)(i * 131 + (i >> 8) + seed * 29);
        memset(work.host_to, EMPTY, BYTES);
        CHECK_OK(clEnqueueWriteBuffer(work.queue, work.from, CL_TRUE, 0, BYTES, work.host_from, 0, NULL, NULL));
        CHECK_OK(clEnqueueWriteBuffer(work.queue, work.to, CL_TRUE, 0, BYTES, work.host_to, 0, NULL, NULL));
        CHECK_OK(clEnqueueWriteImage(work.queue, work.image_from, CL_TRUE, zero, pixels, 0, 0, work.host_from, 0, NULL,
                                     NULL));
        CHECK_OK(clEnqueueWriteImage(work.queue, work.image_to, CL_TRUE, zero, pixels, 0, 0, work.host_to, 0, NULL,
                                     NULL));
        if (work.svm_from) {
                svm_write(work.svm_from, work.host_from);
                svm_write(work.svm_to, work.host_to);
        }
        CHECK_OK(clFinish(work.queue));
        work.mapped = NULL;
}

/* The first `lines` lines of the result; few enough pass ungated. */
static void look(enum place place, unsigned char *got, size_t lines)
{
        size_t region[3] = {WIDTH, lines, 1}, bytes = lines * WIDTH * 4;

        if (place == BUFFER)
                CHECK_OK(clEnqueueReadBuffer(looks, work.to, CL_TRUE, 0, bytes, got, 0, NULL, NULL));
        else if (place == IMAGE)
                CHECK_OK(clEnqueueReadImage(looks, work.image_to, CL_TRUE, zero, region, 0, 0, got, 0, NULL, NULL));
        else if (place != NOWHERE)
                memcpy(got, place == SVM ? work.svm_to : work.host_to, bytes);
}

static void check_untouched(const struct row *row)
{
        unsigned char got[WIDTH * 4];

        if (row->place == NOWHERE || row->before) /* a mapped object belongs to the program */
                return;
        look(row->place, got, 1);
        for (unsigned i = 0; i < sizeof(got); i++)
                CHECK_EQ(got[i], EMPTY);
}

static void check_result(const struct row *row)
{
        static unsigned char got[BYTES];

        CHECK_OK(clFinish(work.queue));
        if (row->after)
                row->after();
        look(row->place, got, HEIGHT);
        for (unsigned i = 0; row->place != NOWHERE && i < BYTES; i++)
                CHECK_EQ(got[i], row->fills ? FILL : work.host_from[i]);
        CHECK_OK(clFinish(work.queue));
}

struct run {
        const struct row *row;
        cl_event event;
        bool with_event;
        cl_int result;
        bool done;
};

static void *run_call(void *arg)
{
        struct run *run = arg;

        run->result = run->row->call(run->with_event ? &run->event : NULL);
        __atomic_store_n(&run->done, true, __ATOMIC_SEQ_CST);
        return NULL;
}

static void close_gate(void)
{
        set_grant(0, FG_GRANT_DENIED);
}

/* The beat is kept fresh: a gate whose daemon seems dead opens by itself. */
static void wait_at_gate(const struct run *run)
{
        for (int tries = 0; tries < 10000 && waiting(0) == 0; tries++) {
                CHECK(!__atomic_load_n(&run->done, __ATOMIC_SEQ_CST));
                usleep(1000);
                close_gate();
        }
        CHECK_EQ(waiting(0), 1);
        close_gate();
        check_untouched(run->row);
        CHECK(!__atomic_load_n(&run->done, __ATOMIC_SEQ_CST));
}

static void run_gated(struct run *run, enum fg_grant opening)
{
        uint64_t before = waits(0);
        pthread_t thread;

        close_gate();
        CHECK_EQ(pthread_create(&thread, NULL, run_call, run), 0);
        if (!run->row->passes)
                wait_at_gate(run);
        else
                CHECK_EQ(pthread_join(thread, NULL), 0); /* to get here it must not need the gate */
        CHECK_EQ(waits(0), before + !run->row->passes);
        set_grant(0, opening);
        if (!run->row->passes)
                CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_EQ(waiting(0), 0);
}

static void run_row(const struct row *row, enum fg_grant opening)
{
        struct run run = {.row = row, .with_event = opening == FG_GRANT_FREE};
        cl_int status = 1;

        work.blocking = opening == FG_GRANT_FREE;
        reset();
        if (row->before)
                row->before();
        run_gated(&run, opening);
        CHECK_OK(run.result);
        CHECK_OK(clFinish(work.queue));
        CHECK_EQ(inflight_finally(0, 0), 0);
        set_grant(0, FG_GRANT_FREE);
        if (run.with_event) {
                CHECK_OK(clGetEventInfo(run.event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL));
                CHECK_EQ(status, CL_COMPLETE);
                CHECK_OK(clReleaseEvent(run.event));
        }
        check_result(row);
}

/* False: the driver has no such entry. */
static bool run_freely(const struct row *row)
{
        cl_int r;

        if (row->svm && !work.svm_from)
                return false;
        reset();
        if (row->before)
                row->before();
        work.blocking = CL_TRUE;
        r = row->call(NULL);
        if (r == CL_INVALID_OPERATION)
                return false;
        CHECK_OK(r);
        check_result(row);
        return true;
}

static void open_all(void)
{
        static const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
        cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = WIDTH, .image_height = HEIGHT};
        int bytes = BYTES;

        bench_open(&b);
        work.queue = b.queue[0];
        looks = clCreateCommandQueue(b.context, b.device[0], 0, NULL);
        CHECK(looks);
        program = build(&b, source, NULL);
        work.copy = kernel(program, "copy");
        work.from = clCreateBuffer(b.context, CL_MEM_READ_WRITE, BYTES, NULL, NULL);
        work.to = clCreateBuffer(b.context, CL_MEM_READ_WRITE, BYTES, NULL, NULL);
        work.image_from = clCreateImage(b.context, CL_MEM_READ_WRITE, &format, &desc, NULL, NULL);
        work.image_to = clCreateImage(b.context, CL_MEM_READ_WRITE, &format, &desc, NULL, NULL);
        CHECK(work.from && work.to && work.image_from && work.image_to);
        work.svm_from = clSVMAlloc(b.context, CL_MEM_READ_WRITE, BYTES, 0);
        work.svm_to = work.svm_from ? clSVMAlloc(b.context, CL_MEM_READ_WRITE, BYTES, 0) : NULL;
        CHECK_OK(clSetKernelArg(work.copy, 0, sizeof(work.from), &work.from));
        CHECK_OK(clSetKernelArg(work.copy, 1, sizeof(work.to), &work.to));
        CHECK_OK(clSetKernelArg(work.copy, 2, sizeof(bytes), &bytes));
}

static void close_all(void)
{
        cl_mem objects[] = {work.from, work.to, work.image_from, work.image_to};

        for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
                CHECK_OK(clReleaseMemObject(objects[i]));
        clSVMFree(b.context, work.svm_from);
        clSVMFree(b.context, work.svm_to);
        CHECK_OK(clReleaseKernel(work.copy));
        CHECK_OK(clReleaseProgram(program));
        CHECK_OK(clReleaseCommandQueue(looks));
        bench_close(&b);
        CHECK_EQ(used_finally(0, 0), 0);
}

int main(void)
{
        int ran = 0, skipped = 0;

        open_all();
        for (size_t i = 0; i < rows_count; i++) {
                const struct row *row = &rows[i];

                printf("%s\n", row->name);
                fflush(stdout);
                if (!run_freely(row)) {
                        printf("  skipped: the driver has it not\n");
                        skipped++;
                        continue;
                }
                run_row(row, FG_GRANT_FREE);
                run_row(row, FG_GRANT_TIMED);
                ran += !row->passes;
        }
        printf("%d gated entries, %d skipped\n", ran, skipped);
        CHECK(ran >= MIN_ROWS);
        close_all();
        return 0;
}
