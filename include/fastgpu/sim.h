/* SPDX-License-Identifier: Apache-2.0
 * The simulated GPU, as programs see it: how to give it kernels. It needs no GPU and no CUDA toolkit.
 *
 * FASTGPU_SIM says which GPUs there are (fastgpu-sim(7)): `2xH100`, or the path of a spec file. Put
 * PREFIX/lib/fastgpu/sim into LD_LIBRARY_PATH, and a program of the CUDA driver API runs on them.
 *
 * Kernels do nothing but take time, or call a function of the program. What cuModuleLoadData, cuLibraryLoadData and the
 * like accept:
 *
 * 1. Text whose first line is `fastgpu-sim`. Each further line is empty, a comment (#), or one of
 *
 *        kernel NAME [time=DURATION] [host=SYMBOL] [args=BYTES,BYTES,…] [param=INDEX [unit=ns|us|ms]]
 *        global NAME BYTES
 *
 *    time    how long it occupies the GPU: 200us, 2ms, 500ns, 1s. Without it: the time of `[kernel NAME]` in the spec,
 *            else the spec's default for kernels.
 *    host    the function that computes: registered under that name, or exported by the running program. Without it: as
 *            for PTX below. A host function's time counts where it is longer than `time`.
 *    args    the sizes of the kernel's parameters, in order. A host function gets copies made at the launch, so it
 *            needs them to be declared, here or with fgsim_kernel_arguments().
 *    param   the time is read at each launch from parameter INDEX, a 64-bit number, in `unit` (ns).
 *
 *    A kernel that no line names is looked for in the spec and among the registered ones, so the first line alone is
 *    a module of all of these.
 *
 * 2. PTX text: its .entry names are its kernels, with the sizes of their parameters, and its .global variables are its
 *    globals. The instructions are not executed: a kernel NAME does what the host function registered as NAME does,
 *    else what the running program exports as fgsim_host_NAME (link it with -rdynamic), else nothing.
 *
 * 3. cubin and fatbin images: whatever kernel is asked for exists and takes time as above, its parameters are unknown.
 *
 * A program that is to run on real GPUs too exports fgsim_host_NAME; nothing asks for it there (examples/cuda_vectors).
 * The functions below exist in the simulator's libcuda.so.1 alone: link with it, or find them by dlsym(). They are safe
 * from any thread, before and after cuInit. */
#ifndef FASTGPU_SIM_H
#define FASTGPU_SIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called on a thread of the driver while the kernel has the GPU. params[i] points to a copy of argument i; NULL when
 * the sizes are not declared. It must not call CUDA. Device memory is ordinary memory here: a CUdeviceptr is an
 * address. */
typedef void (*fgsim_kernel_t)(void **params, const unsigned grid[3], const unsigned block[3]);

/* A kernel by name, for modules loaded later. ns: how long it occupies the GPU, 0 for as long as the function runs. An
 * earlier registration of the same name is replaced. 0; -EINVAL: no name, or one longer than 95 bytes; -ENOMEM. */
int fgsim_kernel_register(const char *name, fgsim_kernel_t function, uint64_t ns);

/* The sizes in bytes of a registered kernel's arguments, at most 64. 0; -ENOENT: not registered; -EINVAL. */
int fgsim_kernel_arguments(const char *name, size_t count, const size_t *sizes);

#ifdef __cplusplus
}
#endif
#endif
