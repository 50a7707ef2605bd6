/* SPDX-License-Identifier: Apache-2.0
 * Building, compiling and linking for the vGPUs asked for. */
#include "shim/opencl/build.h"

#include "base/cleanup.h"

typedef void(CL_CALLBACK *build_notify)(cl_program, void *);

/* One clBuildProgram or clCompileProgram call. */
struct build {
        struct fgo_program *program;
        struct fgo_device_list *list; /* the devices asked for */
        uint64_t signature;           /* the same for builds that give the same result; not 0 */
        uint64_t *before;             /* what program->built was */
};

static void build_clear(struct build *b)
{
        free(b->list);
        free(b->before);
}

static uint64_t build_hash(uint64_t hash, const void *data, size_t size)
{
        const unsigned char *p = data;

        while (size--)
                hash = (hash ^ *p++) * 0x100000001b3ull;
        return hash | 1;
}

static uint64_t build_signature(const char *stage, const char *options)
{
        uint64_t hash = build_hash(0xcbf29ce484222325ull, stage, strlen(stage) + 1);

        return options ? build_hash(hash, options, strlen(options)) : hash;
}

static bool build_conflicts(const struct build *b, cl_uint i)
{
        const struct fgo_device_list *all = b->program->devices;
        uint64_t built = b->program->built[i];

        if (built == 0 || built == b->signature || fgo_device_list_find(b->list, all->device[i]) >= 0)
                return false;
        for (cl_uint j = 0; j < b->list->natives; j++)
                if (b->list->native[j] == all->native[all->slot[i]])
                        return true;
        return false;
}

/* Notes the build for the devices asked for; CL_INVALID_OPERATION where it would change what another vGPU was built
 * with. */
static cl_int build_claim(struct build *b)
{
        const struct fgo_device_list *all = b->program->devices;
        cl_int r = CL_SUCCESS;

        b->before = calloc(all->count, sizeof(*b->before));
        if (!b->before)
                return CL_OUT_OF_HOST_MEMORY;
        pthread_mutex_lock(&fgo_program_lock);
        for (cl_uint i = 0; i < all->count; i++) {
                b->before[i] = b->program->built[i];
                if (build_conflicts(b, i))
                        r = CL_INVALID_OPERATION;
        }
        for (cl_uint i = 0; r == CL_SUCCESS && i < all->count; i++)
                if (fgo_device_list_find(b->list, all->device[i]) >= 0)
                        b->program->built[i] = b->signature;
        pthread_mutex_unlock(&fgo_program_lock);
        return r;
}

/* A call that was refused built nothing; one that failed to compile did, with its log. */
static cl_int build_settle(struct build *b, cl_int r)
{
        if (r == CL_SUCCESS || r == CL_BUILD_PROGRAM_FAILURE || r == CL_COMPILE_PROGRAM_FAILURE)
                return r;
        pthread_mutex_lock(&fgo_program_lock);
        for (cl_uint i = 0; i < b->program->devices->count; i++)
                b->program->built[i] = b->before[i];
        pthread_mutex_unlock(&fgo_program_lock);
        return r;
}

static cl_int build_start(struct build *b, cl_program program, cl_uint count, const cl_device_id *devices)
{
        cl_int r;

        b->program = fgo_program_get(program);
        if (!b->program)
                return CL_INVALID_PROGRAM;
        if ((devices != NULL) != (count != 0))
                return CL_INVALID_VALUE;
        for (cl_uint i = 0; i < count; i++)
                if (fgo_device_list_find(b->program->devices, devices[i]) < 0)
                        return CL_INVALID_DEVICE;
        if (!devices)
                b->list = fgo_device_list_copy(b->program->devices);
        r = devices ? fgo_device_list_new(count, devices, &b->list) : CL_SUCCESS;
        if (r != CL_SUCCESS || !b->list)
                return r != CL_SUCCESS ? r : CL_OUT_OF_HOST_MEMORY;
        return build_claim(b);
}

/* The program said "all" by naming none: so is the driver told. */
#define BUILD_DEVICES(b, devices) (devices) ? (b).list->natives : 0, (devices) ? (b).list->native : NULL

CL_API_ENTRY cl_int CL_API_CALL fgo_clBuildProgram(cl_program program, cl_uint count, const cl_device_id *devices,
                                                   const char *options, build_notify notify, void *user)
{
        FG_CLEANUP(build_clear) struct build b = {.signature = build_signature("build", options)};
        cl_int r = build_start(&b, program, count, devices);

        if (r != CL_SUCCESS)
                return r;
        return build_settle(&b, fgo_driver.clBuildProgram(program, BUILD_DEVICES(b, devices), options, notify, user));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clCompileProgram(cl_program program, cl_uint count, const cl_device_id *devices,
                                                     const char *options, cl_uint headers, const cl_program *header,
                                                     const char **names, build_notify notify, void *user)
{
        FG_CLEANUP(build_clear) struct build b = {.signature = build_signature("compile", options)};
        cl_int r;

        for (cl_uint i = 0; header && names && i < headers; i++) {
                b.signature = build_hash(b.signature, &header[i], sizeof(header[i]));
                if (names[i])
                        b.signature = build_hash(b.signature, names[i], strlen(names[i]) + 1);
        }
        r = build_start(&b, program, count, devices);
        if (r != CL_SUCCESS)
                return r;
        return build_settle(&b, fgo_driver.clCompileProgram(program, BUILD_DEVICES(b, devices), options, headers,
                                                            header, names, notify, user));
}

CL_API_ENTRY cl_program CL_API_CALL fgo_clLinkProgram(cl_context context, cl_uint count, const cl_device_id *devices,
                                                      const char *options, cl_uint inputs, const cl_program *input,
                                                      build_notify notify, void *user, cl_int *ret)
{
        const struct fgo_device_list *all = fgo_context_devices(context);
        FG_CLEANUP(build_clear) struct build b = {.signature = build_signature("link", options)};
        cl_program program;
        cl_int r = CL_SUCCESS;

        if (!all)
                return fgo_fail(ret, CL_INVALID_CONTEXT);
        if ((devices != NULL) != (count != 0))
                return fgo_fail(ret, CL_INVALID_VALUE);
        for (cl_uint i = 0; i < count; i++)
                if (fgo_device_list_find(all, devices[i]) < 0)
                        return fgo_fail(ret, CL_INVALID_DEVICE);
        if (devices)
                r = fgo_device_list_new(count, devices, &b.list);
        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        program =
                fgo_driver.clLinkProgram(context, BUILD_DEVICES(b, devices), options, inputs, input, notify, user, ret);
        return fgo_program_keep(program, devices ? b.list : all, b.signature, ret);
}

bool fgo_program_built_for_another(struct fgo_program *program, int device)
{
        const struct fgo_device_list *all = program->devices;
        bool another = false;

        pthread_mutex_lock(&fgo_program_lock);
        for (cl_uint i = 0; i < all->count && program->built[device] == 0; i++)
                if (all->slot[i] == all->slot[device] && program->built[i])
                        another = true;
        pthread_mutex_unlock(&fgo_program_lock);
        return another;
}
