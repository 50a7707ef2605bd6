/* SPDX-License-Identifier: Apache-2.0
 * Processes: who has which slot, and which of them are dead. */
#include "sim/shared_internal.h"

#include "base/atomic.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define PID_BITS     24
#define FULL_LOOK_NS (5 * FG_NSEC_PER_MSEC)

uint32_t fgsim_slot = FGSIM_SLOTS_MAX;

struct stat_line {
        char state;
        uint64_t start, image;
};

/* What /proc says; `image` (start of the stack) is 0 when it is not ours to see. */
static int read_stat(uint32_t pid, struct stat_line *ret)
{
        char path[32], text[1024];
        snprintf(path, sizeof path, "/proc/%u/stat", pid);
        int fd fg_autoclose = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n <= 0)
                return fd < 0 && errno != ENOENT ? -errno : -ESRCH;
        text[n] = '\0';
        /* The name may hold anything, so count from its closing bracket. */
        const char *s = strrchr(text, ')');
        unsigned long long start, image;
        if (!s || sscanf(s + 1,
                         " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu %*u %*d %*u "
                         "%*u %*u %llu",
                         &ret->state, &start, &image) != 3)
                return -EPROTO;
        ret->start = start;
        ret->image = image;
        return 0;
}

static uint64_t make_who(uint32_t pid, uint64_t start)
{
        return start << PID_BITS | pid;
}

static uint32_t pid_namespace(void)
{
        struct stat st;
        return stat("/proc/self/ns/pid", &st) == 0 ? (uint32_t)st.st_ino : 0;
}

/* Whether the process that is `who` (as found in the slot) lives. Doubt counts as life. */
static bool lives(const struct fgsim_process *process, uint64_t who, bool thorough)
{
        static uint32_t own_namespace;
        if (!fg_load_relaxed(&own_namespace))
                fg_store_relaxed(&own_namespace, pid_namespace());
        uint32_t pid = (uint32_t)(who & ((1u << PID_BITS) - 1)), space = fg_load_acquire(&process->pid_namespace);
        if (space && space != fg_load_relaxed(&own_namespace))
                return true;
        if (!thorough)
                return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
        struct stat_line stat;
        int r = read_stat(pid, &stat);
        if (r < 0)
                return r != -ESRCH;
        uint64_t image = fg_load_acquire(&process->image);
        return stat.state != 'Z' && stat.state != 'X' && make_who(pid, stat.start) == who &&
               (!image || !stat.image || image == stat.image);
}

static void bury(uint32_t slot, uint64_t who)
{
        struct fgsim_process *process = &fgsim_shared->process[slot];
        for (uint32_t gpu = 0; gpu < fgsim_shared->gpus; gpu++)
                fgsim_gpu_strip(gpu, slot, who);
        fg_cas_acq_rel(&process->who, &who, 0);
}

bool fgsim_slot_lives(uint32_t slot)
{
        uint64_t who = slot < FGSIM_SLOTS_MAX ? fg_load_acquire(&fgsim_shared->process[slot].who) : 0;
        return who && (slot == fgsim_slot || lives(&fgsim_shared->process[slot], who, true));
}

void fgsim_reap(bool thorough)
{
        static uint64_t full_look;
        uint32_t slots = fg_load_acquire(&fgsim_shared->slots);
        for (uint32_t i = 0; i < slots && i < FGSIM_SLOTS_MAX; i++) {
                uint64_t who = fg_load_acquire(&fgsim_shared->process[i].who);
                if (!who || i == fgsim_slot)
                        continue;
                /* Now and then look properly: a zombie, another process with its pid. */
                if (!thorough && fg_now() - fg_load_relaxed(&full_look) > FULL_LOOK_NS) {
                        fg_store_relaxed(&full_look, fg_now());
                        thorough = true;
                }
                if (!lives(&fgsim_shared->process[i], who, thorough))
                        bury(i, who);
        }
}

/* What a lost GPU and its Xids leave behind goes when nobody is left who saw it. */
static void forget_accidents(void)
{
        uint32_t slots = fg_load_acquire(&fgsim_shared->slots);
        for (uint32_t i = 0; i < slots && i < FGSIM_SLOTS_MAX; i++)
                if (i != fgsim_slot && fg_load_acquire(&fgsim_shared->process[i].who))
                        return;
        for (uint32_t gpu = 0; gpu < fgsim_shared->gpus; gpu++)
                fg_store_relaxed(&fgsim_shared->gpu[gpu].lost, 0);
}

static void move_in(uint32_t slot, const struct stat_line *stat)
{
        struct fgsim_process *process = &fgsim_shared->process[slot];
        char name[17] = "";
        prctl(PR_GET_NAME, name);
        memcpy(process->name, name, sizeof process->name);
        process->pid = (uint32_t)getpid();
        fg_store_release(&process->image, stat->image);
        fg_store_release(&process->pid_namespace, pid_namespace());
        for (uint32_t gpu = 0; gpu < fgsim_shared->gpus; gpu++) {
                struct fgsim_share *share = &fgsim_shared->gpu[gpu].share[slot];
                fg_store_relaxed(&share->busy_ns, 0);
                fg_store_relaxed(&share->copied, 0);
                fg_store_relaxed(&share->contexts, 0);
        }
        uint32_t slots = fg_load_acquire(&fgsim_shared->slots);
        while (slots <= slot && !fg_cas_acq_rel(&fgsim_shared->slots, &slots, slot + 1))
                ;
        fgsim_slot = slot;
}

int fgsim_slot_take(void)
{
        struct stat_line stat;
        if (fgsim_slot < FGSIM_SLOTS_MAX)
                return 0;
        int r = read_stat((uint32_t)getpid(), &stat);
        if (r < 0)
                return r;
        fgsim_reap(true);
        uint64_t me = make_who((uint32_t)getpid(), stat.start);
        for (uint32_t i = 0; i < FGSIM_SLOTS_MAX; i++) {
                uint64_t who = fg_load_acquire(&fgsim_shared->process[i].who), none = 0;
                /* Ourselves before an execve(). */
                if (who == me)
                        bury(i, who);
                if ((who && who != me) || !fg_cas_acq_rel(&fgsim_shared->process[i].who, &none, me))
                        continue;
                move_in(i, &stat);
                forget_accidents();
                return 0;
        }
        return -EUSERS;
}
