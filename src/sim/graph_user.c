/* SPDX-License-Identifier: Apache-2.0
 * User objects: destroyed when the program and all graphs have let go of them. */
#include "sim/graph.h"

#include <stdlib.h>

struct user_object {
        struct fgsim_object object;
        uint32_t refs; /* atomic */
        CUhostFn destroy;
        void *user;
};

static void release(struct user_object *object, unsigned count)
{
        CUhostFn destroy = object->destroy;
        void *user = object->user;

        if (__atomic_sub_fetch(&object->refs, count, __ATOMIC_ACQ_REL) > 0)
                return;
        fgsim_object_free(object);
        destroy(user);
}

void fgsim_keeps_drop(struct fgsim_graph *graph)
{
        while (graph->keeps) {
                struct fgsim_keep *keep = graph->keeps;
                struct user_object *object = fgsim_object_get(keep->object, FGSIM_USER_OBJECT);
                graph->keeps = keep->next;
                if (object)
                        release(object, keep->count);
                free(keep);
        }
}

static bool keep(struct fgsim_graph *graph, CUuserObject handle, unsigned count)
{
        struct fgsim_keep *new = malloc(sizeof(*new));

        if (!new)
                return false;
        *new = (struct fgsim_keep){graph->keeps, handle, count};
        graph->keeps = new;
        return true;
}

bool fgsim_keeps_dup(struct fgsim_graph *to, const struct fgsim_graph *from)
{
        for (const struct fgsim_keep *k = from->keeps; k; k = k->next) {
                struct user_object *object = fgsim_object_get(k->object, FGSIM_USER_OBJECT);
                if (!object)
                        continue;
                if (!keep(to, k->object, k->count))
                        return false;
                fg_add_relaxed(&object->refs, k->count);
        }
        return true;
}

CUresult cuUserObjectCreate(CUuserObject *ret, void *user, CUhostFn destroy, unsigned int refs, unsigned int flags)
{
        struct user_object *object;

        FGSIM_ENTER(cuUserObjectCreate);
        if (!ret || !destroy || refs == 0 || refs > INT32_MAX || flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
                return CUDA_ERROR_INVALID_VALUE;
        object = fgsim_object_new(FGSIM_USER_OBJECT, sizeof(*object));
        if (!object)
                return CUDA_ERROR_OUT_OF_MEMORY;
        object->refs = refs;
        object->destroy = destroy;
        object->user = user;
        *ret = (CUuserObject)object;
        return CUDA_SUCCESS;
}

CUresult cuUserObjectRetain(CUuserObject handle, unsigned int count)
{
        struct user_object *object = fgsim_object_get(handle, FGSIM_USER_OBJECT);

        FGSIM_ENTER(cuUserObjectRetain);
        if (!object || count == 0 || count > INT32_MAX)
                return CUDA_ERROR_INVALID_VALUE;
        fg_add_relaxed(&object->refs, count);
        return CUDA_SUCCESS;
}

CUresult cuUserObjectRelease(CUuserObject handle, unsigned int count)
{
        struct user_object *object = fgsim_object_get(handle, FGSIM_USER_OBJECT);

        FGSIM_ENTER(cuUserObjectRelease);
        if (!object || count == 0 || count > fg_load_relaxed(&object->refs))
                return CUDA_ERROR_INVALID_VALUE;
        release(object, count);
        return CUDA_SUCCESS;
}

CUresult cuGraphRetainUserObject(CUgraph graph_handle, CUuserObject handle, unsigned int count, unsigned int flags)
{
        struct user_object *object = fgsim_object_get(handle, FGSIM_USER_OBJECT);
        struct fgsim_graph *graph = fgsim_graph_get(graph_handle);

        FGSIM_ENTER(cuGraphRetainUserObject);
        if (!graph || !object || count == 0 || count > INT32_MAX || flags > CU_GRAPH_USER_OBJECT_MOVE)
                return CUDA_ERROR_INVALID_VALUE;
        if (!keep(graph, handle, count))
                return CUDA_ERROR_OUT_OF_MEMORY;
        if (flags != CU_GRAPH_USER_OBJECT_MOVE)
                fg_add_relaxed(&object->refs, count);
        return CUDA_SUCCESS;
}

CUresult cuGraphReleaseUserObject(CUgraph graph_handle, CUuserObject handle, unsigned int count)
{
        struct user_object *object = fgsim_object_get(handle, FGSIM_USER_OBJECT);
        struct fgsim_graph *graph = fgsim_graph_get(graph_handle);

        FGSIM_ENTER(cuGraphReleaseUserObject);
        if (!graph || !object || count == 0)
                return CUDA_ERROR_INVALID_VALUE;
        for (struct fgsim_keep **at = &graph->keeps; *at; at = &(*at)->next) {
                struct fgsim_keep *found = *at;
                if (found->object != handle || found->count < count)
                        continue;
                found->count -= count;
                if (found->count == 0) {
                        *at = found->next;
                        free(found);
                }
                release(object, count);
                return CUDA_SUCCESS;
        }
        return CUDA_ERROR_INVALID_VALUE;
}
