/* SPDX-License-Identifier: Apache-2.0
 * The just-in-time linker: texts are put one behind the other; with a binary among them the result is a binary. */
#include "sim/module.h"

#include <stdlib.h>
#include <string.h>

struct link {
        struct fgsim_object object;
        char *text; /* ends in NUL */
        size_t bytes;
        bool is_binary;
};

static CUresult add(CUlinkState state, const char *data, size_t bytes)
{
        struct link *link = fgsim_object_get(state, FGSIM_LINK);
        char *grown;

        if (!link)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!data || bytes == 0)
                return CUDA_ERROR_INVALID_VALUE;
        if (bytes >= 4 && (!memcmp(data, "\177ELF", 4) || !memcmp(data, "\x50\xed\x55\xba", 4))) {
                link->is_binary = true;
                return CUDA_SUCCESS;
        }
        bytes = strnlen(data, bytes);
        grown = realloc(link->text, link->bytes + bytes + 2);
        if (!grown)
                return CUDA_ERROR_OUT_OF_MEMORY;
        memcpy(grown + link->bytes, data, bytes);
        memcpy(grown + link->bytes + bytes, "\n", 2);
        link->text = grown;
        link->bytes += bytes + 1;
        return CUDA_SUCCESS;
}

static CUresult create(CUlinkState *ret)
{
        struct link *link;

        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_context_current())
                return CUDA_ERROR_INVALID_CONTEXT;
        link = fgsim_object_new(FGSIM_LINK, sizeof(*link));
        if (!link)
                return CUDA_ERROR_OUT_OF_MEMORY;
        *ret = (CUlinkState)link;
        return CUDA_SUCCESS;
}

static CUresult add_file(CUlinkState state, const char *path)
{
        char *data;
        CUresult r;

        data = fgsim_image_read(path, &r);
        if (data)
                r = add(state, data, memcmp(data, "\177ELF", 4) ? strlen(data) : 4);
        free(data);
        return r;
}

CUresult cuLinkCreate(unsigned int count, CUjit_option *options, void **values, CUlinkState *ret)
{
        FGSIM_ENTER(cuLinkCreate);
        return create(ret);
}

CUresult cuLinkCreate_v2(unsigned int count, CUjit_option *options, void **values, CUlinkState *ret)
{
        FGSIM_ENTER(cuLinkCreate_v2);
        return create(ret);
}

CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, void *data, size_t bytes, const char *name,
                       unsigned int count, CUjit_option *options, void **values)
{
        FGSIM_ENTER(cuLinkAddData);
        return add(state, data, bytes);
}

CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t bytes, const char *name,
                          unsigned int count, CUjit_option *options, void **values)
{
        FGSIM_ENTER(cuLinkAddData_v2);
        return add(state, data, bytes);
}

CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char *path, unsigned int count,
                       CUjit_option *options, void **values)
{
        FGSIM_ENTER(cuLinkAddFile);
        return add_file(state, path);
}

CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path, unsigned int count,
                          CUjit_option *options, void **values)
{
        FGSIM_ENTER(cuLinkAddFile_v2);
        return add_file(state, path);
}

/* The result is the link's and ends with it. */
CUresult cuLinkComplete(CUlinkState state, void **ret, size_t *ret_bytes)
{
        struct link *link = fgsim_object_get(state, FGSIM_LINK);

        FGSIM_ENTER(cuLinkComplete);
        if (!link)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || (!link->text && !link->is_binary))
                return CUDA_ERROR_INVALID_VALUE;
        *ret = link->is_binary ? (void *)(uintptr_t) "\177ELF" : link->text;
        if (ret_bytes)
                *ret_bytes = link->is_binary ? 4 : link->bytes + 1;
        return CUDA_SUCCESS;
}

CUresult cuLinkDestroy(CUlinkState state)
{
        struct link *link = fgsim_object_get(state, FGSIM_LINK);

        FGSIM_ENTER(cuLinkDestroy);
        if (!link)
                return CUDA_ERROR_INVALID_HANDLE;
        free(link->text);
        fgsim_object_free(link);
        return CUDA_SUCCESS;
}
