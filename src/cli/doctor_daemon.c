/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "base/paths.h"
#include "base/size.h"
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void check_program(struct cli_report *report)
{
        char prefix[PATH_MAX], path[PATH_MAX + 16];
        struct fg_error err = {0};
        if (fg_paths_prefix(prefix, sizeof prefix, &err) < 0) {
                cli_report_add(report, "fastgpud", CLI_FINDING_FAIL, "mount /proc", "%s", err.text);
                return;
        }
        snprintf(path, sizeof path, "%s/bin/fastgpud", prefix);
        if (access(path, X_OK) < 0)
                cli_report_add(report, "fastgpud", CLI_FINDING_FAIL, "install FastGPU again", "%s: %s", path,
                               strerror(errno));
        else
                cli_report_add(report, "fastgpud", CLI_FINDING_OK, "", "%s is there", path);
}

static void check_remote_access(struct cli_report *report, const json_t *version)
{
        const json_t *tls = json_object_get(version, "tls");
        if (!tls)
                return;
        if (*cli_text(tls, "fingerprint"))
                cli_report_add(report, "tls", CLI_FINDING_OK, "", "remote callers are answered at %s, fingerprint %s", cli_text(tls, "listen"),
                               cli_text(tls, "fingerprint"));
        else
                cli_report_add(report, "tls", CLI_FINDING_FAIL, "mend it and restart fastgpud; programs that run keep their limits",
                               "remote access is off: %s", cli_text(tls, "error"));
}

static void check_version(struct cli_report *report, struct fg_client *client)
{
        cli_autojson json_t *version = NULL;
        cli_autojson json_t *problem = NULL;
        if (cli_ask(client, "GET", "/v1/version", NULL, &version, &problem)) {
                cli_report_add(report, "daemon", CLI_FINDING_FAIL,
                               fg_client_is_remote(client) ? "see that it runs and that `fastgpu login` names the right one"
                                                           : "end it and let the next command start another",
                               "%s", cli_text(problem, "detail"));
                return;
        }
        cli_report_add(report, "daemon", CLI_FINDING_OK, "", "pid %llu answers at %s",
                       (unsigned long long)cli_number(version, "pid"), fg_client_where(client));
        if (strcmp(cli_text(version, "version"), FASTGPU_VERSION) != 0)
                cli_report_add(report, "version", CLI_FINDING_WARN,
                               "restart fastgpud; programs that run keep their limits",
                               "this is fastgpu %s, the daemon is %s", FASTGPU_VERSION, cli_text(version, "version"));
        else
                cli_report_add(report, "version", CLI_FINDING_OK, "", "command and daemon are both %s",
                               FASTGPU_VERSION);
        check_remote_access(report, version);
}

static void check_devices(struct cli_report *report, struct fg_client *client)
{
        cli_autojson json_t *answer = NULL;
        cli_autojson json_t *problem = NULL;
        size_t i;
        const json_t *d, *text;
        char size[32];
        if (cli_ask(client, "GET", "/v1/devices", NULL, &answer, &problem))
                return;
        const json_t *devices = json_object_get(answer, "devices");
        json_array_foreach(devices, i, d)
        {
                bool lost = strcmp(cli_text(d, "state"), "ok") != 0;
                cli_report_add(report, "device", lost ? CLI_FINDING_FAIL : CLI_FINDING_OK,
                               lost ? "look after the driver, then `fastgpu devices --rescan`" : "", "%llu: %s, %s, %s",
                               (unsigned long long)cli_number(d, "id"), cli_text(d, "model"),
                               fg_size_format(cli_number(d, "memory"), size, sizeof size), cli_text(d, "state"));
        }
        json_array_foreach(json_object_get(answer, "problems"), i, text)
                cli_report_add(report, "device", CLI_FINDING_WARN, "mend what it says; `fastgpu devices --rescan` looks at the devices again", "%s",
                               json_string_value(text) ? json_string_value(text) : "?");
        if (json_array_size(devices) == 0)
                cli_report_add(report, "device", CLI_FINDING_FAIL,
                               "mend what is said above, then `fastgpu devices --rescan`", "the daemon has no device");
}

void cli_doctor_daemon(struct cli_report *report)
{
        cli_autoclient struct fg_client *client = NULL;
        char error[FG_ERROR_MAX] = "";
        check_program(report);
        int r = fg_client_open(0, &client, error, sizeof error);
        if (r == -EACCES) {
                cli_report_add(report, "daemon", CLI_FINDING_FAIL, "ask its operator, or set FASTGPU_STATE_DIR", "%s",
                               error);
        } else if (r < 0 && r != -ECONNREFUSED && *error) {
                cli_report_add(report, "daemon", CLI_FINDING_FAIL, "mend what is said", "%s", error);
        } else if (r < 0) {
                cli_report_add(report, "daemon", CLI_FINDING_OK, "", "none runs; it is started when needed");
        } else {
                check_version(report, client);
                check_devices(report, client);
        }
}
