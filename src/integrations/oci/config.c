/* SPDX-License-Identifier: Apache-2.0
 * What a config.json asks for. An image can put variables into the environment, but neither hooks nor annotations: those come from
 * the engine, and so from who started the container. */
#include "integrations/oci/config.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_shallow(const char *text, size_t size)
{
        unsigned depth = 0;
        bool in_string = false;
        for (size_t i = 0; i < size; i++) {
                if (in_string) {
                        if (text[i] == '\\')
                                i++;
                        else if (text[i] == '"')
                                in_string = false;
                } else if (text[i] == '"') {
                        in_string = true;
                } else if (text[i] == '{' || text[i] == '[') {
                        if (++depth > FGI_OCI_DEPTH_MAX)
                                return false;
                } else if ((text[i] == '}' || text[i] == ']') && depth) {
                        depth--;
                }
        }
        return true;
}

int fgi_oci_parse(const char *text, size_t size, json_t **ret, struct fg_error *err)
{
        json_error_t where;
        if (size > FGI_OCI_CONFIG_MAX)
                return fg_error_set(err, -E2BIG, "config.json has %zu bytes; at most %u are read", size, FGI_OCI_CONFIG_MAX);
        if (!is_shallow(text, size))
                return fg_error_set(err, -E2BIG, "config.json is nested more than %u deep", FGI_OCI_DEPTH_MAX);
        json_t *config = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
        if (!json_is_object(config)) {
                json_decref(config);
                return fg_error_set(err, -EINVAL, "config.json is not what an engine writes: %s (line %d)", config ? "no object" : where.text, where.line);
        }
        *ret = config;
        return 0;
}

json_t *fgi_oci_member(json_t *object, const char *name, json_type type)
{
        json_t *found = json_object_get(object, name);
        if (found && !json_is_null(found))
                return json_typeof(found) == type ? found : NULL;
        found = type == JSON_ARRAY ? json_array() : json_object();
        return json_object_set_new(object, name, found) == 0 ? found : NULL;
}

bool fgi_oci_lists(const json_t *list, const char *text)
{
        const json_t *entry;
        size_t i;
        json_array_foreach(list, i, entry)
                if (json_is_string(entry) && strcmp(json_string_value(entry), text) == 0)
                        return true;
        return false;
}

const char *fgi_oci_variable(const char *entry, const char *name)
{
        size_t len = strlen(name);
        return entry && strncmp(entry, name, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

/* The last one, as programs see it. */
static const char *environment_of(const json_t *config, const char *name)
{
        const char *found = NULL;
        const json_t *entry;
        size_t i;
        json_array_foreach(json_object_get(json_object_get(config, "process"), "env"), i, entry) {
                const char *value = fgi_oci_variable(json_string_value(entry), name);
                found = value ? value : found;
        }
        return found;
}

bool fgi_oci_is_foreign_hook(const json_t *hook)
{
        static const char *const name[] = {"nvidia-container-runtime-hook", "nvidia-container-toolkit", "nvidia-cdi-hook", "nvidia-ctk"};
        const char *path = json_string_value(json_object_get(hook, "path"));
        if (!path)
                return false;
        path = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        for (size_t i = 0; i < sizeof name / sizeof *name; i++)
                if (strcmp(path, name[i]) == 0)
                        return true;
        return false;
}

static bool has_foreign_hook(const json_t *config)
{
        const char *kind;
        const json_t *hook;
        json_t *list;
        size_t i;
        json_object_foreach(json_object_get(config, "hooks"), kind, list)
                json_array_foreach(list, i, hook)
                        if (fgi_oci_is_foreign_hook(hook))
                                return true;
        return false;
}

static bool is_nothing(const char *value)
{
        return !value || !*value || strcmp(value, "void") == 0 || strcmp(value, "none") == 0;
}

bool fgi_oci_has_foreign_gpu(const json_t *config)
{
        return has_foreign_hook(config) && !is_nothing(environment_of(config, FGI_OCI_ENV_NVIDIA));
}

static int take_name(const char *value, const char *from, struct fgi_oci_wish *ret, struct fg_error *err)
{
        char project[64], name[64];
        int64_t index;
        if (strchr(value, ','))
                return fg_error_set(err, -EINVAL, "%s=%.80s: a container has one vGPU or one set of them; make a set: fastgpu create --gpus N --name NAME", from,
                                    value);
        if (strlen(value) >= sizeof ret->target || fg_target_split(value, project, name, &index, NULL) < 0)
                return fg_error_set(err, -EINVAL, "%s=%.80s does not name a vGPU: NAME, NAME/I or PROJECT:NAME; `fastgpu list` shows them", from, value);
        strcpy(ret->target, value);
        return 1;
}

/* "0,1" as dockerd writes `--gpus 2`: how many; 0: these are names. */
static unsigned count_of(const char *value)
{
        unsigned count = 0;
        char number[16];
        while (*value) {
                int len = snprintf(number, sizeof number, "%u", count);
                if (strncmp(value, number, (size_t)len) != 0 || (value[len] && value[len] != ','))
                        return 0;
                count++;
                value += len + (value[len] == ',');
        }
        return count;
}

/* `docker run --gpus`: dockerd adds its hook, and behind all that the image says in the environment, which ones. */
static int take_gpus(const json_t *config, const struct fgi_oci_policy *policy, struct fgi_oci_wish *ret, struct fg_error *err)
{
        const char *value = environment_of(config, FGI_OCI_ENV_NVIDIA);
        if (is_nothing(value))
                return 0;
        ret->count = count_of(value);
        if (!ret->count && strcmp(value, "all") != 0)
                return take_name(value, "--gpus device", ret, err);
        return take_name(policy->gpus, "gpus in runtime.conf", ret, err);
}

int fgi_oci_wish(const json_t *config, const struct fgi_oci_policy *policy, struct fgi_oci_wish *ret, struct fg_error *err)
{
        const char *annotation = json_string_value(json_object_get(json_object_get(config, "annotations"), FGI_OCI_ANNOTATION));
        const char *variable = environment_of(config, FGI_OCI_ENV);
        *ret = (struct fgi_oci_wish){0};
        if (!is_nothing(annotation))
                return take_name(annotation, FGI_OCI_ANNOTATION, ret, err);
        if (!is_nothing(variable)) {
                if (!policy->env)
                        return fg_error_set(err, -EACCES, "the environment may not name a vGPU here (env = off in runtime.conf): give the annotation "
                                            FGI_OCI_ANNOTATION "=%.80s", variable);
                return take_name(variable, FGI_OCI_ENV, ret, err);
        }
        if (policy->gpus[0] && has_foreign_hook(config))
                return take_gpus(config, policy, ret, err);
        return 0;
}
