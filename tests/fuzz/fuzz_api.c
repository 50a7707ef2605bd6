/* SPDX-License-Identifier: Apache-2.0
 * Requests to the API, without sockets: each line "METHOD PATH?QUERY BODY" of the input is one request to the same manager,
 * with two devices and a store in memory. Every answer has a status and, unless empty, is one JSON object; the devices'
 * accounts hold after each. */
#include "daemon/api.h"
#include "daemon/manager.h"
#include "daemon/registry.h"

#include "base/log.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS_MAX 64
#define MEMORY       (1ull << 30)

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
        struct fg_paths paths = {.state = "/nonexistent/state", .run = "/nonexistent/run", .is_private = true};
        struct fg_error err = {0};
        fg_log_set_level(0);
        int r = fgd_manager_new(&paths, &options, ":memory:", &m, &err);
        assert(r == 0);
        add_device(m);
        add_device(m);
        return m;
}

static void check_accounts(struct fgd_manager *m)
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

static void check_reply(unsigned status, const char *json)
{
        assert(status == 204 || (status >= 200 && status < 600 && json));
        if (!json)
                return;
        json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
        assert(json_is_object(object));
        if (status >= 400) {
                assert(json_integer_value(json_object_get(object, "status")) == status);
                assert(json_is_string(json_object_get(object, "type")) && *json_string_value(json_object_get(object, "detail")));
        }
        json_decref(object);
}

static void one_request(struct fgd_manager *m, char *line, size_t size)
{
        char *end = line + size, *path = memchr(line, ' ', size), *body = NULL, *json = NULL;
        unsigned status = 0;
        if (!path)
                return;
        *path++ = 0;
        body = memchr(path, ' ', (size_t)(end - path));
        if (body)
                *body++ = 0;
        char *query = strchr(path, '?');
        if (query)
                *query++ = 0;
        struct fgd_request request = {.method = line, .path = path, .query = query, .body = body,
                                      .body_size = body ? (size_t)(end - body) : 0, .peer = -1};
        int r = fgd_api_handle(m, &request, &status, &json);
        assert(r == 0);
        check_reply(status, json);
        check_accounts(m);
        free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fgd_manager *m = make_manager();
        char *copy = malloc(size + 1), *at = copy, *end = copy + size;
        assert(copy);
        if (size)
                memcpy(copy, data, size);
        *end = 0;
        for (int n = 0; at < end && n < REQUESTS_MAX; n++) {
                char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
                *stop = 0;
                one_request(m, at, (size_t)(stop - at));
                at = stop + 1;
        }
        free(copy);
        fgd_manager_free(m);
        return 0;
}
