/* SPDX-License-Identifier: Apache-2.0
 * Why an application of Spark, Flink or YARN waits: of what its manager says of it and of the workers the one thing that decides. Where what
 * is short are vGPUs, also what this node still has room for. */
#include "cli/engine.h"
#include "cli/job.h"

#include "base/size.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 1024

__attribute__((format(printf, 4, 5))) static json_t *answer(const char *state, const char *reason, const char *remedy, const char *format, ...)
{
        char text[TEXT];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        json_t *json = json_pack("{s:s, s:s, s:s}", "state", state, "reason", reason, "text", cli_clean(text));
        if (remedy)
                json_object_set_new(json, "remedy", json_string(remedy));
        return json;
}

/* --- Spark: its master's list of workers and applications --- */

static long long resource_of(const json_t *worker, const char *of, const char *name)
{
        return (long long)json_array_size(json_object_get(json_object_get(json_object_get(worker, of), name), "addresses"));
}

/* What a worker lacks of an executor: the first of these of which no worker has enough. */
struct spark_room {
        long long workers, cores, memory, gpus; /* the most of one worker */
        long long gpus_all;                      /* of that one */
        const char *worker;
};

static struct spark_room spark_room(const json_t *master, const char *resource)
{
        struct spark_room room = {.gpus = -1, .worker = ""};
        const json_t *worker;
        size_t i;
        json_array_foreach(json_object_get(master, "workers"), i, worker) {
                if (strcmp(cli_text(worker, "state"), "ALIVE") != 0)
                        continue;
                long long cores = (long long)(cli_number(worker, "cores") - cli_number(worker, "coresused")),
                          memory = (long long)(cli_number(worker, "memory") - cli_number(worker, "memoryused")),
                          all = resource_of(worker, "resources", resource), gpus = all - resource_of(worker, "resourcesused", resource);
                room.workers++;
                room.cores = cores > room.cores ? cores : room.cores;
                room.memory = memory > room.memory ? memory : room.memory;
                if (gpus > room.gpus) {
                        room.gpus = gpus;
                        room.gpus_all = all;
                        room.worker = cli_text(worker, "id");
                }
        }
        return room;
}

static json_t *spark_says(const json_t *master, const json_t *app)
{
        const json_t *wants = json_array_get(json_object_get(app, "resourcesperexecutor"), 0);
        const char *resource = wants ? cli_text(wants, "name") : "gpu";
        long long gpus = wants ? (long long)cli_number(wants, "amount") : 0, memory = (long long)cli_number(app, "memoryperexecutor");
        struct spark_room room = spark_room(master, resource);
        if (strcmp(cli_text(app, "state"), "WAITING") != 0)
                return answer("running", "runs", NULL, "it has executors on %lld cores (Spark: %s)", (long long)cli_number(app, "cores"), cli_text(app, "state"));
        if (room.workers == 0)
                return answer("pending", "no-worker", "start one: sbin/start-worker.sh spark://HOST:7077", "the master has no worker that lives (Spark: WAITING)");
        if (gpus > room.gpus)
                return answer("pending", "no-vgpu", room.gpus_all < gpus ? "a worker with more of them, or spark.executor.resource.gpu.amount=1" : "an application that has some ends",
                              "an executor wants %lld %s, and the worker with most free, %s, has %lld of %lld (Spark: WAITING)", gpus, resource, room.worker, room.gpus,
                              room.gpus_all);
        if (memory > room.memory)
                return answer("pending", "no-memory", "spark.executor.memory, or an application that has some ends",
                              "an executor wants %lld MiB, and no worker has more than %lld MiB free (Spark: WAITING)", memory, room.memory);
        if (room.cores == 0)
                return answer("pending", "no-cores", "an application that has some ends", "no worker has a core free (Spark: WAITING)");
        return answer("pending", "waits", NULL, "workers have room for an executor; the master has not started one yet, or no single worker has all of it (Spark: WAITING)");
}

static int spark(const struct cli_engine *engine, const char *name, json_t **ret)
{
        cli_autojson json_t *master = NULL;
        const json_t *app;
        size_t i;
        int code = cli_engine_get(engine, "/json/", &master);
        json_array_foreach(json_object_get(master, "activeapps"), i, app)
                if (!*ret && strcmp(cli_text(app, "id"), name) == 0)
                        *ret = spark_says(master, app);
        json_array_foreach(json_object_get(master, "completedapps"), i, app)
                if (!*ret && strcmp(cli_text(app, "id"), name) == 0)
                        *ret = answer("ended", "ended", NULL, "it is over (Spark: %s)", cli_text(app, "state"));
        return code ? code : *ret ? 0 : CLI_NOT_FOUND;
}

/* --- Flink: its JobManager's job and slots --- */

static json_t *flink_says(const json_t *job, const json_t *all, const json_t *exceptions)
{
        const char *state = cli_text(job, "state"), *why = cli_text(exceptions, "root-exception");
        const json_t *vertex;
        long long waiting = 0, slots = (long long)cli_number(all, "slots-total"), managers = (long long)cli_number(all, "taskmanagers");
        size_t i;
        json_array_foreach(json_object_get(job, "vertices"), i, vertex) {
                const json_t *tasks = json_object_get(vertex, "tasks");
                waiting += (long long)(cli_number(tasks, "CREATED") + cli_number(tasks, "SCHEDULED"));
        }
        if (strcmp(state, "FINISHED") == 0 || strcmp(state, "FAILED") == 0 || strcmp(state, "CANCELED") == 0)
                return answer("ended", "ended", NULL, "it is over (Flink: %s%s%.*s)", state, *why ? ", " : "", (int)strcspn(why, "\n"), why);
        if (waiting == 0 && strcmp(state, "RUNNING") == 0)
                return answer("running", "runs", NULL, "all of its tasks have slots (Flink: RUNNING)");
        if (managers == 0)
                return answer("pending", "no-worker", "fastgpu run SET -- bin/taskmanager.sh start-foreground", "there is no TaskManager (Flink: %s)", state);
        if (waiting > 0 && cli_number(all, "slots-available") == 0)
                return answer("pending", "no-slot", "another TaskManager, in a set of its own; less parallelism (-p); a job that ends",
                              "%lld of its tasks wait, and none of the %lld slots of %lld TaskManagers is free (Flink: %s)", waiting, slots, managers, state);
        return answer("pending", "waits", NULL, "%lld of its tasks wait, and %lld of %lld slots are free (Flink: %s%s%.*s)", waiting,
                      (long long)cli_number(all, "slots-available"), slots, state, *why ? ", " : "", (int)strcspn(why, "\n"), why);
}

static int flink(const struct cli_engine *engine, const char *name, json_t **ret)
{
        cli_autojson json_t *job = NULL, *all = NULL, *exceptions = NULL;
        char path[128];
        snprintf(path, sizeof path, "/jobs/%.60s", name);
        int code = cli_engine_get(engine, path, &job);
        if (code == 0)
                code = cli_engine_get(engine, "/overview", &all);
        snprintf(path, sizeof path, "/jobs/%.60s/exceptions", name);
        if (code == 0)
                code = cli_engine_get(engine, path, &exceptions);
        if (code == 0)
                *ret = flink_says(job, all, exceptions);
        return code;
}

/* --- YARN: its ResourceManager's application and nodes --- */

#define YARN_MOST (1ll << 61) /* of a resource; two of them can be added up */

static long long yarn_amount(const json_t *resource, const char *name)
{
        const json_t *one;
        size_t i;
        json_array_foreach(json_object_get(json_object_get(resource, "resourceInformations"), "resourceInformation"), i, one)
                if (strcmp(cli_text(one, "name"), name) == 0) {
                        long long value = json_integer_value(json_object_get(one, "value"));
                        return value > YARN_MOST ? YARN_MOST : value < -YARN_MOST ? -YARN_MOST : value;
                }
        return 0;
}

/* The first resource of a container that no node has free, in `ret`; false: a node has all of it. */
static bool yarn_short(const json_t *wants, const json_t *nodes, char *ret, size_t len, const char **ret_name)
{
        const json_t *one, *node;
        bool any = false;
        size_t i, k;
        json_array_foreach(json_object_get(json_object_get(wants, "resourceInformations"), "resourceInformation"), i, one) {
                const char *name = cli_text(one, "name"), *best = NULL;
                long long most = -1, wanted = json_integer_value(json_object_get(one, "value")), used = 0;
                json_array_foreach(nodes, k, node) {
                        if (strcmp(cli_text(node, "state"), "RUNNING") != 0)
                                continue;
                        long long free = yarn_amount(json_object_get(node, "availableResource"), name);
                        any = true;
                        if (free > most) {
                                most = free;
                                best = cli_text(node, "id");
                                used = yarn_amount(json_object_get(node, "usedResource"), name);
                        }
                }
                if (best && most < wanted) {
                        *ret_name = name;
                        snprintf(ret, len, "a container wants %lld of %s, and the node with most free, %s, has %lld of %lld", wanted, name, best, most, most + used);
                        return true;
                }
        }
        *ret_name = "";
        snprintf(ret, len, "the ResourceManager has no node that runs");
        return !any;
}

static json_t *yarn_says(const json_t *app, const json_t *nodes)
{
        const char *state = cli_text(app, "state"), *said = cli_text(app, "diagnostics"), *name;
        const json_t *request;
        char text[TEXT];
        size_t i;
        said += strspn(said, " \n");
        int n = (int)strcspn(said, "\n");
        if (strcmp(state, "FINISHED") == 0 || strcmp(state, "FAILED") == 0 || strcmp(state, "KILLED") == 0)
                return answer("ended", "ended", NULL, "it is over (YARN: %s%s%.*s)", state, n ? ", " : "", n, said);
        json_array_foreach(json_object_get(app, "resourceRequests"), i, request) {
                if (cli_number(request, "numContainers") == 0 || strcmp(cli_text(request, "resourceName"), "*") != 0)
                        continue;
                if (yarn_short(json_object_get(request, "capability"), nodes, text, sizeof text, &name))
                        return answer("pending", !*name ? "no-node" : strncmp(name, "fastgpu.dev/", 12) == 0 ? "no-vgpu" : "no-resource",
                                      *name ? "a container that has some ends" : NULL, "%s (YARN: %s%s%.*s)", text, state, n ? ", " : "", n, said);
                return answer("pending", "waits", NULL, "a node has room for its next container, which the ResourceManager has not given yet (YARN: %s%s%.*s)", state,
                              n ? ", " : "", n, said);
        }
        if (strcmp(state, "RUNNING") == 0)
                return answer("running", "runs", NULL, "it has all the containers that it asked for (YARN: RUNNING)");
        return answer("pending", "queue", NULL, "its queue %s has not let it begin (YARN: %s%s%.*s)", cli_text(app, "queue"), state, n ? ", " : "", n, said);
}

static int yarn(const struct cli_engine *engine, const char *name, json_t **ret)
{
        cli_autojson json_t *app = NULL, *nodes = NULL;
        char path[128];
        snprintf(path, sizeof path, "/ws/v1/cluster/apps/%.60s", name);
        int code = cli_engine_get(engine, path, &app);
        if (code == 0)
                code = cli_engine_get(engine, "/ws/v1/cluster/nodes", &nodes);
        if (code == 0)
                *ret = yarn_says(json_object_get(app, "app"), json_object_get(json_object_get(nodes, "nodes"), "node"));
        return code;
}

/* --- */

/* What the devices of this node have room for, quietly: the engine may be asked from anywhere. */
static void add_node(json_t *why)
{
        struct fg_client *client;
        cli_autojson json_t *reply = NULL, *problem = NULL;
        const json_t *device;
        char text[TEXT] = "", memory[32];
        size_t i, at = 0;
        if (fg_client_open(FG_CLIENT_BRIEF, &client, NULL, 0) < 0)
                return;
        if (cli_ask(client, "GET", "/v1/devices", NULL, &reply, &problem) == 0)
                json_array_foreach(json_object_get(reply, "devices"), i, device) {
                        fg_size_format(cli_number(device, "memory_free"), memory, sizeof memory);
                        int n = snprintf(text + at, sizeof text - at, "%sdevice %llu has %s and %g %% free", at ? ", " : "", (unsigned long long)cli_number(device, "id"), memory,
                                         (double)cli_number(device, "share_free") / 10);
                        at = n < (int)(sizeof text - at) ? at + (size_t)n : at;
                }
        fg_client_close(client);
        if (at)
                json_object_set_new(why, "node", json_string(text));
}

static const struct {
        struct cli_engine engine;
        const char *what;
        int (*ask)(const struct cli_engine *engine, const char *name, json_t **ret);
} engines[] = {
        {{.kind = "spark", .manager = "Spark's master"}, "spark/app-…, of the master's page", spark},
        {{.kind = "flink", .manager = "Flink's JobManager"}, "flink/JOBID, of `flink list`", flink},
        {{.kind = "yarn", .manager = "YARN's ResourceManager"}, "yarn/application_…, of `yarn application -list`", yarn},
};

int cli_why_engine(const char *name, const char *url, json_t **ret)
{
        static const char signs[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
        size_t kind = strcspn(name, "/"), i = 0;
        const char *id = name + kind + 1;
        while (i < sizeof engines / sizeof *engines && (strlen(engines[i].engine.kind) != kind || strncmp(name, engines[i].engine.kind, kind) != 0))
                i++;
        /* A set may be named "spark": spark/0 is a vGPU, and no engine numbers what it runs from 0. */
        if (i == sizeof engines / sizeof *engines || !name[kind] || (*id && !id[strspn(id, "0123456789")] && strlen(id) < 10))
                return -1;
        struct cli_engine engine = engines[i].engine;
        if (!*id || strlen(id) > 60 || id[strspn(id, signs)])
                return cli_fail(CLI_USAGE, "why what? \"%s\" names no application; type %s", name, engines[i].what);
        int code = cli_engine_find(&engine, url);
        if (code)
                return code;
        code = engines[i].ask(&engine, id, ret);
        if (code == CLI_NOT_FOUND)
                return cli_fail(CLI_NOT_FOUND, "%s at %s knows no %s; type %s", engine.manager, engine.url, id, engines[i].what);
        if (code == 0) {
                json_object_set_new(*ret, "name", json_string(name));
                if (strcmp(cli_text(*ret, "reason"), "no-vgpu") == 0)
                        add_node(*ret);
        }
        return code;
}
