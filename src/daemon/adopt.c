/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/adopt.h"

#include "base/atomic.h"
#include "base/log.h"
#include "daemon/attach_server.h"
#include "daemon/box.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/slots.h"
#include "daemon/use.h"
#include "daemon/vgpus.h"
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int by_uuid(const void *a, const void *b)
{
        return memcmp((*(struct fgd_vgpu *const *)a)->uuid, (*(struct fgd_vgpu *const *)b)->uuid, 16);
}

static struct fgd_vgpu **sorted(struct fgd_manager *m)
{
        struct fgd_vgpu **all = malloc((m->vgpu_count + 1) * sizeof *all);
        struct fgd_set *set;
        uint32_t n = 0;
        if (!all)
                return NULL;
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; i < set->count; i++)
                        all[n++] = &set->vgpu[i];
        qsort(all, n, sizeof *all, by_uuid);
        return all;
}

static bool parse_uuid(const char *text, uint8_t ret[16])
{
        char check[37];
        const char *at = text;
        if (strlen(text) != 36)
                return false;
        for (int i = 0; i < 16; i++, at += 2) {
                at += *at == '-';
                unsigned byte;
                if (sscanf(at, "%2x", &byte) != 1)
                        return false;
                ret[i] = (uint8_t)byte;
        }
        return strcmp(fgd_uuid_format(ret, check), text) == 0;
}

/* One slot of pages just mapped: the owner lives and is taken over, or what it held goes back. Returns 1 when taken. */
static int adopt_slot(struct fgd_manager *m, struct fgd_vgpu *vgpu, uint32_t slot)
{
        struct fgd_pages *p = vgpu->pages;
        const struct fg_slot_owner *owner = &p->limits->owner[slot];
        uint32_t pid = fg_load_acquire(&owner->pid);
        struct fgd_process *process;
        if (!pid) {
                fg_ledger_reap(p->usage, slot); /* a daemon may have died between vacating and reaping it */
                return 0;
        }
        int r = fgd_process_of_pid(m, pid, fg_load_relaxed(&owner->start_time), &process);
        if (r == 0) {
                r = fgd_use_adopt(m, process, vgpu, slot);
                fgd_process_drop(process);
                return r == 0;
        }
        /* ENOENT, EINVAL: the number is a thread's by now. */
        if (r == -ESRCH || r == -ENOENT || r == -EINVAL) /* any other failure says nothing about the process: the slot stays as it is */
                fgd_slots_reap(p, slot);
        return 0;
}

static void adopt_vgpu(struct fgd_manager *m, struct fgd_vgpu *vgpu)
{
        struct fg_error err = {0};
        int taken = 0;
        vgpu->had_pages = true;
        if (vgpu->damaged_row || !vgpu->device) /* a vGPU that merely does not fit any more may have programs running */
                return;
        if (fgd_pages_load(m, vgpu, &err) < 0) {
                fgd_manager_note(m, "%s", err.text);
                return;
        }
        for (uint32_t i = 0; i < FG_SLOTS; i++)
                taken += adopt_slot(m, vgpu, i);
        if (taken)
                fg_log_info("%s/%u: %d process%s taken over", vgpu->set->name, vgpu->index, taken, taken == 1 ? "" : "es");
}

/* Pages whose vGPU no store knows: their owners can only be named. */
static void forget_pages(struct fgd_manager *m, const char *folder, const uint8_t uuid[16])
{
        struct stat st;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", m->paths.run, folder);
        if (stat(path, &st) == 0)
                fg_log_info("the pages in %s belong to no vGPU; they are removed", path);
        fgd_pages_delete(m, uuid);
}

/* Pages that a killed daemon was still making. */
static void remove_unfinished(const char *folder, const char *name)
{
        char path[PATH_MAX];
        size_t length = strlen(name);
        if (length < 4 || strcmp(name + length - 4, ".new") != 0)
                return;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        fgd_folder_remove(path);
}

static void adopt_pages(struct fgd_manager *m, struct fgd_vgpu **all)
{
        char path[PATH_MAX];
        uint8_t uuid[16];
        snprintf(path, sizeof path, "%s/vgpu", m->paths.run);
        DIR *folder = opendir(path);
        if (!folder)
                return;
        for (struct dirent *e; (e = readdir(folder));) {
                struct fgd_vgpu key, *pkey = &key;
                if (!parse_uuid(e->d_name, uuid)) {
                        remove_unfinished(path, e->d_name);
                        continue;
                }
                memcpy(key.uuid, uuid, 16);
                struct fgd_vgpu **found = bsearch(&pkey, all, m->vgpu_count, sizeof *all, by_uuid);
                if (found)
                        adopt_vgpu(m, *found);
                else
                        forget_pages(m, e->d_name, uuid);
        }
        closedir(folder);
}

void fgd_adopt(struct fgd_manager *m)
{
        struct fgd_set *set, *next;
        struct fgd_vgpu **all = sorted(m);
        if (all)
                adopt_pages(m, all);
        free(all);
        fgd_runner_adopt_all(m);
        fgd_attach_adopt(m);
        fgd_box_adopt(m);
        FGD_TAILQ_EACH_SAFE(set, &m->sets, order, next)
                fgd_use_set_idle(m, set);
}
