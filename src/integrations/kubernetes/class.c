/* SPDX-License-Identifier: Apache-2.0
 * Names: of resources, of devices, and of the sets that are made for them. All are text that says the same thing, so that who restarts
 * needs nothing but them. */
#include "integrations/kubernetes/kube.h"

#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_CHARS 40u /* of a class: sets of a few devices still get readable names */

/* "8G" -> "8g", "12.5" -> "12.5": what was typed, as DNS labels allow it. */
static int default_name(const char *memory, const char *share, struct fgi_kube_class *ret)
{
        int n = snprintf(ret->name, sizeof ret->name, "vgpu-%s-%s", memory, share);
        for (char *p = ret->name; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        char *percent = strchr(ret->name, '%');
        if (percent)
                *percent = 0;
        return n > 0 && n < (int)sizeof ret->name ? 0 : -ENAMETOOLONG;
}

static bool is_dns(const char *text, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) && ((text[i] != '-' && text[i] != '.') || i == 0 || i + 1 == len))
                        return false;
        return len >= 1;
}

static int name_class(const char *given, const char *memory, const char *share, struct fgi_kube_class *ret, struct fg_error *err)
{
        const char *slash = strrchr(given, '/'), *label = slash ? slash + 1 : given;
        if (!*given && default_name(memory, share, ret) < 0)
                return fg_error_set(err, -EINVAL, "the class %.40s:%.40s needs a name: NAME=MEMORY:COMPUTE", memory, share);
        if (*given)
                snprintf(ret->name, sizeof ret->name, "%s", label);
        if (!is_dns(ret->name, strlen(ret->name)) || strlen(ret->name) > NAME_CHARS)
                return fg_error_set(err, -EINVAL, "\"%.60s\" is no name for a class: lower case letters, digits, - and ., at most %u", ret->name, NAME_CHARS);
        if (slash && (!is_dns(given, (size_t)(slash - given)) || strlen(given) >= sizeof ret->resource))
                return fg_error_set(err, -EINVAL, "\"%.60s\" is no name of a resource: DOMAIN/NAME, such as example.com/gpu, at most %zu characters", given,
                                    sizeof ret->resource - 1);
        if (slash)
                snprintf(ret->resource, sizeof ret->resource, "%s", given);
        else
                snprintf(ret->resource, sizeof ret->resource, FGI_KUBE_DOMAIN "/%s", ret->name);
        return 0;
}

int fgi_kube_class_parse(const char *text, struct fgi_kube_class *ret, struct fg_error *err)
{
        char copy[192], *memory, *share, *equals;
        if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
                return fg_error_set(err, -EINVAL, "the class \"%.40s…\" is too long", text);
        equals = strchr(copy, '=');
        memory = equals ? equals + 1 : copy;
        share = strchr(memory, ':');
        if (!share)
                return fg_error_set(err, -EINVAL, "\"%s\" is no class: give MEMORY:COMPUTE, such as 8G:25", text);
        *share++ = 0;
        if (equals)
                *equals = 0;
        *ret = (struct fgi_kube_class){0};
        int r = fg_size_parse(memory, 0, &ret->memory, err);
        if (r == 0)
                r = fg_share_parse(share, &ret->share, err);
        if (r == 0)
                r = name_class(equals ? copy : "", memory, share, ret, err);
        return r < 0 ? fg_error_wrap(err, r, "class %s", text) : 0;
}

static uint64_t hash(const char *text, uint64_t h)
{
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
                h = (h ^ *p) * 0x100000001b3ull;
        return h;
}
#define HASH_START 0xcbf29ce484222325ull

void fgi_kube_tag(const char *device_key, char ret[FGI_KUBE_TAG])
{
        uint64_t h = hash(device_key, HASH_START);
        snprintf(ret, FGI_KUBE_TAG, "%06x", (unsigned)((h ^ h >> 24) & 0xffffff));
}

static bool is_tag(const char *text)
{
        for (unsigned i = 0; i < FGI_KUBE_TAG - 1; i++)
                if (!isdigit((unsigned char)text[i]) && (text[i] < 'a' || text[i] > 'f'))
                        return false;
        return true;
}

/* A slot in the one way it is written. Returns what follows it, or NULL. */
static const char *take_slot(const char *text, uint32_t *ret)
{
        uint32_t slot = 0;
        const char *p = text;
        while (isdigit((unsigned char)*p) && p - text < 4)
                slot = slot * 10 + (uint32_t)(*p++ - '0');
        if (p == text || (*text == '0' && p - text > 1) || slot >= FGI_KUBE_SLOTS_MAX)
                return NULL;
        *ret = slot;
        return p;
}

int fgi_kube_id_parse(const char *text, struct fgi_kube_id *ret)
{
        if (!is_tag(text) || text[FGI_KUBE_TAG - 1] != '-')
                return -EINVAL;
        const char *end = take_slot(text + FGI_KUBE_TAG, &ret->slot);
        if (!end || *end)
                return -EINVAL;
        memcpy(ret->tag, text, FGI_KUBE_TAG - 1);
        ret->tag[FGI_KUBE_TAG - 1] = 0;
        return 0;
}

static int compare(const void *a, const void *b)
{
        const struct fgi_kube_id *x = a, *y = b;
        int order = strcmp(x->tag, y->tag);
        return order ? order : x->slot < y->slot ? -1 : x->slot > y->slot;
}

void fgi_kube_set_name(const char *class_name, const struct fgi_kube_id *id, size_t count, char ret[FGI_KUBE_NAME_MAX])
{
        struct fgi_kube_id sorted[FGI_KUBE_IDS_MAX];
        char all[FGI_KUBE_NAME_MAX + FGI_KUBE_IDS_MAX * 16];
        size_t n = (size_t)snprintf(all, sizeof all, "%s", class_name);
        memcpy(sorted, id, count * sizeof *id);
        qsort(sorted, count, sizeof *sorted, compare);
        for (size_t i = 0; i < count; i++) {
                bool same = i > 0 && strcmp(sorted[i].tag, sorted[i - 1].tag) == 0;
                n += (size_t)snprintf(all + n, sizeof all - n, "%s%s.%u", same ? "" : "-", same ? "" : sorted[i].tag, sorted[i].slot);
        }
        if (n < FGI_KUBE_NAME_MAX)
                memcpy(ret, all, n + 1);
        else
                snprintf(ret, FGI_KUBE_NAME_MAX, "%s-x%016llx", class_name, (unsigned long long)hash(all, HASH_START));
}

static bool is_hashed(const char *text)
{
        return text[0] == 'x' && strlen(text) == 17 && strspn(text + 1, "0123456789abcdef") == 16;
}

int fgi_kube_set_ids(const char *class_name, const char *set, struct fgi_kube_id *ret, size_t max)
{
        size_t len = strlen(class_name), n = 0;
        if (strncmp(set, class_name, len) != 0 || set[len] != '-')
                return -ENOENT;
        const char *p = set + len;
        if (is_hashed(p + 1))
                return 0;
        while (*p) {
                const char *tag = p + 1;
                if (*p != '-' || strlen(tag) < FGI_KUBE_TAG || !is_tag(tag) || tag[FGI_KUBE_TAG - 1] != '.')
                        return -ENOENT;
                for (p = tag + FGI_KUBE_TAG - 1; p && *p == '.'; n++) {
                        struct fgi_kube_id id = {0};
                        memcpy(id.tag, tag, FGI_KUBE_TAG - 1);
                        p = take_slot(p + 1, &id.slot);
                        if (n < max)
                                ret[n] = id;
                }
                if (!p)
                        return -ENOENT;
        }
        return n > 0 ? (int)n : -ENOENT;
}
