/* SPDX-License-Identifier: Apache-2.0
 *
 * The few lines every OpenCL program needs: a device by its number, a program built with its log shown, errors by name.
 * Used by the example and by the load generator of tests/bench. */
#ifndef TRAIN_MLP_CL_H
#define TRAIN_MLP_CL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

const char *cl_error_name(cl_int code);
/* 0 for CL_SUCCESS, else -1 after "PROGRAM: CALL: CL_NAME" on standard error. */
int cl_failed(const char *call, cl_int code);
/* Device `number` among all devices of all platforms, in the loader's order. */
int cl_find_device(unsigned number, cl_device_id *ret);
/* How many that are: at least one. */
int cl_count_devices(unsigned *ret);
/* NULL after an explanation on standard error. */
cl_program cl_build(cl_context context, cl_device_id device, const char *source, const char *options);

#endif
