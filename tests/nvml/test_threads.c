/* SPDX-License-Identifier: Apache-2.0
 * Many threads start, look and end at the same time, from the very first call on. */
#include "nvml_test.h"

#include <pthread.h>

#define THREADS 8
#define ROUNDS  50

static pthread_barrier_t barrier;

static void *look(void *user)
{
        unsigned count, mine = (unsigned)(size_t)user % VGPUS, index, watts;
        nvmlMemory_t memory;
        char name[96];
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < ROUNDS; i++) {
                CHECK_OK(nvmlInit_v2());
                CHECK_OK(nvmlDeviceGetCount_v2(&count));
                CHECK_EQ(count, VGPUS);
                CHECK_OK(nvmlDeviceGetIndex(device(mine), &index));
                CHECK_EQ(index, mine);
                CHECK_OK(nvmlDeviceGetMemoryInfo(device(mine), &memory));
                CHECK_EQ(memory.total, mine == 0 ? TOTAL_0 : mine == 1 ? TOTAL_1 : TOTAL_2);
                CHECK_OK(nvmlDeviceGetName(device(mine), name, sizeof name));
                CHECK_OK(nvmlDeviceGetEnforcedPowerLimit(device(mine), &watts));
                CHECK_EQ(watts, 700000);
                CHECK_OK(nvmlShutdown());
        }
        return NULL;
}

int main(void)
{
        pthread_t threads[THREADS];
        unsigned count;
        bench_open("");
        CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS), 0);
        for (size_t i = 0; i < THREADS; i++)
                CHECK_EQ(pthread_create(&threads[i], NULL, look, (void *)i), 0);
        for (size_t i = 0; i < THREADS; i++)
                CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
        bench_close();
        return 0;
}
