/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/use.h"

#include "base/atomic.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/arbiter.h"
#include "daemon/attach_server.h"
#include "daemon/manager.h"
#include "daemon/slots.h"
#include "daemon/usage.h"
#include "daemon/vgpus.h"

#include <errno.h>

#define LINGER_USEC 1000000

static void hold(struct fgd_use *use)
{
        for (uint32_t i = 0; i < use->count; i++)
                use->set->vgpu[use->first + i].pages->holders++;
}

static struct fgd_use *use_new(struct fgd_manager *m, struct fgd_process *process, struct fgd_set *set, int64_t index, bool attached)
{
        uint32_t count = index < 0 ? set->count : 1;
        struct fgd_use *use = calloc(1, sizeof *use + (attached ? count * sizeof use->slot[0] : 0));
        if (!use)
                return NULL;
        use->process = process;
        use->set = set;
        use->first = index < 0 ? 0 : (uint32_t)index;
        use->count = count;
        use->attached = attached;
        TAILQ_INSERT_TAIL(&process->uses, use, of_process);
        TAILQ_INSERT_TAIL(&set->uses, use, of_set);
        m->use_count++;
        return use;
}

static void use_free(struct fgd_manager *m, struct fgd_use *use)
{
        TAILQ_REMOVE(&use->process->uses, use, of_process);
        TAILQ_REMOVE(&use->set->uses, use, of_set);
        m->use_count--;
        m->lingering -= use->lingering;
        free(use);
}

static bool is_unheld(const struct fgd_vgpu *vgpu)
{
        return vgpu->pages && !vgpu->pages->holders;
}

/* Unmaps what nobody holds, unless its counters cannot be written now: then the periodic write does it. */
static void unload_idle(struct fgd_manager *m, struct fgd_set *set)
{
        uint32_t i = 0;
        while (i < set->count && !is_unheld(&set->vgpu[i]))
                i++;
        if (i < set->count && fgd_usage_persist(m) == 0)
                for (; i < set->count; i++)
                        if (is_unheld(&set->vgpu[i]))
                                fgd_pages_unload(m, &set->vgpu[i]);
        fgd_usage_watch(m);
}

static int load_view(struct fgd_manager *m, struct fgd_set *set, int64_t index, struct fg_error *err)
{
        uint32_t first = index < 0 ? 0 : (uint32_t)index, end = index < 0 ? set->count : first + 1;
        int r = 0;
        for (uint32_t i = first; r == 0 && i < end; i++)
                r = fgd_pages_load(m, &set->vgpu[i], err);
        if (r < 0)
                unload_idle(m, set);
        return r;
}

/* The process runs this view already: asking again changes nothing. */
static struct fgd_use *find_runner(const struct fgd_process *process, const struct fgd_set *set, int64_t index)
{
        uint32_t first = index < 0 ? 0 : (uint32_t)index, count = index < 0 ? set->count : 1;
        struct fgd_use *use;
        TAILQ_FOREACH(use, &process->uses, of_process)
                if (!use->attached && use->set == set && use->first == first && use->count == count)
                        return use;
        return NULL;
}

int fgd_use_new_runner(struct fgd_manager *m, struct fgd_process *process, struct fgd_set *set, int64_t index, struct fgd_use **ret,
                       struct fg_error *err)
{
        *ret = find_runner(process, set, index);
        if (*ret)
                return 0;
        int r = load_view(m, set, index, err);
        if (r < 0)
                return r;
        struct fgd_use *use = use_new(m, process, set, index, false);
        r = use ? fgd_runner_write(m, use, err) : fg_error_set(err, -ENOMEM, "out of memory");
        if (r < 0) {
                if (use)
                        use_free(m, use);
                unload_idle(m, set);
                return r;
        }
        hold(use);
        fgd_usage_watch(m);
        *ret = use;
        return 0;
}

int fgd_use_new_attached(struct fgd_manager *m, struct fgd_process *process, struct fgd_set *set, int64_t index, bool looks_only,
                         struct fgd_use **ret, struct fg_error *err)
{
        int r = load_view(m, set, index, err);
        if (r < 0)
                return r;
        struct fgd_use *use = use_new(m, process, set, index, true);
        r = use ? fgd_slots_take(use, looks_only) : -ENOMEM;
        if (r < 0) {
                if (use)
                        use_free(m, use);
                unload_idle(m, set);
                return fg_error_set(err, r, "process %u cannot attach to %s: %m", process->pid, set->name);
        }
        hold(use);
        fgd_usage_watch(m);
        fgd_manager_active(m);
        *ret = use;
        return 0;
}

static int on_linger(sd_event_source *source, uint64_t usec, void *user);

static void linger(struct fgd_manager *m, struct fgd_use *use)
{
        if (!use->lingering)
                m->lingering++;
        use->lingering = true;
        if (!m->linger_timer)
                sd_event_add_time_relative(m->event, &m->linger_timer, CLOCK_MONOTONIC, LINGER_USEC, LINGER_USEC / 4, on_linger, m);
        else if (m->lingering == 1) {
                sd_event_source_set_time_relative(m->linger_timer, LINGER_USEC);
                sd_event_source_set_enabled(m->linger_timer, SD_EVENT_ONESHOT);
        }
}

int fgd_use_adopt(struct fgd_manager *m, struct fgd_process *process, struct fgd_vgpu *vgpu, uint32_t slot)
{
        struct fgd_use *use = use_new(m, process, vgpu->set, vgpu->index, true);
        if (!use)
                return -ENOMEM;
        use->slot[0] = slot;
        hold(use);
        linger(m, use);
        return 0;
}

void fgd_use_end(struct fgd_use *use)
{
        struct fgd_manager *m = use->process->manager;
        struct fgd_set *set = use->set;
        if (use->attached)
                fgd_slots_give_back(use);
        else
                fgd_runner_remove(m, use);
        for (uint32_t i = 0; i < use->count; i++)
                set->vgpu[use->first + i].pages->holders--;
        if (use->link)
                fgd_attach_forget(use->link);
        use_free(m, use);
        fgd_manager_active(m);
        fgd_use_set_idle(m, set);
}

void fgd_use_set_idle(struct fgd_manager *m, struct fgd_set *set)
{
        unload_idle(m, set);
        if (!TAILQ_EMPTY(&set->uses))
                return;
        if (set->ending)
                fgd_vgpus_ended(m, set);
        else if (set->ephemeral)
                fgd_vgpus_expire(m, set);
}

void fgd_use_process_died(struct fgd_process *process)
{
        struct fgd_use *use;
        /* Everything the dead process held goes back before anything else is done about it. */
        TAILQ_FOREACH(use, &process->uses, of_process)
                if (use->attached)
                        fgd_slots_give_back(use);
        while ((use = TAILQ_FIRST(&process->uses)))
                fgd_use_end(use);
        fgd_process_drop(process);
}

/* Connections through which the same process still holds slots of this vGPU. */
static int connected(const struct fgd_process *process, const struct fgd_vgpu *vgpu)
{
        const struct fgd_use *use;
        int count = 0;
        TAILQ_FOREACH(use, &process->uses, of_process)
                count += use->attached && !use->lingering && use->set == vgpu->set && vgpu->index >= use->first &&
                         vgpu->index < use->first + use->count;
        return count;
}

/* True when the process certainly has no mapping left for this use. What cannot be known stays: the pidfd decides. */
static bool has_left(const struct fgd_use *use)
{
        const struct fgd_vgpu *vgpu = &use->set->vgpu[use->first];
        int maps = fgd_process_maps(use->process->pid, vgpu->pages->dev, vgpu->pages->inode);
        return maps >= 0 && maps <= connected(use->process, vgpu);
}

/* An attached program's image is gone, its process is not: what it became may attach again, so that vGPUs made for a run
 * stay with the process. */
static void end_image(struct fgd_use *use)
{
        struct fgd_use *stays;
        struct fg_error ignored = {0};
        if (use->set->ephemeral && !use->set->ending)
                fgd_use_new_runner(use->process->manager, use->process, use->set,
                                   use->count == use->set->count ? -1 : (int64_t)use->first, &stays, &ignored);
        fgd_use_end(use);
}

static void end_and_drop(struct fgd_use *use)
{
        struct fgd_process *process = use->process;
        end_image(use);
        fgd_process_drop(process);
}

void fgd_use_hung_up(struct fgd_use *use)
{
        linger(use->process->manager, use);
        if (has_left(use))
                end_and_drop(use);
}

static int on_linger(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        for (uint32_t b = 0; b < FGD_PROCESS_BUCKETS; b++) {
                struct fgd_process *p, *next_process;
                FGD_LIST_EACH_SAFE(p, &m->processes.bucket[b], chain, next_process) {
                        struct fgd_use *use, *next;
                        FGD_TAILQ_EACH_SAFE(use, &p->uses, of_process, next)
                                if (use->lingering && has_left(use))
                                        end_image(use);
                        fgd_process_drop(p);
                }
        }
        if (m->lingering) {
                sd_event_source_set_time_relative(source, LINGER_USEC);
                sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        return 0;
}

uint32_t fgd_use_pids(const struct fgd_set *set, uint32_t *ret, uint32_t max)
{
        const struct fgd_use *use, *other;
        uint32_t count = 0;
        TAILQ_FOREACH(use, &set->uses, of_set) {
                for (other = TAILQ_FIRST(&set->uses); other != use && other->process != use->process;)
                        other = TAILQ_NEXT(other, of_set);
                if (other != use)
                        continue;
                if (count < max)
                        ret[count] = use->process->pid;
                count++;
        }
        return count;
}
