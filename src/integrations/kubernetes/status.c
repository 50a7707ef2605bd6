/* SPDX-License-Identifier: Apache-2.0
 * What `fastgpu nodes` shows: a file beside the daemon's socket, written when something changed, and now and then to say that we live. */
#include "integrations/kubernetes/dra.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANYWAY (10 * FG_NSEC_PER_SEC)

void fgi_kube_characters(char *text)
{
        char *to = text;
        for (const char *from = text; *from;) {
                size_t len = fg_utf8_decode(from, FG_UTF8_MAX, NULL);
                memmove(to, from, len);
                to += len;
                from += len ? len : 1;
        }
        *to = 0;
}

void fgi_kube_refused(struct fgi_kube *kube, const char *format, ...)
{
        struct fgi_kube_refusal *refusal = &kube->refusal[kube->refusals++ % FGI_KUBE_REFUSALS];
        va_list args;
        va_start(args, format);
        vsnprintf(refusal->text, sizeof refusal->text, format, args);
        va_end(args);
        fgi_kube_characters(refusal->text);
        refusal->time = time(NULL);
}

static bool is_watched(const struct fgi_kube_resource *resource)
{
        for (uint32_t i = 0; i < FGI_KUBE_WATCHERS_MAX; i++)
                if (resource->watcher[i])
                        return true;
        return false;
}

static json_t *resource_of(const struct fgi_kube *kube, const struct fgi_kube_resource *resource)
{
        Fgi__Plugin__Devices list;
        json_int_t healthy = 0, used = 0, slots = 0;
        if (fgi_kube_devices(resource, &list) == 0) {
                slots = (json_int_t)list.n_devices;
                for (size_t i = 0; i < list.n_devices; i++)
                        healthy += strcmp(list.devices[i]->health, "Healthy") == 0;
                fgi_kube_devices_free(&list);
        }
        for (uint32_t i = 0; i < kube->helds; i++)
                if (&kube->resource[kube->held[i].resource] == resource)
                        used += kube->held[i].ids;
        return json_pack("{s:s, s:b, s:I, s:I, s:I}", "resource", resource->class.resource, "registered", resource->registered && is_watched(resource), "slots",
                         slots, "healthy", healthy, "used", used);
}

static const char *state_of(const struct fgi_kube_held *held)
{
        return held->missed > 0 ? "of no pod any more" : held->seen ? "ok" : "just made";
}

static json_t *status_of(const struct fgi_kube *kube, const struct fgi_kube_dra *dra)
{
        json_t *resources = json_array(), *sets = json_array(), *refusals = json_array();
        for (uint32_t i = 0; i < kube->resources; i++)
                if (!kube->resource[i].is_retired)
                        json_array_append_new(resources, resource_of(kube, &kube->resource[i]));
        for (uint32_t i = 0; i < kube->helds; i++)
                json_array_append_new(sets, json_pack("{s:s, s:s, s:s, s:s, s:s}", "set", kube->held[i].set, "project", kube->node.project, "resource",
                                                      kube->resource[kube->held[i].resource].class.resource, "pod", kube->held[i].pod, "state",
                                                      state_of(&kube->held[i])));
        uint32_t n = kube->refusals < FGI_KUBE_REFUSALS ? kube->refusals : FGI_KUBE_REFUSALS;
        for (uint32_t i = 0; i < n; i++) {
                const struct fgi_kube_refusal *refusal = &kube->refusal[(kube->refusals - 1 - i) % FGI_KUBE_REFUSALS];
                json_array_append_new(refusals, json_pack("{s:I, s:s}", "time_s", (json_int_t)refusal->time, "text", refusal->text));
        }
        return json_pack("{s:s, s:s, s:b, s:o, s:o, s:O, s:o, s:b, s:s}", "version", FASTGPU_VERSION, "node", dra ? dra->node : "", "kubelet",
                         kube->socket.st_ino != 0, "resources", resources, "sets", sets, "without", kube->without, "refusals", refusals, "dra", dra != NULL,
                         "slice", dra ? dra->slice.problem : "");
}

static void write_file(const char *folder, const char *text)
{
        char path[PATH_MAX + 16], temporary[PATH_MAX + 24];
        snprintf(path, sizeof path, "%s/kubelet.json", folder);
        snprintf(temporary, sizeof temporary, "%s/.kubelet.json.new", folder);
        fg_autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
        size_t len = strlen(text);
        if (fd >= 0 && write(fd, text, len) == (ssize_t)len)
                rename(temporary, path);
}

void fgi_kube_status_write(struct fgi_kube *kube, const struct fgi_kube_dra *dra, uint64_t now)
{
        const char *folder = kube->node.client ? fg_client_run_dir(kube->node.client) : "";
        fgi_kube_autojson json_t *status = *folder ? status_of(kube, dra) : NULL;
        char *text = status ? json_dumps(status, JSON_INDENT(1)) : NULL;
        if (!text)
                return;
        if (kube->status && strcmp(text, kube->status) == 0 && now < kube->status_at + ANYWAY) {
                free(text);
                return;
        }
        write_file(folder, text);
        free(kube->status);
        kube->status = text;
        kube->status_at = now;
}
