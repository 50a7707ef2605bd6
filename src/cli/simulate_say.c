/* SPDX-License-Identifier: Apache-2.0
 * What a person or a script gets of the replays: progress, the table, JSON, CSV. */
#include "cli/simulate.h"

#include "base/cleanup.h"
#include "cli/table.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BAR 24

void cli_sim_progress(const struct cli_sim *sim, const char *policy, uint64_t seed)
{
        char bar[BAR + 1], which[48] = "";
        uint64_t runs = (uint64_t)sim->rows * (sim->last - sim->first + 1);
        size_t full = runs ? (size_t)(sim->done * BAR / runs) : 0;
        if (!isatty(STDERR_FILENO))
                return;
        memset(bar, '-', BAR);
        memset(bar, '#', full < BAR ? full : BAR);
        bar[BAR] = '\0';
        if (sim->kind == &cli_sim_pods || sim->seeds_given)
                snprintf(which, sizeof which, ", seed %llu", (unsigned long long)seed);
        fprintf(stderr, "\r\033[K[%s] %3u %%  %s%s", bar, runs ? (unsigned)(sim->done * 100 / runs) : 0, policy, which);
}

void cli_sim_progress_end(void)
{
        if (isatty(STDERR_FILENO))
                fputs("\r\033[K", stderr);
}

void cli_sim_csv_head(const struct cli_sim *sim)
{
        fputs("policy,add_nodes,slices,seed,measure,at,value\n", sim->csv_out);
}

void cli_sim_csv_run(const struct cli_sim *sim, const struct cli_sim_row *row, const struct cli_sim_run *run)
{
        char head[96];
        snprintf(head, sizeof head, "%s,%u,%u,%llu", row->policy, row->add_nodes, row->slices, (unsigned long long)run->seed);
        for (size_t m = 0; m < sim->measures; m++)
                fprintf(sim->csv_out, "%s,%s,,%.10g\n", head, sim->measure[m].key, run->value[m]);
        for (size_t k = 0; k < sim->charts; k++)
                for (size_t i = 0; i < run->curve[k].points && sim->chart[k].from == 0; i++)
                        if (sim->chart[k].label)
                                fprintf(sim->csv_out, "%s,%s,%s,%.10g\n", head, sim->chart[k].key, sim->chart[k].label[i], run->curve[k].y[i]);
                        else
                                fprintf(sim->csv_out, "%s,%s,%.10g,%.10g\n", head, sim->chart[k].key, run->curve[k].x[i], run->curve[k].y[i]);
}

static int print_table(const struct cli_sim *sim)
{
        struct cli_column column[CLI_SIM_MEASURES + 3] = {{"POLICY", false}};
        size_t columns = 1;
        bool nodes = sim->adds > 1 || sim->add_nodes[0], cut = sim->cuts > 1 || sim->slices[0];
        if (nodes)
                column[columns++] = (struct cli_column){"MORE NODES", true};
        if (cut)
                column[columns++] = (struct cli_column){"SLICES", true};
        for (size_t m = 0; m < sim->measures; m++)
                column[columns++] = (struct cli_column){sim->measure[m].title, true};
        cli_autotable struct cli_table *table = cli_table_new(column, columns);
        for (size_t i = 0; table && i < sim->rows; i++) {
                const struct cli_sim_row *row = &sim->row[i];
                cli_table_add(table, "%s", row->policy);
                if (nodes)
                        cli_table_add(table, "%u", row->add_nodes);
                if (cut)
                        row->slices ? cli_table_add(table, "%u", row->slices) : cli_table_add(table, "-");
                for (size_t m = 0; m < sim->measures; m++)
                        cli_table_add(table, "%.*f", sim->measure[m].decimals, cli_sim_shown(sim, row, m));
        }
        if (!table || cli_table_print(table, stdout, 0) < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        return 0;
}

static json_t *number_json(const struct cli_sim_measure *m, double value)
{
        return m->is_sum || (m->decimals == 0 && value == floor(value)) ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *row_json(const struct cli_sim *sim, const struct cli_sim_row *row)
{
        json_t *all = json_pack("{s:s, s:i}", "policy", row->policy, "add_nodes", (int)row->add_nodes), *deviation = json_object();
        cli_autojson json_t *more = sim->kind->json(sim, row);
        if (row->slices)
                json_object_set_new(all, "slices", json_integer(row->slices));
        for (size_t m = 0; m < sim->measures && !more; m++) {
                json_object_set_new(all, sim->measure[m].key, number_json(&sim->measure[m], cli_sim_shown(sim, row, m)));
                if (!sim->measure[m].is_sum)
                        json_object_set_new(deviation, sim->measure[m].key, json_real(cli_sim_deviation(row, m)));
        }
        if (more)
                json_object_update(all, more);
        if (row->seeds > 1 && !more)
                json_object_set(all, "standard_deviation", deviation);
        json_decref(deviation);
        return all;
}

int cli_sim_print(const struct cli_sim *sim)
{
        cli_autojson json_t *all = json_array();
        if (!sim->json)
                return print_table(sim);
        for (size_t i = 0; i < sim->rows; i++)
                json_array_append_new(all, row_json(sim, &sim->row[i]));
        cli_print_json(all, stdout);
        return 0;
}

/* The folder of a path, in place of its last part. */
static void folder_of(const char *path, char *ret, size_t len)
{
        const char *slash = strrchr(path, '/');
        snprintf(ret, len, "%.*s", slash == path ? 1 : slash ? (int)(slash - path) : 1, slash ? path : ".");
}

int cli_sim_check_path(const char *path)
{
        struct stat st;
        char folder[4096];
        folder_of(path, folder, sizeof folder);
        if (strlen(path) > sizeof folder - 16 || !*path)
                return cli_fail(CLI_USAGE, "\"%.40s\" is not the name of a file", path);
        if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
                return cli_fail(CLI_FAILED, "cannot write %s: it is there and is not a file", path);
        if (access(folder, W_OK | X_OK) < 0)
                return cli_fail(CLI_FAILED, "cannot write %s: %s: %m", path, folder);
        return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
        while (len) {
                ssize_t n = write(fd, text, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return -errno;
                text += n;
                len -= (size_t)n;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

int cli_sim_write_file(const char *path, const char *text, size_t len)
{
        char beside[4096 + 16];
        mode_t mask = umask(0);
        umask(mask);
        snprintf(beside, sizeof beside, "%s.XXXXXX", path);
        fg_autoclose int fd = mkostemp(beside, O_CLOEXEC);
        if (fd < 0)
                return cli_fail(CLI_FAILED, "cannot write %s: %m", path);
        int r = write_all(fd, text, len);
        if (r == 0 && (fchmod(fd, 0666 & ~mask) < 0 || rename(beside, path) < 0))
                r = -errno;
        if (r < 0) {
                unlink(beside);
                return cli_fail(CLI_FAILED, "cannot write %s: %s", path, strerror(-r));
        }
        cli_note("wrote %s", path);
        return 0;
}
