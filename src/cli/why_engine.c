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

static bool is_one_of(const char *state, const char *const *of)
{
        while (*of && strcmp(state, *of) != 0)
                of++;
        return *of != NULL;
}

/* --- Spark: its master's list of workers and applications --- */

static long long resource_of(const json_t *worker, const char *of, const char *name)
{
        return (long long)json_array_size(json_object_get(json_object_get(json_object_get(worker, of), name), "addresses"));
}

/* The most that one worker has free, of each for itself. */
struct spark_room {
        long long workers, cores, memory;
};

static bool spark_lives(const json_t *worker)
{
        return strcmp(cli_text(worker, "state"), "ALIVE") == 0;
}

static struct spark_room spark_room(const json_t *master)
{
        struct spark_room room = {0};
        const json_t *worker;
        size_t i;
        json_array_foreach(json_object_get(master, "workers"), i, worker) {
                if (!spark_lives(worker))
                        continue;
                long long cores = (long long)(cli_number(worker, "cores") - cli_number(worker, "coresused")),
                          memory = (long long)(cli_number(worker, "memory") - cli_number(worker, "memoryused"));
                room.workers++;
                room.cores = cores > room.cores ? cores : room.cores;
                room.memory = memory > room.memory ? memory : room.memory;
        }
        return room;
}

/* NULL: a worker has as much of the resource free as an executor wants. */
static json_t *spark_short(const json_t *master, const json_t *wants, const char *state)
{
        const char *name = cli_text(wants, "name"), *best = "";
        long long wanted = (long long)cli_number(wants, "amount"), most = -1, most_all = 0, largest = 0;
        const json_t *worker;
        char remedy[256];
        size_t i;
        json_array_foreach(json_object_get(master, "workers"), i, worker) {
                long long all = resource_of(worker, "resources", name), free = all - resource_of(worker, "resourcesused", name);
                if (!spark_lives(worker))
                        continue;
                largest = all > largest ? all : largest;
                if (free > most) {
                        most = free;
                        most_all = all;
                        best = cli_text(worker, "id");
                }
        }
        if (wanted <= most)
                return NULL;
        if (largest >= wanted)
                snprintf(remedy, sizeof remedy, "an application that has some ends");
        else
                snprintf(remedy, sizeof remedy, "a worker with more of them (spark.worker.resource.%.60s.amount)%s%.60s%s", name,
                         wanted > 1 ? ", or spark.executor.resource." : "", wanted > 1 ? name : "", wanted > 1 ? ".amount=1" : "");
        return answer("pending", strstr(name, "gpu") ? "no-vgpu" : "no-resource", cli_clean(remedy),
                      "an executor wants %lld %s, and the worker with most free, %s, has %lld of %lld (Spark: %s)", wanted, name, best, most, most_all, state);
}

/* For Spark an application that had executors is RUNNING, also when it has none any more. */
static json_t *spark_says(const json_t *master, const json_t *app)
{
        const char *state = cli_text(app, "state");
        long long memory = (long long)cli_number(app, "memoryperexecutor"), cores = (long long)cli_number(app, "cores");
        struct spark_room room = spark_room(master);
        const json_t *wants;
        size_t i;
        if (strcmp(state, "WAITING") != 0 && cores > 0)
                return answer("running", "runs", NULL, "it has executors on %lld cores (Spark: %s)", cores, state);
        if (room.workers == 0)
                return answer("pending", "no-worker", "start one: sbin/start-worker.sh spark://HOST:7077", "the master has no worker that lives (Spark: %s)", state);
        json_array_foreach(json_object_get(app, "resourcesperexecutor"), i, wants) {
                json_t *lacks = spark_short(master, wants, state);
                if (lacks)
                        return lacks;
        }
        if (memory > room.memory)
                return answer("pending", "no-memory", "spark.executor.memory, or an application that has some ends",
                              "an executor wants %lld MiB, and no worker has more than %lld MiB free (Spark: %s)", memory, room.memory, state);
        if (room.cores == 0)
                return answer("pending", "no-cores", "an application that has some ends", "no worker has a core free (Spark: %s)", state);
        return answer("pending", "waits", NULL,
                      "each thing that an executor wants is free on some worker; no single worker has all of it, spark.executor.cores included, or the master "
                      "has not started one yet (Spark: %s)",
                      state);
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

/* While the job runs, what is CREATED waits for what others of its tasks will give it, and not for a slot. */
static long long flink_waiting(const json_t *job, bool runs)
{
        const json_t *vertex;
        long long waiting = 0;
        size_t i;
        json_array_foreach(json_object_get(job, "vertices"), i, vertex) {
                const json_t *tasks = json_object_get(vertex, "tasks");
                waiting += (long long)(cli_number(tasks, "SCHEDULED") + (runs ? 0 : cli_number(tasks, "CREATED")));
        }
        return waiting;
}

static json_t *flink_says(const json_t *job, const json_t *all, const json_t *exceptions)
{
        static const char *const over[] = {"FINISHED", "FAILED", "CANCELED", NULL}, *const stopping[] = {"CANCELLING", "FAILING", NULL};
        const char *state = cli_text(job, "state"), *why = cli_text(exceptions, "root-exception"), *comma = *why ? ", " : "";
        bool runs = strcmp(state, "RUNNING") == 0;
        long long waiting = flink_waiting(job, runs), slots = (long long)cli_number(all, "slots-total"), free = (long long)cli_number(all, "slots-available"),
                  managers = (long long)cli_number(all, "taskmanagers");
        int n = (int)strcspn(why, "\n");
        if (is_one_of(state, over))
                return answer("ended", "ended", NULL, "it is over (Flink: %s%s%.*s)", state, comma, n, why);
        if (is_one_of(state, stopping))
                return answer("stopping", "stopping", NULL, "its tasks are being stopped (Flink: %s%s%.*s)", state, comma, n, why);
        if (strcmp(state, "SUSPENDED") == 0)
                return answer("ended", "ended", "ask the JobManager that leads now: --url http://HOST:PORT", "this JobManager has given it up (Flink: SUSPENDED%s%.*s)", comma, n, why);
        if (waiting == 0 && runs)
                return answer("running", "runs", NULL, "none of its tasks waits for a slot (Flink: RUNNING)");
        if (managers == 0)
                return answer("pending", "no-worker", "fastgpu run SET -- bin/taskmanager.sh start-foreground", "there is no TaskManager (Flink: %s)", state);
        if (waiting > 0 && free == 0)
                return answer("pending", "no-slot", "another TaskManager, in a set of its own; less parallelism (-p); a job that ends",
                              "%lld of its tasks wait, and none of the %lld slots of %lld TaskManagers is free (Flink: %s)", waiting, slots, managers, state);
        return answer("pending", "waits", NULL, "Flink has not started its tasks yet; %lld of %lld slots are free (Flink: %s%s%.*s)", free, slots, state, comma, n, why);
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

static bool yarn_has_node(const json_t *nodes)
{
        const json_t *node;
        size_t i;
        json_array_foreach(nodes, i, node)
                if (strcmp(cli_text(node, "state"), "RUNNING") == 0)
                        return true;
        return false;
}

/* The first resource of a container that no node has free, in `ret`, or that no node runs, and *ret_name is ""; false: a node has all of it. */
static bool yarn_short(const json_t *wants, const json_t *nodes, char *ret, size_t len, const char **ret_name)
{
        const json_t *one, *node;
        size_t i, k;
        *ret_name = "";
        snprintf(ret, len, "the ResourceManager has no node that runs");
        if (!yarn_has_node(nodes))
                return true;
        json_array_foreach(json_object_get(json_object_get(wants, "resourceInformations"), "resourceInformation"), i, one) {
                const char *name = cli_text(one, "name"), *best = NULL;
                /* A node that was made smaller has less than nothing. */
                long long most = -YARN_MOST - 1, wanted = json_integer_value(json_object_get(one, "value")), used = 0;
                json_array_foreach(nodes, k, node) {
                        if (strcmp(cli_text(node, "state"), "RUNNING") != 0)
                                continue;
                        long long free = yarn_amount(json_object_get(node, "availableResource"), name);
                        if (free > most) {
                                most = free;
                                best = cli_text(node, "id");
                                used = yarn_amount(json_object_get(node, "usedResource"), name);
                        }
                }
                if (best && wanted > 0 && most < wanted) {
                        *ret_name = name;
                        snprintf(ret, len, "a container wants %lld of %s, and the node with most free, %s, has %lld of %lld", wanted, name, best, most, most + used);
                        return true;
                }
        }
        return false;
}

/* The application master's own container is a request as well, of an application that its queue has not let begin too. */
static json_t *yarn_says(const json_t *app, const json_t *nodes)
{
        static const char *const over[] = {"FINISHED", "FAILED", "KILLED", NULL};
        const char *state = cli_text(app, "state"), *said = cli_text(app, "diagnostics"), *name;
        const json_t *request;
        char text[TEXT];
        bool waits = false;
        size_t i;
        said += strspn(said, " \n");
        int n = (int)strcspn(said, "\n");
        const char *comma = n ? ", " : "";
        if (is_one_of(state, over))
                return answer("ended", "ended", NULL, "it is over (YARN: %s%s%.*s)", state, comma, n, said);
        json_array_foreach(json_object_get(app, "resourceRequests"), i, request) {
                if (cli_number(request, "numContainers") == 0 || strcmp(cli_text(request, "resourceName"), "*") != 0)
                        continue;
                waits = true;
                if (yarn_short(json_object_get(request, "capability"), nodes, text, sizeof text, &name))
                        return answer("pending", !*name ? "no-node" : strncmp(name, "fastgpu.dev/", 12) == 0 ? "no-vgpu" : "no-resource",
                                      *name ? "a container that has some ends" : NULL, "%s (YARN: %s%s%.*s)", text, state, comma, n, said);
        }
        if (strcmp(state, "RUNNING") != 0)
                return answer("pending", "queue", NULL, "its queue %s has not let it begin (YARN: %s%s%.*s)", cli_text(app, "queue"), state, comma, n, said);
        if (waits)
                return answer("pending", "waits", NULL, "nodes have room for its next containers, which the ResourceManager has not given yet (YARN: RUNNING%s%.*s)",
                              comma, n, said);
        return answer("running", "runs", NULL, "it has all the containers that it asked for (YARN: RUNNING)");
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
                        fg_size_floor(cli_number(device, "memory_free"), memory, sizeof memory);
                        int n = snprintf(text + at, sizeof text - at, "%sdevice %llu has %s and %g %% free", at ? ", " : "", (unsigned long long)cli_number(device, "id"), memory,
                                         (double)cli_number(device, "share_free") / 10);
                        if (n >= (int)(sizeof text - at)) {
                                text[at] = '\0';
                                break;
                        }
                        at += (size_t)n;
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
