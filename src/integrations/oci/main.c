/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/oci/oci.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLICY     "/etc/fastgpu/runtime.conf"
#define POLICY_ENV "FASTGPU_RUNTIME_CONF"

/* Engines look for the reason in their log, people on standard error. */
static int fail(const struct fgi_oci_call *call, const char *text)
{
        char line[FG_ERROR_MAX + 64], when[32];
        time_t now = time(NULL);
        struct tm tm;
        snprintf(line, sizeof line, "FastGPU: %s", text);
        fprintf(stderr, "%s\n", line);
        fg_autoclose int fd = call->log ? open(call->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644) : -1;
        if (fd < 0)
                return 1;
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
        json_t *entry = call->log_json ? json_pack("{s:s, s:s, s:s}", "level", "error", "msg", line, "time", when) : NULL;
        char *json = entry ? json_dumps(entry, JSON_COMPACT) : NULL;
        if (json)
                dprintf(fd, "%s\n", json);
        else
                dprintf(fd, "time=\"%s\" level=error msg=\"%s\"\n", when, line);
        free(json);
        json_decref(entry);
        return 1;
}

static int put_in(json_t *config, const struct fgi_oci_wish *wish, json_t *edits, const struct fgi_oci_policy *policy, struct fg_error *err)
{
        char socket[FGI_OCI_SOCKET_MAX];
        const struct fgi_oci_gate gate = {wish->target, policy->nodes, socket};
        if (!policy->gate)
                return fgi_oci_apply(config, edits, err);
        fgi_autojson json_t *nodes = json_incref(json_object_get(edits, "deviceNodes"));
        json_object_del(edits, "deviceNodes");
        int r = fgi_oci_ask_gate(socket, err);
        if (r == 0)
                r = fgi_oci_apply(config, edits, err);
        return r < 0 ? r : fgi_oci_gate_apply(config, nodes, &gate, err);
}

static int edit(const struct fgi_oci_call *call, const char *path, const struct fgi_oci_policy *policy, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        fgi_autojson json_t *config = NULL;
        fgi_autojson json_t *answer = NULL;
        struct fgi_oci_wish wish;
        size_t size;
        int r = fgi_oci_read(path, &text, &size, err);
        if (r == 0)
                r = fgi_oci_parse(text, size, &config, err);
        if (r == 0)
                r = fgi_oci_wish(config, policy, &wish, err);
        if (r <= 0)
                return r == 0 && policy->gate ? fgi_oci_gate_refuse_others(config, policy->nodes, err) : r;
        r = policy->gate ? fgi_oci_gate_refuse_call(call, err) : 0;
        if (r == 0)
                r = fgi_oci_ask(&wish, &answer, err);
        if (r == 0)
                r = put_in(config, &wish, json_object_get(answer, "edits"), policy, err);
        return r < 0 ? r : fgi_oci_write(path, config, err);
}

static int prepare(const struct fgi_oci_call *call, const struct fgi_oci_policy *policy, struct fg_error *err)
{
        char path[PATH_MAX];
        if (!call->makes)
                return 0;
        if (snprintf(path, sizeof path, "%s/config.json", call->bundle ? call->bundle : ".") >= (int)sizeof path)
                return fg_error_set(err, -ENAMETOOLONG, "the bundle's path is too long");
        return edit(call, path, policy, err);
}

/* Comes back only if there is none. */
static void become(const struct fgi_oci_policy *policy, char **argv)
{
        static const char *const usual[] = {"/usr/bin/runc", "/usr/sbin/runc", "/usr/local/sbin/runc", "/usr/local/bin/runc", "/usr/bin/crun",
                                            "/usr/local/bin/crun"};
        if (policy->runtime[0]) {
                execv(policy->runtime, argv);
                return;
        }
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
                execv(usual[i], argv);
}

int main(int argc, char **argv)
{
        const char *path = getenv(POLICY_ENV);
        struct fgi_oci_policy policy = {0};
        struct fgi_oci_call call;
        struct fg_error err = {0};
        fgi_oci_argv(argc, argv, &call);
        int r = fgi_oci_policy_load(path && *path ? path : POLICY, &policy, &err);
        if (r == 0)
                r = prepare(&call, &policy, &err);
        if (r < 0)
                return fail(&call, err.text);
        become(&policy, argv);
        fg_error_set(&err, -errno, "there is no runtime to become (%.200s): install runc or crun, or set runtime in " POLICY,
                     policy.runtime[0] ? policy.runtime : "runc, crun");
        return fail(&call, err.text);
}
