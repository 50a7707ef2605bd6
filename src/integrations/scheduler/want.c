/* SPDX-License-Identifier: Apache-2.0
 * What a pod asks for, of resources (fastgpu.dev/…) and of claims. Of resources the sum over its containers, or what one that runs before them has
 * if that is more: what is found here may be less than kube-scheduler sees, never more. */
#include "integrations/scheduler/scheduler.h"

#include "base/size.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct reader {
        const struct fgi_sched_view *view;
        const struct fgi_kube_class *class;
        size_t classes;
        const json_t *pod;
        const char *namespace;
        struct fgi_sched_wants *ret;
};

static void say(uint64_t memory, const char *text, uint32_t share, char *ret, size_t size)
{
        if (!memory && !share)
                snprintf(ret, size, "all of a GPU");
        else if (!share)
                snprintf(ret, size, "%s and all of the compute", text);
        else if (!memory)
                snprintf(ret, size, "all of the memory and %g %%", share / 10.0);
        else
                snprintf(ret, size, "%s and %g %%", text, share / 10.0);
}

void fgi_sched_say(uint64_t memory, uint32_t share, char *ret, size_t size)
{
        char text[32];
        say(memory, fg_size_format(memory, text, sizeof text), share, ret, size);
}

void fgi_sched_say_left(uint64_t memory, uint32_t share, char *ret, size_t size)
{
        char text[32];
        say(memory, fg_size_floor(memory, text, sizeof text), share, ret, size);
}

static void add(struct fgi_sched_wants *wants, const struct fgi_sched_want *want, uint64_t count)
{
        for (; count > 0 && wants->count < FGI_SCHED_WANTS_MAX; count--)
                wants->want[wants->count++] = *want;
}

/* The first thing that is in the way stays. */
__attribute__((format(printf, 4, 5))) static void refuse(struct fgi_sched_wants *wants, const char *reason, const char *remedy, const char *format, ...)
{
        va_list args;
        if (wants->reason)
                return;
        wants->reason = reason;
        snprintf(wants->remedy, sizeof wants->remedy, "%s", remedy);
        va_start(args, format);
        vsnprintf(wants->text, sizeof wants->text, format, args);
        va_end(args);
}

/* --- resources --- */

/* "vgpu-8g-25" says its size; of other names the classes tell. */
static bool class_of(const struct reader *r, const char *resource, struct fgi_kube_class *ret)
{
        char text[128];
        for (size_t i = 0; i < r->classes; i++)
                if (strcmp(r->class[i].resource, resource) == 0) {
                        *ret = r->class[i];
                        return true;
                }
        if (snprintf(text, sizeof text, "%s", resource) >= (int)sizeof text || strncmp(text, FGI_KUBE_DOMAIN "/vgpu-", 17) != 0)
                return false;
        char *dash = strrchr(text + 17, '-');
        if (!dash)
                return false;
        *dash = ':';
        return fgi_kube_class_parse(text + 17, ret, NULL) == 0;
}

static bool is_ours(const struct reader *r, const char *resource)
{
        for (size_t i = 0; i < r->classes; i++)
                if (strcmp(r->class[i].resource, resource) == 0)
                        return true;
        return fgi_sched_is_our_resource(resource);
}

static uint64_t count_of(const struct fgi_sched_wants *wants, const char *resource)
{
        uint64_t n = 0;
        for (size_t i = 0; i < wants->count; i++)
                n += strcmp(wants->want[i].from, resource) == 0;
        return n;
}

/* `before`: a container that has ended when the others start, so that they may have what it had. */
static void read_resource(const struct reader *r, const char *resource, const json_t *amount, bool before)
{
        struct fgi_sched_want want = {0};
        struct fgi_kube_class class;
        uint64_t milli;
        if (!is_ours(r, resource))
                return;
        r->ret->is_ours = true;
        const char *text = json_string_value(amount);
        if (!text || fgi_kube_quantity(text, &milli) < 0 || !class_of(r, resource, &class))
                return;
        want.memory = class.memory;
        want.share = class.share;
        snprintf(want.from, sizeof want.from, "%s", resource);
        uint64_t count = milli / 1000, known = before ? count_of(r->ret, want.from) : 0;
        add(r->ret, &want, count > known ? count - known : 0);
}

/* Init containers that go on beside the others (restartPolicy) are as they. */
static void read_containers(const struct reader *r, const char *kind, bool before)
{
        const json_t *container;
        const char *key;
        json_t *value;
        size_t i;
        json_array_foreach(fgi_sched_at(r->pod, "spec", kind, NULL), i, container)
                if (before != (strcmp(kind, "containers") == 0 || strcmp(fgi_sched_text(container, "restartPolicy"), "Always") == 0))
                        json_object_foreach(fgi_sched_at(container, "resources", "limits", NULL), key, value)
                                read_resource(r, key, value, before);
}

static void read_resources(const struct reader *r)
{
        read_containers(r, "containers", false);
        read_containers(r, "initContainers", false);
        read_containers(r, "initContainers", true);
}

/* --- claims --- */

static void read_amount(const json_t *requests, const char *name, uint64_t *ret_milli)
{
        char full[64];
        snprintf(full, sizeof full, FGI_KUBE_DOMAIN "/%s", name);
        const char *text = fgi_sched_text(requests, json_object_get(requests, name) ? name : full);
        if (*text && fgi_kube_quantity(text, ret_milli) < 0)
                *ret_milli = 0;
}

/* claim NULL: one of alternatives, of which none is refused. */
static bool is_our_class(const struct reader *r, const json_t *device, const char *claim)
{
        const char *class = fgi_sched_text(device, "deviceClassName");
        if (fgi_sched_view_is_ours(r->view, class))
                return true;
        if (claim && *class && !fgi_sched_view_has(r->view, class))
                refuse(r->ret, "class-unknown", "kubectl get deviceclasses shows those that there are", "claim %.200s asks for DeviceClass %.80s, which does not exist", claim, class);
        return false;
}

/* How many it asks for. Who may look on (adminAccess) takes nothing. */
static uint64_t read_device_request(const json_t *device, const char *claim, struct fgi_sched_want *ret)
{
        const json_t *requests = fgi_sched_at(device, "capacity", "requests", NULL), *count = json_object_get(device, "count");
        uint64_t memory = 0, share = 0;
        *ret = (struct fgi_sched_want){.of_claim = true,
                                       .selects = json_array_size(json_object_get(device, "selectors")) > 0,
                                       .tolerates = json_array_size(json_object_get(device, "tolerations")) > 0};
        read_amount(requests, "memory", &memory);
        read_amount(requests, "compute", &share);
        ret->memory = memory / 1000;
        ret->share = share > 100000 ? UINT32_MAX : (uint32_t)(share / 100);
        snprintf(ret->from, sizeof ret->from, "claim %.200s", claim);
        if (json_is_true(json_object_get(device, "adminAccess")))
                return 0;
        return json_is_integer(count) && json_integer_value(count) > 0 ? (uint64_t)json_integer_value(count) : 1;
}

/* Of each the less; 0 is all. */
static void lessen(struct fgi_sched_want *want, const struct fgi_sched_want *other)
{
        want->memory = other->memory - 1 < want->memory - 1 ? other->memory : want->memory;
        want->share = other->share - 1 < want->share - 1 ? other->share : want->share;
        want->selects |= other->selects;
        want->tolerates |= other->tolerates;
}

/* Any of them will do: at least the least of all is taken, and nothing where one is not of our GPUs. */
static void read_alternatives(const struct reader *r, const json_t *several, const char *claim)
{
        struct fgi_sched_want least, want;
        uint64_t count = 0;
        bool all_ours = true;
        const json_t *device;
        size_t i;
        json_array_foreach(several, i, device) {
                bool ours = is_our_class(r, device, NULL);
                uint64_t n = read_device_request(device, claim, &want);
                r->ret->is_ours |= ours;
                all_ours &= ours;
                if (i == 0)
                        least = want;
                else
                        lessen(&least, &want);
                count = i == 0 || n < count ? n : count;
        }
        if (all_ours)
                add(r->ret, &least, count);
}

static void read_request(const struct reader *r, const json_t *request, const char *claim)
{
        const json_t *several = json_object_get(request, "firstAvailable"), *exactly = json_object_get(request, "exactly");
        struct fgi_sched_want want;
        if (json_array_size(several) > 0) {
                read_alternatives(r, several, claim);
                return;
        }
        if (!is_our_class(r, exactly, claim))
                return;
        r->ret->is_ours = true;
        uint64_t count = read_device_request(exactly, claim, &want);
        add(r->ret, &want, count);
}

static void read_claim_object(const struct reader *r, const json_t *claim, const char *name)
{
        const json_t *results = fgi_sched_at(claim, "status", "allocation", "devices", "results", NULL), *item;
        size_t i;
        json_array_foreach(results, i, item)
                if (strcmp(fgi_sched_text(item, "driver"), FGI_KUBE_DOMAIN) == 0) {
                        r->ret->is_ours = true;
                        r->ret->allocated = fgi_sched_text(item, "pool");
                }
        if (json_array_size(results) == 0)
                json_array_foreach(fgi_sched_at(claim, "spec", "devices", "requests", NULL), i, item)
                        read_request(r, item, name);
}

/* Of a template: the name that the resourceclaim controller gave, once it did. */
static const char *claim_name(const struct reader *r, const json_t *entry)
{
        const char *name = fgi_sched_text(entry, "resourceClaimName");
        const json_t *status;
        size_t i;
        json_array_foreach(fgi_sched_at(r->pod, "status", "resourceClaimStatuses", NULL), i, status)
                if (!*name && strcmp(fgi_sched_text(status, "name"), fgi_sched_text(entry, "name")) == 0)
                        name = fgi_sched_text(status, "resourceClaimName");
        return name;
}

static void read_claims(const struct reader *r)
{
        const json_t *entry;
        size_t i;
        json_array_foreach(fgi_sched_at(r->pod, "spec", "resourceClaims", NULL), i, entry) {
                const char *name = claim_name(r, entry), *template = fgi_sched_text(entry, "resourceClaimTemplateName");
                char full[600];
                snprintf(full, sizeof full, "%s/%s", r->namespace, name);
                const json_t *claim = *name ? json_object_get(r->view->claim, full) : NULL;
                if (claim) {
                        read_claim_object(r, claim, name);
                } else if (!*name && *template) {
                        r->ret->is_unmade = r->ret->is_unmade || !r->ret->reason;
                        refuse(r->ret, "claim-missing", "is there a ResourceClaimTemplate of that name in the pod's namespace, and does kube-controller-manager run?",
                               "its claim has not been made of the template %.80s yet", template);
                } else {
                        refuse(r->ret, "claim-missing", "make it, or name another in the pod", "there is no ResourceClaim %.200s", name);
                }
        }
}

void fgi_sched_wants(const struct fgi_sched_view *view, const struct fgi_kube_class *class, size_t classes, const json_t *pod, struct fgi_sched_wants *ret)
{
        const char *namespace = fgi_sched_text(json_object_get(pod, "metadata"), "namespace");
        struct reader r = {.view = view, .class = class, .classes = classes, .pod = pod, .namespace = *namespace ? namespace : "default", .ret = ret};
        memset(ret, 0, sizeof *ret);
        read_resources(&r);
        read_claims(&r);
}

static bool is_less(const struct fgi_sched_want *a, const struct fgi_sched_want *b)
{
        /* 0 is all of it. */
        uint64_t memory = a->memory - 1, other = b->memory - 1;
        return memory != other ? memory < other : a->share - 1 < b->share - 1;
}

const struct fgi_sched_want *fgi_sched_largest(const struct fgi_sched_wants *wants)
{
        const struct fgi_sched_want *largest = wants->count ? &wants->want[0] : NULL;
        for (size_t i = 1; i < wants->count; i++)
                if (is_less(largest, &wants->want[i]))
                        largest = &wants->want[i];
        return largest;
}
