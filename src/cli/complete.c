/* SPDX-License-Identifier: Apache-2.0
 * `fastgpu __complete WORD…`: what the last word could become, one a line. The scripts of all shells call it, so that
 * verbs, options and names are written down once. Never starts a daemon, never complains. */
#include "cli/cli.h"

#include <string.h>

static void offer(const char *word, const char *candidate)
{
        if (strncmp(candidate, word, strlen(word)) == 0)
                puts(candidate);
}

static void offer_verbs(const char *word)
{
        for (const struct cli_verb *v = cli_verb_table; v->name; v++)
                offer(word, v->name);
}

static void offer_options(const char *word, const struct argp *argp)
{
        char text[80];
        offer(word, "--help");
        for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++) {
                snprintf(text, sizeof text, "--%s%s", o->name ? o->name : "", o->arg ? "=" : "");
                if (o->name && !(o->flags & OPTION_HIDDEN))
                        offer(word, text);
        }
}

static json_t *ask(const char *path)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *problem = NULL;
        json_t *reply = NULL;
        if (fg_client_open(FG_CLIENT_BRIEF, &client, NULL, 0) == 0)
                cli_ask(client, "GET", path, NULL, &reply, &problem);
        return reply;
}

static void offer_actions(const char *word, const struct cli_action *actions)
{
        for (; actions->name; actions++)
                offer(word, actions->name);
}

static void offer_named(const char *prefix, const char *word, const char *path, const char *field)
{
        cli_autojson json_t *all = ask(path);
        size_t i;
        const json_t *one;
        json_array_foreach(json_object_get(all, field), i, one) if (strncmp(cli_text(one, "name"), word, strlen(word)) == 0)
                printf("%s%s\n", prefix, cli_text(one, "name"));
}

/* Behind the action come projects and users. */
static void offer_arguments(const struct cli_verb *verb, const char *before, const char *word)
{
        if (strcmp(verb->name, before) == 0)
                offer_actions(word, verb->actions);
        else if (strcmp(verb->name, "user") == 0)
                offer_named("", word, "/v1/users", "users");
        else if (strcmp(verb->name, "project") == 0)
                offer_named("", word, "/v1/projects", "projects");
}

static void offer_names(const char *word, bool also_one)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *problem = NULL;
        cli_autojson json_t *all = NULL;
        if (fg_client_open(FG_CLIENT_BRIEF, &client, NULL, 0) == 0)
                cli_ask_sets(client, "/v1/vgpus", &all, &problem);
        size_t i, j;
        const json_t *set, *vgpu;
        json_array_foreach(json_object_get(all, "sets"), i, set)
        {
                char qualified[160];
                snprintf(qualified, sizeof qualified, "%s:%s", cli_text(set, "project"), cli_text(set, "name"));
                offer(word, strchr(word, ':') ? qualified : cli_text(set, "name"));
                json_array_foreach(json_object_get(set, "vgpus"), j, vgpu) if (also_one && strchr(word, '/'))
                        offer(word, cli_text(vgpu, "name"));
        }
}

static void offer_jobs(const char *word)
{
        cli_autojson json_t *all = ask("/v1/jobs?limit=1000");
        size_t i;
        const json_t *job;
        char text[24];
        json_array_foreach(json_object_get(all, "jobs"), i, job)
        {
                snprintf(text, sizeof text, "%llu", (unsigned long long)cli_number(job, "id"));
                offer(word, text);
        }
}

static void offer_devices(const char *prefix, const char *word)
{
        cli_autojson json_t *all = ask("/v1/devices");
        size_t i;
        const json_t *device;
        char text[64];
        json_array_foreach(json_object_get(all, "devices"), i, device)
        {
                snprintf(text, sizeof text, "%llu", (unsigned long long)cli_number(device, "id"));
                if (strncmp(text, word, strlen(word)) == 0)
                        printf("%s%s\n", prefix, text);
        }
}

static void offer_words(const char *prefix, const char *word, const char *const *words)
{
        for (; *words; words++)
                if (strncmp(*words, word, strlen(word)) == 0)
                        printf("%s%s\n", prefix, *words);
}

/* The value of an option, "--mode=" and "--mode" alike. false: it is none that can be guessed. */
static bool offer_value(const char *prefix, const char *option, const char *word)
{
        static const char *const modes[] = {"share", "cap", NULL};
        static const char *const authorities[] = {"system", NULL};
        static const char *const priorities[] = {"high", "normal", "low", NULL};
        static const char *const states[] = {"queued", "starting", "running", "suspended", "stopping", "done", "failed", "cancelled", NULL};
        static const char *const views[] = {"vgpu", "process", "tenant", "device", "job", NULL};
        static const char *const roles[] = {"viewer", "member", "manager", "admin", NULL};
        if (strcmp(option, "--mode") == 0)
                offer_words(prefix, word, modes);
        else if (strcmp(option, "--priority") == 0)
                offer_words(prefix, word, priorities);
        else if (strcmp(option, "--state") == 0)
                offer_words(prefix, word, states);
        else if (strcmp(option, "--view") == 0)
                offer_words(prefix, word, views);
        else if (strcmp(option, "--role") == 0)
                offer_words(prefix, word, roles);
        else if (strcmp(option, "--project") == 0)
                offer_named(prefix, word, "/v1/projects", "projects");
        else if (strcmp(option, "--user") == 0)
                offer_named(prefix, word, "/v1/users", "users");
        else if (strcmp(option, "--ca") == 0)
                offer_words(prefix, word, authorities);
        else if (strcmp(option, "--device") == 0)
                offer_devices(prefix, word);
        else
                return false;
        return true;
}

/* Is `before` an option whose value is the next word? */
static bool takes_word(const struct argp *argp, const char *before)
{
        for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++)
                if (o->name && o->arg && strncmp(before, "--", 2) == 0 && strcmp(before + 2, o->name) == 0)
                        return true;
        return false;
}

static void complete_word(const struct cli_verb *verb, const char *before, const char *word)
{
        const char *equals = strchr(word, '=');
        char option[32];
        if (strncmp(word, "--", 2) == 0 && equals) {
                char prefix[40];
                snprintf(option, sizeof option, "%.*s", (int)(equals - word), word);
                snprintf(prefix, sizeof prefix, "%s=", option);
                offer_value(prefix, option, equals + 1);
        } else if (takes_word(verb->argp, before)) {
                offer_value("", before, word);
        } else if (word[0] == '-') {
                offer_options(word, verb->argp);
        } else if (verb->operand == CLI_OPERAND_VERB) {
                offer_verbs(word);
        } else if (verb->operand == CLI_OPERAND_ACTION) {
                offer_arguments(verb, before, word);
        } else if (verb->operand == CLI_OPERAND_JOB || verb->operand == CLI_OPERAND_JOB_OR_NAME) {
                offer_jobs(word);
                if (verb->operand == CLI_OPERAND_JOB_OR_NAME)
                        offer_names(word, false);
        } else if (verb->operand != CLI_OPERAND_NONE) {
                offer_names(word, verb->operand == CLI_OPERAND_TARGET);
        }
}

int cli_complete(int argc, char **argv)
{
        if (argc <= 1) {
                offer_verbs(argc ? argv[0] : "");
                return cli_flush(0);
        }
        const struct cli_verb *verb = cli_verb_find(argv[0]);
        for (int i = 1; i < argc - 1; i++)
                if (strcmp(argv[i], "--") == 0)
                        return 0; /* the program's own words */
        if (verb)
                complete_word(verb, argv[argc - 2], argv[argc - 1]);
        return cli_flush(0);
}
