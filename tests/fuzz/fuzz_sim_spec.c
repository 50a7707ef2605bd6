/* SPDX-License-Identifier: Apache-2.0
 * Specs of the simulator: any text is refused in one clear line, or yields GPUs that can exist. */
#include "sim/spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t len)
{
        assert(memchr(text, '\0', len) != NULL);
}

static void check_gpu(const struct fgsim_gpu_spec *gpu)
{
        check_text(gpu->model, sizeof gpu->model);
        check_text(gpu->uuid, sizeof gpu->uuid);
        assert(strlen(gpu->uuid) == 40 && memcmp(gpu->uuid, "GPU-", 4) == 0);
        assert(gpu->memory > 0 && gpu->memory % 512 == 0 && gpu->memory <= 1ull << 44 && gpu->context < gpu->memory);
        assert(gpu->sms > 0 && gpu->threads_per_sm > 0);
}

static void check_fault(const struct fgsim_fault_spec *fault)
{
        check_text(fault->at, sizeof fault->at);
        check_text(fault->process, sizeof fault->process);
        assert(fault->at[0] && fault->gpu >= -1 && fault->gpu < FGSIM_GPUS_MAX);
        assert(fault->kind != FGSIM_FAULT_RESULT || (fault->result > 0 && fault->result < 1000));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct fgsim_spec spec, again;
        struct fg_error err = {0};
        memset(&spec, 0x5a, sizeof spec);
        int r = fgsim_spec_parse((const char *)data, size, "spec", &spec, &err);
        assert(r <= 0 && err.code == r);
        if (r < 0) {
                assert(strncmp(err.text, "spec:", 5) == 0 && spec.gpus == 0x5a5a5a5a);
                return 0;
        }
        assert(spec.gpus > 0 && spec.gpus <= FGSIM_GPUS_MAX && spec.kernels <= FGSIM_KERNELS_MAX &&
               spec.faults <= FGSIM_FAULTS_MAX);
        for (uint32_t i = 0; i < spec.gpus; i++) {
                check_gpu(&spec.gpu[i]);
                for (uint32_t k = 0; k < i; k++)
                        assert(strcmp(spec.gpu[i].uuid, spec.gpu[k].uuid) != 0);
        }
        for (uint32_t i = 0; i < spec.faults; i++)
                check_fault(&spec.fault[i]);
        assert(fgsim_spec_parse((const char *)data, size, "spec", &again, NULL) == 0 && again.hash == spec.hash);
        return 0;
}
