/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/invoice.h"

#include "base/cleanup.h"
#include "base/paths.h"
#include "cli/table.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct argp_option option_table[] = {
        {"verify", 'v', NULL, 0, "Make the bill again from the signed records, and name any that was touched", 1},
        {"save", 's', "FOLDER", 0, "Keep the records and proofs of each invoice there, a file each", 1},
        {"from", 'f', "FILE", 0, "--verify: check this file, or all of this folder, kept by --save, without the daemon", 1},
        {"all", 'a', NULL, 0, "Of all projects (admins)", 1},
        CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};

const struct argp cli_invoice_argp = {.options = option_table, .parser = cli_action_parse, .args_doc = "MONTH",
                                      .doc = "Show the invoice of a month, such as 2026-11; of the present month, what it would be by now."};

static int print_lines(const json_t *invoice)
{
        static const struct cli_column columns[] = {{"NAME", false}, {"KIND", false}, {"GPU-HOURS", true}, {"PRICE", true}, {"AMOUNT", true}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *line;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(json_object_get(invoice, "lines"), i, line)
        {
                static const char *const fields[] = {"name", "kind", "gpu_hours", "price", "amount"};
                for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
                        cli_table_add(table, "%s", *cli_text(line, fields[f]) ? cli_text(line, fields[f]) : "varied");
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static int print_invoices(const json_t *invoices, const char *month)
{
        size_t i;
        const json_t *invoice;
        if (json_array_size(invoices) == 0)
                printf("nothing was used in %s that costs something\n", month);
        json_array_foreach(invoices, i, invoice)
        {
                bool is_draft = json_is_true(json_object_get(invoice, "draft"));
                printf("%s%s, project %s, %.10s to %.10s (exclusive)\n", is_draft ? "draft" : "invoice ", cli_text(invoice, "number"),
                       cli_text(invoice, "project"), cli_text(invoice, "from"), cli_text(invoice, "until"));
                int code = print_lines(invoice);
                if (code)
                        return code;
                printf("payable  %s %s%s\n", cli_text(invoice, "payable"), cli_text(invoice, "currency"), is_draft ? ", so far" : "");
        }
        return 0;
}

/* Into the folder or into nothing but memory's file, then checked from there. */
static int fetch_and_check(const struct cli_words *words, const struct cli_witness *witness, const char *number)
{
        const char *folder = cli_word(words, "save");
        char path[PATH_MAX];
        struct fg_error err = {0};
        if (strchr(number, '/'))
                return cli_fail(CLI_FAILED, "the daemon's answer makes no sense");
        if (folder && fg_mkdirs(folder, 0700, &err) < 0)
                return cli_fail(CLI_FAILED, "%s", err.text);
        snprintf(path, sizeof path, "%s/%s.bundle", folder ? folder : "", number);
        FILE *f = folder ? fopen(path, "w+e") : tmpfile();
        if (!f)
                return cli_fail(CLI_FAILED, "cannot write %s: %m", folder ? path : "a temporary file");
        int code = cli_invoice_fetch(witness, number, f);
        rewind(f);
        if (code == 0 && cli_word(words, "verify"))
                code = cli_invoice_check(f, number, witness->public, words->json);
        else if (code == 0 && !words->json)
                printf("%s\n", path);
        if (fclose(f) != 0 && code == 0)
                code = cli_fail(CLI_FAILED, "cannot write %s: %m", path);
        return code;
}

static int verify_all(const struct cli_words *words, const struct cli_witness *witness, const json_t *invoices, const char *month)
{
        size_t i, checked = 0;
        const json_t *invoice;
        int code = 0;
        json_array_foreach(invoices, i, invoice)
        {
                if (json_is_true(json_object_get(invoice, "draft")))
                        continue;
                int r = fetch_and_check(words, witness, cli_text(invoice, "number"));
                code = r ? r : code;
                checked++;
        }
        return checked ? code : cli_fail(CLI_NOT_FOUND, "there is no invoice of %s yet: a month is invoiced when it is over", month);
}

static int check_file(const struct cli_words *words, const char *path)
{
        uint8_t key[32];
        FILE *f = fopen(path, "re");
        if (!f)
                return cli_fail(CLI_NOT_FOUND, "cannot read %s: %m", path);
        int code = cli_invoice_check(f, path, cli_witness_key(key) ? key : NULL, words->json);
        fclose(f);
        return code;
}

static int is_bundle(const struct dirent *entry)
{
        const char *dot = strrchr(entry->d_name, '.');
        return dot && strcmp(dot, ".bundle") == 0;
}

/* All that --save left there, each by itself; the worst of them counts. */
static int check_folder(const struct cli_words *words, const char *folder)
{
        struct dirent **entry = NULL;
        char path[PATH_MAX];
        int count = scandir(folder, &entry, is_bundle, alphasort), code = 0;
        if (count < 0)
                return cli_fail(CLI_NOT_FOUND, "cannot read %s: %m", folder);
        for (int i = 0; i < count; i++) {
                snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
                int r = check_file(words, path);
                code = r ? r : code;
                free(entry[i]);
        }
        free(entry);
        return count ? code : cli_fail(CLI_NOT_FOUND, "there is no *.bundle in %s: fastgpu invoice MONTH --save %s puts them there", folder, folder);
}

static int check_from(const struct cli_words *words, const char *path)
{
        struct stat st;
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? check_folder(words, path) : check_file(words, path);
}

static int show(const struct cli_words *words)
{
        cli_autojson json_t *reply = NULL;
        struct cli_witness witness;
        const char *project;
        char path[512] = "/v1/invoices";
        int code = cli_witness(&witness);
        if (code == 0)
                code = cli_project(&project);
        if (code)
                return code;
        cli_query_add(path, sizeof path, "month", words->args[0]);
        if (cli_word(words, "all"))
                cli_query_add(path, sizeof path, "all", "1");
        else if (project)
                cli_query_add(path, sizeof path, "project", project);
        code = cli_call("GET", path, NULL, NULL, &reply);
        if (code)
                return code;
        const json_t *invoices = json_object_get(reply, "invoices");
        if (cli_word(words, "verify") || cli_word(words, "save"))
                return verify_all(words, &witness, invoices, words->args[0]);
        if (!words->json)
                return print_invoices(invoices, words->args[0]);
        cli_print_json(reply, stdout);
        return 0;
}

int cli_invoice(int argc, char **argv)
{
        struct cli_words words = {.table = option_table};
        int code = cli_parse("invoice", &cli_invoice_argp, argc, argv, &words);
        if (code)
                return code;
        const char *from = cli_word(&words, "from");
        if (from && (words.count || !cli_word(&words, "verify")))
                return cli_fail(CLI_USAGE, "--from takes no month and belongs to --verify: fastgpu invoice --verify --from FILE-OR-FOLDER");
        if (from)
                return check_from(&words, from);
        if (words.count != 1 || strlen(words.args[0]) > 20)
                return cli_fail(CLI_USAGE, "of which month? Type: fastgpu invoice 2026-11");
        return show(&words);
}
