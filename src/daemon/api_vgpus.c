/* SPDX-License-Identifier: Apache-2.0
 * The requests that change something. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/api_body.h"
#include "daemon/process.h"
#include "daemon/vgpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An id, a key or the start of a UUID. */
static struct fgd_device *match_device(const struct fgd_manager *m, const char *text, bool *ret_ambiguous)
{
        struct fgd_device *found = NULL;
        char *end;
        unsigned long id = strtoul(text, &end, 10);
        *ret_ambiguous = false;
        if (*text >= '0' && *text <= '9' && !*end && id < m->devices)
                return m->device[id];
        for (uint32_t i = 0; i < m->devices; i++) {
                if (strcmp(m->device[i]->key, text) == 0)
                        return m->device[i];
                if (strlen(text) >= 2 && strncasecmp(m->device[i]->uuid, text, strlen(text)) == 0) {
                        *ret_ambiguous = *ret_ambiguous || found;
                        found = m->device[i];
                }
        }
        return *ret_ambiguous ? NULL : found;
}

static int find_device(struct fgd_call *call, json_t *value, struct fgd_device **ret)
{
        char quoted[96], number[24];
        int64_t id;
        bool ambiguous;
        const char *text = json_string_value(value);
        if (fgd_body_integer(value, &id)) {
                snprintf(number, sizeof number, "%lld", (long long)id);
                text = number;
        }
        if (!text || !*text)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"device\" must be an id, a key or the start of a UUID, not %s",
                                       fgd_body_quote(value, quoted, sizeof quoted));
        *ret = match_device(call->manager, text, &ambiguous);
        if (*ret)
                return 0;
        return fgd_problem_set(&call->problem, ambiguous ? FGD_BAD_REQUEST : FGD_NOT_FOUND,
                               ambiguous ? "several devices have a UUID that starts with \"%.80s\": give more of it"
                                         : "there is no device \"%.80s\"; \"fastgpu devices\" shows what there is",
                               text);
}

int fgd_body_device(struct fgd_call *call, json_t *body, struct fgd_device **ret)
{
        json_t *value = json_object_get(body, "device");
        return value ? find_device(call, value, ret) : 0;
}

/* One for each vGPU; *ret is NULL where none are named. What was asked for is then taken as it is, so all of it has to be said. */
static int body_devices(struct fgd_call *call, json_t *body, uint32_t gpus, uint32_t **ret)
{
        json_t *list = json_object_get(body, "devices"), *item;
        struct fgd_device *device;
        size_t i;
        if (!list)
                return 0;
        if (!json_is_array(list) || json_array_size(list) != gpus)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"devices\" must be a list of %u, one for each vGPU", gpus);
        if (json_object_get(body, "device") || !json_object_get(body, "memory") || !json_object_get(body, "compute"))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"devices\" goes with \"memory\" and \"compute\", and without \"device\"");
        *ret = calloc(gpus, sizeof **ret);
        if (!*ret)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        json_array_foreach(list, i, item) {
                if (find_device(call, item, &device) < 0)
                        return -1;
                (*ret)[i] = device->id;
        }
        return 0;
}

/* What 100 % of the memory means before a device is chosen: the one asked for, else the largest. */
static uint64_t whole_memory(const struct fgd_manager *m, const struct fgd_device *device)
{
        uint64_t whole = device ? device->memory : 0;
        for (uint32_t i = 0; !device && i < m->devices; i++)
                if (m->device[i]->present && m->device[i]->memory > whole)
                        whole = m->device[i]->memory;
        return whole;
}

void fgd_wants_clear(struct fgd_wants *w)
{
        free(w->want);
        free(w->whole);
}

static int wants_new(struct fgd_call *call, uint32_t count, struct fgd_wants *ret)
{
        ret->want = calloc(count, sizeof *ret->want);
        ret->whole = calloc(count, sizeof *ret->whole);
        return ret->want && ret->whole ? 0 : fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
}

int fgd_wants_read(struct fgd_call *call, json_t *body, uint32_t count, const struct fgd_device *device, const uint32_t *at,
                   struct fgd_wants *ret)
{
        if (wants_new(call, count, ret) < 0)
                return -1;
        for (uint32_t i = 0; i < count; i++)
                ret->whole[i] = whole_memory(call->manager, at ? call->manager->device[at[i]] : device);
        return fgd_body_wants(body, count, ret->whole, ret->want, &call->problem);
}

/* Says what was chosen where nothing was asked for. */
static void make_note(const struct fgd_create *create, const struct fgd_set *set, char *ret, size_t size)
{
        const struct fgd_vgpu *v = &set->vgpu[0];
        char memory[32];
        bool no_memory = !create->want[0].memory, no_share = !create->want[0].share;
        fg_size_format(v->memory, memory, sizeof memory);
        ret[0] = 0;
        if (no_memory && no_share)
                snprintf(ret, size, "no memory and no compute were asked for: %s%s and %u.%u %%, an equal part of what device %u still had",
                         create->gpus > 1 ? "each got an equal part, the first " : "", memory, v->share / 10, v->share % 10, v->device->id);
        else if (no_memory)
                snprintf(ret, size, "no memory was asked for: %s%s, an equal part of what device %u still had",
                         create->gpus > 1 ? "the first got " : "", memory, v->device->id);
        else if (no_share)
                snprintf(ret, size, "no compute was asked for: %s%u.%u %%, an equal part of what device %u still had",
                         create->gpus > 1 ? "the first got " : "", v->share / 10, v->share % 10, v->device->id);
}

/* Reads what POST /v1/vgpus and POST /v1/open have in common, and creates. */
static int create(struct fgd_call *call, json_t *body, bool ephemeral, struct fgd_set **ret, char *ret_note, size_t size)
{
        FG_CLEANUP(fgd_wants_clear) struct fgd_wants w = {0};
        struct fgd_create c = {.ephemeral = ephemeral, .owner = call->who.user};
        fg_autofree uint32_t *at = NULL;
        const char *project;
        bool given;
        if (fgd_body_word(body, "project", &project, &call->problem) < 0 || fgd_call_project(call, project, &c.project) < 0 ||
            fgd_body_name(body, c.name, &call->problem) < 0 || fgd_body_count(body, &c.gpus, &call->problem) < 0 ||
            fgd_body_mode(body, &given, &c.mode, &call->problem) < 0 || fgd_body_priority(body, &given, &c.priority, &call->problem) < 0 ||
            fgd_body_device(call, body, &c.device) < 0 || body_devices(call, body, c.gpus, &at) < 0)
                return -1;
        fgd_journal_target(call->manager, "%s", c.name);
        if (fgd_wants_read(call, body, c.gpus, c.device, at, &w) < 0)
                return -1;
        c.want = w.want;
        c.at = at;
        call->wish = &c;
        int r = fgd_vgpus_create(call->manager, &c, ret, &call->problem);
        call->wish = NULL;
        if (r == 0)
                make_note(&c, *ret, ret_note, size);
        return r;
}

static void write_created(struct fgd_call *call, const void *object)
{
        struct fgd_set *set = (struct fgd_set *)object;
        char note[256];
        make_note(call->wish, set, note, sizeof note);
        fgd_write_set(set, note, &call->text);
        fgd_text_add(&call->text, "\n");
        snprintf(call->reply.target, sizeof call->reply.target, "%lld:%s", (long long)set->project->id, set->name);
}

int fgd_handle_create(struct fgd_call *call)
{
        static const char *const known[] = {"name", "gpus", "memory", "compute", "mode", "priority", "device", "devices", "project", NULL};
        fgd_autojson json_t *body = NULL;
        struct fgd_set *set;
        char note[256];
        call->write = write_created;
        if (fgd_query_none(call) < 0 ||
            fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0)
                return -1;
        return create(call, body, false, &set, note, sizeof note);
}

/* They come and go with their job. */
static int refuse_job_set(struct fgd_call *call, const struct fgd_set *set)
{
        if (!set->job)
                return 0;
        return fgd_problem_set(&call->problem, FGD_IN_USE, "\"%s\" belongs to job %lld: \"fastgpu cancel %lld\" ends both", set->name, (long long)set->job,
                               (long long)set->job);
}

int fgd_handle_resize(struct fgd_call *call)
{
        static const char *const known[] = {"memory", "compute", "mode", "priority", NULL};
        fgd_autojson json_t *body = NULL;
        FG_CLEANUP(fgd_wants_clear) struct fgd_wants w = {0};
        struct fgd_resize resize = {0};
        struct fgd_query query[] = {{"project"}};
        int64_t index;
        if (fgd_query_read(call, query, 1) < 0 || fgd_call_path_target(call, query[0].value, &resize.set, &index) < 0 ||
            fgd_call_owns(call, resize.set) < 0 || refuse_job_set(call, resize.set) < 0 ||
            fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0)
                return -1;
        if (json_object_size(body) == 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "nothing to change: give memory, compute, mode or priority");
        resize.first = index < 0 ? 0 : (uint32_t)index;
        resize.count = index < 0 ? resize.set->count : 1;
        resize.has_memory = json_object_get(body, "memory") != NULL;
        resize.has_share = json_object_get(body, "compute") != NULL;
        if (fgd_body_mode(body, &resize.has_mode, &resize.mode, &call->problem) < 0 ||
            fgd_body_priority(body, &resize.has_priority, &resize.priority, &call->problem) < 0 || wants_new(call, resize.count, &w) < 0)
                return -1;
        for (uint32_t i = 0; i < resize.count; i++) {
                const struct fgd_device *device = resize.set->vgpu[resize.first + i].device;
                w.whole[i] = device ? device->memory : 0;
        }
        resize.want = w.want;
        if (fgd_body_wants(body, resize.count, w.whole, w.want, &call->problem) < 0 ||
            fgd_vgpus_resize(call->manager, &resize, &call->problem) < 0)
                return -1;
        fgd_write_set(resize.set, "", &call->text);
        fgd_text_add(&call->text, "\n");
        return 0;
}

/* A deletion that waits for programs to end. */
struct deletion {
        struct fgd_manager *manager;
        struct fgd_audit *audit;
        struct fgd_later later;
};

static void deleted(void *user, const struct fgd_problem *problem)
{
        struct deletion *d = user;
        struct fgd_text text = {0};
        unsigned status = problem ? fgd_problem_status(problem) : 204;
        if (problem)
                fgd_problem_write(problem, &text);
        fgd_journal_end(d->manager, d->audit, status, problem ? fgd_problem_type_name(problem) : "");
        d->later.done(d->later.user, status, text.data);
        free(d);
}

static int delete_force(struct fgd_call *call, struct fgd_set *set)
{
        struct deletion *d = malloc(sizeof *d);
        if (!d)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        *d = (struct deletion){call->manager, call->audit, *call->request->later};
        int r = fgd_vgpus_delete_force(call->manager, set, deleted, d, &call->problem);
        if (r <= 0) {
                free(d);
                return r;
        }
        set->ending->audit = FG_TAKE_PTR(call->audit);
        return r;
}

int fgd_handle_delete(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}, {"force"}};
        struct fgd_set *set;
        int64_t index;
        bool force;
        if (fgd_query_read(call, query, 2) < 0 || fgd_query_flag(call, &query[1], &force) < 0 ||
            fgd_call_path_target(call, query[0].value, &set, &index) < 0)
                return -1;
        if (refuse_job_set(call, set) < 0)
                return -1;
        if (index >= 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "a single vGPU cannot be deleted: delete \"%s\" as a whole", set->name);
        if (fgd_call_owns(call, set) < 0)
                return -1;
        return force && call->request->later ? delete_force(call, set) : fgd_vgpus_delete(call->manager, set, &call->problem);
}

/* On a processor the kernel's scheduler can make room for higher classes at once, if the program lets it. */
static bool in_background(const struct fgd_set *set, int64_t index)
{
        for (uint32_t i = 0; i < set->count; i++) {
                const struct fgd_vgpu *v = &set->vgpu[i];
                if ((index < 0 || index == i) && (v->priority != FG_PRIORITY_LOW || strcmp(v->device->type, "cpu") != 0))
                        return false;
        }
        return true;
}

/* The program needs the CUDA drop-in also when its vGPUs are on other devices: that it finds none is part of its limits. */
static bool has_cuda(const struct fgd_manager *m)
{
        for (uint32_t i = 0; i < m->devices; i++)
                if (m->device[i]->present && strcmp(m->device[i]->api, "cuda") == 0)
                        return true;
        return false;
}

static int open_target(struct fgd_call *call, struct fgd_set *set, int64_t index, struct fgd_process *process, const char *note)
{
        char path[PATH_MAX], name[96];
        if (fgd_vgpus_open(call->manager, set, index, process, path, sizeof path, &call->problem) < 0)
                return -1;
        if (index < 0)
                snprintf(name, sizeof name, "%s", set->name);
        else
                snprintf(name, sizeof name, "%s/%lld", set->name, (long long)index);
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "name", name);
        fgd_text_field(&call->text, "attach", path);
        fgd_text_number(&call->text, "vgpus", index < 0 ? set->count : 1);
        fgd_text_bool(&call->text, "background", in_background(set, index));
        fgd_text_bool(&call->text, "cuda", has_cuda(call->manager));
        if (call->manager->options.text[FG_OPT_SIM][0])
                fgd_text_field(&call->text, "sim", call->manager->options.text[FG_OPT_SIM]);
        if (note[0])
                fgd_text_field(&call->text, "note", note);
        fgd_text_add(&call->text, "}\n");
        return 0;
}

/* The set comes into being with its first use, so that no other moment can leave one behind. */
static int open_new(struct fgd_call *call, json_t *body, struct fgd_process *process)
{
        struct fgd_set *set;
        struct fgd_problem ignored = {0};
        char note[256];
        if (create(call, body, true, &set, note, sizeof note) < 0)
                return -1;
        int r = open_target(call, set, -1, process, note);
        if (r < 0)
                fgd_vgpus_delete(call->manager, set, &ignored);
        return r;
}

/* The program runs on this machine, whoever asks: what it uses is known by its process. */
static int open_for_caller(struct fgd_call *call, json_t *body, struct fgd_set *set, int64_t index)
{
        struct fg_error err = {0};
        struct fgd_process *process;
        int peer = call->request->remote ? -1 : call->request->peer;
        if (peer < 0)
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "programs run on the daemon's own machine: ask there, on its unix socket");
        if (fgd_process_of_socket(call->manager, peer, &process, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        int r = set ? open_target(call, set, index, process, "") : open_new(call, body, process);
        fgd_process_drop(process);
        return r;
}

int fgd_handle_open(struct fgd_call *call)
{
        static const char *const by_name[] = {"target", "project", NULL};
        static const char *const by_amount[] = {"target", "memory", "compute", "gpus", "mode", "priority", "device", "project", NULL};
        fgd_autojson json_t *body = NULL;
        fgd_autojson json_t *again = NULL;
        struct fgd_set *set = NULL;
        int64_t index = -1;
        const char *project, *target;
        if (fgd_body_parse(call->request->body, call->request->body_size, by_amount, &body, &call->problem) < 0)
                return -1;
        if (json_object_get(body, "target") && json_object_size(body) > 1 &&
            fgd_body_parse(call->request->body, call->request->body_size, by_name, &again, &call->problem) < 0)
                return -1;
        if (fgd_body_word(body, "project", &project, &call->problem) < 0 || fgd_body_word(body, "target", &target, &call->problem) < 0 ||
            (target && fgd_call_target(call, target, project, &set, &index) < 0))
                return -1;
        return open_for_caller(call, body, set, index);
}
