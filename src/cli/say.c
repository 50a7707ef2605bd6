/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/utf8.h"
#include "cli/fit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *cli_clean(char *text)
{
        char *to = text;
        for (const char *p = text; *p;) {
                uint32_t c;
                size_t n = fg_utf8_decode(p, FG_UTF8_MAX, &c);
                if (n && !cli_fit_is_format(c)) {
                        memmove(to, p, n);
                        to += n;
                } else {
                        *to++ = '?';
                }
                p += n ? n : 1;
        }
        *to = '\0';
        return text;
}

static char failure[1024];

const char *cli_failure(void)
{
        return failure;
}

static void say(const char *prefix, const char *format, va_list args)
{
        fg_autofree char *text = NULL;
        fflush(stdout);
        if (vasprintf(&text, format, args) < 0) {
                text = NULL;
                fputs("fastgpu: out of memory\n", stderr);
                return;
        }
        fprintf(stderr, "fastgpu: %s%s\n", prefix, cli_clean(text));
}

int cli_fail(int code, const char *format, ...)
{
        va_list args, again;
        va_start(args, format);
        va_copy(again, args);
        vsnprintf(failure, sizeof failure, format, again);
        cli_clean(failure);
        say("", format, args);
        va_end(again);
        va_end(args);
        return code;
}

void cli_note(const char *format, ...)
{
        va_list args;
        va_start(args, format);
        say("note: ", format, args);
        va_end(args);
}

void cli_say(const char *format, ...)
{
        fg_autofree char *text = NULL;
        va_list args;
        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        puts(text ? cli_clean(text) : "?");
}

void cli_print_json(const json_t *value, FILE *out)
{
        json_dumpf(value, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
        fputc('\n', out);
}

int cli_flush(int code)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return code;
        if (errno != EPIPE)
                cli_fail(CLI_FAILED, "cannot write the output: %s", strerror(errno));
        return code ? code : CLI_FAILED;
}
