/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/fleet_internal.h"

#include <errno.h>
#include <stdio.h>

static enum fg_fleet_lack judge(const struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node, struct fg_fleet_verdict *ret)
{
        const struct fg_word_pair *taint;
        uint32_t app;
        for (size_t i = 0; i < ask->terms; i++)
                if (!fg_ask_holds(f, &ask->term[i], node)) {
                        ret->key = f->words.text[ask->term[i].key];
                        return FG_FLEET_LABEL;
                }
        taint = fg_ask_taint(f, ask, node);
        if (taint) {
                ret->key = f->words.text[taint->key];
                ret->value = f->words.text[taint->value];
                return FG_FLEET_TAINT;
        }
        ret->room = fg_cluster_judge(fg_cluster_node(f->cluster, node), &ask->pod);
        if (ret->room != FG_CLUSTER_FITS)
                return FG_FLEET_ROOM;
        enum fg_fleet_lack lack = fg_fleet_bond_lack(f, ask, node, &app);
        if (lack != FG_FLEET_FITS)
                ret->key = f->apps.text[app];
        return lack;
}

int fg_fleet_judge(struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node, struct fg_fleet_verdict *ret)
{
        const struct fg_chooser_rule rule = {.id = ask->id, .node = ask->node};
        struct fg_fleet_verdict v = {0};
        if (node >= f->nodes)
                return -EINVAL;
        v.lack = judge(f, ask, node, &v);
        if (v.lack == FG_FLEET_FITS)
                v.wished = fg_ask_wished(f, ask, node);
        int r = v.lack == FG_FLEET_FITS ? fg_chooser_score(f->chooser, &ask->pod, &rule, node, &v.score) : 0;
        if (r == 0)
                *ret = v;
        return r;
}

/* Below 0: the first one loses. */
static int compare(const struct fg_fleet_verdict *a, const struct fg_fleet_verdict *b)
{
        if (a->wished != b->wished)
                return a->wished < b->wished ? -1 : 1;
        return (a->score > b->score) - (a->score < b->score);
}

static int count_scores(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_fleet_why *why)
{
        struct fg_fleet_verdict best = {.wished = INT64_MIN};
        for (int pass = 0; pass < 2; pass++)
                for (uint32_t i = 0; i < f->nodes; i++) {
                        struct fg_fleet_verdict v;
                        int r = fg_fleet_judge(f, ask, i, &v);
                        if (r < 0)
                                return r;
                        if (v.lack != FG_FLEET_FITS)
                                continue;
                        if (pass == 0) {
                                best = compare(&v, &best) > 0 ? v : best;
                                continue;
                        }
                        why->less += compare(&v, &best) < 0;
                        why->equal += compare(&v, &best) == 0;
                }
        why->equal -= why->equal > 0;
        return 0;
}

int fg_fleet_explain(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_fleet_why *ret)
{
        struct fg_fleet_why why = {0};
        for (uint32_t i = 0; i < f->nodes; i++) {
                struct fg_fleet_verdict v = {0};
                v.lack = judge(f, ask, i, &v);
                if (why.lack[v.lack]++ == 0)
                        why.sample[v.lack] = v;
                why.room[v.room] += v.lack == FG_FLEET_ROOM;
        }
        int r = why.lack[FG_FLEET_FITS] ? count_scores(f, ask, &why) : 0;
        if (r == 0)
                *ret = why;
        return r;
}

__attribute__((format(printf, 4, 0))) static size_t add(char *ret, size_t size, size_t at, const char *format, unsigned count, const char *a, const char *b)
{
        int n = at < size ? snprintf(ret + at, size - at, format, count, a, b) : 0;
        return n < 0 ? at : at + (size_t)n;
}

void fg_fleet_say(const struct fg_fleet_why *why, char *ret, size_t size)
{
        static const char *const format[FG_FLEET_LACK_COUNT] = {[FG_FLEET_LABEL] = "; %u: another label, such as of %s",
                                                                [FG_FLEET_TAINT] = "; %u: not tolerated taints, such as %s=%s",
                                                                [FG_FLEET_BOND] = "; %u: nobody of %s is there",
                                                                [FG_FLEET_APART] = "; %u: apart from %s"};
        unsigned all = 0;
        for (int i = 0; i < FG_FLEET_LACK_COUNT; i++)
                all += why->lack[i];
        int n = snprintf(ret, size, "%u of %u nodes fit", why->lack[FG_FLEET_FITS], all);
        size_t at = n < 0 ? 0 : (size_t)n;
        for (int i = 0; i < FG_FLEET_LACK_COUNT; i++)
                if (why->lack[i] && format[i])
                        at = add(ret, size, at, format[i], why->lack[i], why->sample[i].key ? why->sample[i].key : "",
                                 why->sample[i].value ? why->sample[i].value : "");
        for (int i = 0; i < FG_CLUSTER_LACK_COUNT; i++)
                if (why->room[i])
                        at = add(ret, size, at, "; %u: %s", why->room[i], fg_cluster_lack_text[i], "");
}
