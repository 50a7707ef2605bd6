/* SPDX-License-Identifier: Apache-2.0
 * The answers to kube-scheduler. Go writes these types' fields as they are called there, and reads them in any case; so do we, as far as it goes. */
#include "integrations/scheduler/scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCORE_MAX 10 /* MaxExtenderPriority */

static json_t *part_of(const json_t *question, const char *name, const char *plain)
{
        json_t *part = json_object_get(question, name);
        return part ? part : json_object_get(question, plain);
}

const json_t *fgi_sched_pod_of(const json_t *question)
{
        return part_of(question, "Pod", "pod");
}

/* The nodes to choose among: by name where kube-scheduler was told that we know them, else whole. */
struct question {
        const json_t *pod, *names, *items;
        size_t count;
};

static int read_question(const json_t *json, struct question *ret, struct fg_error *err)
{
        struct question q = {.pod = fgi_sched_pod_of(json), .names = part_of(json, "NodeNames", "nodenames")};
        const json_t *nodes = part_of(json, "Nodes", "nodes");
        q.items = json_is_array(q.names) ? NULL : part_of(nodes, "items", "Items");
        if (!json_is_object(q.pod))
                return fg_error_set(err, -EINVAL, "the question has no Pod");
        if (!json_is_array(q.names) && !json_is_object(nodes))
                return fg_error_set(err, -EINVAL, "the question has neither NodeNames nor Nodes");
        q.count = json_array_size(q.items ? q.items : q.names);
        *ret = q;
        return 0;
}

static const char *node_of(const struct question *q, size_t i)
{
        const char *name = q->items ? fgi_sched_text(json_object_get(json_array_get(q->items, i), "metadata"), "name") : json_string_value(json_array_get(q->names, i));
        return name ? name : "";
}

/* The same sentence for all nodes with the same lack: kube-scheduler counts them. In words: it has a "%" formatted (1.37.2). */
static void say(const struct fgi_sched_verdict *v, const struct fgi_sched_wants *wants, char *ret, size_t size)
{
        static const char *const format[FGI_SCHED_LACK_COUNT] = {[FGI_SCHED_NO_GPUS] = "FastGPU: no GPUs for claims there, %s wanted",
                                                                 [FGI_SCHED_TOO_LARGE] = "FastGPU: no GPU has %s for claims",
                                                                 [FGI_SCHED_NO_ROOM] = "FastGPU: no GPU has %s free",
                                                                 [FGI_SCHED_TAINTED] = "FastGPU: the GPUs with %s are tainted"};
        char what[96];
        if (v->lack == FGI_SCHED_NO_ROOM && !v->best) {
                snprintf(ret, size, "FastGPU: no room for all %zu vGPUs at once", wants->count);
                return;
        }
        fgi_sched_say(v->want->memory, v->want->share, what, sizeof what);
        char *sign = strchr(what, '%');
        if (sign)
                snprintf(sign, sizeof what - (size_t)(sign - what), "percent");
        snprintf(ret, size, format[v->lack], what);
        if (wants->count > 1)
                snprintf(ret + strlen(ret), size - strlen(ret), " (one of %zu vGPUs)", wants->count);
}

static struct fgi_sched_verdict judge(const struct fgi_sched_view *view, const struct fgi_sched_wants *wants, const char *name)
{
        const struct fgi_sched_node *node = fgi_sched_view_node(view, name);
        /* A claim that is allocated has its place; a node that we do not know may have come meanwhile. */
        if (!node || wants->allocated)
                return (struct fgi_sched_verdict){0};
        return fgi_sched_judge(node, wants);
}

json_t *fgi_sched_filter(struct fgi_sched_view *view, const struct fgi_kube_class *class, size_t classes, const json_t *question, size_t *ret_refused,
                         struct fg_error *err)
{
        struct fgi_sched_wants wants;
        struct question q;
        if (read_question(question, &q, err) < 0)
                return NULL;
        fgi_sched_wants(view, class, classes, q.pod, &wants);
        json_t *fit = json_array(), *now = json_object(), *never = json_object();
        for (size_t i = 0; i < q.count; i++) {
                const char *name = node_of(&q, i);
                struct fgi_sched_verdict v = judge(view, &wants, name);
                char text[200];
                if (v.lack == FGI_SCHED_FITS) {
                        json_array_append(fit, json_array_get(q.items ? q.items : q.names, i));
                        continue;
                }
                say(&v, &wants, text, sizeof text);
                /* What claims may have of a GPU grows when a pod with a class's part of it ends. */
                json_object_set_new(v.lack == FGI_SCHED_NO_ROOM || v.lack == FGI_SCHED_TOO_LARGE ? now : never, name, json_string(text));
        }
        *ret_refused = json_object_size(now) + json_object_size(never);
        return q.items ? json_pack("{s:{s:o}, s:o, s:o, s:s}", "Nodes", "items", fit, "FailedNodes", now, "FailedAndUnresolvableNodes", never, "Error", "") :
                         json_pack("{s:o, s:o, s:o, s:s}", "NodeNames", fit, "FailedNodes", now, "FailedAndUnresolvableNodes", never, "Error", "");
}

/* --- prioritize --- */

struct ranked {
        const char *name;
        int32_t score;
};

/* Equal ones in the order of their names: random, they would spread what the policy packs. */
static int better_first(const void *a, const void *b)
{
        const struct ranked *x = a, *y = b;
        return x->score != y->score ? (x->score < y->score ? 1 : -1) : strcmp(x->name, y->name);
}

json_t *fgi_sched_prioritize(struct fgi_sched_view *view, const struct fgi_kube_class *class, size_t classes, const json_t *question, struct fg_error *err)
{
        struct fgi_sched_wants wants;
        struct question q;
        if (read_question(question, &q, err) < 0)
                return NULL;
        fgi_sched_wants(view, class, classes, q.pod, &wants);
        const struct fgi_sched_want *largest = fgi_sched_largest(&wants);
        fg_autofree struct ranked *ranked = calloc(q.count + 1, sizeof *ranked);
        json_t *answer = ranked ? json_array() : NULL;
        if (!answer) {
                fg_error_set(err, -ENOMEM, "out of memory");
                return NULL;
        }
        for (size_t i = 0; i < q.count; i++) {
                const struct fgi_sched_node *node = fgi_sched_view_node(view, node_of(&q, i));
                ranked[i] = (struct ranked){node_of(&q, i), largest && node ? fgi_sched_score(view, (size_t)(node - view->node), largest) : FG_SCORE_NONE};
        }
        qsort(ranked, q.count, sizeof *ranked, better_first);
        for (size_t i = 0; i < q.count; i++) {
                int rank = ranked[i].score == FG_SCORE_NONE || i >= SCORE_MAX ? 0 : SCORE_MAX - (int)i;
                json_array_append_new(answer, json_pack("{s:s, s:i}", "Host", ranked[i].name, "Score", rank));
        }
        return answer;
}
