/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-kubelet: one loop that waits for all its sockets. */
#include "integrations/kubernetes/plugin.h"

#include "base/clock.h"
#include "base/log.h"

#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#define LOOK FG_NSEC_PER_SEC
#define SETS (10 * FG_NSEC_PER_SEC)

const char *argp_program_version = "fastgpu-kubelet " FASTGPU_VERSION;

struct options {
        struct fgi_kube *kube;
        struct fg_error err;
};

static const struct argp_option option_table[] = {
        {"class", 'c', "[NAME=]MEMORY:COMPUTE", 0, "Offer vGPUs of this size, as fastgpu.dev/vgpu-MEMORY-COMPUTE or NAME; several times for several sizes", 1},
        {"project", 'p', "NAME", 0, "FastGPU project of the vGPUs (kubernetes)", 1},
        {"inject", 'i', "cdi|mounts", 0, "How containers get them: as a CDI device, or by mounts and variables for engines without CDI (cdi)", 1},
        {"kubelet-dir", 'k', "FOLDER", 0, "The kubelet's folder (/var/lib/kubelet)", 2},
        {"own-pod", 'o', "NAMESPACE/NAME", 0, "The pod this runs in, where it runs in one ($POD_NAMESPACE/$POD_NAME)", 2},
        {"verbose", 'v', NULL, 0, "Also say what is tried again", 3},
        {0}};

static error_t fail(struct options *o, const char *format, const char *arg)
{
        fg_error_set(&o->err, -EINVAL, format, arg);
        return EINVAL;
}

static error_t take_class(struct options *o, const char *arg)
{
        struct fgi_kube *kube = o->kube;
        struct fgi_kube_class *class = &kube->resource[kube->resources].class;
        if (kube->resources == FGI_KUBE_CLASSES_MAX)
                return fail(o, "--class %s: there are 16 already", arg);
        if (fgi_kube_class_parse(arg, class, &o->err) < 0)
                return EINVAL;
        for (uint32_t i = 0; i < kube->resources; i++)
                if (strcmp(kube->resource[i].class.name, class->name) == 0)
                        return fail(o, "--class %s: that name was given before", arg);
        kube->resource[kube->resources++].kube = kube;
        return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case 'c':
                return take_class(o, arg);
        case 'p':
                return snprintf(o->kube->node.project, sizeof o->kube->node.project, "%s", arg) < (int)sizeof o->kube->node.project ?
                               0 : fail(o, "--project %s: too long", arg);
        case 'i':
                o->kube->with_mounts = strcmp(arg, "mounts") == 0;
                return o->kube->with_mounts || strcmp(arg, "cdi") == 0 ? 0 : fail(o, "--inject %s: there are cdi and mounts", arg);
        case 'k':
                return snprintf(o->kube->folder, sizeof o->kube->folder, "%s", arg) < (int)sizeof o->kube->folder ? 0 : fail(o, "--kubelet-dir %s: too long", arg);
        case 'o':
                return strchr(arg, '/') && snprintf(o->kube->own_pod, sizeof o->kube->own_pod, "%s", arg) < (int)sizeof o->kube->own_pod ?
                               0 : fail(o, "--own-pod %s: give NAMESPACE/NAME", arg);
        case 'v':
                fg_log_set_level(FG_LOG_DEBUG);
                return 0;
        case ARGP_KEY_ARG:
                return fail(o, "\"%s\" is not expected; see --help", arg);
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Offer this node's vGPUs to the kubelet (fastgpu-kubelet(8)). Example: fastgpu-kubelet --class 8G:25 --class 16G:50"};

/* --- the loop --- */

static void look(struct fgi_kube *kube, uint64_t now)
{
        struct fg_error err = {0};
        bool was_there = kube->node.is_there;
        int r = fgi_kube_node_look(&kube->node, &err);
        kube->changed = false;
        kube->look_at = now + LOOK;
        if (r < 0 && was_there)
                fg_log_warning("%s", err.text);
        if (r == 0 && !was_there) {
                fg_log_info("fastgpud is there, with %u GPUs", kube->node.gpus);
                kube->sets_at = 0;
        }
        if (r == 0 && now >= kube->sets_at) {
                r = fgi_kube_held_load(kube, &err);
                kube->sets_at = now + (r < 0 ? LOOK : SETS);
                if (r < 0)
                        fg_log_warning("%s", err.text);
        }
        for (uint32_t i = 0; i < kube->resources; i++)
                fgi_kube_plugin_tell(&kube->resource[i], false);
}

static nfds_t gather(struct fgi_kube *kube, int signals, struct pollfd *p)
{
        nfds_t n = 0;
        p[n++] = (struct pollfd){.fd = signals, .events = POLLIN};
        p[n++] = (struct pollfd){.fd = kube->inotify, .events = POLLIN};
        if (kube->pods.client)
                p[n++] = (struct pollfd){.fd = fgi_grpc_client_fd(kube->pods.client), .events = POLLIN};
        for (uint32_t i = 0; i < kube->resources; i++) {
                if (kube->resource[i].server)
                        p[n++] = (struct pollfd){.fd = fgi_grpc_server_fd(kube->resource[i].server), .events = POLLIN};
                if (kube->resource[i].ask.client)
                        p[n++] = (struct pollfd){.fd = fgi_grpc_client_fd(kube->resource[i].ask.client), .events = POLLIN};
        }
        return n;
}

static int run(struct fgi_kube *kube, int signals)
{
        struct pollfd p[3 + 2 * FGI_KUBE_CLASSES_MAX];
        for (;;) {
                uint64_t now = fg_now();
                if (now >= kube->look_at || kube->changed)
                        look(kube, now);
                fgi_kube_kubelet_check(kube, now);
                nfds_t n = gather(kube, signals, p);
                uint64_t wait = kube->look_at > now ? (kube->look_at - now) / FG_NSEC_PER_MSEC + 1 : 0;
                if (kube->pods.client == NULL && kube->helds > 0 && kube->pods_at > now && (kube->pods_at - now) / FG_NSEC_PER_MSEC < wait)
                        wait = (kube->pods_at - now) / FG_NSEC_PER_MSEC + 1;
                if (poll(p, n, kube->changed ? 0 : (int)wait) < 0 && errno != EINTR)
                        return -errno;
                if (p[0].revents)
                        return 0;
                for (uint32_t i = 0; i < kube->resources; i++)
                        if (kube->resource[i].server)
                                fgi_grpc_server_dispatch(kube->resource[i].server);
        }
}

static int serve(struct fgi_kube *kube, struct fg_error *err)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigprocmask(SIG_BLOCK, &set, NULL);
        fg_autoclose int signals = signalfd(-1, &set, SFD_CLOEXEC);
        int r = fgi_kube_kubelet_open(kube, err);
        if (r < 0)
                return r;
        r = run(kube, signals);
        for (uint32_t i = 0; i < kube->resources; i++) {
                fgi_kube_plugin_close(&kube->resource[i]);
                free(kube->resource[i].told);
        }
        fgi_kube_ask_stop(&kube->pods);
        fgi_kube_node_close(&kube->node);
        free(kube->held);
        return r < 0 ? fg_error_set(err, r, "cannot wait: %m") : 0;
}

int main(int argc, char **argv)
{
        static struct fgi_kube kube = {.folder = "/var/lib/kubelet", .node.project = "kubernetes", .inotify = -1};
        struct options o = {.kube = &kube};
        const char *namespace = getenv("POD_NAMESPACE"), *name = getenv("POD_NAME");
        if (namespace && *namespace && name && *name)
                snprintf(kube.own_pod, sizeof kube.own_pod, "%s/%s", namespace, name);
        error_t wrong = argp_parse(&argp, argc, argv, 0, NULL, &o);
        if (!wrong && kube.resources == 0)
                wrong = fail(&o, "what is to be offered? Give --class MEMORY:COMPUTE, such as --class 8G:25%s", "");
        if (wrong) {
                fprintf(stderr, "fastgpu-kubelet: %s\n", *o.err.text ? o.err.text : strerror(wrong));
                return 2;
        }
        if (serve(&kube, &o.err) == 0)
                return 0;
        fg_log_error("%s", o.err.text);
        return 1;
}
