/* SPDX-License-Identifier: Apache-2.0
 * Compiling is the test: with our own types everywhere, and, by check_abi.py with FG_ABI_REAL, with the vendor's where
 * there are any. The records and values that a mistake would hurt most. */
#include "abi/nvml.h"

#define SIZE(type, size)   _Static_assert(sizeof(type) == (size), #type)
#define VALUE(name, value) _Static_assert((name) == (value), #name)

SIZE(nvmlMemory_t, 24);
SIZE(nvmlMemory_v2_t, 40);
SIZE(nvmlBAR1Memory_t, 24);
SIZE(nvmlUtilization_t, 8);
SIZE(nvmlProcessInfo_v1_t, 16);
SIZE(nvmlProcessInfo_v2_t, 24);
SIZE(nvmlProcessUtilizationSample_t, 32);
SIZE(nvmlProcessesUtilizationInfo_v1_t, 24);
SIZE(nvmlProcessUtilizationInfo_v1_t, 40);
SIZE(nvmlProcessDetailList_v1_t, 24);
SIZE(nvmlProcessDetail_v1_t, 32);
SIZE(nvmlPciInfo_t, 68);
SIZE(nvmlPciInfoExt_v1_t, 64);
SIZE(nvmlEventData_t, 32);
SIZE(nvmlFieldValue_t, 40);
SIZE(nvmlSample_t, 16);
SIZE(nvmlDeviceAttributes_t, 40);
SIZE(nvmlAccountingStats_t, 56);

VALUE(NVML_ERROR_UNINITIALIZED, 1);
VALUE(NVML_ERROR_INVALID_ARGUMENT, 2);
VALUE(NVML_ERROR_NOT_SUPPORTED, 3);
VALUE(NVML_ERROR_NOT_FOUND, 6);
VALUE(NVML_ERROR_INSUFFICIENT_SIZE, 7);
VALUE(NVML_ERROR_DRIVER_NOT_LOADED, 9);
VALUE(NVML_ERROR_GPU_IS_LOST, 15);
VALUE(NVML_ERROR_UNKNOWN, 999);
VALUE(nvmlMemory_v2, 0x2000028u);
VALUE(nvmlEventTypeXidCriticalError, 8);

int main(void)
{
        return 0;
}
