/* SPDX-License-Identifier: Apache-2.0
 * `fastgpu nodes` and `fastgpu why pod/…` over what fastgpu-kubelet wrote down, in which are words of the API server's and of pods'. None of it
 * changes the terminal. */
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/fit.h"

#include <assert.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *file;
static size_t file_size;

json_t *__wrap_json_load_file(const char *path, size_t flags, json_error_t *error);
json_t *__wrap_json_load_file(const char *path, size_t flags, json_error_t *error)
{
        return json_loadb(file, file_size, flags, error);
}

int __wrap_cli_words_few(const char *verb, const struct argp *argp, int most, int argc, char **argv, struct cli_words *ret);
int __wrap_cli_words_few(const char *verb, const struct argp *argp, int most, int argc, char **argv, struct cli_words *ret)
{
        *ret = (struct cli_words){0};
        return 0;
}

int __wrap_cli_need_local(const char *verb);
int __wrap_cli_need_local(const char *verb)
{
        return 0;
}

int __wrap_cli_connect(struct fg_client **ret);
int __wrap_cli_connect(struct fg_client **ret)
{
        *ret = NULL;
        return 0;
}

int __wrap_fg_client_target_find(struct fg_client_target *ret, char *error, size_t error_len);
int __wrap_fg_client_target_find(struct fg_client_target *ret, char *error, size_t error_len)
{
        return 0;
}

int __wrap_fg_client_open(unsigned flags, struct fg_client **ret, char *error, size_t error_len);
int __wrap_fg_client_open(unsigned flags, struct fg_client **ret, char *error, size_t error_len)
{
        *ret = NULL;
        return 0;
}

void __wrap_fg_client_close(struct fg_client *client);
void __wrap_fg_client_close(struct fg_client *client)
{
}

const char *__wrap_fg_client_run_dir(const struct fg_client *client);
const char *__wrap_fg_client_run_dir(const struct fg_client *client)
{
        return "/"; /* where the file is not: it counts as old */
}

int __wrap_cli_why_pod(const char *pod, bool as_json);
int __wrap_cli_why_pod(const char *pod, bool as_json)
{
        return -1;
}

int __wrap_cli_fail(int code, const char *format, ...);
int __wrap_cli_fail(int code, const char *format, ...)
{
        return code;
}

void __wrap_cli_note(const char *format, ...);
void __wrap_cli_note(const char *format, ...)
{
}

int cli_nodes(int argc, char **argv);
int cli_nodes_why(const char *pod, bool as_json);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FILE *terminal = stdout;
        char *text = NULL;
        size_t len = 0;
        file = (const char *)data;
        file_size = size;
        setlocale(LC_CTYPE, "C.UTF-8");
        stdout = open_memstream(&text, &len);
        assert(stdout);
        cli_nodes(0, NULL);
        cli_nodes_why("n/p", false);
        fclose(stdout);
        stdout = terminal;
        for (const char *p = text; *p;) {
                uint32_t c;
                size_t n = fg_utf8_decode(p, FG_UTF8_MAX, &c);
                assert(n && (c == '\n' || !cli_fit_is_format(c)));
                p += n;
        }
        free(text);
        return 0;
}
