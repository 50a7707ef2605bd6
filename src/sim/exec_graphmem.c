/* SPDX-License-Identifier: Apache-2.0
 * The memory of graphs' allocation nodes: taken at a launch, given back when the free node has run. A graph that frees
 * what it allocates may be launched again before that; its launches follow each other, so they share the memory. */
#include "sim/exec_task.h"

#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fgsim_graph_memory *all;

struct fgsim_graph_memory *fgsim_graph_memory_new(struct fgsim_context *ctx, size_t bytes, CUresult *ret)
{
        struct fgsim_graph_memory *memory = calloc(1, sizeof(*memory));

        *ret = memory ? fgsim_graphmem_new(ctx, bytes, &memory->ptr) : CUDA_ERROR_OUT_OF_MEMORY;
        if (*ret != CUDA_SUCCESS) {
                free(memory);
                return NULL;
        }
        memory->refs = 1;
        pthread_mutex_lock(&lock);
        memory->next = all;
        all = memory;
        pthread_mutex_unlock(&lock);
        return memory;
}

void fgsim_graph_memory_drop(struct fgsim_graph_memory *memory)
{
        struct fgsim_graph_memory **at = &all;

        if (__atomic_sub_fetch(&memory->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        pthread_mutex_lock(&lock);
        while (*at != memory)
                at = &(*at)->next;
        *at = memory->next;
        pthread_mutex_unlock(&lock);
        fgsim_graphmem_gone(memory->ptr);
        free(memory);
}

CUresult fgsim_graph_memory_take(struct fgsim_graph_memory *memory, bool graph_frees_it)
{
        CUresult r = CUDA_SUCCESS;

        pthread_mutex_lock(&lock);
        if (!graph_frees_it || memory->launches == 0)
                r = fgsim_graphmem_use(memory->ptr);
        if (r == CUDA_SUCCESS && graph_frees_it)
                memory->launches++;
        pthread_mutex_unlock(&lock);
        return r;
}

void fgsim_graph_memory_give(CUdeviceptr ptr)
{
        struct fgsim_graph_memory *memory;

        pthread_mutex_lock(&lock);
        for (memory = all; memory && memory->ptr != ptr;)
                memory = memory->next;
        if (!memory || memory->launches == 0 || --memory->launches == 0)
                fgsim_graphmem_unuse(ptr);
        pthread_mutex_unlock(&lock);
}
