/* SPDX-License-Identifier: Apache-2.0
 *
 * test_both SMI FOLDER: a program with both drop-ins. CUDA and NVML tell of the same vGPUs, and what NVML says inside
 * is what the simulated driver's own NVML (in FOLDER) says of the process outside. */
#include "nvml_test.h"

#include "abi/cuda.h"

#include <unistd.h>

#define BYTES (10 * MI)

/* In the daemon's place: names this process as the owner of the slots that it holds memory in. */
static void own_mine(unsigned vgpu, bool mine)
{
        for (unsigned slot = 0; slot < FG_SLOTS; slot++)
                if (fg_ledger_slot_held(usage[vgpu], slot) || !mine)
                        own_slot(vgpu, slot, mine ? getpid() : 0, start_of(getpid()));
}

static void check_identity(void)
{
        CUdevice ordinal;
        CUuuid uuid;
        size_t bytes;
        nvmlMemory_t memory;
        char here[96], there[96];
        for (int i = 0; i < VGPUS; i++) {
                CHECK_EQ(cuDeviceGet(&ordinal, i), CUDA_SUCCESS);
                CHECK_EQ(cuDeviceGetUuid_v2(&uuid, ordinal), CUDA_SUCCESS);
                CHECK(memcmp(uuid.bytes, limits[i]->uuid, 16) == 0);
                CHECK_OK(nvmlDeviceGetUUID(device((unsigned)i), here, sizeof here));
                snprintf(there, sizeof there, "GPU-%02x%02x", (unsigned char)uuid.bytes[0],
                         (unsigned char)uuid.bytes[1]);
                CHECK(strncmp(here, there, 8) == 0);
                CHECK_EQ(cuDeviceTotalMem_v2(&bytes, ordinal), CUDA_SUCCESS);
                CHECK_OK(nvmlDeviceGetMemoryInfo(device((unsigned)i), &memory));
                CHECK_EQ(memory.total, bytes);
        }
}

static uint64_t used_of(unsigned index)
{
        nvmlMemory_t memory;
        CHECK_OK(nvmlDeviceGetMemoryInfo(device(index), &memory));
        CHECK_EQ(memory.used, fg_ledger_used(&(struct fg_ledger){.limits = limits[index], .usage = usage[index]}));
        return memory.used;
}

/* Bytes of this process on the first physical GPU, by the driver. */
static uint64_t outside(const char *smi, const char *folder)
{
        char command[512], line[128];
        unsigned gpu, pid;
        unsigned long long bytes, found = 0;
        snprintf(command, sizeof command, "LD_PRELOAD= LD_LIBRARY_PATH=%s %s --apps", folder, smi);
        FILE *out = popen(command, "r");
        CHECK(out);
        while (fgets(line, sizeof line, out))
                if (sscanf(line, "%u,%u,%llu", &gpu, &pid, &bytes) == 3 && gpu == 0 && pid == (unsigned)getpid())
                        found = bytes;
        CHECK_EQ(pclose(out), 0);
        return found;
}

int main(int argc, char **argv)
{
        CUcontext context;
        CUdevice ordinal;
        CUdeviceptr pointer;
        nvmlProcessInfo_t found[8];
        unsigned count = 8;
        CHECK_EQ(argc, 3);
        bench_open("context = 2M\n");
        CHECK_OK(nvmlInit_v2());
        CHECK_EQ(cuInit(0), CUDA_SUCCESS);
        check_identity();
        CHECK_EQ(cuDeviceGet(&ordinal, 1), CUDA_SUCCESS);
        CHECK_EQ(cuCtxCreate_v2(&context, 0, ordinal), CUDA_SUCCESS);
        uint64_t before = used_of(1), before_outside = outside(argv[1], argv[2]);
        CHECK_EQ(cuMemAlloc_v2(&pointer, BYTES), CUDA_SUCCESS);
        CHECK_EQ(used_of(1), before + BYTES);
        CHECK_EQ(outside(argv[1], argv[2]), before_outside + BYTES);
        CHECK_EQ(used_of(0), 0);
        own_mine(1, true);
        CHECK_OK(nvmlDeviceGetComputeRunningProcesses_v3(device(1), &count, found));
        CHECK_EQ(count, 1);
        CHECK_EQ(found[0].pid, getpid());
        CHECK_EQ(found[0].usedGpuMemory, before + BYTES);
        CHECK_EQ(cuMemFree_v2(pointer), CUDA_SUCCESS);
        CHECK_EQ(used_of(1), before);
        CHECK_EQ(outside(argv[1], argv[2]), before_outside);
        own_mine(1, false);
        CHECK_EQ(cuCtxDestroy_v2(context), CUDA_SUCCESS);
        CHECK_OK(nvmlShutdown());
        bench_close();
        return 0;
}
