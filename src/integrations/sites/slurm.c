/* SPDX-License-Identifier: Apache-2.0
 * Slurm by its own command, which knows its configuration and its forms of lists. */
#include "integrations/sites/sites.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE 30

int fgi_sites_expand(const char *list, json_t **ret, struct fg_error *err)
{
        fgi_sites_autowords struct fgi_sites_words words = {0};
        fg_autofree char *out = NULL;
        char *rest, *name;
        if (*list == '-')
                return fg_error_set(err, -EINVAL, "\"%.60s\" is no list of nodes", list);
        /* One name needs no Slurm. */
        if (fg_name_check(list, NULL) == 0) {
                *ret = json_pack("[s]", list);
                return *ret ? 0 : fg_error_set(err, -ENOMEM, "out of memory");
        }
        fgi_sites_add(&words, "scontrol");
        fgi_sites_add(&words, "show");
        fgi_sites_add(&words, "hostnames");
        fgi_sites_add(&words, "%s", list);
        int r = fgi_sites_run(&words, NULL, PATIENCE, &out, err);
        if (r < 0)
                return r;
        *ret = json_array();
        for (rest = out; (name = strsep(&rest, "\n"));)
                if (*name)
                        json_array_append_new(*ret, json_string(name));
        return 0;
}

static int update(const char *node, struct fgi_sites_words *words, struct fg_error *err)
{
        fg_autofree char *out = NULL;
        int r = fgi_sites_run(words, NULL, PATIENCE, &out, err);
        return r < 0 ? fg_error_wrap(err, r, "telling Slurm of %s", node) : 0;
}

bool fgi_sites_slurm_wants(const char *node)
{
        fgi_sites_autowords struct fgi_sites_words words = {0};
        fg_autofree char *out = NULL;
        fgi_sites_add(&words, "scontrol");
        fgi_sites_add(&words, "--oneliner");
        fgi_sites_add(&words, "show");
        fgi_sites_add(&words, "node");
        fgi_sites_add(&words, "%s", node);
        char *state = fgi_sites_run(&words, NULL, PATIENCE, &out, NULL) < 0 ? NULL : strstr(out, " State=");
        if (!state)
                return true;
        state[1 + strcspn(state + 1, " \n")] = '\0';
        return strstr(state, "POWERING_UP") || strstr(state, "POWER_UP");
}

int fgi_sites_slurm_address(const char *node, const char *address, struct fg_error *err)
{
        fgi_sites_autowords struct fgi_sites_words words = {0};
        fgi_sites_add(&words, "scontrol");
        fgi_sites_add(&words, "update");
        fgi_sites_add(&words, "NodeName=%s", node);
        fgi_sites_add(&words, "NodeAddr=%s", address);
        return update(node, &words, err);
}

int fgi_sites_slurm_down(const char *node, const char *reason, struct fg_error *err)
{
        fgi_sites_autowords struct fgi_sites_words words = {0};
        fgi_sites_add(&words, "scontrol");
        fgi_sites_add(&words, "update");
        fgi_sites_add(&words, "NodeName=%s", node);
        fgi_sites_add(&words, "State=DOWN");
        fgi_sites_add(&words, "Reason=fastgpu: %s", reason);
        return update(node, &words, err);
}
