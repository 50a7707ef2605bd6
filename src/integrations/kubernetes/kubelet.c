/* SPDX-License-Identifier: Apache-2.0
 * The kubelet comes and goes: when it starts, it removes all sockets of its folder and makes its own anew. Whoever sees that registers again. */
#include "integrations/kubernetes/plugin.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "podresources.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#define PATIENCE (10 * FG_NSEC_PER_SEC)
#define AGAIN    FG_NSEC_PER_SEC
#define UNHEARD  (3 * FG_NSEC_PER_SEC) /* registered, and yet nobody watches */
#define PODS     FG_NSEC_PER_SEC
#define CLAIMS   (10 * FG_NSEC_PER_SEC) /* the same, when it is only to know whose the claims are */

int fgi_kube_kubelet_open(struct fgi_kube *kube, struct fg_error *err)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/device-plugins", kube->folder);
        int r = fg_mkdirs(path, 0750, err);
        if (r < 0)
                return r;
        kube->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (kube->inotify < 0 || inotify_add_watch(kube->inotify, path, IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_DELETE_SELF) < 0)
                return fg_error_set(err, -errno, "cannot watch %s: %m", path);
        return 0;
}

static void see_socket(struct fgi_kube *kube)
{
        char path[PATH_MAX], folder[PATH_MAX];
        struct stat now = {0};
        snprintf(path, sizeof path, "%s/device-plugins/kubelet.sock", kube->folder);
        if (stat(path, &now) < 0)
                now = (struct stat){0};
        if (now.st_ino == kube->socket.st_ino && now.st_ctim.tv_sec == kube->socket.st_ctim.tv_sec && now.st_ctim.tv_nsec == kube->socket.st_ctim.tv_nsec)
                return;
        kube->socket = now;
        for (uint32_t i = 0; i < kube->resources; i++) {
                fgi_kube_ask_stop(&kube->resource[i].ask);
                kube->resource[i].registered = false;
                kube->resource[i].at = 0;
        }
        /* A folder that was made anew is another one. */
        snprintf(folder, sizeof folder, "%s/device-plugins", kube->folder);
        inotify_add_watch(kube->inotify, folder, IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_DELETE_SELF);
        fg_log_info(now.st_ino ? "the kubelet is there" : "the kubelet is gone");
}

/* Its own socket may have been wiped; and one that the kubelet was told of is not told again. */
static int need_server(struct fgi_kube *kube, struct fgi_kube_resource *resource)
{
        char path[PATH_MAX];
        struct fg_error err = {0};
        snprintf(path, sizeof path, "%s/device-plugins/%s", kube->folder, resource->endpoint);
        bool is_used_up = resource->asked && !resource->registered && !resource->ask.client;
        if (resource->server && !is_used_up && access(path, F_OK) == 0)
                return 0;
        fgi_kube_plugin_close(resource);
        int r = fgi_kube_plugin_open(kube, resource, &err);
        if (r < 0)
                fg_log_warning("%s", err.text);
        return r;
}

static void start(struct fgi_kube *kube, struct fgi_kube_resource *resource, uint64_t now)
{
        char path[PATH_MAX];
        Fgi__Plugin__Register message = FGI__PLUGIN__REGISTER__INIT;
        Fgi__Plugin__Options options = FGI__PLUGIN__OPTIONS__INIT;
        struct fg_error err = {0};
        options.pre_start = options.preferred = true;
        message.version = (char *)"v1beta1";
        message.endpoint = resource->endpoint;
        message.resource = resource->class.resource;
        message.options = &options;
        snprintf(path, sizeof path, "%s/device-plugins/kubelet.sock", kube->folder);
        resource->at = now + AGAIN;
        resource->asked = true;
        if (fgi_kube_ask_start(&resource->ask, path, "/v1beta1.Registration/Register", &message.base, PATIENCE, &err) < 0)
                fg_log_debug("%s", err.text);
}

static void finish(struct fgi_kube_resource *resource, uint64_t now)
{
        struct fg_error err = {0};
        fg_autofree uint8_t *answer = NULL;
        size_t size;
        int r = fgi_kube_ask_try(&resource->ask, &answer, &size, &err);
        if (r == 0)
                return;
        resource->registered = r > 0;
        resource->at = r > 0 ? now : now + AGAIN;
        if (r > 0)
                fg_log_info("%s registered", resource->class.resource);
        else
                fg_log_warning("%s is not registered: %s", resource->class.resource, err.text);
}

static bool is_watched(const struct fgi_kube_resource *resource)
{
        for (uint32_t i = 0; i < FGI_KUBE_WATCHERS_MAX; i++)
                if (resource->watcher[i])
                        return true;
        return false;
}

static void check_resource(struct fgi_kube *kube, struct fgi_kube_resource *resource, uint64_t now)
{
        if (resource->is_retired || need_server(kube, resource) < 0 || !kube->socket.st_ino)
                return;
        if (resource->ask.client) {
                finish(resource, now);
        } else if (resource->registered && !is_watched(resource) && now >= resource->at + UNHEARD) {
                resource->registered = false;
                resource->at = now;
        }
        if (!resource->registered && !resource->ask.client && now >= resource->at)
                start(kube, resource, now);
}

bool fgi_kube_wants_pods(const struct fgi_kube *kube)
{
        return kube->helds > 0 || kube->with_claims;
}

static void check_pods(struct fgi_kube *kube, uint64_t now)
{
        char path[PATH_MAX];
        struct fg_error err = {0};
        Fgi__Pods__ListRequest message = FGI__PODS__LIST_REQUEST__INIT;
        fg_autofree uint8_t *answer = NULL;
        size_t size;
        if (kube->pods.client) {
                int r = fgi_kube_ask_try(&kube->pods, &answer, &size, &err);
                if (r > 0)
                        fgi_kube_held_judge(kube, answer, size);
                else if (r < 0)
                        fg_log_debug("no list of pods: %s", err.text);
        } else if (now >= kube->pods_at && fgi_kube_wants_pods(kube)) {
                snprintf(path, sizeof path, "%s/pod-resources/kubelet.sock", kube->folder);
                kube->pods_at = now + (kube->helds > 0 ? PODS : CLAIMS);
                if (fgi_kube_ask_start(&kube->pods, path, "/v1.PodResourcesLister/List", &message.base, PATIENCE, &err) < 0)
                        fg_log_debug("no list of pods: %s", err.text);
        }
}

void fgi_kube_kubelet_check(struct fgi_kube *kube, uint64_t now)
{
        char events[4096];
        while (read(kube->inotify, events, sizeof events) > 0)
                ;
        see_socket(kube);
        for (uint32_t i = 0; i < kube->resources; i++)
                check_resource(kube, &kube->resource[i], now);
        check_pods(kube, now);
}
