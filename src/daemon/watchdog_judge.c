/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watchdog_internal.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "daemon/manager.h"
#include "daemon/use.h"
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define SLACK       (16ull << 20) /* the driver rounds; a reading may be older than a free */

/* --- who a process is --- */

static void read_line_of(uint32_t pid, const char *file, char *ret, size_t size)
{
        char path[64];
        ret[0] = 0;
        snprintf(path, sizeof path, "/proc/%u/%s", pid, file);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        ssize_t n = read(fd, ret, size - 1);
        close(fd);
        ret[n > 0 ? n : 0] = 0;
        ret[strcspn(ret, "\n")] = 0;
}

static uint64_t start_time_of(uint32_t pid)
{
        unsigned long long start = 0;
        char text[1024];
        read_line_of(pid, "stat", text, sizeof text);
        const char *after = strrchr(text, ')');
        if (!after || sscanf(after + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &start) != 1)
                return 0;
        return start;
}

/* --- findings --- */

static struct fgd_finding *finding_of(struct fgd_watchdog *w, enum fgd_finding_kind kind, uint32_t pid, uint64_t start, uint32_t device)
{
        uint64_t now = fg_now();
        for (uint32_t i = 0; i < w->findings; i++) {
                struct fgd_finding *f = &w->finding[i];
                if (f->kind == kind && f->pid == pid && f->start_time == start && f->device == device)
                        return f;
        }
        for (uint32_t i = 0; i < w->findings; i++)
                if (now - w->finding[i].seen_at > FGD_WATCH_FORGET)
                        w->finding[i--] = w->finding[--w->findings];
        if (w->findings == FGD_WATCH_FINDINGS)
                return NULL;
        struct fgd_finding *f = &w->finding[w->findings++];
        *f = (struct fgd_finding){.kind = kind, .pid = pid, .start_time = start, .device = device};
        read_line_of(pid, "comm", f->program, sizeof f->program);
        read_line_of(pid, "cgroup", f->cgroup, sizeof f->cgroup);
        return f;
}

/* By pidfd, and only the process that was judged. */
static void end_process(struct fgd_finding *f)
{
        int fd = pidfd_open((pid_t)f->pid, 0);
        if (fd < 0)
                return;
        if (start_time_of(f->pid) == f->start_time && pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0)
                f->killed = true;
        close(fd);
}

static void tell(const struct fgd_finding *f, bool kills)
{
        char memory[32];
        fg_size_format(f->memory, memory, sizeof memory);
        if (f->kind == FGD_OVER_QUOTA)
                fg_log_warning("watchdog: vGPU %s holds %s on device %u, more than its quota; process %u (%s, %s) holds most%s", f->vgpu, memory,
                               f->device, f->pid, f->program, f->cgroup, kills ? "; killed" : "");
        else
                fg_log_warning("watchdog: process %u (%s, %s) holds %s on device %u outside any vGPU%s", f->pid, f->program, f->cgroup, memory,
                               f->device, kills ? "; killed" : "");
}

/* Two looks running make a finding: a process may be about to attach or to free. */
static void find(struct fgd_watchdog *w, struct fgd_finding *f, uint64_t memory)
{
        uint64_t now = fg_now(), interval = w->manager->options.value[FG_OPT_WATCHDOG_INTERVAL] * FG_NSEC_PER_MSEC;
        f->looks = f->seen_at && now - f->seen_at <= 4 * interval + FG_NSEC_PER_SEC ? f->looks + 1 : 1;
        f->seen_at = now;
        f->memory = memory;
        bool kills = f->looks >= 2 && w->manager->options.value[FG_OPT_WATCHDOG] == FG_WATCHDOG_KILL;
        if (kills)
                end_process(f);
        if (f->looks == 2)
                tell(f, f->killed);
}

/* --- one process --- */

static struct fgd_process *process_of(struct fgd_manager *m, uint32_t pid)
{
        struct fgd_process *p;
        LIST_FOREACH(p, &m->processes.bucket[pid % FGD_PROCESS_BUCKETS], chain)
                if (p->pid == pid)
                        return p;
        return NULL;
}

/* Slots of the process in vGPUs on this device, at most `max`. */
struct held_slot {
        struct fgd_vgpu *vgpu;
        uint32_t slot;
        uint64_t held;
};

static uint32_t slots_of(const struct fgd_process *process, const struct fgd_device *device, struct held_slot *ret, uint32_t max)
{
        const struct fgd_use *use;
        uint32_t n = 0;
        TAILQ_FOREACH(use, &process->uses, of_process)
                for (uint32_t i = 0; use->attached && i < use->count; i++) {
                        struct fgd_vgpu *v = &use->set->vgpu[use->first + i];
                        if (v->device == device && v->pages && use->slot[i] != FGD_NO_SLOT && n < max)
                                ret[n++] = (struct held_slot){v, use->slot[i], fg_ledger_slot_held(v->pages->usage, use->slot[i])};
                }
        return n;
}

/* What a context takes beyond what is asked for, learned from the first process whose library did not know it yet. */
static void learn_context(struct fgd_device *device, const struct held_slot *slot, uint64_t memory)
{
        if (device->context_bytes || memory <= slot->held || memory - slot->held > FGD_CONTEXT_MAX)
                return;
        device->context_bytes = memory - slot->held;
        fg_store_relaxed(&slot->vgpu->pages->limits->context_bytes, device->context_bytes);
}

/* The driver gives one figure a process. Where it has several slots, what is not accounted for belongs to the first: a
 * process's first library is the one that made its context. */
static void publish(struct fgd_device *device, struct held_slot *slot, uint32_t slots, uint64_t memory)
{
        uint64_t others = 0, now = fg_now();
        for (uint32_t i = 1; i < slots; i++)
                others += slot[i].held;
        for (uint32_t i = 0; i < slots; i++) {
                struct fg_slot_owner *owner = &slot[i].vgpu->pages->limits->owner[slot[i].slot];
                uint64_t own = i ? slot[i].held : memory > others ? memory - others : 0;
                if (slots == 1)
                        learn_context(device, &slot[i], memory);
                fg_store_relaxed(&owner->driver_used, own);
                fg_store_release(&owner->driver_seen, now);
        }
}

static void judge_process(struct fgd_watchdog *w, struct fgd_device *device, const struct fgd_watch_process *seen)
{
        struct fgd_process *process = process_of(w->manager, seen->pid);
        struct held_slot slot[16];
        uint32_t slots = process ? slots_of(process, device, slot, 16) : 0;
        if (slots) {
                if (seen->memory >= 0)
                        publish(device, slot, slots, (uint64_t)seen->memory);
                return;
        }
        uint64_t start = start_time_of(seen->pid);
        if (!start)
                return; /* gone, or of another PID namespace */
        struct fgd_finding *f = finding_of(w, FGD_STRANGER, seen->pid, start, device->id);
        if (f)
                find(w, f, seen->memory < 0 ? 0 : (uint64_t)seen->memory);
}

/* --- one vGPU --- */

/* Sum over its processes by the driver's own figures, and the one that holds most. */
static uint64_t driver_sum(const struct fgd_pages *p, uint32_t *ret_pid)
{
        uint64_t sum = 0, most = 0;
        for (uint32_t i = 0; i < FG_SLOTS; i++) {
                const struct fg_slot_owner *owner = &p->limits->owner[i];
                uint32_t pid = fg_load_acquire(&owner->pid);
                uint64_t used = fg_load_acquire(&owner->driver_seen) ? fg_load_relaxed(&owner->driver_used) : 0;
                sum += pid ? used : 0;
                if (pid && used > most) {
                        most = used;
                        *ret_pid = pid;
                }
        }
        return sum;
}

static void judge_vgpus(struct fgd_watchdog *w, const struct fgd_device *device)
{
        struct fgd_pages *p;
        TAILQ_FOREACH(p, &w->manager->pages, order) {
                uint32_t pid = 0;
                if (p->vgpu->device != device)
                        continue;
                uint64_t sum = driver_sum(p, &pid), start = pid ? start_time_of(pid) : 0;
                if (!start || sum <= p->vgpu->memory + SLACK)
                        continue;
                struct fgd_finding *f = finding_of(w, FGD_OVER_QUOTA, pid, start, device->id);
                if (!f)
                        continue;
                snprintf(f->vgpu, sizeof f->vgpu, "%s", p->limits->name);
                find(w, f, sum);
        }
}

/* --- one line --- */

static struct fgd_device *device_of(struct fgd_manager *m, const char *uuid)
{
        for (uint32_t i = 0; uuid && i < m->devices; i++)
                if (strncmp(m->device[i]->key, "cuda/", 5) == 0 && strcmp(m->device[i]->key + 5, uuid) == 0)
                        return m->device[i];
        return NULL;
}

static void take_processes(struct fgd_look *look, const json_t *list)
{
        size_t i;
        json_t *pair;
        look->processes = 0;
        json_array_foreach(list, i, pair) {
                json_int_t pid = json_integer_value(json_array_get(pair, 0)), memory = json_integer_value(json_array_get(pair, 1));
                if (pid > 0 && pid <= INT32_MAX && look->processes < FGD_WATCH_PROCESSES)
                        look->process[look->processes++] = (struct fgd_watch_process){(uint32_t)pid, memory >= 0 ? memory : -1};
        }
}

static void take_look(struct fgd_watchdog *w, struct fgd_device *device, const json_t *object)
{
        struct fgd_look *look = w->look[device->id];
        const json_t *use = json_object_get(object, "utilization"), *used = json_object_get(object, "used");
        const char *error = json_string_value(json_object_get(object, "error"));
        if (!look)
                look = w->look[device->id] = calloc(1, sizeof *look);
        if (!look)
                return;
        snprintf(look->error, sizeof look->error, "%s", error ? error : "");
        if (error)
                return; /* the old figures stay, and turn stale */
        look->seen_at = fg_now();
        look->used = json_integer_value(used) > 0 ? (uint64_t)json_integer_value(used) : 0;
        look->utilization = json_is_integer(use) && json_integer_value(use) >= 0 && json_integer_value(use) <= 100 ? (int)json_integer_value(use) : -1;
        take_processes(look, json_object_get(object, "processes"));
        for (uint32_t i = 0; i < look->processes; i++)
                judge_process(w, device, &look->process[i]);
        judge_vgpus(w, device);
}

void fgd_watchdog_take(struct fgd_watchdog *w, const char *line)
{
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        struct fgd_device *device = device_of(w->manager, json_string_value(json_object_get(object, "watch")));
        if (device)
                take_look(w, device, object);
        json_decref(object); /* anything else is a driver's chatter */
}
