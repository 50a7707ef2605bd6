/* SPDX-License-Identifier: Apache-2.0
 * Scripted faults. Calls are counted in each process for itself. */
#include "sim/shared.h"

#include "base/atomic.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NVML_GPU_IS_LOST 15
#define CUDA_UNKNOWN     999

int fgsim_broken;

static bool is_place(const char *at, const char *name)
{
        size_t len = strlen(at);
        return at[len - 1] == '*' ? strncmp(at, name, len - 1) == 0 : strcmp(at, name) == 0;
}

static bool is_process(const char *process)
{
        char name[17] = "", pid[16];
        if (!*process)
                return true;
        prctl(PR_GET_NAME, name);
        snprintf(pid, sizeof pid, "%d", getpid());
        /* The kernel keeps 15 characters of a name. */
        return strncmp(process, name, 15) == 0 || strcmp(process, pid) == 0;
}

static void sleep_ns(uint64_t ns)
{
        struct timespec left = {.tv_sec = (time_t)(ns / FG_NSEC_PER_SEC), .tv_nsec = (long)(ns % FG_NSEC_PER_SEC)};
        while (nanosleep(&left, &left) < 0 && errno == EINTR)
                ;
}

static void hang(uint64_t ns)
{
        if (ns)
                sleep_ns(ns);
        else
                for (;;)
                        sleep_ns(FG_NSEC_PER_SEC * 3600);
}

static void lose(int gpu)
{
        for (uint32_t i = 0; i < fgsim_shared->gpus; i++)
                if (gpu < 0 || i == (uint32_t)gpu)
                        fg_store_release(&fgsim_shared->gpu[i].lost, 1);
}

/* What CUDA programs see of an Xid. */
static int xid_result(uint32_t xid)
{
        switch (xid) {
        case 31: /* MMU fault */
                return 700;
        case 48: /* ECC errors that cannot be corrected */
        case 94:
        case 95:
                return 214;
        case 79: /* off the bus */
                return CUDA_UNKNOWN;
        default:
                return 719;
        }
}

static void note_xid(int gpu, uint32_t xid)
{
        struct fgsim_gpu_state *state = &fgsim_shared->gpu[gpu < 0 ? 0 : gpu];
        fg_store_relaxed(&state->xid, xid);
        fg_store_relaxed(&state->xid_pid, (uint32_t)getpid());
        __atomic_fetch_add(&state->xid_count, 1, __ATOMIC_RELEASE);
        if (xid == 79)
                lose(gpu < 0 ? 0 : gpu);
}

/* True: the call fails with *ret_result. */
static bool strike(const struct fgsim_fault_spec *fault, bool is_nvml, int gpu, int *ret_result)
{
        int where = fault->gpu >= 0 ? fault->gpu : gpu;
        switch (fault->kind) {
        case FGSIM_FAULT_SLOW:
                sleep_ns(fault->delay_ns);
                return false;
        case FGSIM_FAULT_HANG:
                hang(fault->delay_ns);
                return false;
        case FGSIM_FAULT_LOST:
                lose(where);
                *ret_result = fault->result ? fault->result : is_nvml ? NVML_GPU_IS_LOST : CUDA_UNKNOWN;
                return true;
        case FGSIM_FAULT_XID:
                note_xid(where, fault->xid);
                if (is_nvml)
                        return false;
                fgsim_broken = fault->result ? fault->result : xid_result(fault->xid);
                *ret_result = fgsim_broken;
                return true;
        case FGSIM_FAULT_RESULT:
                break;
        }
        *ret_result = fault->result;
        return true;
}

bool fgsim_fault(const char *name, int gpu, int *ret_result)
{
        static uint64_t calls[FGSIM_FAULTS_MAX];
        for (uint32_t i = 0; i < fgsim_spec.faults; i++) {
                const struct fgsim_fault_spec *fault = &fgsim_spec.fault[i];
                if (!is_place(fault->at, name) || (fault->gpu >= 0 && gpu >= 0 && fault->gpu != gpu) ||
                    !is_process(fault->process))
                        continue;
                uint64_t number = fg_add_relaxed(&calls[i], 1);
                if (number < fault->after || number - fault->after >= fault->count)
                        continue;
                if (strike(fault, strncmp(name, "nvml", 4) == 0, gpu, ret_result))
                        return true;
        }
        return false;
}
