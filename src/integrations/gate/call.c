/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/gate/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define X32 0x40000000 /* bit of x86-64's numbers */

/* The kernels' O_LARGEFILE, which the C library of 64 bits calls 0. */
#define LARGE_X86 0100000
#define LARGE_ARM 0400000

/* By the numbers of each architecture, as a program may make calls of another one than this file is built for. */
static const struct {
        uint32_t arch;
        int number, path; /* the flags are the argument behind the path */
        int large;
} row[] = {
        {AUDIT_ARCH_X86_64, 2, 0, LARGE_X86},
        {AUDIT_ARCH_X86_64, 257, 1, LARGE_X86},
        {AUDIT_ARCH_X86_64, X32 | 2, 0, LARGE_X86},
        {AUDIT_ARCH_X86_64, X32 | 257, 1, LARGE_X86},
        {AUDIT_ARCH_I386, 5, 0, LARGE_X86},
        {AUDIT_ARCH_I386, 295, 1, LARGE_X86},
        {AUDIT_ARCH_AARCH64, 56, 1, LARGE_ARM},
        {AUDIT_ARCH_ARM, 5, 0, LARGE_ARM},
        {AUDIT_ARCH_ARM, 322, 1, LARGE_ARM},
};

bool fgi_gate_call(const struct seccomp_data *data, struct fgi_gate_call *ret)
{
        for (size_t i = 0; i < sizeof row / sizeof *row; i++)
                if (data->arch == row[i].arch && data->nr == row[i].number) {
                        *ret = (struct fgi_gate_call){data->args[row[i].path], (int)data->args[row[i].path + 1] & ~row[i].large};
                        return true;
                }
        return false;
}

int fgi_gate_read_path(pid_t thread, uint64_t at, char ret[FGI_GATE_PATH_MAX])
{
        /* Two pages, as the text may end with the first one and the next not be there. */
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), left = page - at % page, size = FGI_GATE_PATH_MAX;
        uint64_t first = left < size ? left : size;
        struct iovec to = {ret, size}, from[2] = {{(void *)at, first}, {(void *)(at + first), size - first}};
        ssize_t n = process_vm_readv(thread, &to, 1, from, first < size ? 2 : 1, 0);
        if (n <= 0)
                return -EFAULT;
        return memchr(ret, 0, (size_t)n) ? 0 : -ENAMETOOLONG;
}
