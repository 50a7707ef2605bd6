/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/queue.h"

#include "shim/opencl/context.h"

struct fgo_map fgo_queues = FGO_MAP_INIT;
pthread_mutex_t fgo_queue_lock = PTHREAD_MUTEX_INITIALIZER;

static void queue_link(struct fgo_queue *queue)
{
        struct fgo_queue **head = &queue->device->vgpu->queues;

        queue->next = *head;
        queue->at = head;
        if (*head)
                (*head)->at = &queue->next;
        *head = queue;
}

static void queue_unlink(struct fgo_queue *queue)
{
        if (!queue->at)
                return;
        *queue->at = queue->next;
        if (queue->next)
                queue->next->at = queue->at;
        queue->next = NULL;
        queue->at = NULL;
}

void fgo_queues_forget(struct fgo_vgpu *vgpu)
{
        while (vgpu->queues)
                queue_unlink(vgpu->queues);
}

/* The entry for a queue that the driver just made, taken over from an earlier queue at the same address. NULL: no
 * memory. */
static struct fgo_queue *queue_entry(cl_command_queue handle)
{
        struct fgo_queue *queue = fgo_queue_get(handle);

        if (queue) {
                queue_unlink(queue);
                return queue;
        }
        queue = calloc(1, sizeof(*queue));
        if (queue && fgo_map_put(&fgo_queues, handle, queue, NULL) < 0) {
                free(queue);
                return NULL;
        }
        return queue;
}

static cl_command_queue queue_keep(cl_command_queue handle, cl_device_id device, cl_command_queue_properties properties,
                                   cl_int *ret)
{
        struct fgo_queue *queue;

        if (!handle)
                return NULL;
        pthread_mutex_lock(&fgo_queue_lock);
        queue = queue_entry(handle);
        if (queue) {
                *queue = (struct fgo_queue){
                        .handle = handle,
                        .device = device,
                        .in_order = !(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE),
                        .on_host = !(properties & CL_QUEUE_ON_DEVICE),
                        .refs = 1,
                };
                queue_link(queue);
        }
        pthread_mutex_unlock(&fgo_queue_lock);
        if (queue)
                return handle;
        fgo_driver.clReleaseCommandQueue(handle);
        return fgo_fail(ret, CL_OUT_OF_HOST_MEMORY);
}

static cl_int queue_check(cl_context context, cl_device_id device)
{
        const struct fgo_device_list *devices = fgo_context_devices(context);

        if (!devices)
                return CL_INVALID_CONTEXT;
        return fgo_device_list_find(devices, device) < 0 ? CL_INVALID_DEVICE : CL_SUCCESS;
}

CL_API_ENTRY cl_command_queue CL_API_CALL fgo_clCreateCommandQueue(cl_context context, cl_device_id device,
                                                                   cl_command_queue_properties properties, cl_int *ret)
{
        cl_int r = queue_check(context, device);

        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        return queue_keep(fgo_driver.clCreateCommandQueue(context, device->native, properties, ret), device, properties,
                          ret);
}

CL_API_ENTRY cl_command_queue CL_API_CALL fgo_clCreateCommandQueueWithProperties(cl_context context,
                                                                                 cl_device_id device,
                                                                                 const cl_queue_properties *properties,
                                                                                 cl_int *ret)
{
        cl_command_queue_properties bits = 0;
        cl_int r = queue_check(context, device);

        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        for (const cl_queue_properties *p = properties; p && *p; p += 2)
                if (*p == CL_QUEUE_PROPERTIES)
                        bits = p[1];
        return queue_keep(fgo_driver.clCreateCommandQueueWithProperties(context, device->native, properties, ret),
                          device, bits, ret);
}

/* An event can bring back a queue that the program had released. */
CL_API_ENTRY cl_int CL_API_CALL fgo_clRetainCommandQueue(cl_command_queue handle)
{
        struct fgo_queue *queue = fgo_queue_get(handle);
        bool orphan = false;

        if (queue) {
                pthread_mutex_lock(&fgo_queue_lock);
                orphan = queue->orphan;
                queue->orphan = false;
                if (queue->refs++ == 0 && !queue->at)
                        queue_link(queue);
                pthread_mutex_unlock(&fgo_queue_lock);
        }
        return orphan ? CL_SUCCESS : fgo_driver.clRetainCommandQueue(handle);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clReleaseCommandQueue(cl_command_queue handle)
{
        struct fgo_queue *queue = fgo_queue_get(handle);
        bool orphan = false;

        if (!queue)
                return CL_INVALID_COMMAND_QUEUE;
        pthread_mutex_lock(&fgo_queue_lock);
        if (queue->refs > 0 && --queue->refs == 0) {
                orphan = queue->orphan = queue->pins > 0;
                if (!orphan)
                        queue_unlink(queue);
        }
        pthread_mutex_unlock(&fgo_queue_lock);
        return orphan ? CL_SUCCESS : fgo_driver.clReleaseCommandQueue(handle);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetCommandQueueInfo(cl_command_queue handle, cl_command_queue_info name,
                                                          size_t room, void *ret, size_t *ret_size)
{
        struct fgo_queue *queue = fgo_queue_get(handle);

        if (!queue)
                return CL_INVALID_COMMAND_QUEUE;
        if (name == CL_QUEUE_DEVICE)
                return fgo_answer(&queue->device, sizeof(queue->device), room, ret, ret_size);
        return fgo_driver.clGetCommandQueueInfo(handle, name, room, ret, ret_size);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clSetCommandQueueProperty(cl_command_queue handle,
                                                              cl_command_queue_properties properties, cl_bool enable,
                                                              cl_command_queue_properties *old)
{
        struct fgo_queue *queue = fgo_queue_get(handle);

        if (queue && (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE))
                fg_store_relaxed(&queue->in_order, false);
        return fgo_driver.clSetCommandQueueProperty(handle, properties, enable, old);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clSetDefaultDeviceCommandQueue(cl_context context, cl_device_id device,
                                                                   cl_command_queue handle)
{
        cl_int r = queue_check(context, device);

        return r != CL_SUCCESS ? r : fgo_driver.clSetDefaultDeviceCommandQueue(context, device->native, handle);
}

/* The next queue to visit, pinned; `after` loses its pin. *ret_orphan: to be released by the caller. */
static struct fgo_queue *queue_step(struct fgo_vgpu *vgpu, struct fgo_queue *after, bool *ret_orphan)
{
        struct fgo_queue *next;

        pthread_mutex_lock(&fgo_queue_lock);
        next = after ? after->next : vgpu->queues;
        while (next && next->refs == 0)
                next = next->next;
        if (next)
                next->pins++;
        *ret_orphan = after && --after->pins == 0 && after->orphan;
        if (*ret_orphan) {
                after->orphan = false;
                queue_unlink(after);
        }
        pthread_mutex_unlock(&fgo_queue_lock);
        return next;
}

void fgo_queue_each(struct fgo_vgpu *vgpu, void (*visit)(struct fgo_queue *queue, void *user), void *user)
{
        struct fgo_queue *queue = NULL;
        bool orphan;

        do {
                struct fgo_queue *before = queue;
                cl_command_queue handle = before ? before->handle : NULL;
                queue = queue_step(vgpu, before, &orphan);
                if (orphan)
                        fgo_driver.clReleaseCommandQueue(handle);
                if (queue)
                        visit(queue, user);
        } while (queue);
}

void fgo_queue_drained(struct fgo_queue *queue, uint64_t launched)
{
        struct fgo_vgpu *vgpu = queue->device->vgpu;
        struct fg_gate *gate;
        bool idle = true;

        fg_store_relaxed(&queue->drained, launched);
        pthread_mutex_lock(&fgo_queue_lock);
        for (struct fgo_queue *q = vgpu->queues; q && idle; q = q->next)
                idle = fg_load_relaxed(&q->launched) == fg_load_relaxed(&q->drained);
        pthread_mutex_unlock(&fgo_queue_lock);
        gate = idle ? fg_load_acquire(&vgpu->gate) : NULL;
        if (gate)
                fg_gate_idle(gate);
}
