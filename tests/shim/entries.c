/* SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

struct work work;
const size_t zero[3], pixels[3] = {WIDTH, HEIGHT, 1};
static const size_t box[3] = {WIDTH * 4, 16, HEIGHT / 16};
static const cl_uint color[4] = {FILL, FILL, FILL, FILL};
static const unsigned char pattern = FILL;

static void map_to_before(void)
{
        cl_int r;

        work.mapped = clEnqueueMapBuffer(work.queue, work.to, CL_TRUE, CL_MAP_WRITE, 0, BYTES, 0, NULL, NULL, &r);
        CHECK_OK(r);
        memcpy(work.mapped, work.host_from, BYTES);
}

static void map_svm_before(void)
{
        CHECK_OK(clEnqueueSVMMap(work.queue, CL_TRUE, CL_MAP_WRITE, work.svm_to, BYTES, 0, NULL, NULL));
        memcpy(work.svm_to, work.host_from, BYTES);
}

static void unmap_after(void)
{
        CHECK(work.mapped);
        memcpy(work.host_to, work.mapped, BYTES);
        CHECK_OK(clEnqueueUnmapMemObject(work.queue, work.from, work.mapped, 0, NULL, NULL));
}

static void unmap_image_after(void)
{
        CHECK(work.mapped);
        memcpy(work.host_to, work.mapped, BYTES);
        CHECK_OK(clEnqueueUnmapMemObject(work.queue, work.image_from, work.mapped, 0, NULL, NULL));
}

static void unmap_svm_after(void)
{
        memcpy(work.host_to, work.svm_from, BYTES);
        CHECK_OK(clEnqueueSVMUnmap(work.queue, work.svm_from, 0, NULL, NULL));
}

/* --- the entries --- */

static cl_int read_buffer(cl_event *event)
{
        return clEnqueueReadBuffer(work.queue, work.from, work.blocking, 0, BYTES, work.host_to, 0, NULL, event);
}

static cl_int write_buffer(cl_event *event)
{
        return clEnqueueWriteBuffer(work.queue, work.to, work.blocking, 0, BYTES, work.host_from, 0, NULL, event);
}

static cl_int copy_buffer(cl_event *event)
{
        return clEnqueueCopyBuffer(work.queue, work.from, work.to, 0, 0, BYTES, 0, NULL, event);
}

static cl_int read_rect(cl_event *event)
{
        return clEnqueueReadBufferRect(work.queue, work.from, work.blocking, zero, zero, box, 0, 0, 0, 0, work.host_to,
                                       0, NULL, event);
}

static cl_int write_rect(cl_event *event)
{
        return clEnqueueWriteBufferRect(work.queue, work.to, work.blocking, zero, zero, box, 0, 0, 0, 0, work.host_from,
                                        0, NULL, event);
}

static cl_int copy_rect(cl_event *event)
{
        return clEnqueueCopyBufferRect(work.queue, work.from, work.to, zero, zero, box, 0, 0, 0, 0, 0, NULL, event);
}

static cl_int fill_buffer(cl_event *event)
{
        return clEnqueueFillBuffer(work.queue, work.to, &pattern, 1, 0, BYTES, 0, NULL, event);
}

static cl_int map_buffer(cl_event *event)
{
        cl_int r;

        work.mapped =
                clEnqueueMapBuffer(work.queue, work.from, work.blocking, CL_MAP_READ, 0, BYTES, 0, NULL, event, &r);
        return r;
}

static cl_int unmap(cl_event *event)
{
        return clEnqueueUnmapMemObject(work.queue, work.to, work.mapped, 0, NULL, event);
}

static cl_int migrate(cl_event *event)
{
        return clEnqueueMigrateMemObjects(work.queue, 1, &work.from, 0, 0, NULL, event);
}

static cl_int read_image(cl_event *event)
{
        return clEnqueueReadImage(work.queue, work.image_from, work.blocking, zero, pixels, 0, 0, work.host_to, 0, NULL,
                                  event);
}

static cl_int write_image(cl_event *event)
{
        return clEnqueueWriteImage(work.queue, work.image_to, work.blocking, zero, pixels, 0, 0, work.host_from, 0,
                                   NULL, event);
}

static cl_int copy_image(cl_event *event)
{
        return clEnqueueCopyImage(work.queue, work.image_from, work.image_to, zero, zero, pixels, 0, NULL, event);
}

static cl_int image_to_buffer(cl_event *event)
{
        return clEnqueueCopyImageToBuffer(work.queue, work.image_from, work.to, zero, pixels, 0, 0, NULL, event);
}

static cl_int buffer_to_image(cl_event *event)
{
        return clEnqueueCopyBufferToImage(work.queue, work.from, work.image_to, 0, zero, pixels, 0, NULL, event);
}

static cl_int fill_image(cl_event *event)
{
        return clEnqueueFillImage(work.queue, work.image_to, color, zero, pixels, 0, NULL, event);
}

static cl_int map_image(cl_event *event)
{
        size_t row = 0;
        cl_int r;

        work.mapped = clEnqueueMapImage(work.queue, work.image_from, work.blocking, CL_MAP_READ, zero, pixels, &row,
                                        NULL, 0, NULL, event, &r);
        CHECK(r != CL_SUCCESS || row == WIDTH * 4);
        return r;
}

static cl_int svm_copy(cl_event *event)
{
        return clEnqueueSVMMemcpy(work.queue, work.blocking, work.svm_to, work.svm_from, BYTES, 0, NULL, event);
}

static cl_int svm_fill(cl_event *event)
{
        return clEnqueueSVMMemFill(work.queue, work.svm_to, &pattern, 1, BYTES, 0, NULL, event);
}

static cl_int svm_map(cl_event *event)
{
        return clEnqueueSVMMap(work.queue, work.blocking, CL_MAP_READ, work.svm_from, BYTES, 0, NULL, event);
}

static cl_int svm_unmap(cl_event *event)
{
        return clEnqueueSVMUnmap(work.queue, work.svm_to, 0, NULL, event);
}

static cl_int svm_migrate(cl_event *event)
{
        const void *block = work.svm_from;

        return clEnqueueSVMMigrateMem(work.queue, 1, &block, NULL, 0, 0, NULL, event);
}

static cl_int range(cl_event *event)
{
        size_t items = 256;

        return clEnqueueNDRangeKernel(work.queue, work.copy, 1, NULL, &items, NULL, 0, NULL, event);
}

static cl_int task(cl_event *event)
{
        return clEnqueueTask(work.queue, work.copy, 0, NULL, event);
}

static void CL_CALLBACK native_copy(void *args)
{
        void **buffer = args;

        memcpy(buffer[1], buffer[0], BYTES);
}

static cl_int native(cl_event *event)
{
        void *args[2] = {work.from, work.to};
        cl_mem memory[2] = {work.from, work.to};
        const void *at[2] = {&args[0], &args[1]};

        return clEnqueueNativeKernel(work.queue, native_copy, args, sizeof(args), 2, memory, at, 0, NULL, event);
}

static cl_int marker(cl_event *event)
{
        cl_event own;
        cl_int r = clEnqueueMarker(work.queue, event ? event : &own);

        if (!event && r == CL_SUCCESS)
                clReleaseEvent(own);
        return r;
}

static cl_int marker_list(cl_event *event)
{
        return clEnqueueMarkerWithWaitList(work.queue, 0, NULL, event);
}

static cl_int barrier_list(cl_event *event)
{
        return clEnqueueBarrierWithWaitList(work.queue, 0, NULL, event);
}

const struct row rows[] = {
        {"ReadBuffer", read_buffer, HOST},
        {"WriteBuffer", write_buffer, BUFFER},
        {"CopyBuffer", copy_buffer, BUFFER},
        {"ReadBufferRect", read_rect, HOST},
        {"WriteBufferRect", write_rect, BUFFER},
        {"CopyBufferRect", copy_rect, BUFFER},
        {"FillBuffer", fill_buffer, BUFFER, .fills = true},
        {"MapBuffer", map_buffer, HOST, .after = unmap_after},
        {"UnmapMemObject", unmap, BUFFER, .before = map_to_before},
        {"MigrateMemObjects", migrate, NOWHERE},
        {"ReadImage", read_image, HOST},
        {"WriteImage", write_image, IMAGE},
        {"CopyImage", copy_image, IMAGE},
        {"CopyImageToBuffer", image_to_buffer, BUFFER},
        {"CopyBufferToImage", buffer_to_image, IMAGE},
        {"FillImage", fill_image, IMAGE, .fills = true},
        {"MapImage", map_image, HOST, .after = unmap_image_after},
        {"SVMMemcpy", svm_copy, SVM, .svm = true},
        {"SVMMemFill", svm_fill, SVM, .svm = true, .fills = true},
        {"SVMMap", svm_map, HOST, .svm = true, .after = unmap_svm_after},
        {"SVMMigrateMem", svm_migrate, NOWHERE, .svm = true},
        {"NDRangeKernel", range, BUFFER},
        {"Task", task, BUFFER},
        {"NativeKernel", native, BUFFER},
        {"SVMUnmap", svm_unmap, SVM, .svm = true, .passes = true, .before = map_svm_before},
        {"Marker", marker, NOWHERE, .passes = true},
        {"MarkerWithWaitList", marker_list, NOWHERE, .passes = true},
        {"BarrierWithWaitList", barrier_list, NOWHERE, .passes = true},
};
const size_t rows_count = sizeof(rows) / sizeof(rows[0]);
