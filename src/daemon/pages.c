/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pages.h"

#include "base/atomic.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/log.h"
#include "daemon/arbiter.h"
#include "daemon/guard.h"
#include "daemon/manager.h"
#include "daemon/usage.h"
#include "ledger/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define LIMITS_SIZE sizeof(struct fg_limits_page)
#define USAGE_SIZE  sizeof(struct fg_usage_page)

char *fgd_uuid_format(const uint8_t u[16], char ret[37])
{
        static const char digits[] = "0123456789abcdef";
        char *at = ret;
        for (int i = 0; i < 16; i++) {
                if (i == 4 || i == 6 || i == 8 || i == 10)
                        *at++ = '-';
                *at++ = digits[u[i] >> 4];
                *at++ = digits[u[i] & 15];
        }
        *at = 0;
        return ret;
}

static void folder_path(const struct fgd_manager *m, const uint8_t uuid[16], char *ret, size_t size)
{
        char text[37];
        snprintf(ret, size, "%s/vgpu/%s", m->paths.run, fgd_uuid_format(uuid, text));
}

static struct fgd_pages *pages_free(struct fgd_pages *p)
{
        if (p->usage)
                fgd_guard_remove(p->usage);
        if (p->usage)
                munmap(p->usage, USAGE_SIZE);
        if (p->limits)
                munmap(p->limits, LIMITS_SIZE);
        fgd_pages_files_close(&(struct fgd_pages_files){-1, -1, p->poke, p->limits_fd, p->usage_fd, p->poke_fd});
        free(p);
        return NULL;
}

static void pages_freep(struct fgd_pages **p)
{
        if (*p)
                pages_free(*p);
}

static int map_page(int fd, size_t size, void **ret, struct fg_error *err)
{
        struct stat st;
        if (fstat(fd, &st) < 0 || (size_t)st.st_size < size)
                return fg_error_set(err, -EUCLEAN, "a page of %lld bytes instead of %zu", (long long)st.st_size, size);
        void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED)
                return fg_error_set(err, -errno, "cannot map a page: %m");
        *ret = at;
        return 0;
}

static int check_pages(const struct fgd_manager *m, const struct fgd_vgpu *vgpu, const struct fgd_pages *p, struct fg_error *err)
{
        int r = fg_page_check_limits(p->limits, LIMITS_SIZE, m->boot_id, err);
        if (r == 0)
                r = fg_page_check_usage(p->usage, USAGE_SIZE, err);
        if (r == 0 && memcmp(p->limits->uuid, vgpu->uuid, 16) != 0)
                r = fg_error_set(err, -EUCLEAN, "a page of another vGPU");
        return r;
}

/* Maps what lies in the folder. -ENOENT: nothing; -EUCLEAN, -ESTALE, -EPROTO: not to be used. */
static int open_pages(struct fgd_manager *m, struct fgd_vgpu *vgpu, const char *folder, struct fgd_pages **ret, struct fg_error *err)
{
        struct fgd_pages_files files;
        int r = fgd_pages_files_open(folder, &files, err);
        if (r < 0)
                return r;
        FG_CLEANUP(pages_freep) struct fgd_pages *p = calloc(1, sizeof *p);
        if (!p) {
                fgd_pages_files_close(&files);
                return fg_error_set(err, -ENOMEM, "out of memory");
        }
        *p = (struct fgd_pages){.vgpu = vgpu, .poke = files.poke, .limits_fd = files.tenant_limits,
                                .usage_fd = files.tenant_usage, .poke_fd = files.tenant_poke};
        r = map_page(files.limits, LIMITS_SIZE, (void **)&p->limits, err);
        if (r == 0)
                r = map_page(files.usage, USAGE_SIZE, (void **)&p->usage, err);
        close(files.limits);
        close(files.usage);
        if (r == 0 && (fgd_guard_add(p->usage, USAGE_SIZE, &p->damaged) < 0 ||
                       fgd_process_map_identity(p->usage, &p->dev, &p->inode) < 0))
                r = fg_error_set(err, -ENOMEM, "cannot watch over a page");
        if (r == 0)
                r = check_pages(m, vgpu, p, err);
        if (r < 0)
                return r;
        *ret = FG_TAKE_PTR(p);
        return 0;
}

void fgd_pages_put_aside(struct fgd_manager *m, const uint8_t uuid[16], const char *why)
{
        char from[PATH_MAX], to[PATH_MAX + 64];
        folder_path(m, uuid, from, sizeof from);
        long long now = (long long)time(NULL);
        snprintf(to, sizeof to, "%s.corrupt-%lld", from, now);
        for (unsigned n = 2; access(to, F_OK) == 0; n++)
                snprintf(to, sizeof to, "%s.corrupt-%lld-%u", from, now, n);
        if (rename(from, to) < 0 && errno != ENOENT) {
                fgd_manager_note(m, "cannot put %s aside (%m); it is removed", from);
                fgd_folder_remove(from);
                return;
        }
        fgd_manager_note(m, "the pages in %s were put aside: %s", to, why);
}

/* Pages of an earlier boot are void without being damaged, and so is a folder whose removal was cut short: nothing to tell. */
static int retire(struct fgd_manager *m, struct fgd_vgpu *vgpu, const char *folder, int reason, const struct fg_error *why,
                  struct fg_error *err)
{
        if (reason == -ESTALE || reason == -ENOENT)
                fgd_folder_remove(folder);
        else
                fgd_pages_put_aside(m, vgpu->uuid, why->text);
        return fgd_usage_fold(m, vgpu, err);
}

/* What the store says is the truth; a page never holds a larger quota. */
static void take_over(struct fgd_pages *p)
{
        const struct fgd_vgpu *vgpu = p->vgpu;
        uint64_t used;
        fg_ledger_recover(p->usage);
        if (fg_ledger_set_quota(p->limits, p->usage, vgpu->memory, &used) < 0)
                fg_store_seq_cst(&p->limits->quota, vgpu->memory);
        fg_store_release(&p->limits->share_permille, (uint32_t)vgpu->share);
        fg_store_release(&p->limits->mode, (uint32_t)vgpu->mode);
        fg_store_release(&p->limits->priority, (uint32_t)vgpu->priority);
        if (vgpu->device->context_bytes)
                fg_store_relaxed(&p->limits->context_bytes, vgpu->device->context_bytes);
        fg_store_seq_cst(&p->limits->closed, 0u);
        fg_store_seq_cst(&p->limits->held, (uint32_t)vgpu->set->is_paused);
}

static int start_arbiter(struct fgd_manager *m, struct fgd_pages *p, struct fg_error *err)
{
        struct fgd_device *device = p->vgpu->device;
        struct fgd_arbiter_config config = {.quantum = m->options.value[FG_OPT_QUANTUM] * FG_NSEC_PER_USEC,
                                            .free_after = m->options.value[FG_OPT_FREE_AFTER] * FG_NSEC_PER_MSEC,
                                            .preemptive = strcmp(device->type, "cpu") == 0};
        int r = device->arbiter ? 0 : fgd_arbiter_new(&config, &device->arbiter, err);
        if (r < 0)
                return fg_error_wrap(err, r, "cannot start the arbiter of device %u", device->id);
        r = fgd_arbiter_add(device->arbiter, p->limits, p->usage, p->poke, &p->vgpu->account, &p->client);
        return r < 0 ? fg_error_set(err, r, "the arbiter of device %u cannot take %s: %m", device->id, p->limits->name) : 0;
}

int fgd_pages_load(struct fgd_manager *m, struct fgd_vgpu *vgpu, struct fg_error *err)
{
        char folder[PATH_MAX];
        FG_CLEANUP(pages_freep) struct fgd_pages *p = NULL;
        struct fg_error why = {0};
        if (vgpu->pages)
                return 0;
        folder_path(m, vgpu->uuid, folder, sizeof folder);
        int r = open_pages(m, vgpu, folder, &p, &why);
        if (r == -ENOENT || r == -EUCLEAN || r == -ESTALE || r == -EPROTO) {
                r = retire(m, vgpu, folder, r, &why, err);
                if (r == 0)
                        r = fgd_pages_files_make(folder, vgpu, m->boot_id, err);
                if (r == 0)
                        r = open_pages(m, vgpu, folder, &p, err);
        } else if (r < 0) {
                fg_error_set(err, r, "%s", why.text);
        }
        if (r < 0)
                return fg_error_wrap(err, r, "the pages of %s/%u", vgpu->set->name, vgpu->index);
        take_over(p);
        r = start_arbiter(m, p, err);
        if (r < 0)
                return r;
        p->saved = vgpu->live;
        vgpu->had_pages = true;
        TAILQ_INSERT_TAIL(&m->pages, p, order);
        vgpu->pages = FG_TAKE_PTR(p);
        return 0;
}

void fgd_pages_unload(struct fgd_manager *m, struct fgd_vgpu *vgpu)
{
        struct fgd_pages *p = vgpu->pages;
        if (!p)
                return;
        fgd_pages_settle(p);
        fgd_arbiter_remove(vgpu->device->arbiter, p->client);
        TAILQ_REMOVE(&m->pages, p, order);
        vgpu->pages = NULL;
        if (fg_load_acquire(&p->damaged)) { /* by one of its own programs: nothing in it is worth keeping */
                fgd_manager_note(m, "the usage page of %s/%u was cut or blown up by a program; it is made anew", vgpu->set->name,
                                 vgpu->index);
                fgd_pages_delete(m, vgpu->uuid);
        }
        pages_free(p);
}

void fgd_pages_delete(struct fgd_manager *m, const uint8_t uuid[16])
{
        char folder[PATH_MAX];
        folder_path(m, uuid, folder, sizeof folder);
        fgd_folder_remove(folder);
}

/* The file is the tenant's to write, and so to lengthen: it must not fill the folder that all share. */
static void check_length(struct fgd_pages *p)
{
        struct stat st;
        if (fstat(p->usage_fd, &st) == 0 && st.st_size > (off_t)USAGE_SIZE && ftruncate(p->usage_fd, USAGE_SIZE) == 0)
                fg_store_release(&p->damaged, 1);
}

uint64_t fgd_pages_look(struct fgd_pages *p)
{
        struct fgd_vgpu *vgpu = p->vgpu;
        check_length(p);
        struct fgd_counters now = {.peak = fg_load_relaxed(&p->usage->peak), .granted_ns = fg_load_relaxed(&p->limits->granted)};
        for (uint32_t i = 0; i < FG_SLOTS; i++) {
                const struct fg_slot *slot = &p->usage->slot[i];
                now.launches += fg_load_relaxed(&slot->launches);
                now.waits += fg_load_relaxed(&slot->waits);
                now.wait_ns += fg_load_relaxed(&slot->wait_time);
                now.refusals += fg_load_relaxed(&slot->refusals);
                now.faults += fg_load_relaxed(&slot->faults);
        }
        /* The daemon's own account, not the tenant's word. */
        now.gpu_ns = fg_load_relaxed(&p->limits->charged);
        uint64_t used = fg_load_relaxed(&p->usage->counter.used);
        uint64_t high = now.peak > vgpu->live.peak && now.peak > used ? now.peak : used; /* it rose since the last look */
        if (high > vgpu->memory_high)
                vgpu->memory_high = high;
        fgd_counters_max(&vgpu->live, &now); /* a tenant cannot take back what was counted */
        return used;
}

void fgd_pages_settle(struct fgd_pages *p)
{
        fgd_arbiter_refresh(p->vgpu->device->arbiter);
        fgd_pages_look(p);
}

void fgd_pages_apply(struct fgd_pages *p)
{
        fg_store_release(&p->limits->share_permille, (uint32_t)p->vgpu->share);
        fg_store_release(&p->limits->mode, (uint32_t)p->vgpu->mode);
        fg_store_release(&p->limits->priority, (uint32_t)p->vgpu->priority);
        fgd_arbiter_changed(p->vgpu->device->arbiter, p->client);
}

void fgd_pages_close(struct fgd_pages *p, bool closed)
{
        fg_store_seq_cst(&p->limits->closed, (uint32_t)closed);
        fgd_arbiter_changed(p->vgpu->device->arbiter, p->client);
}

void fgd_pages_hold(struct fgd_pages *p, bool held)
{
        fg_store_seq_cst(&p->limits->held, (uint32_t)held);
        fg_futex_wake_all(&p->limits->held);
        fgd_arbiter_changed(p->vgpu->device->arbiter, p->client);
}
