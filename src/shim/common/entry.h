/* SPDX-License-Identifier: Apache-2.0
 *
 * For the assembler (x86-64): the entries of a drop-in and its dlsym().
 *
 *      #include "abi/cuda_names.h"
 *      #include "shim/common/entry.h"
 *      FGX_ENTRIES(FG_CUDA_NAMES)
 *      FGX_DLSYM(0x63, 0x75) // "cu"
 *
 * An entry is one indirect jump. Until its slot is filled it calls fgx_resolve() with every register that can carry an
 * argument saved, and then jumps as if nothing had been. */
#ifndef FGX_ENTRY_H
#define FGX_ENTRY_H

/* clang-format off */
.altmacro
.set fgx_number, 0

/* Entries are 16 bytes apart: library.c counts on it. */
.macro fgx_export name, number
        .section .text.entries, "ax", @progbits
        .p2align 4
        .globl \name
        .type \name, @function
\name:
        .cfi_startproc
        endbr64
        jmp *(fgx_slot + 8 * \number)(%rip)
        .cfi_endproc
        .size \name, . - \name
        .section .text.resolvers, "ax", @progbits
        .Lfirst_use_\name:
        .cfi_startproc
        endbr64
        push $\number
        .cfi_adjust_cfa_offset 8
        jmp fgx_first_use
        .cfi_endproc
        .section .data.slots, "aw", @progbits
        .quad .Lfirst_use_\name
        .set fgx_number, fgx_number + 1
.endm

#define FGX_EXPORT(name) fgx_export name, %fgx_number;

#define FGX_ENTRIES(NAMES) \
        .section .text.entries, "ax", @progbits; \
        .p2align 4; \
        .globl fgx_entries; .hidden fgx_entries; \
        fgx_entries: ; \
        .section .data.slots, "aw", @progbits; \
        .p2align 3; \
        .globl fgx_slot; .hidden fgx_slot; \
        fgx_slot: ; \
        NAMES(FGX_EXPORT) \
        fgx_resolver; \
        .section .note.GNU-stack, "", @progbits

/* The stack holds the entry's number, below it the caller's return address. */
.macro fgx_resolver
        .text
        .type fgx_first_use, @function
fgx_first_use:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        sub $192, %rsp
        .cfi_adjust_cfa_offset 192
        mov %rax, (%rsp)
        mov %rdi, 8(%rsp)
        mov %rsi, 16(%rsp)
        mov %rdx, 24(%rsp)
        mov %rcx, 32(%rsp)
        mov %r8, 40(%rsp)
        mov %r9, 48(%rsp)
        movaps %xmm0, 64(%rsp)
        movaps %xmm1, 80(%rsp)
        movaps %xmm2, 96(%rsp)
        movaps %xmm3, 112(%rsp)
        movaps %xmm4, 128(%rsp)
        movaps %xmm5, 144(%rsp)
        movaps %xmm6, 160(%rsp)
        movaps %xmm7, 176(%rsp)
        mov 192(%rsp), %edi
        call fgx_resolve
        mov %rax, %r11
        mov (%rsp), %rax
        mov 8(%rsp), %rdi
        mov 16(%rsp), %rsi
        mov 24(%rsp), %rdx
        mov 32(%rsp), %rcx
        mov 40(%rsp), %r8
        mov 48(%rsp), %r9
        movaps 64(%rsp), %xmm0
        movaps 80(%rsp), %xmm1
        movaps 96(%rsp), %xmm2
        movaps 112(%rsp), %xmm3
        movaps 128(%rsp), %xmm4
        movaps 144(%rsp), %xmm5
        movaps 160(%rsp), %xmm6
        movaps 176(%rsp), %xmm7
        add $200, %rsp
        .cfi_adjust_cfa_offset -200
        jmp *%r11
        .cfi_endproc
        .size fgx_first_use, . - fgx_first_use
.endm

/* Names that do not start with the two letters go on to libc's dlsym by a jump: RTLD_NEXT and RTLD_DEFAULT look at
 * the return address to see who asks. The others are answered by fgx_dlsym(), which may also say "go on" (rdx 0). */
#define FGX_DLSYM(first, second) fgx_dlsym_front first, second

.macro fgx_dlsym_front first, second
        .text
        .globl dlsym
        .type dlsym, @function
dlsym:
        .cfi_startproc
        endbr64
        test %rsi, %rsi
        je 1f
        cmpb $\first, (%rsi)
        jne 1f
        cmpb $\second, 1(%rsi)
        jne 1f
        push %rdi
        .cfi_adjust_cfa_offset 8
        push %rsi
        .cfi_adjust_cfa_offset 8
        sub $8, %rsp
        .cfi_adjust_cfa_offset 8
        call fgx_dlsym
        add $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop %rsi
        .cfi_adjust_cfa_offset -8
        pop %rdi
        .cfi_adjust_cfa_offset -8
        test %rdx, %rdx
        je 1f
        ret
1:      push %rdi
        .cfi_adjust_cfa_offset 8
        push %rsi
        .cfi_adjust_cfa_offset 8
        sub $8, %rsp
        .cfi_adjust_cfa_offset 8
        mov %rsi, %rdi
        call fgx_next_dlsym
        add $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop %rsi
        .cfi_adjust_cfa_offset -8
        pop %rdi
        .cfi_adjust_cfa_offset -8
        test %rax, %rax
        je 2f
        jmp *%rax
2:      ret
        .cfi_endproc
        .size dlsym, . - dlsym
.endm

/* clang-format on */

#endif
