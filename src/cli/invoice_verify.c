/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/invoice.h"

#include "base/cleanup.h"
#include "bill/bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* All pages of records. */
static int fetch_pages(const struct cli_witness *witness, const char *number, json_t *all)
{
        uint64_t at = 0, before;
        do {
                cli_autojson json_t *reply = NULL;
                char path[512] = "/v1/log/records";
                cli_query_add(path, sizeof path, "invoice", number);
                size_t end = strlen(path);
                end += (size_t)snprintf(path + end, sizeof path - end, "&size=%" PRIu64, witness->checkpoint.size);
                if (at)
                        snprintf(path + end, sizeof path - end, "&at=%" PRIu64, at);
                int code = cli_call("GET", path, NULL, NULL, &reply);
                if (code)
                        return code;
                if (json_array_extend(all, json_object_get(reply, "records")) < 0)
                        return cli_fail(CLI_FAILED, "the daemon's answer makes no sense");
                before = at;
                at = cli_number(reply, "next");
        } while (at && (!before || at < before));
        return 0;
}

static int by_number(const void *a, const void *b)
{
        uint64_t x = cli_number(*(json_t *const *)a, "number"), y = cli_number(*(json_t *const *)b, "number");
        return x < y ? -1 : x > y;
}

static int write_record(FILE *f, const json_t *record)
{
        struct fg_tlog_proof proof = {0};
        size_t i;
        const json_t *hash;
        const char *text = cli_text(record, "text");
        if (strchr(text, '\n'))
                return -EBADMSG;
        json_array_foreach(json_object_get(record, "proof"), i, hash)
        {
                const char *base64 = json_string_value(hash);
                if (i >= FG_TLOG_DEPTH || !base64 || fg_tlog_unbase64(base64, strlen(base64), &proof.hash[i], FG_TLOG_HASH) < 0)
                        return -EBADMSG;
                proof.count++;
        }
        return fg_bill_bundle_record(f, (int64_t)cli_number(record, "number"), text, &proof);
}

/* In the order of their numbers, each once: a window may have come on two pages. */
static int write_all(FILE *f, const json_t *all)
{
        size_t count = json_array_size(all), i;
        fg_autofree json_t **record = calloc(count + 1, sizeof *record);
        int r = record ? 0 : -ENOMEM;
        for (i = 0; record && i < count; i++)
                record[i] = json_array_get(all, i);
        if (record)
                qsort(record, count, sizeof *record, by_number);
        for (i = 0; r == 0 && i < count; i++)
                if (i == 0 || by_number(&record[i - 1], &record[i]) != 0)
                        r = write_record(f, record[i]);
        return r;
}

int cli_invoice_fetch(const struct cli_witness *witness, const char *number, FILE *f)
{
        cli_autojson json_t *all = json_array();
        int code = all ? fetch_pages(witness, number, all) : cli_fail(CLI_FAILED, "out of memory");
        if (code)
                return code;
        int r = fg_bill_bundle_head(f, witness->key, witness->note);
        if (r == 0)
                r = write_all(f, all);
        if (r == 0)
                r = fg_bill_bundle_end(f);
        return r == -EBADMSG ? cli_fail(CLI_FAILED, "the daemon's records make no sense")
               : r < 0       ? cli_fail(CLI_FAILED, "cannot write the records of %s: %s", number, strerror(-r))
                             : 0;
}

static void on_found(void *user, int64_t record, const char *type, const char *text)
{
        json_t *findings = user;
        json_array_append_new(findings, json_pack("{s:I, s:s, s:s}", "record", (json_int_t)record, "type", type, "text", text));
}

static void print_findings(const json_t *findings)
{
        size_t i;
        const json_t *finding;
        json_array_foreach(findings, i, finding)
        {
                json_int_t record = json_integer_value(json_object_get(finding, "record"));
                if (i == 20) {
                        printf("and %zu more\n", json_array_size(findings) - i);
                        break;
                }
                if (record < 0)
                        printf("%s: %s\n", cli_text(finding, "type"), cli_text(finding, "text"));
                else
                        printf("record %" JSON_INTEGER_FORMAT " (%s): %s\n", record, cli_text(finding, "type"), cli_text(finding, "text"));
        }
}

static void print_good(const struct fg_bill_bundle *bundle, bool is_known)
{
        char amount[FG_NUMBER_MAX];
        const struct fg_bill_invoice *invoice = &bundle->invoice;
        fg_money_format(invoice->payable, fg_currency_decimals(invoice->currency), amount, sizeof amount);
        printf("invoice %s, %s %s: all is well\n", invoice->number, amount, invoice->currency);
        printf("  %" PRId64 " usage records in %" PRId64 " windows, each under the checkpoint of %" PRIu64 " records that %s signed\n",
               bundle->usages, bundle->windows, bundle->checkpoint.size, bundle->checkpoint.origin);
        puts("  none is missing, changed or twice; prices, amounts and the sum were made again and are the same");
        if (!is_known)
                puts("  the node's key is the bundle's own: nothing here knew it before");
}

int cli_invoice_check(FILE *f, const char *name, const uint8_t *public, bool json)
{
        FG_CLEANUP(fg_bill_cleanup_bundlep) struct fg_bill_bundle bundle = {0};
        cli_autojson json_t *findings = json_array();
        struct fg_error err = {0};
        int r = findings ? fg_bill_bundle_check(f, public, on_found, findings, &bundle, &err) : -ENOMEM;
        if (json && r == 0) {
                cli_autojson json_t *answer = json_pack("{s:b, s:O, s:s, s:I, s:I, s:I}", "verified", bundle.findings == 0, "findings", findings,
                                                        "invoice", bundle.invoice.number, "payable_nano", (json_int_t)bundle.invoice.payable,
                                                        "usages", (json_int_t)bundle.usages, "windows", (json_int_t)bundle.windows);
                cli_print_json(answer, stdout);
        } else if (r == 0 && bundle.findings == 0) {
                print_good(&bundle, public);
        } else {
                print_findings(findings);
        }
        if (r < 0)
                return cli_fail(CLI_FAILED, "%s: %s", name, r == -ENOMEM ? "out of memory" : err.text);
        return bundle.findings ? cli_fail(CLI_FAILED, "%s is not what was signed, or makes no sense: %zu finding%s", name, bundle.findings,
                                          bundle.findings == 1 ? "" : "s") : 0;
}
