/* SPDX-License-Identifier: Apache-2.0
 * In which project a command works: --project, else FASTGPU_PROJECT, else where the daemon says that its caller works. */
#include "cli/cli.h"

#include "base/size.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROJECT_ENV "FASTGPU_PROJECT"

static const char *chosen;

error_t cli_project_take(const char *arg)
{
        struct fg_error err = {0};
        if (fg_name_check(arg, &err) < 0) {
                cli_fail(0, "--project: %s", err.text);
                return EINVAL;
        }
        chosen = arg;
        return 0;
}

int cli_project(const char **ret)
{
        struct fg_error err = {0};
        const char *typed = getenv(PROJECT_ENV);
        *ret = chosen;
        if (chosen || !typed || !*typed)
                return 0;
        if (fg_name_check(typed, &err) < 0)
                return cli_fail(CLI_USAGE, PROJECT_ENV ": %s", err.text);
        *ret = typed;
        return 0;
}

int cli_project_add(json_t *body)
{
        const char *project;
        int code = cli_project(&project);
        if (code == 0 && project)
                json_object_set_new(body, "project", json_string(project));
        return code;
}

int cli_project_qualify(const char *target, char **ret)
{
        const char *project;
        int code = cli_project(&project);
        if (code)
                return code;
        bool is_qualified = strchr(target, ':') != NULL || !project;
        if (asprintf(ret, "%s%s%s", is_qualified ? "" : project, is_qualified ? "" : ":", target) < 0) {
                *ret = NULL;
                return cli_fail(CLI_FAILED, "out of memory");
        }
        return 0;
}
