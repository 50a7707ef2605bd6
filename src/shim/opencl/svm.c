/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/svm.h"

#include "base/cleanup.h"
#include "shim/opencl/context.h"
#include "shim/opencl/wait.h"

struct fgo_map fgo_svm_blocks = {.lock = PTHREAD_MUTEX_INITIALIZER, .locked_reads = true};

bool fgo_svm_keep(const void *block, struct fgo_charge *charge)
{
        void *old;

        if (fgo_map_put(&fgo_svm_blocks, block, charge, &old) < 0)
                return false;
        fgo_charge_refund(old); /* the driver gives the address anew, so the block that had it is gone */
        return true;
}

struct fgo_charge *fgo_svm_take(const void *block)
{
        return fgo_map_take(&fgo_svm_blocks, block);
}

CL_API_ENTRY void *CL_API_CALL fgo_clSVMAlloc(cl_context context, cl_svm_mem_flags flags, size_t size,
                                              cl_uint alignment)
{
        const struct fgo_device_list *devices = fgo_context_devices(context);
        struct fgo_charge *charge;
        void *block;

        if (!devices || fgo_charge_new(devices, size, &charge) != CL_SUCCESS)
                return NULL;
        block = fgo_driver.clSVMAlloc(context, flags, size, alignment);
        if (block && fgo_svm_keep(block, charge))
                return block;
        if (block)
                fgo_driver.clSVMFree(context, block);
        fgo_charge_refund(charge);
        return NULL;
}

/* Taken off the list before the driver frees it: afterwards the address may be another thread's. */
CL_API_ENTRY void CL_API_CALL fgo_clSVMFree(cl_context context, void *block)
{
        struct fgo_charge *charge = fgo_svm_take(block);

        fgo_driver.clSVMFree(context, block);
        fgo_charge_refund(charge);
}

/* Blocks that a queue will free. */
struct svm_batch {
        cl_uint count;
        struct {
                void *block;
                struct fgo_charge *charge;
        } entry[];
};

static void svm_batch_put_back(struct svm_batch *batch)
{
        for (cl_uint i = 0; i < batch->count; i++)
                if (batch->entry[i].charge)
                        fgo_svm_keep(batch->entry[i].block, batch->entry[i].charge);
        free(batch);
}

/* A command that failed freed nothing. */
static void CL_CALLBACK svm_batch_on_complete(cl_event event, cl_int status, void *user)
{
        struct svm_batch *batch = user;

        if (status < 0) {
                svm_batch_put_back(batch);
                return;
        }
        for (cl_uint i = 0; i < batch->count; i++)
                fgo_charge_refund(batch->entry[i].charge);
        free(batch);
}

static struct svm_batch *svm_batch_new(cl_uint count, void **blocks)
{
        struct svm_batch *batch = calloc(1, sizeof(*batch) + count * sizeof(batch->entry[0]));

        if (!batch)
                return NULL;
        batch->count = count;
        for (cl_uint i = 0; i < count; i++) {
                batch->entry[i].block = blocks[i];
                batch->entry[i].charge = fgo_svm_take(blocks[i]);
        }
        return batch;
}

/* With a callback of the program's own, that callback frees the blocks, by clSVMFree: nothing to do here. */
CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueSVMFree(cl_command_queue handle, cl_uint count, void *blocks[],
                                                     void(CL_CALLBACK *free_them)(cl_command_queue queue, cl_uint count,
                                                                                  void *blocks[], void *user),
                                                     void *user, cl_uint waits, const cl_event *wait, cl_event *event)
{
        struct svm_batch *batch;
        cl_event own = NULL, *at = event ? event : &own;
        cl_int r;

        fgo_wait_note(fgo_queue_get(handle), waits, wait);
        if (free_them || !blocks || count == 0)
                return fgo_driver.clEnqueueSVMFree(handle, count, blocks, free_them, user, waits, wait, event);
        batch = svm_batch_new(count, blocks);
        if (!batch)
                return CL_OUT_OF_HOST_MEMORY;
        r = fgo_driver.clEnqueueSVMFree(handle, count, blocks, NULL, NULL, waits, wait, at);
        if (r != CL_SUCCESS) {
                svm_batch_put_back(batch);
                return r;
        }
        /* Without a callback their end is never heard of: they stay charged until their addresses return. */
        if (fgo_driver.clSetEventCallback(*at, CL_COMPLETE, svm_batch_on_complete, batch) != CL_SUCCESS)
                svm_batch_put_back(batch);
        if (own)
                fgo_driver.clReleaseEvent(own);
        return CL_SUCCESS;
}
