/* SPDX-License-Identifier: Apache-2.0
 * Writes fastgpu.conf(5): the template with its line "@OPTIONS@" replaced by the option table.
 *
 *     gen-conf-man TEMPLATE >fastgpu.conf.5.scd */
#include "base/option.h"
#include "base/size.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void print_environment(const char *name)
{
        fputs("FASTGPU_", stdout);
        for (; *name; name++)
                putchar(*name == '-' ? '_' : toupper((unsigned char)*name));
}

static void print_range(const struct fg_option *o)
{
        char min[32], max[32];
        switch (o->type) {
        case FG_OPTION_COUNT:
                printf(" %llu to %llu%s%s.", (unsigned long long)o->min, (unsigned long long)o->max,
                       *o->unit ? " " : "", o->unit);
                break;
        case FG_OPTION_SIZE:
                if (o->min)
                        printf(" %s to %s.", fg_size_format(o->min, min, sizeof min),
                               fg_size_format(o->max, max, sizeof max));
                else
                        printf(" At most %s.", fg_size_format(o->max, max, sizeof max));
                break;
        case FG_OPTION_PART:
                fputs(" 0 to 1, with at most six decimals.", stdout);
                break;
        case FG_OPTION_LEVEL:
        case FG_OPTION_CHOICE: /* the sentence lists them */
        case FG_OPTION_TEXT:
        case FG_OPTION_ADDRESS:
                break;
        }
}

static void print_option(const struct fg_option *o)
{
        printf("*%s*\n\t%s.", o->name, o->doc);
        print_range(o);
        if (*o->default_value)
                printf(" Default: *%s*%s%s.", o->default_value, o->type == FG_OPTION_COUNT && *o->unit ? " " : "",
                       o->type == FG_OPTION_COUNT ? o->unit : "");
        fputs(" In the environment: *", stdout);
        print_environment(o->name);
        fputs("*.\n\n", stdout);
}

int main(int argc, char **argv)
{
        char line[1024];
        FILE *template = argc == 2 ? fopen(argv[1], "re") : NULL;
        if (!template) {
                fprintf(stderr, "gen-conf-man: cannot read the template %s\n", argc == 2 ? argv[1] : "(none given)");
                return 1;
        }
        while (fgets(line, sizeof line, template)) {
                if (strcmp(line, "@OPTIONS@\n") != 0) {
                        fputs(line, stdout);
                        continue;
                }
                for (int i = 0; i < FG_OPT_COUNT; i++)
                        print_option(&fg_option_table[i]);
        }
        fclose(template);
        return fflush(stdout) != 0;
}
