/* SPDX-License-Identifier: Apache-2.0
 * The way through an open gate for the launch that most programs make. Its eleven arguments are partly on the stack; a hook in
 * C takes them all up and puts them down again, which costs as much as everything else here. So the same steps as in
 * fgc_gate_pass() are taken without touching any argument, for one vGPU and one stream in use; whatever else there is goes
 * the long way, in launch.c.
 *
 * In a function, because only there the assembler is told the offsets. */
#include "shim/cuda/launch.h"

#ifdef FGC_LAUNCH_FRONT

/* The arguments from the seventh on are at 8(%rsp): block z, shared memory, stream. %rax, %r10 and %r11 are free to use. */
#define FRONT(name, default_key) \
        asm volatile(".pushsection .text\n" \
                     ".globl fgc_" #name "\n.hidden fgc_" #name "\n.type fgc_" #name ", @function\n.p2align 5\n" \
                     "fgc_" #name ":\n" \
                     "endbr64\n" \
                     "movq 24(%%rsp), %%rax\n" \
                     "testq %%rax, %%rax\n" \
                     "jne 1f\n" \
                     "movl %[none], %%eax\n" \
                     "1: cmpq $2, %%rax\n" /* a key of each thread's own */ \
                     "je 3f\n" \
                     "movq fgc_times+%c[stream](%%rip), %%r10\n" \
                     "cmpq %%rax, %%r10\n" \
                     "jne 2f\n" \
                     "0: cmpl $1, fgc_vgpu_count(%%rip)\n" \
                     "jne 3f\n" \
                     "movq fgc_vgpus(%%rip), %%r11\n" \
                     "movq %c[gate](%%r11), %%r11\n" \
                     "movq %c[limits](%%r11), %%rax\n" \
                     "movl %c[grant](%%rax), %%eax\n" \
                     "andl %[mask], %%eax\n" \
                     "cmpl %[free], %%eax\n" \
                     "jne 3f\n" \
                     "movq %c[slot](%%r11), %%rax\n" \
                     "movq %c[launches](%%rax), %%r10\n" \
                     "cmpq %c[look](%%r11), %%r10\n" \
                     "jae 3f\n" \
                     "addq $1, %%r10\n" \
                     "movq %%r10, %c[launches](%%rax)\n" \
                     "jmp *fgc_real+%c[real](%%rip)\n" \
                     "2: cmpq $-1, %%r10\n" /* several streams: FGC_KEY_MANY */ \
                     "jne 3f\n" \
                     "cmpq $1, %%rax\n" \
                     "jne 0b\n" \
                     "3: jmp fgc_long_" #name "\n" \
                     ".size fgc_" #name ", .-fgc_" #name "\n.popsection" ::[none] "i"(default_key), \
                     [stream] "i"(offsetof(struct fgc_time, stream)), [gate] "i"(offsetof(struct fgc_vgpu, gate)), \
                     [limits] "i"(offsetof(struct fg_gate_front, limits)), \
                     [slot] "i"(offsetof(struct fg_gate_front, slot)), \
                     [look] "i"(offsetof(struct fg_gate_front, look_at)), \
                     [grant] "i"(offsetof(struct fg_limits_page, grant)), \
                     [launches] "i"(offsetof(struct fg_slot, launches)), [mask] "i"(FG_GRANT_MASK), \
                     [free] "i"(FG_GRANT_FREE), [real] "i"(offsetof(struct fgc_driver, name)))

__attribute__((used, noinline, noclone)) static void fronts(void)
{
        FRONT(cuLaunchKernel, 1);
        FRONT(cuLaunchKernel_ptsz, 2);
}

#endif
