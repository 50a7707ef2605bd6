/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-kubelet: one loop that waits for all its sockets. */
#include "integrations/kubernetes/dra.h"

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
#define AWAY (FG_NSEC_PER_SEC / 4)
#define SOON (20 * FG_NSEC_PER_MSEC)
#define HAMI_SPLIT 10u /* HAMi's own default */
#define SETS (10 * FG_NSEC_PER_SEC)

__attribute__((visibility("default"))) const char *argp_program_version = "fastgpu-kubelet " FASTGPU_VERSION;

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

struct options {
        struct fgi_kube *kube;
        struct fgi_kube_dra *dra;
        struct fg_error err;
};

enum { KEY_NODE = 256, KEY_API_SERVER, KEY_CA, KEY_TOKEN, KEY_PREFIX, KEY_PAYER, KEY_PAYER_LABEL, KEY_HAMI };

static const struct argp_option option_table[] = {
        {"class", 'c', "[NAME=]MEMORY:COMPUTE", 0, "Offer vGPUs of this size, as fastgpu.dev/vgpu-MEMORY-COMPUTE or NAME; several times for several sizes", 1},
        {"project", 'p', "NAME", 0, "FastGPU project that the slices are made in (kubernetes)", 1},
        {"inject", 'i', "cdi|mounts", 0, "How containers get them: as a CDI device, or by mounts and variables for engines without CDI (cdi)", 1},
        {"dra", 'd', NULL, 0, "Be a DRA driver: claims say how much memory and compute they want", 1},
        {"project-prefix", KEY_PREFIX, "TEXT", 0, "What pods of a namespace use is billed to the project with this before its name (k8s-)", 1},
        {"payer", KEY_PAYER, "NAMESPACE=PROJECT", 0, "What pods of this namespace use is billed to this project; several times for several namespaces", 1},
        {"payer-label", KEY_PAYER_LABEL, "KEY", 0, "Where no --payer names the namespace: what a pod uses is billed to the project that this label of it, or else of its namespace, names", 1},
        {"hami", KEY_HAMI, "SPLIT", OPTION_ARG_OPTIONAL,
         "Serve pods that were written for HAMi: nvidia.com/gpu with gpumem, gpumem-percentage and gpucores; at most SPLIT on a GPU (10)", 1},
        {"node", KEY_NODE, "NAME", 0, "This node's name ($NODE_NAME)", 2},
        {"api-server", KEY_API_SERVER, "URL", 0, "For --dra (https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT)", 2},
        {"ca", KEY_CA, "FILE", 0, "Its authority's certificate (the service account's)", 2},
        {"token-file", KEY_TOKEN, "FILE", 0, "What to show there (the service account's)", 2},
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

static error_t take_hami(struct options *o, const char *arg)
{
        struct fgi_kube *kube = o->kube;
        struct fgi_kube_resource *resource = &kube->resource[kube->resources];
        char *end = NULL;
        unsigned long split = arg ? strtoul(arg, &end, 10) : HAMI_SPLIT;
        if (arg && (*end || split < 1 || split > FGI_KUBE_SLOTS_MAX))
                return fail(o, "--hami=%s: give a number from 1 to 1000, such as --hami=10", arg);
        if (kube->resources == FGI_KUBE_CLASSES_MAX || o->dra->is_hami)
                return fail(o, "--hami%s: there are 16 classes already, or it was given before", "");
        resource->split = (uint32_t)split;
        snprintf(resource->class.name, sizeof resource->class.name, FGI_KUBE_HAMI);
        snprintf(resource->class.resource, sizeof resource->class.resource, FGI_KUBE_HAMI_RESOURCE);
        o->dra->is_hami = true;
        kube->resource[kube->resources++].kube = kube;
        return 0;
}

static error_t copy(struct options *o, char *ret, size_t size, const char *arg)
{
        return snprintf(ret, size, "%s", arg) < (int)size ? 0 : fail(o, "\"%.200s\" is too long", arg);
}

static error_t parse_dra(int key, char *arg, struct options *o)
{
        switch (key) {
        case 'd':
                o->kube->with_claims = true;
                return 0;
        case KEY_NODE:
                return copy(o, o->dra->node, sizeof o->dra->node, arg);
        case KEY_API_SERVER:
                return strncmp(arg, "https://", 8) == 0 ? copy(o, o->dra->where.url, sizeof o->dra->where.url, arg) :
                                                          fail(o, "--api-server %s: it starts with https://", arg);
        case KEY_CA:
                return copy(o, o->dra->where.ca, sizeof o->dra->where.ca, arg);
        case KEY_TOKEN:
                return copy(o, o->dra->where.token, sizeof o->dra->where.token, arg);
        case KEY_PREFIX:
                return copy(o, o->kube->payers.prefix, sizeof o->kube->payers.prefix, arg);
        case KEY_HAMI:
                return take_hami(o, arg);
        case KEY_PAYER_LABEL:
                return fgi_kube_label_parse(arg, o->kube, &o->err) < 0 ? EINVAL : 0;
        case KEY_PAYER:
                return fgi_kube_payer_parse(arg, &o->kube->payers, &o->err) < 0 ? EINVAL : 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case 'c':
                return take_class(o, arg);
        case 'p':
                return copy(o, o->kube->node.project, sizeof o->kube->node.project, arg);
        case 'i':
                o->kube->with_mounts = strcmp(arg, "mounts") == 0;
                return o->kube->with_mounts || strcmp(arg, "cdi") == 0 ? 0 : fail(o, "--inject %s: there are cdi and mounts", arg);
        case 'k':
                return copy(o, o->kube->folder, sizeof o->kube->folder, arg);
        case 'o':
                return strchr(arg, '/') ? copy(o, o->kube->own_pod, sizeof o->kube->own_pod, arg) : fail(o, "--own-pod %s: give NAMESPACE/NAME", arg);
        case 'v':
                fg_log_set_level(FG_LOG_DEBUG);
                return 0;
        case ARGP_KEY_ARG:
                return fail(o, "\"%s\" is not expected; see --help", arg);
        default:
                return parse_dra(key, arg, o);
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
        kube->look_at = now + (r < 0 ? AWAY : LOOK);
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

static nfds_t gather(struct fgi_kube *kube, const struct fgi_kube_dra *dra, int signals, struct pollfd *p)
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
        if (dra && dra->registration)
                p[n++] = (struct pollfd){.fd = fgi_grpc_server_fd(dra->registration), .events = POLLIN};
        if (dra && dra->plugin)
                p[n++] = (struct pollfd){.fd = fgi_grpc_server_fd(dra->plugin), .events = POLLIN};
        if (dra)
                p[n++] = (struct pollfd){.fd = fgi_kube_api_fd(dra->api), .events = POLLIN};
        return n;
}

static void dispatch(struct fgi_kube *kube, struct fgi_kube_dra *dra)
{
        for (uint32_t i = 0; i < kube->resources; i++)
                if (kube->resource[i].server)
                        fgi_grpc_server_dispatch(kube->resource[i].server);
        if (!dra)
                return;
        if (dra->registration)
                fgi_grpc_server_dispatch(dra->registration);
        if (dra->plugin)
                fgi_grpc_server_dispatch(dra->plugin);
        fgi_kube_api_dispatch(dra->api);
}

static int wait_ms(const struct fgi_kube *kube, uint64_t now)
{
        uint64_t until = kube->dra && kube->dra->starts && kube->look_at > now + SOON ? now + SOON : kube->look_at;
        if (!kube->pods.client && fgi_kube_wants_pods(kube) && kube->pods_at < until)
                until = kube->pods_at;
        if (kube->dra && kube->node.is_there && !kube->dra->slice.asking && kube->dra->slice.at < until)
                until = kube->dra->slice.at;
        return kube->changed || until <= now ? 0 : (int)((until - now) / FG_NSEC_PER_MSEC) + 1;
}

static int run(struct fgi_kube *kube, struct fgi_kube_dra *dra, int signals)
{
        struct pollfd p[6 + 2 * FGI_KUBE_CLASSES_MAX];
        for (;;) {
                uint64_t now = fg_now();
                /* Soon, but once for all that happens together. */
                if (kube->changed && kube->look_at > now + SOON)
                        kube->look_at = now + SOON;
                kube->changed = false;
                if (now >= kube->look_at) {
                        look(kube, now);
                        fgi_kube_status_write(kube, dra, now);
                }
                fgi_kube_kubelet_check(kube, now);
                if (dra)
                        fgi_kube_dra_check(dra, now);
                nfds_t n = gather(kube, dra, signals, p);
                if (poll(p, n, wait_ms(kube, now)) < 0 && errno != EINTR)
                        return -errno;
                if (p[0].revents)
                        return 0;
                dispatch(kube, dra);
        }
}

static int serve(struct fgi_kube *kube, struct fgi_kube_dra *dra, struct fg_error *err)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigprocmask(SIG_BLOCK, &set, NULL);
        fg_autoclose int signals = signalfd(-1, &set, SFD_CLOEXEC);
        int r = fgi_kube_kubelet_open(kube, err);
        if (r == 0 && dra)
                r = fgi_kube_dra_open(dra, err);
        if (r < 0)
                return r;
        r = run(kube, dra, signals);
        for (uint32_t i = 0; i < kube->resources; i++) {
                fgi_kube_plugin_close(&kube->resource[i]);
                free(kube->resource[i].told);
        }
        if (dra)
                fgi_kube_dra_close(dra);
        fgi_kube_ask_stop(&kube->pods);
        fgi_kube_node_close(&kube->node);
        free(kube->held);
        free(kube->status);
        json_decref(kube->without);
        json_decref(kube->billed);
        json_decref(kube->labels);
        json_decref(kube->workloads);
        return r < 0 ? fg_error_set(err, r, "cannot wait: %m") : 0;
}

static void from_environment(struct fgi_kube *kube, struct fgi_kube_dra *dra)
{
        const char *namespace = getenv("POD_NAMESPACE"), *name = getenv("POD_NAME"), *node = getenv("NODE_NAME");
        const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
        if (namespace && *namespace && name && *name)
                snprintf(kube->own_pod, sizeof kube->own_pod, "%s/%s", namespace, name);
        if (node)
                snprintf(dra->node, sizeof dra->node, "%s", node);
        if (host && *host && port)
                snprintf(dra->where.url, sizeof dra->where.url, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
}

static error_t check(struct options *o)
{
        for (uint32_t i = 0; i < o->kube->resources; i++)
                for (uint32_t j = 0; j < i; j++)
                        if (strcmp(o->kube->resource[i].class.resource, o->kube->resource[j].class.resource) == 0 ||
                            strcmp(o->kube->resource[i].class.name, o->kube->resource[j].class.name) == 0)
                                return fail(o, "%s is offered twice", o->kube->resource[i].class.resource);
        if (o->dra->is_hami && (!o->kube->with_claims || o->kube->with_mounts))
                return fail(o, "--hami needs --dra, as it reads pods at the API server, and --inject=cdi%s", "");
        if (o->kube->label[0] && !o->kube->with_claims)
                return fail(o, "--payer-label needs --dra, as it reads pods and namespaces at the API server%s", "");
        if (o->kube->resources == 0 && !o->kube->with_claims)
                return fail(o, "what is to be offered? Give --class MEMORY:COMPUTE, such as --class 8G:25, or --dra%s", "");
        if (o->kube->with_claims && !o->dra->node[0])
                return fail(o, "--dra needs --node NAME (or $NODE_NAME)%s", "");
        if (o->kube->with_claims && !o->dra->where.url[0])
                return fail(o, "--dra needs --api-server URL outside of pods%s", "");
        return 0;
}

int main(int argc, char **argv)
{
        static struct fgi_kube kube = {.folder = "/var/lib/kubelet", .node.project = "kubernetes", .payers.prefix = "k8s-", .inotify = -1};
        static struct fgi_kube_dra dra = {.kube = &kube, .where = {.ca = ACCOUNT "ca.crt", .token = ACCOUNT "token"}};
        struct options o = {.kube = &kube, .dra = &dra};
        from_environment(&kube, &dra);
        kube.without = json_array();
        kube.labels = json_object();
        error_t wrong = argp_parse(&argp, argc, argv, 0, NULL, &o);
        if (!wrong)
                wrong = check(&o);
        if (wrong) {
                fprintf(stderr, "fastgpu-kubelet: %s\n", *o.err.text ? o.err.text : strerror(wrong));
                return 2;
        }
        kube.dra = kube.with_claims ? &dra : NULL;
        if (serve(&kube, kube.dra, &o.err) == 0)
                return 0;
        fg_log_error("%s", o.err.text);
        return 1;
}
