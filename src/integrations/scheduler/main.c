/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-scheduler: serves kube-scheduler and tells pending pods why; or, asked for one pod, says why and ends. */
#include "integrations/scheduler/scheduler.h"

#include "base/clock.h"
#include "base/log.h"

#include <argp.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#define ACCOUNT  "/var/run/secrets/kubernetes.io/serviceaccount/"
#define WATCH_MS 10000

enum { EXIT_FINE, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_FOUND };

__attribute__((visibility("default"))) const char *argp_program_version = "fastgpu-scheduler " FASTGPU_VERSION;

struct options {
        const char *listen, *why;
        bool json, events;
        struct fgi_kube_api_where where;
        struct fgi_kube_class class[FGI_KUBE_CLASSES_MAX];
        size_t classes;
        struct fg_error err;
};

enum { KEY_API_SERVER = 256, KEY_CA, KEY_TOKEN, KEY_NO_EVENTS };

static const struct argp_option option_table[] = {
        {"listen", 'l', "ADDRESS:PORT", 0, "Where kube-scheduler asks, on this machine (127.0.0.1:9650)", 1},
        {"class", 'c', "NAME=MEMORY:COMPUTE", 0, "A class of fastgpu-kubelet whose name does not say its size; several times for several", 1},
        {"no-events", KEY_NO_EVENTS, NULL, 0, "Do not tell pending pods by events why they wait", 1},
        {"why", 'w', "NAMESPACE/NAME", 0, "Say why this pod is pending, and end", 2},
        {"json", 'j', NULL, 0, "With --why: as JSON", 2},
        {"api-server", KEY_API_SERVER, "URL", 0, "Default: the pod's own, by $KUBERNETES_SERVICE_HOST and _PORT; for --why outside of pods: kubectl's", 3},
        {"ca", KEY_CA, "FILE", 0, "Its authority's certificate (the service account's)", 3},
        {"token-file", KEY_TOKEN, "FILE", 0, "What to show there (the service account's)", 3},
        {"verbose", 'v', NULL, 0, "Also say what is tried again", 4},
        {0}};

static error_t fail(struct options *o, const char *format, const char *arg)
{
        fg_error_set(&o->err, -EINVAL, format, arg);
        return EINVAL;
}

static error_t copy(struct options *o, char *ret, size_t size, const char *arg)
{
        return snprintf(ret, size, "%s", arg) < (int)size ? 0 : fail(o, "\"%.200s\" is too long", arg);
}

static error_t take_class(struct options *o, const char *arg)
{
        if (o->classes == FGI_KUBE_CLASSES_MAX)
                return fail(o, "--class %.100s: there are 16 already", arg);
        return fgi_kube_class_parse(arg, &o->class[o->classes++], &o->err) < 0 ? EINVAL : 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case 'l':
                o->listen = arg;
                return 0;
        case 'c':
                return take_class(o, arg);
        case 'w':
                o->why = arg;
                return fgi_sched_is_name(arg) ? 0 : fail(o, "--why %.200s: give NAMESPACE/NAME of a pod", arg);
        case 'j':
                o->json = true;
                return 0;
        case 'v':
                fg_log_set_level(FG_LOG_DEBUG);
                return 0;
        case KEY_NO_EVENTS:
                o->events = false;
                return 0;
        case KEY_API_SERVER:
                return strncmp(arg, "https://", 8) == 0 ? copy(o, o->where.url, sizeof o->where.url, arg) : fail(o, "--api-server %s: it starts with https://", arg);
        case KEY_CA:
                return copy(o, o->where.ca, sizeof o->where.ca, arg);
        case KEY_TOKEN:
                return copy(o, o->where.token, sizeof o->where.token, arg);
        case ARGP_KEY_ARG:
                return fail(o, "\"%.200s\" is not expected; see --help", arg);
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static const struct argp argp = {.options = option_table,
                                 .parser = parse,
                                 .doc = "Have kube-scheduler place pods with vGPUs by FastGPU's placement policy, and say why pods are pending (fastgpu-scheduler(8)). Example: "
                                        "fastgpu-scheduler --why default/train"};

/* --- why --- */

/* Whose events are the pod's: by its uid, for one of the same name before it may have had other reasons. What the kubelet says of a static pod bears
 * the uid that it gave that itself. Anybody writes annotations, and what is no uid would be more of the question. */
static const char *uid_of(const json_t *pod)
{
        const json_t *metadata = json_object_get(pod, "metadata");
        const char *mirrored = fgi_sched_text(json_object_get(metadata, "annotations"), "kubernetes.io/config.mirror");
        return *mirrored && !mirrored[strspn(mirrored, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")] ? mirrored : fgi_sched_text(metadata, "uid");
}

static int find_why(struct fgi_sched_source *source, const struct options *o, json_t **ret, struct fg_error *err)
{
        const char *slash = strchr(o->why, '/');
        int namespace = (int)(slash - o->why);
        fgi_kube_autojson json_t *pod = NULL;
        fgi_kube_autojson json_t *events = NULL;
        struct fgi_sched_view *view;
        char path[700], query[400];
        snprintf(path, sizeof path, "/api/v1/namespaces/%.*s/pods/%s", namespace, o->why, slash + 1);
        int r = fgi_sched_get(source, path, &pod, err);
        if (r == -ENOENT)
                return fg_error_set(err, r, "there is no pod %s; kubectl get pods -A shows those that there are, kubectl -n %.*s get events those that could not be made", o->why,
                                    namespace, o->why);
        if (r == 0)
                r = fgi_sched_load(source, true, &view, err);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "/api/v1/namespaces/%.*s/events", namespace, o->why);
        snprintf(query, sizeof query, "fieldSelector=involvedObject.kind%%3DPod,involvedObject.uid%%3D%.200s", uid_of(pod));
        /* Who may not read events still gets the rest. */
        fgi_sched_list(source, path, query, &events, NULL);
        *ret = fgi_sched_why(view, o->class, o->classes, pod, events);
        fgi_sched_view_free(view);
        return *ret ? 0 : fg_error_set(err, -ENOMEM, "out of memory");
}

static int say_why(struct fgi_sched_source *source, struct options *o)
{
        fgi_kube_autojson json_t *why = NULL;
        int r = find_why(source, o, &why, &o->err);
        if (r < 0) {
                fprintf(stderr, "fastgpu-scheduler: %s\n", o->err.text);
                return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED;
        }
        if (o->json) {
                json_dumpf(why, stdout, JSON_INDENT(2));
                putchar('\n');
                return EXIT_FINE;
        }
        printf("%s is %s: %s.\n", fgi_sched_text(why, "name"), fgi_sched_text(why, "state"), fgi_sched_text(why, "text"));
        if (*fgi_sched_text(why, "remedy"))
                printf("What helps: %s.\n", fgi_sched_text(why, "remedy"));
        if (*fgi_sched_text(why, "nodes"))
                printf("Of all nodes: %s.\n", fgi_sched_text(why, "nodes"));
        return EXIT_FINE;
}

/* --- serving --- */

static void watch(struct fgi_sched_source *source, const struct options *o, int signals)
{
        fgi_kube_autojson json_t *told = json_object();
        struct pollfd p = {.fd = signals, .events = POLLIN};
        char last[FG_ERROR_MAX] = "";
        do {
                struct fg_error err = {0};
                if (o->events && fgi_sched_watch(source, o->class, o->classes, told, &err) < 0 && strcmp(err.text, last) != 0)
                        fg_log_warning("pending pods are not told why: %s", err.text);
                snprintf(last, sizeof last, "%s", err.text);
        } while (poll(&p, 1, WATCH_MS) <= 0);
}

static int serve(struct options *o)
{
        struct fgi_sched_server server = {.class = o->class, .classes = o->classes};
        struct fgi_sched_source source = {0};
        struct MHD_Daemon *http = NULL;
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigprocmask(SIG_BLOCK, &set, NULL);
        fg_autoclose int signals = signalfd(-1, &set, SFD_CLOEXEC);
        /* Each thread waits for its own answers. */
        int r = fgi_kube_api_open(&o->where, &server.source.api, &o->err);
        if (r == 0)
                r = fgi_kube_api_open(&o->where, &source.api, &o->err);
        if (r == 0)
                r = fgi_sched_serve(&server, o->listen, &http, &o->err);
        if (r == 0) {
                fg_log_info("kube-scheduler is answered at http://%s", o->listen);
                watch(&source, o, signals);
        }
        if (http)
                MHD_stop_daemon(http);
        fgi_kube_api_close(server.source.api);
        fgi_kube_api_close(source.api);
        fgi_sched_view_free(server.view);
        return r;
}

int main(int argc, char **argv)
{
        static struct options o = {.listen = "127.0.0.1:9650", .events = true, .where = {.ca = ACCOUNT "ca.crt", .token = ACCOUNT "token"}};
        const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
        if (host && *host && port)
                snprintf(o.where.url, sizeof o.where.url, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
        error_t wrong = argp_parse(&argp, argc, argv, 0, NULL, &o);
        if (!wrong && !o.why && !o.where.url[0])
                wrong = fail(&o, "outside of pods it needs --api-server URL%s", "");
        if (wrong) {
                fprintf(stderr, "fastgpu-scheduler: %s\n", *o.err.text ? o.err.text : strerror(wrong));
                return EXIT_USAGE;
        }
        if (o.why) {
                struct fgi_sched_source source = {0};
                int code = EXIT_FAILED;
                if (!o.where.url[0] || fgi_kube_api_open(&o.where, &source.api, &o.err) == 0)
                        code = say_why(&source, &o);
                fgi_kube_api_close(source.api);
                return code;
        }
        if (serve(&o) == 0)
                return EXIT_FINE;
        fg_log_error("%s", o.err.text);
        return EXIT_FAILED;
}
