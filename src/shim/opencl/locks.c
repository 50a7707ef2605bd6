/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/locks.h"

#include "shim/opencl/context.h"
#include "shim/opencl/device.h"
#include "shim/opencl/program.h"
#include "shim/opencl/queue.h"
#include "shim/opencl/svm.h"

static pthread_mutex_t *const locks[] = {
        &fgo_queue_lock,    &fgo_program_lock, &fgo_queues.lock,      &fgo_programs.lock,
        &fgo_contexts.lock, &fgo_devices.lock, &fgo_sub_devices.lock, &fgo_svm_blocks.lock,
};

#define LOCKS (sizeof(locks) / sizeof(locks[0]))

void fgo_locks_all(void)
{
        for (size_t i = 0; i < LOCKS; i++)
                pthread_mutex_lock(locks[i]);
}

void fgo_unlocks_all(void)
{
        for (size_t i = LOCKS; i-- > 0;)
                pthread_mutex_unlock(locks[i]);
}
