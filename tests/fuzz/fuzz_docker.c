/* SPDX-License-Identifier: Apache-2.0
 * The files that `docker enable` changes. The first byte says which: 'j' Docker's daemon.json, 'd' the same with us as default, else the runtime's lines. What is put in is found
 * in there, once; what is taken out is gone; what else is in daemon.json stays. */
#include "cli/docker.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *path_of(const json_t *config)
{
        return json_string_value(json_object_get(json_object_get(json_object_get(config, "runtimes"), "fastgpu"), "path"));
}

/* All but what is about us. */
static json_t *others(const json_t *config)
{
        json_t *rest = json_deep_copy(config), *runtimes = json_object_get(rest, "runtimes");
        json_object_del(rest, "default-runtime");
        json_object_del(runtimes, "fastgpu");
        if (json_is_object(runtimes) && !json_object_size(runtimes))
                json_object_del(rest, "runtimes");
        return rest;
}

static void try_config(const char *text, bool is_default)
{
        json_t *config = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *other;
        struct fg_error err = {0};
        if (json_is_object(config)) {
                json_t *before = others(config), *after;
                if (cli_docker_edit(config, "/r", is_default, &err) == 0) {
                        const char *usual = json_string_value(json_object_get(config, "default-runtime"));
                        assert(strcmp(path_of(config), "/r") == 0 && (is_default ? usual && strcmp(usual, "fastgpu") == 0 : !usual || strcmp(usual, "fastgpu") != 0));
                        other = json_deep_copy(config);
                        assert(cli_docker_edit(other, "/r", is_default, &err) == 0 && json_equal(other, config));
                        json_decref(other);
                        assert(cli_docker_edit(config, NULL, false, &err) == 0 && !path_of(config));
                } else {
                        assert(err.text[0]);
                }
                after = others(config);
                assert(json_equal(before, after));
                json_decref(before);
                json_decref(after);
        }
        json_decref(config);
}

static void try_lines(const char *text)
{
        static const char line[] = "gpus = q\n";
        char *set = cli_lines_set(text, "gpus", "q"), *twice = set ? cli_lines_set(set, "gpus", "q") : NULL, *out = twice ? cli_lines_set(twice, "gpus", NULL) : NULL;
        assert(out && strcmp(set, twice) == 0);
        size_t size = strlen(set), rest = strlen(out);
        assert(size == rest + sizeof line - 1 && strcmp(set + rest, line) == 0 && memcmp(set, out, rest) == 0);
        char *again = cli_lines_set(out, "gpus", NULL);
        assert(again && strcmp(again, out) == 0);
        free(set);
        free(twice);
        free(out);
        free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = size ? strndup((const char *)data + 1, size - 1) : NULL;
        if (!text)
                return 0;
        if (data[0] == 'j' || data[0] == 'd')
                try_config(text, data[0] == 'd');
        else
                try_lines(text);
        free(text);
        return 0;
}
