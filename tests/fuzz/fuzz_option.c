/* SPDX-License-Identifier: Apache-2.0
 * Lines of a config file. What is accepted is within its row's range and survives --dump-config. */
#include "base/option.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ranges(const struct fg_options *options)
{
        for (int i = 0; i < FG_OPT_COUNT; i++) {
                assert(options->value[i] >= fg_option_table[i].min && options->value[i] <= fg_option_table[i].max);
                assert(strcmp(options->source[i], "default") == 0 || strcmp(options->source[i], "file") == 0);
        }
}

static void parse_text(struct fg_options *options, char *text)
{
        char *rest = text;
        for (char *line; (line = strsep(&rest, "\n"));) {
                struct fg_options before = *options;
                struct fg_error err = {0};
                int r = fg_options_parse_line(options, line, &err);
                assert(r <= 0 && err.code == r && (r == 0) == (err.text[0] == '\0'));
                if (r < 0)
                        assert(memcmp(&before, options, sizeof(before)) == 0);
        }
}

static void check_dump(const struct fg_options *options)
{
        static char text[65536];
        FILE *f = fmemopen(text, sizeof(text), "w");
        assert(f);
        fg_options_dump(options, f);
        fclose(f);
        struct fg_options back;
        assert(fg_options_load(&back, NULL, NULL) == 0);
        char *rest = text;
        for (char *line; (line = strsep(&rest, "\n"));)
                assert(fg_options_parse_line(&back, line, NULL) == 0);
        assert(memcmp(back.value, options->value, sizeof(back.value)) == 0);
        /* Behind its end lies what an earlier, longer value has left. */
        for (int i = 0; i < FG_OPT_COUNT; i++)
                assert(strcmp(back.text[i], options->text[i]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fg_options options;
        char *text = malloc(size + 1);
        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';
        assert(fg_options_load(&options, NULL, NULL) == 0);
        parse_text(&options, text);
        check_ranges(&options);
        check_dump(&options);
        free(text);
        return 0;
}
