/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pairing.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/jobs.h"
#include "daemon/manager.h"
#include "daemon/tenants.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEIGHBOURS 16u /* of more on one device nothing is predicted */
#define SAVE_NS    (600 * FG_NSEC_PER_SEC)

struct fgd_pairing {
        struct fg_pair *pair;
        bool has_new;
        uint64_t saved_at;
};

/* Who is on each device and not paused. */
struct neighbours {
        uint64_t class[FGD_DEVICES_MAX][NEIGHBOURS];
        uint32_t count[FGD_DEVICES_MAX];
};

int fgd_pairing_new(struct fgd_manager *m, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        size_t size = 0;
        struct fg_error why = {0};
        struct fgd_pairing *p = calloc(1, sizeof *p);
        if (!p)
                return fg_error_set(err, -ENOMEM, "out of memory");
        m->pairing = p;
        p->saved_at = fg_now();
        int r = fgd_learn_read(m, "paired", &text, &size, &why);
        if (r == 0)
                r = fg_pair_restore(text, size, &p->pair, &why);
        if (r < 0 && r != -ENOENT)
                fgd_manager_note(m, "who slows whom is learned anew: %s", why.text);
        if (r < 0 && fg_pair_new(&p->pair) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        return 0;
}

void fgd_pairing_free(struct fgd_manager *m)
{
        if (!m->pairing)
                return;
        fgd_pairing_save(m, true);
        fg_pair_free(m->pairing->pair);
        free(m->pairing);
        m->pairing = NULL;
}

void fgd_pairing_save(struct fgd_manager *m, bool now)
{
        struct fgd_pairing *p = m->pairing;
        fg_autofree char *text = NULL;
        size_t size;
        if (!p || !p->has_new || (!now && fg_now() - p->saved_at < SAVE_NS))
                return;
        p->saved_at = fg_now();
        int r = fg_pair_save(p->pair, &text, &size);
        if (r == 0)
                r = fgd_learn_write(m, "paired", text, size);
        if (r == 0)
                p->has_new = false;
        else
                fg_log_warning("who slows whom could not be written down: %s", strerror(-r));
}

/* "vgpu-1a2b3c", "run-1a2b3c": nobody's words. */
static bool is_made_up(const char *name)
{
        const char *digits = strncmp(name, "vgpu-", 5) == 0 ? name + 5 : strncmp(name, "run-", 4) == 0 ? name + 4 : NULL;
        return digits && strlen(digits) == 6 && strspn(digits, "0123456789abcdef") == 6;
}

uint64_t fgd_pairing_class(const struct fgd_project *project, const char *name)
{
        if (!project || !*name || is_made_up(name))
                return 0;
        uint64_t class = (fgd_learn_name(name) ^ (uint64_t)project->id * 0x9e3779b97f4a7c15u) * 0x100000001b3u;
        return class ? class : 1;
}

uint64_t fgd_pairing_class_of(const struct fgd_set *set)
{
        return fgd_pairing_class(set->project, set->run ? set->run->job->name : set->name);
}

void fgd_pairing_window(struct fgd_manager *m, const struct fg_pair_work *work, size_t count, uint64_t wall_us)
{
        if (!m->pairing)
                return;
        m->pairing->has_new |= fg_pair_window(m->pairing->pair, work, count, wall_us);
}

static void list_neighbours(const struct fgd_manager *m, const struct fgd_set *but, struct neighbours *ret)
{
        const struct fgd_set *set;
        memset(ret->count, 0, sizeof ret->count);
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; set != but && !set->is_paused && i < set->count; i++) {
                        const struct fgd_device *d = set->vgpu[i].device;
                        if (d && ret->count[d->id]++ < NEIGHBOURS)
                                ret->class[d->id][ret->count[d->id] - 1] = fgd_pairing_class_of(set);
                }
}

/* false: there are too many to say anything, or nobody else. */
static bool predict(const struct fgd_manager *m, const struct neighbours *n, uint32_t device, uint64_t class, struct fg_pair_prediction *ret)
{
        uint64_t all[NEIGHBOURS + 1];
        uint32_t count = n->count[device];
        if (count == 0 || count > NEIGHBOURS)
                return false;
        memcpy(all, n->class[device], count * sizeof *all);
        all[count] = class;
        fg_pair_predict(m->pairing->pair, all, count + 1, ret);
        return ret->known;
}

void fgd_pairing_crowded(const struct fgd_manager *m, uint64_t class, bool ret[FGD_DEVICES_MAX], uint32_t ret_loss[FGD_DEVICES_MAX])
{
        uint64_t limit = m->options.value[FG_OPT_SLOWDOWN_LIMIT];
        struct fg_pair_prediction p;
        memset(ret, 0, FGD_DEVICES_MAX * sizeof *ret);
        memset(ret_loss, 0, FGD_DEVICES_MAX * sizeof *ret_loss);
        fg_autofree struct neighbours *n = limit && class && m->pairing ? malloc(sizeof *n) : NULL;
        if (!n)
                return;
        list_neighbours(m, NULL, n);
        for (uint32_t d = 0; d < m->devices; d++) {
                ret_loss[d] = predict(m, n, d, class, &p) && p.slow > 1000 ? p.slow - 1000 : 0;
                ret[d] = ret_loss[d] > 10 * limit;
        }
}

void fgd_pairing_explain(const struct fgd_manager *m, const struct fgd_set *set, char ret[FGD_PAIRING_TEXT])
{
        const struct fgd_device *device = set->vgpu[0].device;
        uint64_t class = fgd_pairing_class_of(set);
        struct fg_pair_prediction p;
        fg_autofree struct neighbours *n = m->pairing && device && class ? malloc(sizeof *n) : NULL;
        ret[0] = '\0';
        if (!n)
                return;
        list_neighbours(m, set, n);
        if (!predict(m, n, device->id, class, &p))
                return;
        int at = snprintf(ret, FGD_PAIRING_TEXT, "on device %u with %u other%s: the slowest is predicted to take %u.%02u times its time alone, ", device->id,
                          n->count[device->id], n->count[device->id] == 1 ? "" : "s", p.slow / 1000, p.slow % 1000 / 10);
        if (p.windows)
                snprintf(ret + at, FGD_PAIRING_TEXT - (size_t)at, "measured in %llu minutes", (unsigned long long)p.windows);
        else
                snprintf(ret + at, FGD_PAIRING_TEXT - (size_t)at, "as alone they use %u.%u %% together", p.joint / 10, p.joint % 10);
}
