/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-kubelet's inputs that are not HTTP/2. The first byte says which: 'c' a class, 'i' a device's ID, 's' a set's name, 'q' a quantity, 'j' what
 * an API server says of a claim, 'm' a message of the kubelet's. Names say the same when they are read back; what is asked of the daemon for a claim is
 * complete. */
#include "integrations/kubernetes/dra.h"

#include "podresources.pb-c.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_class(const char *text)
{
        struct fgi_kube_class class;
        struct fg_error err = {0};
        if (fgi_kube_class_parse(text, &class, &err) < 0) {
                assert(err.text[0]);
                return;
        }
        const struct fgi_kube_id id = {"00ff00", 7};
        struct fgi_kube_id back;
        char set[FGI_KUBE_NAME_MAX];
        assert(class.memory > 0 && class.share > 0 && class.share <= 1000 && class.name[0] && strchr(class.resource, '/'));
        fgi_kube_set_name(class.name, &id, 1, set);
        assert(fgi_kube_set_ids(class.name, set, &back, 1) == 1 && back.slot == 7);
}

static void try_name(const char *text)
{
        struct fgi_kube_id id[FGI_KUBE_IDS_MAX];
        char set[FGI_KUBE_NAME_MAX];
        int n = fgi_kube_set_ids("vgpu-8g-25", text, id, FGI_KUBE_IDS_MAX);
        if (n <= 0 || n > (int)FGI_KUBE_IDS_MAX)
                return;
        fgi_kube_set_name("vgpu-8g-25", id, (size_t)n, set);
        assert(strncmp(set, "vgpu-8g-25-", 11) == 0 && strlen(set) < sizeof set);
}

static void try_id(const char *text)
{
        struct fgi_kube_id id;
        char back[32];
        if (fgi_kube_id_parse(text, &id) == 0) {
                snprintf(back, sizeof back, "%s-%u", id.tag, id.slot);
                assert(strcmp(back, text) == 0);
        }
}

static void try_claim(const char *text)
{
        static struct fgi_kube kube;
        static struct fgi_kube_dra dra = {.kube = &kube, .node = "n"};
        fgi_kube_autojson json_t *claim = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        fgi_kube_autojson json_t *condition = fgi_kube_condition_body(&dra, claim, "why", "2026-01-01T00:00:00Z", false);
        fgi_kube_autojson json_t *body = NULL;
        fgi_kube_autojson json_t *devices = NULL;
        struct fg_error err = {0};
        json_t *item;
        size_t i;
        kube.node.gpus = 1;
        assert(!condition || json_array_size(json_object_get(json_object_get(condition, "status"), "devices")) > 0);
        kube.node.gpu[0] = (struct fgi_kube_gpu){.tag = "00ff00", .key = "k", .memory_free = 1 << 30, .share_free = 500};
        if (fgi_kube_claim_read(&dra, claim, "u", "p", &body, &devices, &err) < 0) {
                assert(err.text[0] && !body && !devices);
                return;
        }
        size_t n = json_array_size(devices);
        assert(n > 0 && n <= FGI_KUBE_RESULTS_MAX && (size_t)json_integer_value(json_object_get(body, "gpus")) == n);
        assert(json_array_size(json_object_get(body, "compute")) == n && json_array_size(json_object_get(body, "devices")) == n);
        json_array_foreach(json_object_get(body, "memory"), i, item)
                assert(json_integer_value(item) > 0);
        assert(i == n);
}

static void try_message(const uint8_t *data, size_t size)
{
        static const ProtobufCMessageDescriptor *const all[] = {&fgi__pods__list_reply__descriptor, &fgi__plugin__allocate_request__descriptor,
                                                                &fgi__plugin__preferred_request__descriptor, &fgi__dra__request__descriptor, &fgi__dra__status__descriptor};
        if (size < 1)
                return;
        ProtobufCMessage *message = fgi_kube_unpack(all[data[0] % 5], data + 1, size - 1);
        if (!message)
                return;
        size_t len;
        uint8_t *packed = fgi_kube_pack(message, &len);
        assert(packed);
        free(packed);
        fgi_kube_forget(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint64_t milli;
        if (size < 1)
                return 0;
        char *text = malloc(size);
        assert(text);
        memcpy(text, data + 1, size - 1);
        text[size - 1] = 0;
        switch (data[0]) {
        case 'c':
                try_class(text);
                break;
        case 'i':
                try_id(text);
                break;
        case 's':
                try_name(text);
                break;
        case 'q':
                fgi_kube_quantity(text, &milli);
                break;
        case 'j':
                try_claim(text);
                break;
        default:
                try_message(data + 1, size - 1);
        }
        free(text);
        return 0;
}
