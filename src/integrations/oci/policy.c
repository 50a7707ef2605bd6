/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/oci/oci.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "integrations/gate/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *trim(char *text)
{
        text += strspn(text, " \t\r\n");
        size_t len = strlen(text);
        while (len && strchr(" \t\r\n", text[len - 1]))
                text[--len] = 0;
        return text;
}

static int take_switch(const char *name, const char *value, bool *ret, struct fg_error *err)
{
        if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
                return fg_error_set(err, -EINVAL, "%s is on or off, not \"%.40s\"", name, value);
        *ret = strcmp(value, "on") == 0;
        return 0;
}

static int take_nodes(struct fgi_oci_policy *policy, const char *value, struct fg_error *err)
{
        for (const char *at = value; *at; at += strspn(at, " \t")) {
                size_t len = strcspn(at, " \t");
                if (strncmp(at, "/dev/", 5) != 0 || len >= FGI_GATE_PATH_MAX)
                        return fg_error_set(err, -EINVAL, "gate-nodes are paths in /dev of at most %u bytes with blanks between them, and \"%.*s\" is none",
                                            FGI_GATE_PATH_MAX - 1, (int)(len < 80 ? len : 80), at);
                at += len;
        }
        if (strlen(value) >= sizeof policy->nodes)
                return fg_error_set(err, -EINVAL, "gate-nodes has more than %zu bytes", sizeof policy->nodes - 1);
        strcpy(policy->nodes, value);
        return 0;
}

static int take(struct fgi_oci_policy *policy, const char *name, const char *value, struct fg_error *err)
{
        char project[64], target[64];
        int64_t index;
        if (strcmp(name, "env") == 0)
                return take_switch(name, value, &policy->env, err);
        if (strcmp(name, "open-gate") == 0)
                return take_switch(name, value, &policy->gate, err);
        if (strcmp(name, "gate-nodes") == 0)
                return take_nodes(policy, value, err);
        if (strcmp(name, "runtime") == 0) {
                if (*value && (*value != '/' || strlen(value) >= sizeof policy->runtime))
                        return fg_error_set(err, -EINVAL, "runtime is the whole path of runc or crun, not \"%.80s\"", value);
                strcpy(policy->runtime, value);
                return 0;
        }
        if (strcmp(name, "gpus") == 0) {
                if (strlen(value) >= sizeof policy->gpus || (*value && fg_target_split(value, project, target, &index, err) < 0))
                        return fg_error_set(err, -EINVAL, "gpus names a set of vGPUs, and \"%.80s\" does not", value);
                strcpy(policy->gpus, value);
                return 0;
        }
        return fg_error_set(err, -EINVAL, "there is no \"%.40s\" here; there are env, gate-nodes, gpus, open-gate and runtime", name);
}

int fgi_oci_policy_line(struct fgi_oci_policy *policy, const char *line, struct fg_error *err)
{
        char copy[512];
        if (strlen(line) >= sizeof copy)
                return fg_error_set(err, -EINVAL, "a line is longer than any can be");
        strcpy(copy, line);
        char *name = trim(copy), *equals = strchr(name, '=');
        if (!*name || *name == '#')
                return 0;
        if (!equals)
                return fg_error_set(err, -EINVAL, "\"%.40s\" is not NAME = VALUE", name);
        *equals = 0;
        return take(policy, trim(name), trim(equals + 1), err);
}

static void close_file(FILE **file)
{
        if (*file)
                fclose(*file);
}

int fgi_oci_policy_load(const char *path, struct fgi_oci_policy *ret, struct fg_error *err)
{
        char line[512];
        *ret = (struct fgi_oci_policy){.env = true};
        FG_CLEANUP(close_file) FILE *file = fopen(path, "re");
        if (!file)
                return errno == ENOENT ? 0 : fg_error_set(err, -errno, "%s: %m", path);
        for (unsigned number = 1; fgets(line, sizeof line, file); number++) {
                struct fg_error why = {0};
                if (fgi_oci_policy_line(ret, line, &why) < 0)
                        return fg_error_set(err, -EINVAL, "%s, line %u: %s", path, number, why.text);
        }
        return 0;
}
