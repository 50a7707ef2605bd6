/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-scheduler's answers to kube-scheduler and to people, without an API server. */
#include "unit.h"

#include "integrations/scheduler/scheduler.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEVICE(name, memory, compute, more) \
        "{\"name\": \"" name "\", \"capacity\": {\"memory\": {\"value\": \"" memory "\"}, \"compute\": {\"value\": \"" compute "\"}}" more "}"
#define SLICE(node, devices) "{\"spec\": {\"driver\": \"fastgpu.dev\", \"nodeName\": \"" node "\", \"devices\": [" devices "]}}"
#define RESULT(node, device, memory, compute)                                                                            \
        "{\"driver\": \"fastgpu.dev\", \"pool\": \"" node "\", \"device\": \"" device "\", \"consumedCapacity\": {\"memory\": \"" memory \
        "\", \"compute\": \"" compute "\"}}"
#define CLASSES                                                                                                             \
        "[{\"metadata\": {\"name\": \"vgpu.fastgpu.dev\"}, \"spec\": {\"selectors\": [{\"cel\": {\"expression\": \"device.driver == \\\"fastgpu.dev\\\"\"}}]}}," \
        "{\"metadata\": {\"name\": \"other\"}}]"
#define SLICES                                                                                                              \
        "[" SLICE("b", DEVICE("gpu-1", "16Gi", "100", "")) "," SLICE("a", DEVICE("gpu-1", "16Gi", "100", "") "," DEVICE("gpu-2", "16Gi", "100", "")) "," SLICE( \
                "c", DEVICE("gpu-1", "80Gi", "100", ", \"taints\": [{\"key\": \"fastgpu.dev/lost\", \"effect\": \"NoSchedule\"}]")) "]"
/* Half of b's GPU is gone. */
#define CLAIMS                                                                                                              \
        "[{\"metadata\": {\"namespace\": \"x\", \"name\": \"big\"}, \"status\": {\"reservedFor\": [{\"name\": \"holder\"}], \"allocation\": {\"devices\": {\"results\": [" \
        RESULT("b", "gpu-1", "8Gi", "50") "]}}}}," WANTED("small", "4Gi", "20", "") "," WANTED("half", "10Gi", "60", "") "," WANTED("huge", "100Gi", "10", "") ","  \
        WANTED("large", "40Gi", "50", "") "," WANTED("all", "16Gi", "100", "") "," WANTED("two", "16Gi", "10", ", \"count\": 2") "]"
#define WANTED(name, memory, compute, more)                                                                               \
        "{\"metadata\": {\"namespace\": \"x\", \"name\": \"" name "\"}, \"spec\": {\"devices\": {\"requests\": [{\"name\": \"gpu\", \"exactly\": {" \
        "\"deviceClassName\": \"vgpu.fastgpu.dev\", \"capacity\": {\"requests\": {\"memory\": \"" memory "\", \"compute\": \"" compute "\"}}" more "}}]}}}"

#define OF(class, size) "{\"deviceClassName\": \"" class "\", \"capacity\": {\"requests\": {\"memory\": \"" size "\", \"compute\": \"10\"}}}"
#define ALTERNATIVES(name, list) \
        "{\"metadata\": {\"namespace\": \"x\", \"name\": \"" name "\"}, \"spec\": {\"devices\": {\"requests\": [{\"name\": \"gpu\", \"firstAvailable\": [" list "]}]}}}"

static json_t *parse(const char *text)
{
        json_error_t err;
        json_t *json = json_loads(text, 0, &err);
        if (!json)
                print_error("%s at %d of %s\n", err.text, err.position, text);
        assert_non_null(json);
        return json;
}

static struct fgi_sched_view *view_of(const char *claims, const char *nodes)
{
        struct fgi_sched_view *view;
        struct fg_error err = {0};
        assert_int_equal(fgi_sched_view_new(parse(SLICES), parse(claims), parse(CLASSES), nodes ? parse(nodes) : NULL, &view, &err), 0);
        return view;
}

/* A pod of namespace x with one claim and whatever else its spec is to have. */
static json_t *pod_of(const char *claim, const char *more)
{
        char text[2000];
        snprintf(text, sizeof text, "{\"metadata\": {\"namespace\": \"x\", \"name\": \"pod\"}, \"spec\": {%s%s\"resourceClaims\": [{\"name\": \"gpu\", \"resourceClaimName\": \"%s\"}]}}",
                 more, *more ? ", " : "", claim);
        return parse(text);
}

static json_t *question(json_t *pod, const char *nodes)
{
        return json_pack("{s:o, s:o}", "Pod", pod, "NodeNames", parse(nodes));
}

static json_t *filtered(struct fgi_sched_view *view, json_t *question, size_t refused)
{
        size_t n = 0;
        struct fg_error err = {0};
        json_t *reply = fgi_sched_filter(view, NULL, 0, question, &n, &err);
        assert_non_null(reply);
        assert_int_equal(n, refused);
        json_decref(question);
        return reply;
}

static const char *text_at(const json_t *json, const char *part, const char *key)
{
        return fgi_sched_text(json_object_get(json, part), key);
}

static void a_view(void **state)
{
        struct fgi_sched_view *view = view_of(CLAIMS, "[{\"metadata\": {\"name\": \"d\"}}, {\"metadata\": {\"name\": \"a\"}}]");
        const struct fgi_sched_node *a = fgi_sched_view_node(view, "a"), *b = fgi_sched_view_node(view, "b");
        assert_int_equal(view->count, 4);
        assert_non_null(a);
        assert_true(a->gpus == 2 && a->object && a->gpu[1].memory_free == 16ull << 30 && a->gpu[1].share_free == 1000);
        assert_true(b->gpus == 1 && !b->object && b->gpu[0].memory_free == 8ull << 30 && b->gpu[0].share_free == 500);
        assert_string_equal(fgi_sched_view_node(view, "c")->gpu[0].taint, "fastgpu.dev/lost");
        assert_null(fgi_sched_view_node(view, "e"));
        assert_true(fgi_sched_view_is_ours(view, "vgpu.fastgpu.dev") && !fgi_sched_view_is_ours(view, "other") && !fgi_sched_view_is_ours(view, "none"));
        fgi_sched_view_free(view);
        /* What is odd is left out. */
        struct fg_error err = {0};
        assert_int_equal(fgi_sched_view_new(parse("[1, {}, {\"spec\": {\"driver\": \"fastgpu.dev\", \"nodeName\": \"n\", \"devices\": [{\"capacity\": {\"memory\": {\"value\": \"-1\"}}}, 7]}}]"),
                                            parse("[null, {\"status\": {\"allocation\": {\"devices\": {\"results\": [5]}}}}]"), parse("{}"), NULL, &view, &err), 0);
        assert_true(view->count == 1 && view->node[0].gpus == 0);
        fgi_sched_view_free(view);
}

static void a_filter(void **state)
{
        struct fgi_sched_view *view = view_of(CLAIMS, NULL);
        json_t *reply = filtered(view, question(pod_of("half", ""), "[\"a\", \"b\", \"c\", \"new\"]"), 2);
        assert_int_equal(json_array_size(json_object_get(reply, "NodeNames")), 2);
        assert_string_equal(json_string_value(json_array_get(json_object_get(reply, "NodeNames"), 0)), "a");
        assert_string_equal(json_string_value(json_array_get(json_object_get(reply, "NodeNames"), 1)), "new");
        assert_string_equal(text_at(reply, "FailedNodes", "b"), "FastGPU: no GPU has 10 GiB and 60 percent free");
        assert_string_equal(text_at(reply, "FailedAndUnresolvableNodes", "c"), "FastGPU: the GPUs with 10 GiB and 60 percent are tainted");
        json_decref(reply);
        /* Two, which one GPU cannot have, one behind the other. */
        reply = filtered(view, question(pod_of("two", ""), "[\"a\", \"b\"]"), 1);
        assert_string_equal(text_at(reply, "FailedNodes", "b"), "FastGPU: no GPU has 16 GiB and 10 percent free (one of 2 vGPUs)");
        json_decref(reply);
        /* Whole nodes, as kube-scheduler sends them to who does not know them. */
        reply = filtered(view, json_pack("{s:o, s:o}", "Pod", pod_of("half", ""), "Nodes", parse("{\"items\": [{\"metadata\": {\"name\": \"b\"}}, {\"metadata\": {\"name\": \"a\", \"labels\": {}}}]}")), 1);
        const json_t *left = json_object_get(json_object_get(reply, "Nodes"), "items");
        assert_true(json_array_size(left) == 1 && json_object_get(json_object_get(json_array_get(left, 0), "metadata"), "labels"));
        json_decref(reply);
        /* Who has its place already, who wants nothing, and who waits for a claim: kube-scheduler knows better. */
        json_decref(filtered(view, question(pod_of("big", ""), "[\"a\", \"b\", \"c\"]"), 0));
        json_decref(filtered(view, question(pod_of("none", ""), "[\"a\", \"b\", \"c\"]"), 0));
        json_decref(filtered(view, question(parse("{}"), "[\"a\", \"b\", \"c\"]"), 0));
        fgi_sched_view_free(view);
}

/* Nothing is said that only kube-scheduler can know. */
static void never_harder(void **state)
{
        struct fgi_sched_view *view = view_of(
                "[" WANTED("lost", "40Gi", "50", ", \"tolerations\": [{\"operator\": \"Exists\"}]") "," WANTED("looks-on", "100Gi", "100", ", \"adminAccess\": true") ","
                WANTED("pair", "10Gi", "40", ", \"count\": 2") ","
                "{\"metadata\": {\"namespace\": \"x\", \"name\": \"seen\"}, \"status\": {\"allocation\": {\"devices\": {\"results\": [{\"driver\": \"fastgpu.dev\", \"pool\": \"b\","
                " \"device\": \"gpu-1\", \"adminAccess\": true}]}}}},"
                ALTERNATIVES("rising", OF("vgpu.fastgpu.dev", "8Gi") "," OF("vgpu.fastgpu.dev", "80Gi")) "," ALTERNATIVES("unknown", OF("vgpu.fastgpu.dev", "8Gi") "," OF("new.fastgpu.dev", "8Gi")) "]",
                NULL);
        assert_true(fgi_sched_view_node(view, "b")->gpu[0].memory_free == 16ull << 30);
        json_t *reply = filtered(view, question(pod_of("lost", ""), "[\"c\"]"), 0);
        json_decref(reply);
        json_decref(filtered(view, question(pod_of("looks-on", ""), "[\"a\", \"b\", \"c\"]"), 0));
        json_decref(filtered(view, question(pod_of("rising", ""), "[\"a\", \"b\"]"), 0));
        struct fgi_sched_wants wants;
        json_t *pod = pod_of("unknown", "");
        fgi_sched_wants(view, NULL, 0, pod, &wants);
        assert_true(wants.is_ours && wants.count == 0 && !wants.reason);
        json_decref(pod);
        /* b has one GPU, which each of the two fits alone. */
        reply = filtered(view, question(pod_of("pair", ""), "[\"a\", \"b\"]"), 1);
        assert_string_equal(text_at(reply, "FailedNodes", "b"), "FastGPU: no room for all 2 vGPUs at once");
        json_decref(reply);
        fgi_sched_view_free(view);
}

/* More GPUs than are looked at. */
static void many_gpus(void **state)
{
        json_t *devices = json_array();
        struct fgi_sched_view *view;
        struct fg_error err = {0};
        for (unsigned i = 0; i < FG_CLUSTER_GPUS_MAX + 1; i++) {
                char name[16];
                snprintf(name, sizeof name, "gpu-%u", i);
                json_array_append_new(devices, json_pack("{s:s, s:{s:{s:s}, s:{s:s}}}", "name", name, "capacity", "memory", "value", i < FG_CLUSTER_GPUS_MAX ? "1Gi" : "80Gi", "compute",
                                                         "value", "100"));
        }
        json_t *slices = json_pack("[{s:{s:s, s:s, s:o}}]", "spec", "driver", "fastgpu.dev", "nodeName", "n", "devices", devices);
        assert_int_equal(fgi_sched_view_new(slices, parse("[" WANTED("large", "40Gi", "50", "") "]"), parse(CLASSES), NULL, &view, &err), 0);
        json_decref(filtered(view, question(pod_of("large", ""), "[\"n\"]"), 0));
        fgi_sched_view_free(view);
}

static void resources(void **state)
{
        struct fgi_sched_view *view = view_of(CLAIMS, NULL);
        struct fgi_kube_class class;
        struct fg_error err = {0};
        struct fgi_sched_wants wants;
        json_t *pod = parse("{\"spec\": {\"containers\": [{\"resources\": {\"limits\": {\"fastgpu.dev/vgpu-10g-12.5\": \"2\", \"cpu\": \"1\"}}}, {\"resources\": {\"limits\": {\"nvidia.com/gpu\": \"1\"}}}]}}");
        fgi_sched_wants(view, NULL, 0, pod, &wants);
        assert_true(wants.is_ours && wants.count == 2 && wants.want[1].memory == 10ull << 30 && wants.want[1].share == 125 && !wants.reason);
        assert_int_equal(fgi_kube_class_parse("nvidia.com/gpu=16G:100", &class, &err), 0);
        fgi_sched_wants(view, &class, 1, pod, &wants);
        assert_int_equal(wants.count, 3);
        assert_true(fgi_sched_largest(&wants)->share == 1000);
        json_t *reply = filtered(view, question(pod, "[\"a\", \"b\"]"), 1);
        assert_string_equal(text_at(reply, "FailedNodes", "b"), "FastGPU: no GPU has 10 GiB and 12.5 percent free (one of 2 vGPUs)");
        /* Before others: the larger of both; beside them: the sum. */
        static const struct {
                const char *first, *policy;
                size_t count;
        } init[] = {{"1", "", 2}, {"3", "", 3}, {"1", ", \"restartPolicy\": \"Always\"", 3}};
        for (size_t i = 0; i < COUNT_OF(init); i++) {
                char text[400];
                snprintf(text, sizeof text, "{\"spec\": {\"containers\": [{\"resources\": {\"limits\": {\"fastgpu.dev/vgpu-1g-5\": \"2\"}}}], \"initContainers\": [{\"resources\": {\"limits\": "
                         "{\"fastgpu.dev/vgpu-1g-5\": \"%s\"}}%s}]}}", init[i].first, init[i].policy);
                pod = parse(text);
                fgi_sched_wants(view, NULL, 0, pod, &wants);
                assert_int_equal(wants.count, init[i].count);
                json_decref(pod);
        }
        json_decref(reply);
        fgi_sched_view_free(view);
}

static json_int_t score_of(const json_t *list, const char *host)
{
        const json_t *item;
        size_t i;
        json_array_foreach(list, i, item)
                if (strcmp(fgi_sched_text(item, "Host"), host) == 0)
                        return json_integer_value(json_object_get(item, "Score"));
        return -1;
}

static void priorities(void **state)
{
        struct fgi_sched_view *view = view_of(CLAIMS, NULL);
        struct fg_error err = {0};
        json_t *q = question(pod_of("small", ""), "[\"c\", \"b\", \"a\", \"new\"]");
        json_t *reply = fgi_sched_prioritize(view, NULL, 0, q, &err);
        /* b's GPU is begun: there it leaves the other nodes' whole. c's takes nobody. */
        assert_int_equal(json_array_size(reply), 4);
        assert_true(score_of(reply, "b") == 10 && score_of(reply, "a") == 9 && score_of(reply, "c") == 0 && score_of(reply, "new") == 0);
        json_decref(reply);
        json_decref(q);
        /* As good as each other: the first by name, always. */
        struct fgi_sched_view *empty = view_of("[" WANTED("small", "4Gi", "20", "") "]", NULL);
        q = question(pod_of("small", ""), "[\"b\", \"a\"]");
        reply = fgi_sched_prioritize(empty, NULL, 0, q, &err);
        assert_true(score_of(reply, "a") != score_of(reply, "b"));
        json_decref(reply);
        json_decref(q);
        /* Whoever wants nothing of ours is no matter to us. */
        q = question(parse("{}"), "[\"a\", \"b\"]");
        reply = fgi_sched_prioritize(view, NULL, 0, q, &err);
        assert_true(score_of(reply, "a") == 0 && score_of(reply, "b") == 0);
        json_decref(reply);
        json_decref(q);
        static const char *const bad[] = {"{}", "[]", "[1]", "{\"Pod\": 1, \"NodeNames\": []}", "{\"Pod\": {}}", "{\"Pod\": {}, \"NodeNames\": {}}"};
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                size_t refused;
                q = parse(bad[i]);
                err.text[0] = 0;
                assert_null(fgi_sched_prioritize(view, NULL, 0, q, &err));
                assert_true(err.code == -EINVAL && err.text[0]);
                assert_null(fgi_sched_filter(view, NULL, 0, q, &refused, &err));
                json_decref(q);
        }
        fgi_sched_view_free(view);
        fgi_sched_view_free(empty);
}

#define NODES                                                                                                               \
        "[{\"metadata\": {\"name\": \"a\", \"labels\": {\"zone\": \"1\"}}, \"spec\": {\"taints\": [{\"key\": \"team\", \"value\": \"red\", \"effect\": \"NoSchedule\"}]}}," \
        "{\"metadata\": {\"name\": \"b\", \"labels\": {\"zone\": \"2\"}}, \"status\": {\"allocatable\": {\"fastgpu.dev/vgpu-8g-25\": \"2\"}}}," \
        "{\"metadata\": {\"name\": \"c\", \"labels\": {\"zone\": \"2\"}}}]"
#define TOLERATES "\"tolerations\": [{\"key\": \"team\", \"operator\": \"Exists\"}]"

static void expect_why(json_t *pod, const char *reason, const char *text, const char *remedy)
{
        struct fgi_sched_view *view = view_of(CLAIMS, NODES);
        json_t *why = fgi_sched_why(view, NULL, 0, pod, NULL);
        assert_string_equal(fgi_sched_text(why, "reason"), reason);
        if (!strstr(fgi_sched_text(why, "text"), text) || !strstr(fgi_sched_text(why, "remedy"), remedy))
                fail_msg("%s; %s", fgi_sched_text(why, "text"), fgi_sched_text(why, "remedy"));
        json_decref(why);
        json_decref(pod);
        fgi_sched_view_free(view);
}

static void reasons(void **state)
{
        expect_why(pod_of("half", ""), "room", "no GPU has 10 GiB and 60 % free (claim half); the nearest that may be, gpu-1 of node b, has 8 GiB and 50 %",
                   "it fits when claim x/big, of pod holder on that GPU ends, or at once if it asks for no more than 8 GiB and 50 %");
        expect_why(pod_of("half", TOLERATES), "not-looked-at", "no scheduler has said anything", "is a scheduler default-scheduler running?");
        expect_why(pod_of("half", "\"nodeSelector\": {\"zone\": \"1\"}"), "taint", "such as a, have the taint team=red", "tolerate it");
        expect_why(pod_of("half", TOLERATES ", \"nodeSelector\": {\"zone\": \"3\"}"), "label", "do not have the label zone", "ask for another label");
        expect_why(pod_of("huge", ""), "too-large", "no GPU of any node has 100 GiB and 10 % for claims (claim huge)", "ask for at most 16 GiB and 100 %"); /* c's is lost */
        expect_why(pod_of("large", ""), "gpu-taint", "such as gpu-1 of node c, have the taint fastgpu.dev/lost", "fastgpu doctor");
        expect_why(pod_of("none", ""), "claim-missing", "there is no ResourceClaim none", "make it");
        expect_why(pod_of("half", "\"schedulingGates\": [{\"name\": \"g\"}]"), "gated", "its scheduling gate g", "removes it");
        expect_why(pod_of("big", ""), "claim-elsewhere", "its claim has its place on node b", "");
        expect_why(pod_of("small", "\"nodeName\": \"b\""), "node", "node b has it, and its kubelet has said nothing yet", "kubectl describe node");
        expect_why(parse("{\"metadata\": {\"namespace\": \"x\", \"name\": \"p\"}, \"spec\": {\"resourceClaims\": [{\"name\": \"g\", \"resourceClaimTemplateName\": \"t\"}]}}"), "claim-missing",
                   "its claim has not been made of the template t yet", "ResourceClaimTemplate");
        expect_why(parse("{\"spec\": {\"containers\": [{\"resources\": {\"limits\": {\"fastgpu.dev/vgpu-9g-25\": \"1\"}}}]}}"), "resource-unknown",
                   "no node offers fastgpu.dev/vgpu-9g-25; there are fastgpu.dev/vgpu-8g-25", "--class");
        expect_why(parse("{\"status\": {\"conditions\": [{\"type\": \"PodScheduled\", \"status\": \"False\", \"message\": \"0/3 nodes are available: 3 Insufficient cpu.\"}]}}"), "scheduler",
                   "0/3 nodes are available: 3 Insufficient cpu", "");
        expect_why(parse("{\"spec\": {\"nodeName\": \"a\"}, \"status\": {\"phase\": \"Failed\", \"reason\": \"UnexpectedAdmissionError\", \"message\": \"FastGPU: no.\"}}"), "failed",
                   "UnexpectedAdmissionError: FastGPU: no", "controller");
        /* Cordoned, in the words of who did it. */
        struct fgi_sched_view *view = view_of(CLAIMS, "[{\"metadata\": {\"name\": \"a\"}, \"spec\": {\"unschedulable\": true}}]");
        json_t *pod = pod_of("all", ""), *why = fgi_sched_why(view, NULL, 0, pod, NULL);
        assert_string_equal(fgi_sched_text(why, "reason"), "room"); /* b's: it is what is waited for */
        assert_non_null(strstr(fgi_sched_text(why, "nodes"), "of 3 nodes fit"));
        json_decref(why);
        json_decref(pod);
        fgi_sched_view_free(view);
        /* Each fits, and not both. */
        view = view_of("[" WANTED("four", "10Gi", "60", ", \"count\": 4") "]", NULL);
        pod = pod_of("four", "");
        why = fgi_sched_why(view, NULL, 0, pod, NULL);
        assert_string_equal(fgi_sched_text(why, "reason"), "room");
        assert_string_equal(fgi_sched_text(why, "text"), "no node has room for all its 4 vGPUs at once");
        json_decref(why);
        json_decref(pod);
        fgi_sched_view_free(view);
        /* The kubelet's word, not what was said before the pod had its node. */
        view = view_of(CLAIMS, NODES);
        pod = pod_of("small", "\"nodeName\": \"b\"");
        json_t *events = parse("[{\"type\": \"Warning\", \"reason\": \"FastGPU\", \"message\": \"no room\", \"lastTimestamp\": \"2026-01-01T00:10:00Z\"},"
                               "{\"type\": \"Warning\", \"reason\": \"Failed\", \"message\": \"no such image\", \"lastTimestamp\": \"2026-01-01T00:05:00Z\"}]");
        why = fgi_sched_why(view, NULL, 0, pod, events);
        assert_string_equal(fgi_sched_text(why, "text"), "node b: no such image (Failed)");
        json_decref(why);
        json_decref(events);
        json_decref(pod);
        fgi_sched_view_free(view);
}

static void expect_placed(const char *status, const char *spec, const char *text)
{
        char pod[1000];
        snprintf(pod, sizeof pod, "{\"spec\": {\"nodeName\": \"b\", \"initContainers\": [{\"name\": \"first\"%s}]}, \"status\": {\"phase\": \"Pending\", %s}}", spec, status);
        expect_why(parse(pod), "node", text, "");
}

#define LIMITS(kind, name, limit) "\"" kind "\": [{\"name\": \"" name "\", \"resources\": {\"limits\": {" limit "}}}]"

/* Those that are easily taken for something else. */
static void odd_ones(void **state)
{
        expect_why(parse("{\"metadata\": {\"deletionTimestamp\": \"2026-01-01T00:00:00Z\", \"finalizers\": [\"x.io/keep\"]}}"), "deleted", "its finalizer x.io/keep is not removed", "whoever");
        expect_why(parse("{\"metadata\": {\"deletionTimestamp\": \"2999-01-01T00:00:00Z\", \"finalizers\": [\"x.io/keep\"]}}"), "deleted", "it is being deleted, by 2999-01-01T00:00:00Z at the latest", "");
        expect_why(parse("{\"metadata\": {\"deletionTimestamp\": \"2026-01-01T00:00:00Z\"}, \"spec\": {\"nodeName\": \"b\"}}"), "deleted", "it was to be gone by 2026-01-01T00:00:00Z", "kubelet run");
        expect_why(parse("{\"spec\": {" LIMITS("containers", "main", "\"cpu\": \"1\", \"kubernetes.io/x\": \"1\", \"nvidia.com/gpumem\": \"0\"") "}}"), "not-looked-at", "", "");
        expect_why(parse("{\"spec\": {" LIMITS("initContainers", "first", "\"fastgpu.dev/vgpu-9g-25\": \"1\"") "}}"), "resource-unknown",
                   "no node offers fastgpu.dev/vgpu-9g-25; there are fastgpu.dev/vgpu-8g-25", "--class");
        expect_why(parse("{\"spec\": {" LIMITS("containers", "main", "\"nvidia.com/gpumem\": \"3000\"") "}}"), "resource-unknown", "no node offers nvidia.com/gpumem", "with --hami");
        expect_why(parse("{\"spec\": {" LIMITS("containers", "main", "\"nvidia.com/gpu\": \"1\"") "}}"), "resource-unknown", "no node offers nvidia.com/gpu;", "--class nvidia.com/gpu=");
        expect_why(parse("{\"spec\": {" LIMITS("containers", "main", "\"example.com/nic\": \"1\"") "}}"), "resource-unknown", "no node offers example.com/nic", "install what offers it");
        /* The node that has the resource is not where the pod may be; that others are, helps nothing. */
        expect_why(parse("{\"spec\": {\"nodeSelector\": {\"zone\": \"1\"}, " LIMITS("containers", "main", "\"fastgpu.dev/vgpu-8g-25\": \"1\"") "}}"), "label", "such as b, do not have the label zone", "");
        /* On a node. */
        expect_placed("\"initContainerStatuses\": [{\"name\": \"first\", \"state\": {\"running\": {}}}], \"containerStatuses\": [{\"name\": \"main\", \"state\": {\"waiting\": {\"reason\": \"PodInitializing\"}}}]", "",
                      "node b: its init container first still runs");
        expect_placed("\"initContainerStatuses\": [{\"name\": \"first\", \"state\": {\"running\": {}}}], \"containerStatuses\": [{\"name\": \"main\", \"state\": {\"waiting\": {\"reason\": \"ErrImagePull\"}}}]",
                      ", \"restartPolicy\": \"Always\"", "container main waits: ErrImagePull");
        expect_placed("\"initContainerStatuses\": [{\"name\": \"first\", \"state\": {\"waiting\": {\"reason\": \"ImagePullBackOff\"}}}]", "", "container first waits: ImagePullBackOff");
}

/* The claims' controller has said why it makes none. */
static void no_claim(void **state)
{
        struct fgi_sched_view *view = view_of("[]", NODES);
        json_t *pod = parse("{\"spec\": {\"resourceClaims\": [{\"name\": \"g\", \"resourceClaimTemplateName\": \"t\"}]}}");
        json_t *events = parse("[{\"type\": \"Warning\", \"reason\": \"FailedResourceClaimCreation\", \"message\": \"PodResourceClaim g: exceeded quota: q\", \"lastTimestamp\": \"2026-01-01T00:05:00Z\"},"
                               "{\"type\": \"Warning\", \"reason\": \"FailedScheduling\", \"message\": \"no\", \"lastTimestamp\": \"2026-01-01T00:06:00Z\"}]");
        json_t *why = fgi_sched_why(view, NULL, 0, pod, events);
        assert_string_equal(fgi_sched_text(why, "reason"), "claim-missing");
        assert_string_equal(fgi_sched_text(why, "text"), "its claim has not been made of the template t yet: PodResourceClaim g: exceeded quota: q");
        json_decref(why);
        /* Some say when by the other field; what is no warning is no refusal. */
        json_array_append_new(events, parse("{\"type\": \"Warning\", \"reason\": \"FailedResourceClaimCreation\", \"message\": \"the newest\", \"eventTime\": \"2026-01-01T00:07:00.000000Z\"}"));
        json_array_append_new(events, parse("{\"type\": \"Normal\", \"reason\": \"FailedResourceClaimCreation\", \"message\": \"nothing\", \"lastTimestamp\": \"2026-01-01T00:08:00Z\"}"));
        json_array_append_new(events, parse("{\"type\": \"Warning\", \"reason\": \"FailedResourceClaimCreation\", \"message\": \"before\", \"lastTimestamp\": \"2026-01-01T00:04:00Z\"}"));
        why = fgi_sched_why(view, NULL, 0, pod, events);
        assert_string_equal(fgi_sched_text(why, "text"), "its claim has not been made of the template t yet: the newest");
        json_decref(why);
        json_decref(pod);
        /* A claim that somebody has to make, beside one of a template. */
        pod = parse("{\"spec\": {\"resourceClaims\": [{\"name\": \"c\", \"resourceClaimName\": \"gone\"}, {\"name\": \"g\", \"resourceClaimTemplateName\": \"t\"}]}}");
        why = fgi_sched_why(view, NULL, 0, pod, events);
        assert_string_equal(fgi_sched_text(why, "text"), "there is no ResourceClaim gone");
        json_decref(why);
        json_decref(events);
        json_decref(pod);
        fgi_sched_view_free(view);
        /* A class that is not there, whatever it is called; of one that is, CEL alone says whose it is. */
        view = view_of("[{\"metadata\": {\"namespace\": \"x\", \"name\": \"c\"}, \"spec\": {\"devices\": {\"requests\": [{\"exactly\": " OF("other", "1Gi") "}, {\"exactly\": " OF("gone", "1Gi") "}]}}}]", NODES);
        pod = pod_of("c", "");
        why = fgi_sched_why(view, NULL, 0, pod, NULL);
        assert_string_equal(fgi_sched_text(why, "reason"), "class-unknown");
        assert_string_equal(fgi_sched_text(why, "text"), "claim c asks for DeviceClass gone, which does not exist");
        json_decref(why);
        json_decref(pod);
        fgi_sched_view_free(view);
}

#define TOTAL(bytes, more) ", \"attributes\": {\"totalMemory\": {\"int\": " #bytes "}}" more
#define TAINT(key)         ", \"taints\": [{\"key\": \"fastgpu.dev/" key "\", \"effect\": \"NoSchedule\"}]"

static void expect_of(const char *slices, const char *claims, const char *nodes, json_t *pod, const char *reason, const char *text, const char *remedy)
{
        struct fgi_sched_view *view;
        struct fg_error err = {0};
        assert_int_equal(fgi_sched_view_new(parse(slices), parse(claims), parse(CLASSES), nodes ? parse(nodes) : NULL, &view, &err), 0);
        json_t *why = fgi_sched_why(view, NULL, 0, pod, NULL);
        assert_string_equal(fgi_sched_text(why, "reason"), reason);
        if (text)
                assert_string_equal(fgi_sched_text(why, "text"), text);
        if (remedy)
                assert_string_equal(fgi_sched_text(why, "remedy"), remedy);
        json_decref(why);
        json_decref(pod);
        fgi_sched_view_free(view);
}

#define WHEN_THEY_END "it fits when those end, which fastgpu list on that node shows"

/* vGPUs that are no claims' have most of the only GPU. */
static void others(void **state)
{
        static const char claims[] = "[" WANTED("four", "4Gi", "20", "") "," WANTED("twelve", "12Gi", "20", "") "," WANTED("huge", "17Gi", "20", "")
                ",{\"status\": {\"allocation\": {\"devices\": {\"results\": [" RESULT("m", "gpu-1", "6Gi", "10") "]}}}}]";
        const char *slices = "[" SLICE("n", DEVICE("gpu-1", "2Gi", "30", TOTAL(17179869184, ""))) "]";
        expect_of(slices, claims, NULL, pod_of("four", ""), "others",
                  "no GPU has 4 GiB and 20 % for claims (claim four): of the nearest that may be, gpu-1 of node n, they can have 2 GiB and 30 %, as vGPUs that are no claims' have the rest",
                  WHEN_THEY_END ", or at once if it asks for no more than 2 GiB and 30 %");
        expect_of(slices, claims, NULL, pod_of("huge", ""), "too-large", NULL, NULL);
        /* The one that has most left, of all GPUs and nodes. */
        slices = "[" SLICE("l", DEVICE("gpu-1", "1Gi", "30", TOTAL(17179869184, ""))) "," SLICE("n", DEVICE("gpu-1", "1Gi", "5", TOTAL(17179869184, "")) "," DEVICE("gpu-2", "3Gi", "100",
                 TOTAL(17179869184, ""))) "," SLICE("o", DEVICE("gpu-1", "2Gi", "30", TOTAL(17179869184, ""))) "]";
        expect_of(slices, claims, NULL, pod_of("four", ""), "others", NULL, WHEN_THEY_END ", or at once if it asks for no more than 3 GiB and 100 %");
        /* Claims have a part, too, and stay: of what they might have, so much is not free. */
        slices = "[" SLICE("m", DEVICE("gpu-1", "8Gi", "50", TOTAL(17179869184, ""))) "]";
        expect_of(slices, claims, NULL, pod_of("twelve", ""), "others",
                  "no GPU has 12 GiB and 20 % for claims (claim twelve): of the nearest that may be, gpu-1 of node m, they can have 8 GiB and 50 %, as vGPUs that are no claims' have the rest",
                  WHEN_THEY_END ", and claims on it, or at once if it asks for no more than 2 GiB and 40 %");
}

/* What one is told to ask for is there: sizes of people's are rounded, and these down. */
static void not_more_than_there_is(void **state)
{
        static const char claims[] = "[" WANTED("four", "4Gi", "20", "") "," WANTED("huge", "17Gi", "20", "")
                ",{\"metadata\": {\"namespace\": \"x\", \"name\": \"held\"}, \"status\": {\"allocation\": {\"devices\": {\"results\": [" RESULT("n", "gpu-1", "1Ki", "10") "]}}}}]";
        const char *slices = "[" SLICE("n", DEVICE("gpu-1", "4Gi", "30", "")) "]";
        expect_of(slices, claims, NULL, pod_of("four", ""), "room",
                  "no GPU has 4 GiB and 20 % free (claim four); the nearest that may be, gpu-1 of node n, has 3.99 GiB and 20 %",
                  "it fits when claim x/held on that GPU ends, or at once if it asks for no more than 3.99 GiB and 20 %");
        slices = "[" SLICE("o", DEVICE("gpu-1", "4194303Ki", "30", "")) "]";
        expect_of(slices, claims, NULL, pod_of("huge", ""), "too-large", NULL, "ask for at most 3.99 GiB and 30 %");
        slices = "[" SLICE("o", DEVICE("gpu-1", "3145727Ki", "30", TOTAL(17179869184, ""))) "]";
        expect_of(slices, claims, NULL, pod_of("four", ""), "others", NULL, WHEN_THEY_END ", or at once if it asks for no more than 2.99 GiB and 30 %");
}

/* What has a taint cannot be had, however small the claim is. */
static void tainted_others(void **state)
{
        static const char claims[] = "[" WANTED("four", "4Gi", "20", "") "," WANTED("all", "4Gi", "20", ", \"tolerations\": [{\"operator\": \"Exists\"}]") "]";
        static const char nothing[] = "no GPU has 4 GiB and 20 % for claims (claim four): of the nearest that may be, gpu-1 of node n, they can have nothing, as vGPUs that are no claims' have the rest";
        const char *slices = "[" SLICE("n", DEVICE("gpu-1", "2Mi", "2", TOTAL(17179869184, TAINT("full")))) "]";
        expect_of(slices, claims, NULL, pod_of("four", ""), "others", nothing, WHEN_THEY_END);
        expect_of(slices, claims, NULL, pod_of("all", ""), "others", NULL, WHEN_THEY_END);
        slices = "[" SLICE("n", DEVICE("gpu-1", "10Gi", "2", TOTAL(17179869184, TAINT("full")))) "]";
        expect_of(slices, claims, NULL, pod_of("four", ""), "others", nothing, WHEN_THEY_END);
        slices = "[" SLICE("n", DEVICE("gpu-1", "2Gi", "30", TOTAL(17179869184, TAINT("lost")))) "]";
        expect_of(slices, claims, NULL, pod_of("four", ""), "gpu-taint",
                  "the GPUs that are large enough, such as gpu-1 of node n, have the taint fastgpu.dev/lost, which the claim does not tolerate", NULL);
        expect_of(slices, claims, NULL, pod_of("all", ""), "others", NULL, WHEN_THEY_END ", or at once if it asks for no more than 2 GiB and 30 %");
        slices = "[" SLICE("n", DEVICE("gpu-0", "3Gi", "30", TOTAL(17179869184, TAINT("lost"))) "," DEVICE("gpu-1", "2Mi", "3", TOTAL(17179869184, TAINT("full"))) "," DEVICE("gpu-2", "1Gi", "5",
                 TOTAL(17179869184, ""))) "]";
        expect_of(slices, claims, NULL, pod_of("four", ""), "others", NULL, WHEN_THEY_END ", or at once if it asks for no more than 1 GiB and 5 %");
}

/* Only of nodes where the pod may go is it said what others have there. */
static void others_where_it_may_go(void **state)
{
        static const char claims[] = "[" WANTED("twenty", "20Gi", "20", "") "]";
        static const char slices[] = "[" SLICE("small", DEVICE("gpu-1", "16Gi", "100", "")) "," SLICE("taken", DEVICE("gpu-1", "2Gi", "50", TOTAL(42949672960, ""))) "]";
        static const char nodes[] = "[{\"metadata\": {\"name\": \"small\", \"labels\": {\"zone\": \"1\"}}}, {\"metadata\": {\"name\": \"taken\", \"labels\": {\"zone\": \"2\"}}%s}]";
        static const char cordoned[] = ", \"spec\": {\"unschedulable\": true}";
        static const struct {
                const char *spec, *zone, *reason;
        } row[] = {{"", "1", "label"}, {cordoned, "1", "label"}, {cordoned, "2", "cordoned"}, {"", "2", "others"}};
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                char text[400], selector[60];
                snprintf(text, sizeof text, nodes, row[i].spec);
                snprintf(selector, sizeof selector, "\"nodeSelector\": {\"zone\": \"%s\"}", row[i].zone);
                expect_of(slices, claims, text, pod_of("twenty", selector), row[i].reason, NULL, NULL);
        }
}

/* Each is offered, and no node has both. */
static void resources_of_two_nodes(void **state)
{
        json_t *pod = parse("{\"spec\": {" LIMITS("containers", "main", "\"fastgpu.dev/vgpu-8g-25\": \"1\", \"example.com/nic\": \"1\"") "}}");
        expect_of("[" SLICE("a", DEVICE("gpu-1", "16Gi", "100", "")) "," SLICE("b", DEVICE("gpu-1", "16Gi", "100", "")) "]", "[]", "[{\"metadata\": {\"name\": \"a\"}, \"status\": {\"allocatable\": {\"example.com/nic\": \"1\"}}}, {\"metadata\": {\"name\": \"b\"}, \"status\": {\"allocatable\": "
                  "{\"fastgpu.dev/vgpu-8g-25\": \"2\"}}}]", pod, "resource-elsewhere", "no node offers all that it asks for: node b, for one, has no example.com/nic", "ask for what one node offers");
}

/* Nodes without a slice, and one whose slice has no GPU: whoever publishes them is where to look. */
static void no_gpus(void **state)
{
        static const char *const slices[] = {"[]", "[" SLICE("a", "") "]"};
        for (size_t i = 0; i < COUNT_OF(slices); i++)
                expect_of(slices[i], CLAIMS, NODES, pod_of("small", ""), "no-gpus", "no node has published a GPU of FastGPU's", "kubectl -n fastgpu-system logs ds/fastgpu-kubelet");
        expect_of("[" SLICE("a", DEVICE("gpu-1", "1Gi", "100", "")) "]", CLAIMS, NODES, pod_of("small", ""), "too-large", NULL, NULL);
}

static void names(void **state)
{
        static const char *const good[] = {"default/a", "x/train-0", "kube-system/a.b"}, *const bad[] = {"", "a", "/a", "a/", "a/B", "a/b/c", "a/-b", "../b", "a/b?x", "a/b "};
        for (size_t i = 0; i < COUNT_OF(good); i++)
                assert_true(fgi_sched_is_name(good[i]));
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_false(fgi_sched_is_name(bad[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_view), cmocka_unit_test(a_filter), cmocka_unit_test(never_harder), cmocka_unit_test(many_gpus),
                cmocka_unit_test(resources), cmocka_unit_test(priorities), cmocka_unit_test(reasons), cmocka_unit_test(odd_ones),
                cmocka_unit_test(no_claim), cmocka_unit_test(others), cmocka_unit_test(not_more_than_there_is), cmocka_unit_test(tainted_others), cmocka_unit_test(others_where_it_may_go),
                cmocka_unit_test(resources_of_two_nodes), cmocka_unit_test(no_gpus), cmocka_unit_test(names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
