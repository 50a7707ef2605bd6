/* SPDX-License-Identifier: Apache-2.0
 * Writes fastgpu-metrics(7): the template with its lines "%DCGM%" and "%FASTGPU%" replaced by the table of series.
 *
 *     gen-metrics-man TEMPLATE >fastgpu-metrics.7.scd
 *     gen-metrics-man          every series: its name, type and labels, with tabs between */
#include "daemon/metrics_internal.h"

#include <stdio.h>
#include <string.h>

static const char *const types[] = {[FGD_GAUGE] = "gauge", [FGD_COUNTER] = "counter", [FGD_HISTOGRAM] = "histogram"};

/* An underline would begin emphasis. */
static void print_escaped(const char *text)
{
        for (; *text; text++) {
                if (strchr("_*\\", *text))
                        putchar('\\');
                putchar(*text);
        }
}

static void print_metric(const struct fgd_metric *metric)
{
        const char *labels = fgd_metric_labels[metric->of];
        putchar('*');
        print_escaped(metric->name);
        printf("* (%s", types[metric->type]);
        fputs(*labels ? "; " : "", stdout);
        print_escaped(labels);
        fputs(")\n\t", stdout);
        print_escaped(metric->help);
        fputs("\n\n", stdout);
}

static void print_all(const char *prefix)
{
        for (size_t i = 0; i < fgd_metric_count; i++)
                if (strncmp(fgd_metric_table[i].name, prefix, strlen(prefix)) == 0)
                        print_metric(&fgd_metric_table[i]);
}

static int list(void)
{
        for (size_t i = 0; i < fgd_metric_count; i++)
                if (i == 0 || strcmp(fgd_metric_table[i].name, fgd_metric_table[i - 1].name) != 0)
                        printf("%s\t%s\t%s\n", fgd_metric_table[i].name, types[fgd_metric_table[i].type], fgd_metric_labels[fgd_metric_table[i].of]);
        return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
        char line[1024];
        if (argc == 1)
                return list();
        FILE *template = fopen(argv[1], "re");
        if (!template) {
                fprintf(stderr, "gen-metrics-man: cannot read the template %s\n", argv[1]);
                return 1;
        }
        while (fgets(line, sizeof line, template)) {
                if (strcmp(line, "%DCGM%\n") == 0)
                        print_all("DCGM_");
                else if (strcmp(line, "%FASTGPU%\n") == 0)
                        print_all("fastgpu_");
                else
                        fputs(line, stdout);
        }
        fclose(template);
        return fflush(stdout) != 0;
}
