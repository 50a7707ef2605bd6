/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/repack.h"

#include <errno.h>

/* With the guest taken out: is there a better node, by so much? */
static int look_for(const struct fg_repack *r, struct fg_chooser *ch, const struct fg_repack_guest *g, struct fg_cluster_place *ret)
{
        struct fg_cluster_place place;
        int32_t now, then;
        int code = fg_chooser_choose(ch, &g->pod, &place);
        if (code < 0 || place.node == g->place.node)
                return code < 0 ? code : -ENOENT;
        code = fg_chooser_score(ch, &g->pod, NULL, g->place.node, &now);
        if (code == 0)
                code = fg_chooser_score(ch, &g->pod, NULL, place.node, &then);
        if (code == 0 && (int64_t)then - now < r->gain)
                code = -ENOENT;
        if (code == 0)
                *ret = place;
        return code;
}

/* 1: moved; 0: stays. The cluster's own word is asked for both, so that nothing can be over-committed. */
static int consider(const struct fg_repack *r, struct fg_cluster *c, struct fg_chooser *ch, struct fg_repack_guest *g)
{
        struct fg_cluster_place better = g->place;
        int code = fg_cluster_release(c, &g->pod, g->place);
        if (code < 0)
                return code;
        int found = look_for(r, ch, g, &better);
        code = fg_cluster_take(c, &g->pod, better);
        if (code < 0 || found == -ENOMEM)
                return code < 0 ? code : found;
        g->place = better;
        return found == 0;
}

int fg_repack(struct fg_repack *r, struct fg_cluster *c, struct fg_chooser *ch, struct fg_repack_guest *guest, size_t stride, size_t guests,
              void (*moved)(void *user, size_t i), void *user)
{
        unsigned done = 0;
        if (fg_chooser_is_random(ch) || r->gain <= 0)
                return 0;
        for (unsigned i = 0; i < r->look && i < guests && done < r->moves; i++) {
                size_t at = r->cursor++ % guests;
                struct fg_repack_guest *g = (struct fg_repack_guest *)((char *)guest + at * stride);
                int code = g->pod.gpus ? consider(r, c, ch, g) : 0;
                if (code < 0)
                        return code;
                if (code) {
                        done++;
                        moved(user, at);
                }
        }
        return (int)done;
}
