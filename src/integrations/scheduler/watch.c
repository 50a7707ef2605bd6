/* SPDX-License-Identifier: Apache-2.0
 * kube-scheduler's own word for a pod that no GPU has room for is "cannot allocate all claims". So each pending pod that asks for vGPUs gets an
 * event with what `fastgpu why` says: where people look first. */
#include "integrations/scheduler/scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PENDING_MAX 500u      /* of ours, looked at each time */
#define AGAIN_S     (50 * 60) /* servers forget events after an hour */
#define OTHER_S     (10 * 60) /* the same reason in other words: how much is free where changes with each claim */
#define REFUSED_S   (5 * 60)  /* what a server refused, or has from before a restart and is to forget */

static uint64_t hash(const char *text, uint64_t h)
{
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
                h = (h ^ *p) * 0x100000001b3ull;
        return h;
}

/* Its name says what it says, so that who restarts does not say it twice. */
static json_t *event_of(const json_t *pod, const char *text, time_t now)
{
        const json_t *metadata = json_object_get(pod, "metadata");
        const char *namespace = fgi_sched_text(metadata, "namespace"), *uid = fgi_sched_text(metadata, "uid");
        char name[64], when[32], message[1000];
        struct tm tm;
        snprintf(name, sizeof name, "fastgpu.%016llx", (unsigned long long)hash(text, hash(uid, 0xcbf29ce484222325ull)));
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
        snprintf(message, sizeof message, "%s", text);
        fgi_kube_characters(message);
        return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s}, s:s, s:s, s:s, s:{s:s}, s:s, s:s, s:i}", "apiVersion", "v1", "kind", "Event", "metadata", "name", name,
                         "namespace", namespace, "involvedObject", "apiVersion", "v1", "kind", "Pod", "namespace", namespace, "name", fgi_sched_text(metadata, "name"), "uid", uid, "type",
                         "Warning", "reason", "FastGPU", "message", message, "source", "component", "fastgpu-scheduler", "firstTimestamp", when, "lastTimestamp", when, "count", 1);
}

static bool is_told(const json_t *before, const json_t *why, const char *text, time_t now)
{
        json_int_t at = json_integer_value(json_object_get(before, "at"));
        if (strcmp(fgi_sched_text(before, "reason"), fgi_sched_text(why, "reason")) != 0)
                return false;
        return now < at + (strcmp(fgi_sched_text(before, "text"), text) == 0 ? AGAIN_S : OTHER_S);
}

static int tell(struct fgi_sched_source *source, const json_t *pod, const json_t *why, json_t *told, time_t now, struct fg_error *err)
{
        const char *uid = fgi_sched_text(json_object_get(pod, "metadata"), "uid"), *remedy = fgi_sched_text(why, "remedy");
        char path[400], text[2000];
        snprintf(text, sizeof text, "%s%s%s", fgi_sched_text(why, "text"), *remedy ? ". What helps: " : "", remedy);
        if (is_told(json_object_get(told, uid), why, text, now))
                return 0;
        fgi_kube_autojson json_t *event = event_of(pod, text, now);
        snprintf(path, sizeof path, "/api/v1/namespaces/%.253s/events", fgi_sched_text(json_object_get(pod, "metadata"), "namespace"));
        int r = event ? fgi_sched_post(source, path, event, err) : -ENOMEM;
        if (r != -EAGAIN && r != -ENOMEM)
                json_object_set_new(told, uid, json_pack("{s:s, s:s, s:I}", "reason", fgi_sched_text(why, "reason"), "text", text, "at",
                                                         (json_int_t)(r == 0 ? now : now - AGAIN_S + REFUSED_S)));
        return r == -EEXIST ? 0 : r;
}

static void forget_others(json_t *told, const json_t *pending)
{
        const char *uid;
        json_t *ignored;
        void *next;
        json_object_foreach_safe(told, next, uid, ignored)
                if (!json_object_get(pending, uid))
                        json_object_del(told, uid);
}

/* What kube-scheduler says of it is in its condition already. */
static bool is_news(const json_t *why)
{
        const char *reason = fgi_sched_text(why, "reason");
        return strcmp(reason, "scheduler") != 0 && strcmp(reason, "not-looked-at") != 0 && strcmp(reason, "gated") != 0;
}

static int tell_all(struct fgi_sched_source *source, struct fgi_sched_view *view, const struct fgi_kube_class *class, size_t classes, const json_t *pods, json_t *told,
                    struct fg_error *err)
{
        struct fgi_sched_wants wants;
        const json_t *pod;
        size_t i, looked = 0;
        int first = 0;
        json_array_foreach(pods, i, pod) {
                struct fg_error why_not = {0};
                fgi_sched_wants(view, class, classes, pod, &wants);
                if (!wants.is_ours || looked++ >= PENDING_MAX)
                        continue;
                fgi_kube_autojson json_t *why = fgi_sched_why(view, class, classes, pod, NULL);
                int r = why && is_news(why) ? tell(source, pod, why, told, time(NULL), &why_not) : 0;
                if (r < 0 && first == 0)
                        first = fg_error_set(err, r, "%s", why_not.text);
                if (r == -EAGAIN)
                        break;
        }
        return first;
}

int fgi_sched_watch(struct fgi_sched_source *source, const struct fgi_kube_class *class, size_t classes, json_t *told, struct fg_error *err)
{
        fgi_kube_autojson json_t *pods = NULL;
        fgi_kube_autojson json_t *pending = json_object();
        struct fgi_sched_view *view = NULL;
        const json_t *pod;
        size_t i;
        int r = fgi_sched_list(source, "/api/v1/pods", "fieldSelector=spec.nodeName%3D,status.phase%3DPending", &pods, err);
        if (r < 0)
                return r;
        json_array_foreach(pods, i, pod)
                json_object_set_new(pending, fgi_sched_text(json_object_get(pod, "metadata"), "uid"), json_true());
        forget_others(told, pending);
        if (json_array_size(pods) == 0)
                return 0;
        r = fgi_sched_load(source, true, &view, err);
        if (r == 0)
                r = tell_all(source, view, class, classes, pods, told, err);
        fgi_sched_view_free(view);
        return r;
}
