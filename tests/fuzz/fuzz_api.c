/* SPDX-License-Identifier: Apache-2.0
 * Requests to the API, without sockets: each line "METHOD PATH?QUERY BODY" of the input is one request to the same manager,
 * with two devices and a store in memory. Every answer has a status and, unless empty, is one JSON object; the devices' and
 * the tenants' accounts hold after each.
 *
 * A line "!W METHOD PATH BODY" is asked by W: o the operator, n nobody over the network, a alice (manager of red), b bob
 * (member of red), v a token of bob's that only reads, c carol (of blue), h whoever the header says that follows ("!hBearer+x
 * GET …"). "#KEY" behind it is an Idempotency-Key. Where there is such a line there are these people; then nothing that carol,
 * nobody or the reading token ask for shows or changes what is red's. */
#include "daemon/api.h"
#include "daemon/identity.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/tenants.h"

#include "base/log.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS_MAX 64
#define MEMORY       (1ull << 30)
#define CANARY       "zcanary"

struct people {
        int pair[2];
        bool are_there;
        char token[128][120]; /* by letter: the header */
};

struct ask {
        char who; /* 0: as before there were people */
        const char *key, *header;
};

static void add_device(struct fgd_manager *m)
{
        struct fgd_device *device = calloc(1, sizeof *device);
        assert(device);
        *device = (struct fgd_device){.id = m->devices, .memory = MEMORY, .present = true, .model = "fuzz", .api = "opencl"};
        snprintf(device->key, sizeof device->key, "opencl/fuzz/%u", m->devices);
        snprintf(device->uuid, sizeof device->uuid, "%08x-0000-4000-8000-000000000000", m->devices);
        m->device[m->devices++] = device;
}

static struct fgd_manager *make_manager(void)
{
        struct fgd_manager *m = NULL;
        struct fg_options options = {0};
        struct fg_paths paths = {.state = "/dev/null/state", .run = "/dev/null/run", .is_private = true};
        struct fg_error err = {0};
        fg_log_set_level(0);
        int r = fgd_manager_new(&paths, &options, ":memory:", &m, &err);
        assert(r == 0);
        add_device(m);
        add_device(m);
        return m;
}

static void check_devices(struct fgd_manager *m)
{
        uint64_t memory[2] = {0}, share[2] = {0};
        struct fgd_set *set;
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; i < set->count; i++) {
                        const struct fgd_vgpu *v = &set->vgpu[i];
                        assert(!v->quarantined && v->memory > 0 && v->share >= 1 && v->device->id < 2);
                        memory[v->device->id] += v->memory;
                        share[v->device->id] += v->share;
                }
        for (int i = 0; i < 2; i++) {
                assert(memory[i] == m->device[i]->memory_promised && memory[i] <= MEMORY);
                assert(share[i] == m->device[i]->share_promised && share[i] <= FGD_SHARE_WHOLE);
        }
}

/* What is booked for a project (NULL: any) and an owner (NULL: any) against the sets there are. */
static void check_account(const struct fgd_manager *m, const struct fgd_account *account, const struct fgd_project *project,
                          const struct fgd_user *owner)
{
        uint64_t vgpus = 0, memory = 0, share = 0;
        const struct fgd_set *set;
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; i < set->count; i++) {
                        if ((project && set->project != project) || (owner && set->owner != owner))
                                continue;
                        vgpus++;
                        memory += set->vgpu[i].memory;
                        share += set->vgpu[i].share;
                }
        assert(account->used[FGD_QUOTA_VGPUS] == vgpus && account->used[FGD_QUOTA_MEMORY] == memory && account->used[FGD_QUOTA_SHARE] == share);
}

static void check_tenants(struct fgd_manager *m)
{
        const struct fgd_project *project;
        const struct fgd_member *member;
        check_account(m, &m->tenants->organisation, NULL, NULL);
        TAILQ_FOREACH(project, &m->tenants->projects, order) {
                check_account(m, &project->account, project, NULL);
                TAILQ_FOREACH(member, &project->members, of_project)
                        check_account(m, &member->account, project, member->user);
        }
}

static json_t *check_reply(unsigned status, const char *json, bool is_text)
{
        assert(status == 204 || (status >= 200 && status < 600 && json));
        if (!json || (is_text && status < 400))
                return NULL;
        json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
        assert(json_is_object(object));
        if (status >= 400) {
                assert(json_integer_value(json_object_get(object, "status")) == status);
                assert(json_is_string(json_object_get(object, "type")) && *json_string_value(json_object_get(object, "detail")));
        }
        return object;
}

static json_t *request(struct fgd_manager *m, const struct people *people, const struct ask *ask, const char *method, char *path, const char *body,
                       size_t size, unsigned *ret_status, char **ret_json)
{
        char *query = strchr(path, '?');
        if (query)
                *query++ = 0;
        const char *type = NULL; /* of what is no JSON */
        bool is_local = ask->who == 'o' && people->are_there;
        struct fgd_request asked = {.method = method, .path = path, .query = query, .body = body, .body_size = size,
                                    .peer = is_local ? people->pair[0] : -1, .remote = ask->who && !is_local, .from = "fuzz",
                                    .idempotency_key = ask->key, .content_type = &type};
        if (ask->who && ask->who != 'o' && ask->who != 'n')
                asked.authorization = ask->who == 'h' ? ask->header : people->token[(unsigned char)ask->who & 127];
        int r = fgd_api_handle(m, &asked, ret_status, ret_json);
        assert(r == 0);
        return check_reply(*ret_status, *ret_json, type != NULL);
}

static json_t *must(struct fgd_manager *m, const struct people *people, const char *method, const char *path, const char *body)
{
        char copy[128], *json = NULL;
        unsigned status;
        snprintf(copy, sizeof copy, "%s", path);
        json_t *object = request(m, people, &(struct ask){.who = 'o'}, method, copy, body, strlen(body), &status, &json);
        assert(status < 300);
        free(json);
        return object;
}

static void make_token(struct fgd_manager *m, struct people *people, char who, const char *body)
{
        json_t *made = must(m, people, "POST", "/v1/tokens", body);
        snprintf(people->token[(unsigned char)who], sizeof people->token[0], "Bearer %s", json_string_value(json_object_get(made, "secret")));
        json_decref(made);
}

static void make_people(struct fgd_manager *m, struct people *people)
{
        static const char *const steps[][3] = {
                {"POST", "/v1/users", "{\"name\": \"alice\", \"uid\": 20001}"},
                {"POST", "/v1/users", "{\"name\": \"bob\"}"},
                {"POST", "/v1/users", "{\"name\": \"carol\"}"},
                {"POST", "/v1/projects", "{\"name\": \"red\"}"},
                {"POST", "/v1/projects", "{\"name\": \"blue\"}"},
                {"PUT", "/v1/projects/red/members/alice", "{\"role\": \"manager\"}"},
                {"PUT", "/v1/projects/red/members/bob", "{\"role\": \"member\"}"},
                {"PUT", "/v1/projects/blue/members/carol", "{\"role\": \"manager\"}"},
                {"POST", "/v1/vgpus", "{\"name\": \"" CANARY "\", \"project\": \"red\", \"memory\": \"1M\", \"compute\": \"1\"}"},
        };
        int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, people->pair);
        assert(r == 0);
        people->are_there = true;
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
                json_decref(must(m, people, steps[i][0], steps[i][1], steps[i][2]));
        make_token(m, people, 'a', "{\"user\": \"alice\"}");
        make_token(m, people, 'b', "{\"user\": \"bob\"}");
        make_token(m, people, 'v', "{\"user\": \"bob\", \"role\": \"viewer\"}");
        make_token(m, people, 'c', "{\"user\": \"carol\"}");
}

/* An admin may have let carol in meanwhile. */
static bool is_foreign(const struct fgd_manager *m, char who)
{
        const struct fgd_project *red = fgd_project_find(m, "red");
        struct fgd_principal carol = {.known = true, .cap = FGD_ROLE_ADMIN, .user = fgd_user_find(m, "carol")};
        return who == 'n' || (who == 'c' && red && carol.user && !carol.user->admin && fgd_role_in(m, &carol, red) == FGD_ROLE_NONE);
}

struct canary {
        bool is_there;
        uint64_t memory;
        uint32_t share;
        uint32_t users, projects, sets;
};

static struct canary look(const struct fgd_manager *m)
{
        const struct fgd_project *red = fgd_project_find(m, "red");
        const struct fgd_set *set = red ? fgd_registry_find(m, red, CANARY) : NULL;
        struct canary canary;
        memset(&canary, 0, sizeof canary); /* its gaps too: it is compared as bytes */
        canary.is_there = set != NULL;
        canary.users = m->tenants->user_count;
        canary.projects = m->tenants->project_count;
        if (set) {
                canary.memory = set->vgpu[0].memory;
                canary.share = set->vgpu[0].share;
        }
        canary.sets = red ? red->sets : 0;
        return canary;
}

/* Splits "!W#KEY " off. */
static char *take_ask(char *line, char *end, struct ask *ret)
{
        if (line >= end || *line != '!' || line + 1 >= end)
                return line;
        char *space = memchr(line, ' ', (size_t)(end - line));
        if (!space)
                return end;
        *space = 0;
        ret->who = line[1] ? line[1] : 'n';
        char *key = strchr(line + 2 < space ? line + 2 : space, '#');
        if (key)
                *key++ = 0;
        ret->key = key;
        ret->header = line + 2 <= space ? line + 2 : "";
        for (char *c = line + 2; c < space; c++)
                *c = *c == '+' ? ' ' : *c;
        return space + 1;
}

static void one_request(struct fgd_manager *m, const struct people *people, char *line, size_t size)
{
        struct ask ask = {0};
        char *end = line + size, *json = NULL;
        bool mentions = memmem(line, size, CANARY, strlen(CANARY)) != NULL || memchr(line, '%', size) != NULL;
        line = take_ask(line, end, &ask);
        char *path = line < end ? memchr(line, ' ', (size_t)(end - line)) : NULL;
        unsigned status = 0;
        if (!path)
                return;
        *path++ = 0;
        char *body = memchr(path, ' ', (size_t)(end - path));
        if (body)
                *body++ = 0;
        bool foreign = people->are_there && is_foreign(m, ask.who), reads = people->are_there && ask.who == 'v';
        struct canary before = look(m);
        json_decref(request(m, people, &ask, line, path, body, body ? (size_t)(end - body) : 0, &status, &json));
        struct canary after = look(m);
        assert(!(foreign || reads) || memcmp(&before, &after, sizeof before) == 0);
        assert(!foreign || mentions || !json || !strstr(json, CANARY));
        check_devices(m);
        check_tenants(m);
        free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct people nobody;
        struct people people = nobody;
        struct fgd_manager *m = make_manager();
        char *copy = malloc(size + 1), *at = copy, *end = copy + size;
        assert(copy);
        if (size)
                memcpy(copy, data, size);
        *end = 0;
        if (memchr(copy, '!', size))
                make_people(m, &people);
        for (int n = 0; at < end && n < REQUESTS_MAX; n++) {
                char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
                *stop = 0;
                one_request(m, &people, at, (size_t)(stop - at));
                at = stop + 1;
        }
        free(copy);
        fgd_manager_free(m);
        if (people.are_there) {
                close(people.pair[0]);
                close(people.pair[1]);
        }
        return 0;
}
