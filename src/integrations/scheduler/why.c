/* SPDX-License-Identifier: Apache-2.0
 * Why a pod does not run: of all that could be said the one thing that decides. Nodes that labels and taints keep out are not asked for room;
 * what we cannot see (CEL, processors, memory) kube-scheduler has said in the pod's condition. */
#include "integrations/scheduler/why.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TERMS_MAX  64u
#define VALUES_MAX 256u

json_t *fgi_sched_answer(const struct fgi_sched_asking *a, const char *reason, const char *remedy, const char *format, ...)
{
        char text[1600];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        fgi_kube_characters(text);
        size_t len = strlen(text);
        while (len > 0 && (text[len - 1] == '.' || isspace((unsigned char)text[len - 1])))
                text[--len] = 0;
        json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "name", a->name, "state", "pending", "reason", reason, "text", text);
        if (remedy && *remedy)
                json_object_set_new(json, "remedy", json_string(remedy));
        return json;
}

/* --- what the pod wants of nodes, in src/sched's words --- */

struct request {
        struct fg_fleet_term term[TERMS_MAX];
        const char *value[VALUES_MAX];
        size_t terms, values;
        struct fg_fleet_tolerance tolerance[TERMS_MAX];
        size_t tolerances;
};

static void add_term(struct request *r, const char *key, enum fg_fleet_op op, const json_t *values)
{
        struct fg_fleet_term *term = &r->term[r->terms];
        size_t n = json_is_array(values) ? json_array_size(values) : json_is_string(values);
        if (r->terms == TERMS_MAX || n > VALUES_MAX - r->values || !*key)
                return;
        *term = (struct fg_fleet_term){.key = key, .op = op, .value = &r->value[r->values], .values = n};
        for (size_t i = 0; i < n; i++) {
                const char *text = json_string_value(json_is_array(values) ? json_array_get(values, i) : values);
                r->value[r->values++] = text ? text : "";
        }
        r->terms++;
}

static void add_expression(struct request *r, const json_t *expression)
{
        static const struct {
                const char *name;
                enum fg_fleet_op op;
        } table[] = {{"In", FG_FLEET_IN},        {"NotIn", FG_FLEET_NOT_IN}, {"Exists", FG_FLEET_EXISTS}, {"DoesNotExist", FG_FLEET_ABSENT},
                     {"Gt", FG_FLEET_ABOVE}, {"Lt", FG_FLEET_BELOW}};
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
                if (strcmp(fgi_sched_text(expression, "operator"), table[i].name) == 0)
                        add_term(r, fgi_sched_text(expression, "key"), table[i].op, json_object_get(expression, "values"));
}

/* Of several terms, any of which will do, none is read: more nodes are then thought possible than are. */
static void read_request(const json_t *pod, struct request *r)
{
        const json_t *terms = fgi_sched_at(pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", NULL), *item;
        const char *key;
        json_t *value;
        size_t i;
        json_object_foreach(fgi_sched_at(pod, "spec", "nodeSelector", NULL), key, value)
                add_term(r, key, FG_FLEET_IN, value);
        if (json_array_size(terms) == 1)
                json_array_foreach(json_object_get(json_array_get(terms, 0), "matchExpressions"), i, item)
                        add_expression(r, item);
        json_array_foreach(fgi_sched_at(pod, "spec", "tolerations", NULL), i, item) {
                const char *of = fgi_sched_text(item, "key");
                if (r->tolerances < TERMS_MAX)
                        r->tolerance[r->tolerances++] = (struct fg_fleet_tolerance){
                                *of ? of : NULL, strcmp(fgi_sched_text(item, "operator"), "Exists") == 0 ? NULL : fgi_sched_text(item, "value")};
        }
}

/* --- room --- */

/* What was found out about all nodes; the index of an example each, or -1. */
struct survey {
        ssize_t room, label, taint, gpu_taint, fits, lacks, others;
        struct fgi_sched_verdict nearest; /* of those that may be, the one nearest to having room */
        bool each;                        /* a node has room for each of them alone */
        size_t at;                        /* its node */
        struct fgi_sched_verdict taken;   /* the nearest of those that would do if others had no part of them; best NULL: there is none */
        struct fgi_sched_verdict tainted; /* of gpu_taint */
        const struct fgi_sched_gpu *largest;
        const struct fgi_sched_gpu *most; /* the same of those that take claims, if there are any */
        size_t with_gpus;
        struct fg_fleet_verdict label_of, taint_of;
};

static void look_at(struct fgi_sched_asking *a, const struct fg_fleet_ask *rules, size_t i, struct survey *s)
{
        const struct fgi_sched_node *node = &a->view->node[i];
        struct fgi_sched_verdict v = fgi_sched_judge(node, &a->wants);
        struct fg_fleet_verdict rule = {0};
        s->with_gpus += node->gpus > 0;
        for (uint32_t k = 0; k < node->gpus; k++) {
                const struct fgi_sched_gpu *gpu = &node->gpu[k];
                if (!s->largest || gpu->memory > s->largest->memory)
                        s->largest = gpu;
                if (!s->most || (gpu->taint ? s->most->taint && gpu->memory > s->most->memory : s->most->taint || gpu->memory > s->most->memory))
                        s->most = gpu;
        }
        bool others = v.lack == FGI_SCHED_TOO_LARGE;
        if (others)
                v = fgi_sched_judge_whole(node, v.want);
        if (v.lack == FGI_SCHED_NO_GPUS || v.lack == FGI_SCHED_TOO_LARGE)
                return;
        if (node->object && fgi_sched_missing(a->view, node->object, a->pod)) {
                s->lacks = (ssize_t)i;
                return;
        }
        if (rules)
                fg_fleet_judge(a->view->fleet, rules, (uint32_t)i, &rule);
        if (rule.lack == FG_FLEET_LABEL || rule.lack == FG_FLEET_TAINT) {
                *(rule.lack == FG_FLEET_LABEL ? &s->label : &s->taint) = (ssize_t)i;
                *(rule.lack == FG_FLEET_LABEL ? &s->label_of : &s->taint_of) = rule;
                return;
        }
        if (v.lack == FGI_SCHED_TAINTED)
                s->tainted = v;
        if (others && v.lack == FGI_SCHED_NO_ROOM) {
                if (fgi_sched_nearness(&v) > fgi_sched_nearness(&s->taken)) {
                        s->taken = v;
                        s->others = (ssize_t)i;
                }
                return;
        }
        s->each = s->each || (v.lack == FGI_SCHED_NO_ROOM && !v.best);
        if (v.lack == FGI_SCHED_NO_ROOM && fgi_sched_nearness(&v) > fgi_sched_nearness(&s->nearest)) {
                s->nearest = v;
                s->at = i;
        }
        *(v.lack == FGI_SCHED_FITS ? &s->fits : v.lack == FGI_SCHED_TAINTED ? &s->gpu_taint : &s->room) = (ssize_t)i;
}

/* The smallest claim on that GPU after which it would fit. */
static const json_t *claim_in_the_way(const struct fgi_sched_asking *a, const struct survey *s)
{
        const struct fgi_sched_gpu *gpu = s->nearest.best;
        const struct fgi_sched_want *want = s->nearest.want;
        const json_t *claim, *result, *best = NULL;
        uint64_t best_memory = UINT64_MAX;
        size_t i, k;
        json_array_foreach(a->view->claims, i, claim)
                json_array_foreach(fgi_sched_at(claim, "status", "allocation", "devices", "results", NULL), k, result) {
                        uint64_t memory = 0, share = 0;
                        if (strcmp(fgi_sched_text(result, "pool"), a->view->node[s->at].name) != 0 || strcmp(fgi_sched_text(result, "device"), gpu->name) != 0)
                                continue;
                        fgi_kube_quantity(fgi_sched_text(json_object_get(result, "consumedCapacity"), "memory"), &memory);
                        fgi_kube_quantity(fgi_sched_text(json_object_get(result, "consumedCapacity"), "compute"), &share);
                        bool helps = gpu->memory_free + memory / 1000 >= (want->memory ? want->memory : gpu->memory) &&
                                     gpu->share_free + share / 100 >= (want->share ? want->share : gpu->share);
                        if (helps && memory < best_memory) {
                                best = claim;
                                best_memory = memory;
                        }
                }
        return best;
}

static json_t *say_room(const struct fgi_sched_asking *a, const struct survey *s)
{
        const struct fgi_sched_gpu *gpu = s->nearest.best;
        const struct fgi_sched_want *want = s->nearest.want;
        char wanted[96], left[96], remedy[700];
        if (s->each || !gpu)
                return fgi_sched_answer(a, "room", "something that runs ends, or the pod asks for less", "no node has room for all its %zu vGPUs at once", a->wants.count);
        const json_t *claim = claim_in_the_way(a, s);
        fgi_sched_say(want->memory, want->share, wanted, sizeof wanted);
        if (gpu->memory_free && gpu->share_free)
                fgi_sched_say_left(gpu->memory_free, gpu->share_free, left, sizeof left);
        else
                snprintf(left, sizeof left, "no %s", gpu->memory_free ? "compute" : "memory");
        if (claim) {
                const json_t *metadata = json_object_get(claim, "metadata"), *user = json_array_get(fgi_sched_at(claim, "status", "reservedFor", NULL), 0);
                snprintf(remedy, sizeof remedy, "it fits when claim %.250s/%.250s%s%.100s on that GPU ends", fgi_sched_text(metadata, "namespace"),
                         fgi_sched_text(metadata, "name"), user ? ", of pod " : "", fgi_sched_text(user, "name"));
        } else {
                snprintf(remedy, sizeof remedy, "it fits when more of what runs there ends");
        }
        if (gpu->memory_free && gpu->share_free)
                snprintf(remedy + strlen(remedy), sizeof remedy - strlen(remedy), ", or at once if it asks for no more than %s", left);
        return fgi_sched_answer(a, "room", remedy, "no GPU has %s free (%s); the nearest that may be, %s of node %.250s, has %s", wanted, want->from, gpu->name, a->view->node[s->at].name, left);
}

static json_t *say_rule(const struct fgi_sched_asking *a, const struct survey *s)
{
        if (s->taint >= 0) {
                const struct fg_fleet_verdict *v = &s->taint_of;
                bool cordoned = v->key && strcmp(v->key, "node.kubernetes.io/unschedulable") == 0;
                return cordoned ? fgi_sched_answer(a, "cordoned", "kubectl uncordon makes it take pods again", "the nodes whose GPUs are large enough, such as %.250s, are cordoned",
                                                   a->view->node[s->taint].name) :
                                  fgi_sched_answer(a, "taint", "tolerate it in the pod, or take it from the node",
                                                   "the nodes whose GPUs are large enough, such as %.250s, have the taint %.200s%s%.100s, which the pod does not tolerate",
                                                   a->view->node[s->taint].name, v->key, v->value && *v->value ? "=" : "", v->value ? v->value : "");
        }
        return fgi_sched_answer(a, "label", "ask for another label in nodeSelector or nodeAffinity, or label the node",
                                "the nodes whose GPUs are large enough, such as %.250s, do not have the label %.200s as the pod wants it", a->view->node[s->label].name,
                                s->label_of.key ? s->label_of.key : "");
}

static json_t *say_too_large(const struct fgi_sched_asking *a, const struct survey *s)
{
        const struct fgi_sched_want *want = fgi_sched_largest(&a->wants);
        char wanted[96], largest[96], remedy[160];
        fgi_sched_say(want->memory, want->share, wanted, sizeof wanted);
        fgi_sched_say_left(s->most->memory, s->most->share, largest, sizeof largest);
        snprintf(remedy, sizeof remedy, "ask for at most %s", largest);
        return fgi_sched_answer(a, "too-large", remedy, "no GPU of any node has %s for claims (%s), not even without those that are on it; the most that one has is %s", wanted, want->from, largest);
}

static json_t *say_gpu_taint(const struct fgi_sched_asking *a, const struct survey *s)
{
        const struct fgi_sched_node *node = &a->view->node[s->gpu_taint];
        const struct fgi_sched_gpu *gpu = s->tainted.tainted;
        return fgi_sched_answer(a, "gpu-taint", "on that node, fastgpu devices and fastgpu doctor say what is the matter",
                                "the GPUs that are large enough, such as %.40s of node %.250s, have the taint %.200s, which the claim does not tolerate", gpu->name, node->name, gpu->taint);
}

/* What claims can have of it is less than they want, for others are on it. */
static json_t *say_others(const struct fgi_sched_asking *a, const struct survey *s)
{
        const struct fgi_sched_want *want = s->taken.want;
        const struct fgi_sched_gpu *gpu = s->taken.best;
        bool full = fgi_sched_is_full(gpu), now = !full && gpu->memory_free && gpu->share_free;
        /* Claims stay, and may have too much of it, too. */
        bool alone = (want->memory ? want->memory : gpu->whole) <= gpu->whole - (gpu->memory - gpu->memory_free) &&
                     (want->share ? want->share : 1000) <= 1000 - (gpu->share - gpu->share_free);
        char wanted[96], most[96] = "nothing", left[96], remedy[300];
        fgi_sched_say(want->memory, want->share, wanted, sizeof wanted);
        fgi_sched_say_left(gpu->memory_free, gpu->share_free, left, sizeof left);
        if (!full)
                fgi_sched_say_left(gpu->memory, gpu->share, most, sizeof most);
        snprintf(remedy, sizeof remedy, "it fits when those end, which fastgpu list on that node shows%s%s%s", alone ? "" : ", and claims on it", now ? ", or at once if it asks for no more than " : "",
                 now ? left : "");
        return fgi_sched_answer(a, "others", remedy, "no GPU has %s for claims (%s): of the nearest that may be, %.40s of node %.250s, they can have %s, as vGPUs that are no claims' have the rest",
                                wanted, want->from, gpu->name, a->view->node[s->others].name, most);
}

static json_t *say_scheduler(const struct fgi_sched_asking *a)
{
        const char *scheduler = fgi_sched_text(json_object_get(a->pod, "spec"), "schedulerName");
        char remedy[200];
        if (*a->said)
                return fgi_sched_answer(a, "scheduler", "", "%.1200s", a->said);
        snprintf(remedy, sizeof remedy, "is a scheduler %.100s running?", *scheduler ? scheduler : "default-scheduler");
        return fgi_sched_answer(a, "not-looked-at", remedy, "no scheduler has said anything of it yet");
}

static json_t *say_survey(struct fgi_sched_asking *a, const struct survey *s)
{
        bool selects = false;
        for (size_t i = 0; i < a->wants.count; i++)
                selects = selects || a->wants.want[i].selects;
        if (s->fits >= 0 && selects && strstr(a->said, "cannot allocate all claims"))
                return fgi_sched_answer(a, "selector", "ask for less in its selectors: kubectl get resourceslices -o yaml shows what the GPUs are",
                                        "there is room, such as on node %.250s, but no GPU with room is one that its claims' CEL selectors allow", a->view->node[s->fits].name);
        if (s->fits >= 0)
                return say_scheduler(a);
        if (s->room >= 0)
                return say_room(a, s);
        if (s->others >= 0)
                return say_others(a, s);
        if (s->taint >= 0 || s->label >= 0)
                return say_rule(a, s);
        if (s->gpu_taint >= 0)
                return say_gpu_taint(a, s);
        if (s->lacks >= 0)
                return fgi_sched_answer(a, "resource-elsewhere", "ask for what one node offers", "no node offers all that it asks for: node %.250s, for one, has no %.200s", a->view->node[s->lacks].name,
                                        fgi_sched_missing(a->view, a->view->node[s->lacks].object, a->pod));
        if (!s->with_gpus)
                return fgi_sched_answer(a, "no-gpus", "kubectl -n fastgpu-system logs ds/fastgpu-kubelet", "no node has published a GPU of FastGPU's");
        return say_too_large(a, s);
}

/* --- resources that nobody offers --- */

static const char *offerer_of(const char *resource)
{
        if (fgi_sched_is_our_resource(resource))
                return "ask for one of those, or have fastgpu-kubelet offer it with --class";
        if (strcmp(resource, FGI_KUBE_HAMI_RESOURCE) == 0)
                return "fastgpu-kubelet offers it with --class " FGI_KUBE_HAMI_RESOURCE "=MEMORY:COMPUTE or --hami, NVIDIA's plugin as whole GPUs";
        if (strcmp(resource, "nvidia.com/gpumem") == 0 || strcmp(resource, "nvidia.com/gpumem-percentage") == 0 || strcmp(resource, "nvidia.com/gpucores") == 0)
                return "fastgpu-kubelet offers it with --hami";
        return "install what offers it, or do not ask for it";
}

static json_t *say_unknown_resource(const struct fgi_sched_asking *a, const char *resource)
{
        char offered[400] = "";
        const json_t *node;
        const char *key;
        json_t *value;
        size_t i;
        json_array_foreach(a->view->nodes, i, node)
                json_object_foreach(fgi_sched_at(node, "status", "allocatable", NULL), key, value)
                        if (fgi_sched_is_our_resource(key) && !strstr(offered, key) && strlen(offered) + strlen(key) + 3 < sizeof offered)
                                snprintf(offered + strlen(offered), sizeof offered - strlen(offered), "%s%s", *offered ? ", " : "", key);
        bool is_ours = fgi_sched_is_our_resource(resource);
        return fgi_sched_answer(a, "resource-unknown", is_ours && !*offered ? "kubectl -n fastgpu-system logs ds/fastgpu-kubelet" : offerer_of(resource), "no node offers %.200s; %s%s",
                                resource, *offered ? "there are " : "none offers anything of FastGPU's", offered);
}

/* --- not on a node yet --- */

/* In the words of src/sched, of all nodes: "2 of 5 nodes fit; 3: …". */
static void add_count(struct fgi_sched_asking *a, const struct fg_fleet_ask *rules, json_t *json)
{
        struct fg_fleet_why why;
        char text[400];
        if (!rules || fg_fleet_explain(a->view->fleet, rules, &why) < 0)
                return;
        fg_fleet_say(&why, text, sizeof text);
        json_object_set_new(json, "nodes", json_string(text));
}

/* Of the largest GPU that there is; 0: it has no room for that. */
static uint16_t milli_of(const struct survey *s, const struct fgi_sched_want *want)
{
        uint64_t all = s->largest ? s->largest->memory : 0, memory = !want->memory ? 1000 : all ? (uint64_t)(((__uint128_t)want->memory * 1000 + all - 1) / all) : 0;
        uint64_t share = want->share ? want->share : 1000, milli = memory > share ? memory : share;
        return all && milli <= FG_CLUSTER_GPU ? (uint16_t)milli : 0;
}

static json_t *survey(struct fgi_sched_asking *a)
{
        struct survey s = {-1, -1, -1, -1, -1, -1, -1};
        struct request r = {0};
        FG_CLEANUP(fg_fleet_ask_freep) struct fg_fleet_ask *rules = NULL;
        FG_CLEANUP(fg_fleet_ask_freep) struct fg_fleet_ask *sized = NULL;
        struct fg_fleet_request request = {.milli = 1, .gpus = 1, .term = r.term, .tolerance = r.tolerance};
        const struct fgi_sched_want *largest = fgi_sched_largest(&a->wants);
        read_request(a->pod, &r);
        request.terms = r.terms;
        request.tolerances = r.tolerances;
        if (a->view->fleet && fg_fleet_ask(a->view->fleet, &request, &rules, NULL) < 0)
                rules = NULL;
        for (size_t i = 0; i < a->view->count; i++)
                look_at(a, rules, i, &s);
        request.milli = milli_of(&s, largest);
        if (request.milli && fg_fleet_ask(a->view->fleet, &request, &sized, NULL) < 0)
                sized = NULL;
        json_t *json = say_survey(a, &s);
        add_count(a, sized, json);
        return json;
}

/* The claims' controller says why it makes none: no such template, a quota of the namespace, what an admission policy refuses. */
static bool is_refusal(const json_t *event)
{
        return strcmp(fgi_sched_text(event, "reason"), "FailedResourceClaimCreation") == 0;
}

static json_t *say_in_the_way(const struct fgi_sched_asking *a, const json_t *events)
{
        const json_t *refusal = a->wants.is_unmade ? fgi_sched_newest(events, is_refusal) : NULL;
        if (refusal)
                return fgi_sched_answer(a, a->wants.reason, "", "%s: %.1000s", a->wants.text, fgi_sched_text(refusal, "message"));
        return fgi_sched_answer(a, a->wants.reason, a->wants.remedy, "%s", a->wants.text);
}

static json_t *why_unplaced(struct fgi_sched_asking *a, const json_t *events)
{
        const char *missing;
        const json_t *gate = json_array_get(fgi_sched_at(a->pod, "spec", "schedulingGates", NULL), 0);
        if (gate)
                return fgi_sched_answer(a, "gated", "whoever set it removes it", "its scheduling gate %.200s is not removed", fgi_sched_text(gate, "name"));
        if (a->wants.reason)
                return say_in_the_way(a, events);
        if (a->view->nodes && (missing = fgi_sched_missing(a->view, NULL, a->pod)))
                return say_unknown_resource(a, missing);
        if (a->wants.allocated)
                return fgi_sched_answer(a, "claim-elsewhere", "what keeps it from that node, kube-scheduler says; or make the claim anew", "its claim has its place on node %.250s; %.1000s", a->wants.allocated,
                                        *a->said ? a->said : "no scheduler has said anything of it yet");
        return a->wants.count ? survey(a) : say_scheduler(a);
}

/* Its time is when it will be gone: until then the kubelet may still end what runs, and whoever set a finalizer waits for that. */
static json_t *say_deleted(const struct fgi_sched_asking *a, const json_t *metadata)
{
        const char *by = fgi_sched_text(metadata, "deletionTimestamp"), *finalizer = json_string_value(json_array_get(json_object_get(metadata, "finalizers"), 0));
        time_t t = time(NULL);
        struct tm tm;
        char now[32];
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
        if (strcmp(now, by) <= 0)
                return fgi_sched_answer(a, "deleted", "", "it is being deleted, by %.40s at the latest", by);
        if (finalizer)
                return fgi_sched_answer(a, "deleted", "whoever set it removes it", "it is being deleted, and its finalizer %.200s is not removed", finalizer);
        return fgi_sched_answer(a, "deleted", "does its node's kubelet run? kubectl describe node says", "it was to be gone by %.40s, and nobody has said that its containers ended", by);
}

static const char *said_of(const json_t *pod)
{
        const json_t *condition;
        size_t i;
        json_array_foreach(fgi_sched_at(pod, "status", "conditions", NULL), i, condition)
                if (strcmp(fgi_sched_text(condition, "type"), "PodScheduled") == 0 && strcmp(fgi_sched_text(condition, "status"), "False") == 0)
                        return fgi_sched_text(condition, "message");
        return "";
}

json_t *fgi_sched_why(struct fgi_sched_view *view, const struct fgi_kube_class *class, size_t classes, const json_t *pod, const json_t *events)
{
        struct fgi_sched_asking a = {.view = view, .pod = pod, .said = said_of(pod)};
        const json_t *metadata = json_object_get(pod, "metadata");
        const char *phase = fgi_sched_text(json_object_get(pod, "status"), "phase"), *node = fgi_sched_text(json_object_get(pod, "spec"), "nodeName");
        snprintf(a.name, sizeof a.name, "%.300s/%.290s", fgi_sched_text(metadata, "namespace"), fgi_sched_text(metadata, "name"));
        if (*phase && strcmp(phase, "Pending") != 0)
                return fgi_sched_why_over(&a, phase, node);
        if (*fgi_sched_text(metadata, "deletionTimestamp"))
                return say_deleted(&a, metadata);
        fgi_sched_wants(view, class, classes, pod, &a.wants);
        return *node ? fgi_sched_why_placed(&a, node, events) : why_unplaced(&a, events);
}
