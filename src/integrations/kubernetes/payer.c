/* SPDX-License-Identifier: Apache-2.0
 * Whose the vGPUs of a namespace are. A prefix keeps a namespace that is called as somebody's project from spending his money. */
#include "integrations/kubernetes/kube.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void fgi_kube_own_project(const struct fgi_kube_payers *payers, const char *namespace, char ret[FGI_KUBE_NAME_MAX])
{
        char tag[FGI_KUBE_TAG];
        if (snprintf(ret, FGI_KUBE_NAME_MAX, "%s%s", payers->prefix, namespace) < (int)FGI_KUBE_NAME_MAX)
                return;
        fgi_kube_tag(namespace, tag);
        snprintf(ret + FGI_KUBE_NAME_MAX - 8, 8, "-%s", tag);
}

bool fgi_kube_payer(const struct fgi_kube_payers *payers, const char *namespace, char ret[FGI_KUBE_NAME_MAX])
{
        for (uint32_t i = 0; i < payers->count; i++)
                if (strcmp(payers->of[i].namespace, namespace) == 0) {
                        snprintf(ret, FGI_KUBE_NAME_MAX, "%s", payers->of[i].project);
                        return true;
                }
        return false;
}

bool fgi_kube_is_project(const char *text)
{
        size_t len = strlen(text);
        for (const char *p = text; *p; p++)
                if (!isalnum((unsigned char)*p) && (p == text || !strchr("._-", *p)))
                        return false;
        return len >= 1 && len < FGI_KUBE_NAME_MAX;
}

int fgi_kube_payer_parse(const char *text, struct fgi_kube_payers *payers, struct fg_error *err)
{
        const char *equals = strchr(text, '=');
        size_t len = equals ? (size_t)(equals - text) : 0;
        if (len < 1 || len >= FGI_KUBE_NAME_MAX || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
                return fg_error_set(err, -EINVAL, "--payer \"%.80s\": give NAMESPACE=PROJECT, such as --payer team-a=research", text);
        if (!fgi_kube_is_project(equals + 1))
                return fg_error_set(err, -EINVAL, "--payer %.80s: \"%.80s\" is no name for a project: give letters, digits, - . and _, at most 63, a letter or digit first",
                                    text, equals + 1);
        for (uint32_t i = 0; i < payers->count; i++)
                if (strncmp(payers->of[i].namespace, text, len) == 0 && !payers->of[i].namespace[len])
                        return fg_error_set(err, -EINVAL, "--payer %.80s: %s pays for the namespace already; give one of them", text, payers->of[i].project);
        if (payers->count == FGI_KUBE_PAYERS_MAX)
                return fg_error_set(err, -EINVAL, "--payer %.80s: there are %u payers already; --payer-label has namespaces name theirs", text, FGI_KUBE_PAYERS_MAX);
        snprintf(payers->of[payers->count].namespace, FGI_KUBE_NAME_MAX, "%.*s", (int)len, text);
        snprintf(payers->of[payers->count++].project, FGI_KUBE_NAME_MAX, "%s", equals + 1);
        return 0;
}
