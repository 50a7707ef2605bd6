/* SPDX-License-Identifier: Apache-2.0
 * Values are checked here as well as in the daemon, so that an error names the option that was typed. The daemon gets
 * them as typed: only it knows what 25% is of. */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <errno.h>
#include <string.h>

#define GPUS_MAX   10000
#define PERCENT_OF (1ull << 40) /* any size will do to check a percentage */

typedef int (*check_fn)(const char *text, struct fg_error *err);

error_t cli_wish_take(struct cli_wish *wish, int key, char *arg)
{
        switch (key) {
        case CLI_KEY_MEMORY:
                wish->memory = arg;
                return 0;
        case CLI_KEY_COMPUTE:
                wish->compute = arg;
                return 0;
        case CLI_KEY_GPUS:
                wish->gpus = arg;
                return 0;
        case CLI_KEY_NAME:
                wish->name = arg;
                return 0;
        case CLI_KEY_DEVICE:
                wish->device = arg;
                return 0;
        case CLI_KEY_MODE:
                wish->mode = arg;
                return 0;
        case CLI_KEY_PRIORITY:
                wish->priority = arg;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

bool cli_wish_is_empty(const struct cli_wish *wish)
{
        return !wish->memory && !wish->compute && !wish->gpus && !wish->name && !wish->device && !wish->mode &&
               !wish->priority;
}

static int check_memory(const char *text, struct fg_error *err)
{
        uint64_t bytes;
        return fg_size_parse(text, PERCENT_OF, &bytes, err);
}

static int check_compute(const char *text, struct fg_error *err)
{
        uint32_t permille;
        return fg_share_parse(text, &permille, err);
}

static int check_gpus(const char *text, struct fg_error *err)
{
        uint64_t count;
        return fg_count_parse("number of vGPUs", text, 1, GPUS_MAX, &count, err);
}

/* One value stays one; "70,30" becomes a list. NULL after saying what is wrong. */
static json_t *values(const char *option, const char *text, check_fn check)
{
        struct fg_error err = {0};
        cli_autojson json_t *list = json_array();
        fg_autofree char *copy = strdup(text);
        char *rest = copy, *item;
        while (list && rest && (item = strsep(&rest, ","))) {
                if (check(item, &err) < 0) {
                        cli_fail(0, "--%s: %s", option, err.text);
                        return NULL;
                }
                json_array_append_new(list, json_string(item));
        }
        return json_array_size(list) == 1 ? json_incref(json_array_get(list, 0)) : FG_TAKE_PTR(list);
}

static int add_values(json_t *body, const char *option, const char *text, check_fn check, uint64_t gpus)
{
        if (!text)
                return 0;
        json_t *value = values(option, text, check);
        if (!value)
                return CLI_USAGE;
        size_t n = json_array_size(value);
        json_object_set_new(body, option, value);
        if (n && gpus && n != gpus)
                return cli_fail(CLI_USAGE,
                                "--%s \"%s\" has %zu values for %llu vGPUs; give one for all or one for each", option,
                                text, n, (unsigned long long)gpus);
        return 0;
}

static const char *word_at(const void *user, size_t i)
{
        return ((const char *const *)user)[i];
}

static int add_word(json_t *body, const char *option, const char *text, const char *const *words)
{
        if (!text)
                return 0;
        for (size_t i = 0; words[i]; i++)
                if (strcmp(words[i], text) == 0)
                        return json_object_set_new(body, option, json_string(text)) ? CLI_FAILED : 0;
        const char *meant = cli_suggest(text, word_at, words);
        if (meant)
                return cli_fail(CLI_USAGE, "--%s \"%s\": did you mean %s?", option, text, meant);
        return cli_fail(CLI_USAGE, "--%s \"%s\": it is one of %s, %s%s%s", option, text, words[0], words[1],
                        words[2] ? ", " : "", words[2] ? words[2] : "");
}

static int add_rest(json_t *body, const struct cli_wish *wish)
{
        static const char *const modes[] = {"share", "cap", NULL};
        static const char *const priorities[] = {"high", "normal", "low", NULL};
        struct fg_error err = {0};
        if (wish->name && fg_name_check(wish->name, &err) < 0)
                return cli_fail(CLI_USAGE, "--name: %s", err.text);
        if (wish->name)
                json_object_set_new(body, "name", json_string(wish->name));
        if (wish->device && json_object_set_new(body, "device", json_string(wish->device)))
                return cli_fail(CLI_USAGE, "--device: \"%s\" is not text", wish->device);
        int code = add_word(body, "mode", wish->mode, modes);
        return code ? code : add_word(body, "priority", wish->priority, priorities);
}

/* "--compute 70,30" alone says that two are wanted. */
int cli_wish_infer_gpus(json_t *body)
{
        size_t memory = json_array_size(json_object_get(body, "memory"));
        size_t compute = json_array_size(json_object_get(body, "compute"));
        if (json_object_get(body, "gpus") || (!memory && !compute))
                return 0;
        if (memory && compute && memory != compute)
                return cli_fail(CLI_USAGE,
                                "--memory has %zu values and --compute %zu; give one for all or one for each vGPU",
                                memory, compute);
        json_object_set_new(body, "gpus", json_integer((json_int_t)(memory ? memory : compute)));
        return 0;
}

int cli_wish_body(const struct cli_wish *wish, json_t **ret)
{
        struct fg_error err = {0};
        cli_autojson json_t *body = json_object();
        uint64_t gpus = 0;
        if (!body)
                return cli_fail(CLI_FAILED, "out of memory");
        if (wish->gpus && check_gpus(wish->gpus, &err) < 0)
                return cli_fail(CLI_USAGE, "--gpus: %s", err.text);
        if (wish->gpus) {
                fg_count_parse("", wish->gpus, 1, GPUS_MAX, &gpus, NULL);
                json_object_set_new(body, "gpus", json_integer((json_int_t)gpus));
        }
        int code = add_values(body, "memory", wish->memory, check_memory, gpus);
        if (code == 0)
                code = add_values(body, "compute", wish->compute, check_compute, gpus);
        if (code == 0)
                code = add_rest(body, wish);
        if (code == 0)
                *ret = FG_TAKE_PTR(body);
        return code;
}
