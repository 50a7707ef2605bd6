/* SPDX-License-Identifier: Apache-2.0
 * A program inside vGPUs, told what to do line by line: each line is answered with one number (0, a negative errno or a
 * count). attach PATH | reserve VGPU BYTES | refund VGPU BYTES | used VGPU | launches VGPU N | busy VGPU NS | held VGPU | hangup | exec | truncate VGPU |
 * write-limits VGPU | close */
#include "base/atomic.h"
#include "ledger/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fg_session session = {.connection.fd = -1};

/* The page's file, through the kernel's own link to the mapping. */
static int map_file(const void *page, int flags)
{
        char line[512], name[64] = "", path[128];
        FILE *maps = fopen("/proc/self/maps", "r");
        unsigned long start, end;
        while (maps && fgets(line, sizeof line, maps))
                if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start == (unsigned long)page)
                        snprintf(name, sizeof name, "%lx-%lx", start, end);
        if (maps)
                fclose(maps);
        snprintf(path, sizeof path, "/proc/self/map_files/%s", name);
        int fd = open(path, flags);
        return fd < 0 ? -errno : fd;
}

static long long reopen_limits(unsigned vgpu)
{
        if (mprotect((void *)session.vgpu[vgpu].ledger.limits, 4096, PROT_READ | PROT_WRITE) == 0)
                return 1;
        int fd = map_file(session.vgpu[vgpu].ledger.limits, O_RDWR);
        if (fd < 0)
                return fd;
        close(fd);
        return 2;
}

static long long cut(unsigned vgpu)
{
        int fd = map_file(session.vgpu[vgpu].ledger.usage, O_RDWR);
        long long r = fd < 0 ? fd : ftruncate(fd, 0) < 0 ? -errno : 0;
        if (fd >= 0)
                close(fd);
        return r;
}

static long long command(char **argv, const char *word, unsigned vgpu, unsigned long long amount)
{
        struct fg_session_vgpu *v = vgpu < session.count ? &session.vgpu[vgpu] : NULL;
        if (strcmp(word, "exec") == 0) {
                execv(argv[0], argv);
                return -errno;
        }
        if (strcmp(word, "hangup") == 0)
                return shutdown(session.connection.fd, SHUT_RDWR) < 0 ? -errno : 0;
        if (strcmp(word, "close") == 0)
                return fg_session_close(&session), 0;
        if (!v)
                return -EINVAL;
        if (strcmp(word, "reserve") == 0)
                return fg_ledger_reserve(&v->ledger, amount);
        if (strcmp(word, "refund") == 0)
                return fg_ledger_refund(&v->ledger, amount), 0;
        if (strcmp(word, "used") == 0)
                return (long long)fg_ledger_used(&v->ledger);
        if (strcmp(word, "quota") == 0)
                return (long long)fg_ledger_quota(&v->ledger);
        if (strcmp(word, "share") == 0)
                return fg_load_relaxed(&v->ledger.limits->share_permille);
        if (strcmp(word, "launches") == 0)
                return (long long)fg_add_relaxed(&v->ledger.usage->slot[v->ledger.slot].launches, amount);
        if (strcmp(word, "inflight") == 0)
                return fg_store_relaxed(&v->ledger.usage->slot[v->ledger.slot].inflight, (uint32_t)amount), 0;
        if (strcmp(word, "busy") == 0) /* ns of device time, as a completed launch reports it */
                return fg_add_relaxed(&v->ledger.usage->slot[v->ledger.slot].busy, amount), fg_session_poke(&v->poke), 0;
        if (strcmp(word, "held") == 0)
                return fg_load_relaxed(&v->ledger.limits->held);
        if (strcmp(word, "truncate") == 0)
                return cut(vgpu);
        if (strcmp(word, "write-limits") == 0)
                return reopen_limits(vgpu);
        return -ENOSYS;
}

int main(int argc, char **argv)
{
        char line[4096], word[32], rest[4000];
        setvbuf(stdout, NULL, _IOLBF, 0);
        setvbuf(stdin, NULL, _IONBF, 0); /* the next image of this process reads on */
        printf("%d\n", getpid());
        while (fgets(line, sizeof line, stdin)) {
                unsigned vgpu = 0;
                unsigned long long amount = 0;
                rest[0] = 0;
                if (sscanf(line, "%31s %3999[^\n]", word, rest) < 1)
                        continue;
                if (strcmp(word, "attach") == 0) {
                        int r = fg_session_open(rest, FG_API_PROBE, &session);
                        printf("%lld\n", r < 0 ? (long long)r : (long long)session.count);
                        continue;
                }
                sscanf(rest, "%u %llu", &vgpu, &amount);
                printf("%lld\n", command(argv, word, vgpu, amount));
        }
        return 0;
}
