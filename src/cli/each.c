/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/each.h"

#include <string.h>

int cli_set_path(const char *verb, const char *name, char *ret, size_t len)
{
        int64_t index;
        int code = cli_vgpu_path(name, ret, len, &index);
        if (code || index < 0)
                return code;
        return cli_fail(CLI_USAGE, "%s is one vGPU of a set, which stays whole; type: fastgpu %s %.*s", name, verb, (int)strcspn(name, "/"), name);
}

static int do_one(const struct cli_each *each, struct fg_client *client, const char *path, const char *name, json_t *done, json_t *failed)
{
        cli_autojson json_t *problem = NULL;
        cli_autojson json_t *reply = NULL;
        int code = cli_ask(client, each->method, path, NULL, &reply, &problem);
        if (code == 0)
                return json_array_append_new(done, each->with_answers ? json_incref(reply) : json_string(name));
        cli_say_problem(client, problem, strncmp(path, "/v1/vgpus", 9) == 0 ? name : NULL);
        json_array_append_new(failed, json_pack("{s:s, s:O}", each->field, name, "problem", problem));
        return code;
}

static int check(const struct cli_each *each, const struct cli_words *words)
{
        char path[192];
        int code = words->count ? 0 : cli_fail(CLI_USAGE, "%s what? Type: fastgpu %s %s", each->verb, each->verb, each->hint);
        for (int i = 0; code == 0 && i < words->count; i++)
                code = each->path(words, each->verb, words->args[i], path, sizeof path);
        return code;
}

int cli_each(const struct cli_each *each, const struct argp *argp, int argc, char **argv)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *done = json_array();
        cli_autojson json_t *failed = json_array();
        struct cli_words words;
        char path[192];
        int code = cli_words(each->verb, argp, argc, argv, &words);
        if (code == 0)
                code = check(each, &words);
        if (code == 0)
                code = cli_connect(&client);
        if (code)
                return code;
        for (int i = 0; i < words.count; i++) {
                int one = each->path(&words, each->verb, words.args[i], path, sizeof path);
                one = one ? one : do_one(each, client, path, words.args[i], done, failed);
                code = code ? code : one;
        }
        if (words.json) {
                cli_autojson json_t *all = json_pack("{s:O, s:O}", each->done, done, "failed", failed);
                cli_print_json(all, stdout);
        }
        return code;
}
