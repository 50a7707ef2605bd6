/* SPDX-License-Identifier: Apache-2.0
 * Making programs. */
#include "shim/opencl/program.h"

#include "base/cleanup.h"
#include "shim/opencl/build.h"

struct fgo_map fgo_programs = FGO_MAP_INIT;
pthread_mutex_t fgo_program_lock = PTHREAD_MUTEX_INITIALIZER;

static struct fgo_program *program_new(const struct fgo_device_list *devices)
{
        struct fgo_program *entry = calloc(1, sizeof(*entry) + devices->count * sizeof(entry->built[0]));

        if (!entry)
                return NULL;
        entry->devices = fgo_device_list_copy(devices);
        if (!entry->devices) {
                free(entry);
                return NULL;
        }
        return entry;
}

static void program_free(struct fgo_program *entry)
{
        if (entry)
                free(entry->devices);
        free(entry);
}

cl_program fgo_program_keep(cl_program program, const struct fgo_device_list *devices, uint64_t built, cl_int *ret)
{
        struct fgo_program *entry;
        void *old = NULL;

        if (!program)
                return NULL;
        entry = program_new(devices);
        for (cl_uint i = 0; entry && i < devices->count; i++)
                entry->built[i] = built;
        if (!entry || fgo_map_put(&fgo_programs, program, entry, &old) < 0) {
                program_free(entry);
                fgo_driver.clReleaseProgram(program);
                return fgo_fail(ret, CL_OUT_OF_HOST_MEMORY);
        }
        program_free(old);
        return program;
}

CL_API_ENTRY cl_program CL_API_CALL fgo_clCreateProgramWithSource(cl_context context, cl_uint count,
                                                                  const char **strings, const size_t *lengths,
                                                                  cl_int *ret)
{
        const struct fgo_device_list *devices = fgo_context_devices(context);

        if (!devices)
                return fgo_fail(ret, CL_INVALID_CONTEXT);
        return fgo_program_keep(fgo_driver.clCreateProgramWithSource(context, count, strings, lengths, ret), devices, 0,
                                ret);
}

CL_API_ENTRY cl_program CL_API_CALL fgo_clCreateProgramWithIL(cl_context context, const void *il, size_t length,
                                                              cl_int *ret)
{
        const struct fgo_device_list *devices = fgo_context_devices(context);

        if (!devices)
                return fgo_fail(ret, CL_INVALID_CONTEXT);
        return fgo_program_keep(fgo_driver.clCreateProgramWithIL(context, il, length, ret), devices, 0, ret);
}

/* The program's list, each in the context. */
static cl_int program_devices(cl_context context, cl_uint count, const cl_device_id *devices,
                              struct fgo_device_list **ret)
{
        const struct fgo_device_list *all = fgo_context_devices(context);

        if (!all)
                return CL_INVALID_CONTEXT;
        if (!devices || count == 0)
                return CL_INVALID_VALUE;
        for (cl_uint i = 0; i < count; i++)
                if (fgo_device_list_find(all, devices[i]) < 0)
                        return CL_INVALID_DEVICE;
        return fgo_device_list_new(count, devices, ret);
}

CL_API_ENTRY cl_program CL_API_CALL fgo_clCreateProgramWithBuiltInKernels(cl_context context, cl_uint count,
                                                                          const cl_device_id *devices,
                                                                          const char *names, cl_int *ret)
{
        fg_autofree struct fgo_device_list *list = NULL;
        cl_int r = program_devices(context, count, devices, &list);
        cl_program program;

        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        program = fgo_driver.clCreateProgramWithBuiltInKernels(context, list->natives, list->native, names, ret);
        return fgo_program_keep(program, list, 0, ret);
}

/* The binaries as the driver wants them: one for each physical device. */
struct binaries {
        struct fgo_device_list *list;
        const unsigned char **binary;
        size_t *length;
        cl_int *status;
};

static void binaries_clear(struct binaries *b)
{
        free(b->list);
        free(b->binary);
        free(b->length);
        free(b->status);
}

/* Two vGPUs of one physical device share the driver's program, so their binaries must be the same. */
static cl_int binaries_collect(struct binaries *b, const cl_device_id *devices, cl_uint count, const size_t *lengths,
                               const unsigned char **binaries, cl_int *status)
{
        b->binary = calloc(count, sizeof(*b->binary));
        b->length = calloc(count, sizeof(*b->length));
        b->status = calloc(count, sizeof(*b->status));
        if (!b->binary || !b->length || !b->status)
                return CL_OUT_OF_HOST_MEMORY;
        for (cl_uint i = 0; i < count; i++) {
                cl_uint slot = b->list->slot[fgo_device_list_find(b->list, devices[i])];
                bool usable = binaries[i] && lengths[i];
                if (usable && b->binary[slot] &&
                    (b->length[slot] != lengths[i] || memcmp(b->binary[slot], binaries[i], lengths[i]) != 0))
                        usable = false;
                if (status)
                        status[i] = usable                      ? CL_SUCCESS
                                    : binaries[i] && lengths[i] ? CL_INVALID_BINARY
                                                                : CL_INVALID_VALUE;
                if (!usable)
                        return binaries[i] && lengths[i] ? CL_INVALID_BINARY : CL_INVALID_VALUE;
                b->binary[slot] = binaries[i];
                b->length[slot] = lengths[i];
        }
        return CL_SUCCESS;
}

CL_API_ENTRY cl_program CL_API_CALL fgo_clCreateProgramWithBinary(cl_context context, cl_uint count,
                                                                  const cl_device_id *devices, const size_t *lengths,
                                                                  const unsigned char **binaries, cl_int *status,
                                                                  cl_int *ret)
{
        FG_CLEANUP(binaries_clear) struct binaries b = {0};
        cl_int r = lengths && binaries ? program_devices(context, count, devices, &b.list) : CL_INVALID_VALUE;
        cl_program program;

        if (r == CL_SUCCESS)
                r = binaries_collect(&b, devices, count, lengths, binaries, status);
        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        program = fgo_driver.clCreateProgramWithBinary(context, b.list->natives, b.list->native, b.length, b.binary,
                                                       status ? b.status : NULL, ret);
        for (cl_uint i = 0; status && i < count; i++)
                status[i] = b.status[b.list->slot[fgo_device_list_find(b.list, devices[i])]];
        return fgo_program_keep(program, b.list, 0, ret);
}
