/* SPDX-License-Identifier: Apache-2.0
 * The canonical text of an invoice, its hash, and the record that commits to it. */
#include "base/cleanup.h"
#include "bill/invoice.h"
#include "bill/when.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_line(FILE *f, size_t number, const struct fg_bill_line *line)
{
        char quantity[FG_NUMBER_MAX];
        fprintf(f, "line %zu %s %s %s quantity %s price ", number, fg_bill_kind_name(line->kind), line->vgpu, line->name,
                fg_int128_format(line->quantity, quantity, sizeof(quantity)));
        if (line->price < 0)
                fputs("-", f);
        else
                fprintf(f, "%" PRId64, line->price);
        fprintf(f, " amount %" PRId64 "\n", line->amount);
}

int fg_bill_text(const struct fg_bill_bill *bill, char **ret, size_t *ret_size)
{
        char from[FG_BILL_WHEN_MAX], until[FG_BILL_WHEN_MAX], *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        fprintf(f, "fastgpu invoice 1\nnumber %s\nproject %s\nfrom %s\nuntil %s\ncurrency %s\n", bill->number,
                bill->project, fg_bill_when_format(bill->from, from), fg_bill_when_format(bill->until, until),
                bill->currency[0] ? bill->currency : "-");
        fprintf(f, "records %" PRId64 " first %" PRId64 " last %" PRId64 "\n", bill->records, bill->first, bill->last);
        for (size_t i = 0; i < bill->lines; i++)
                print_line(f, i + 1, &bill->line[i]);
        fprintf(f, "payable %" PRId64 "\n", bill->payable);
        bool is_failed = ferror(f);
        if (fclose(f) != 0 || is_failed) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        *ret_size = size;
        return 0;
}

int fg_bill_hash(const struct fg_bill_bill *bill, char ret[65])
{
        uint8_t hash[crypto_hash_sha256_BYTES];
        fg_autofree char *text = NULL;
        size_t size;
        int r = fg_bill_text(bill, &text, &size);
        if (r < 0)
                return r;
        crypto_hash_sha256(hash, (const uint8_t *)text, size);
        sodium_bin2hex(ret, 65, hash, sizeof(hash));
        return 0;
}

int fg_bill_record_of(const struct fg_bill_bill *bill, struct fg_bill_invoice *ret)
{
        struct fg_bill_invoice record = {
                .from = bill->from,
                .until = bill->until,
                .lines = (int64_t)bill->lines,
                .payable = bill->payable,
                .first = bill->first,
                .last = bill->last,
                .records = bill->records,
        };
        strcpy(record.number, bill->number);
        strcpy(record.project, bill->project);
        strcpy(record.currency, bill->currency);
        int r = fg_bill_hash(bill, record.hash);
        if (r == 0)
                *ret = record;
        return r;
}

int fg_bill_invoice_compare(const struct fg_bill_invoice *found, const struct fg_bill_invoice *right, struct fg_error *err)
{
        const struct {
                const char *name;
                int64_t found, right;
        } row[] = {
                {"lines", found->lines, right->lines},       {"payable", found->payable, right->payable},
                {"first", found->first, right->first},       {"last", found->last, right->last},
                {"records", found->records, right->records},
        };
        for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
                if (row[i].found != row[i].right)
                        return fg_error_set(err, -EBADMSG, "invoice %s: its %s is %" PRId64 ", its records make %" PRId64,
                                            found->number, row[i].name, row[i].found, row[i].right);
        if (strcmp(found->hash, right->hash) != 0)
                return fg_error_set(err, -EBADMSG, "invoice %s: its hash is not that of what its records make", found->number);
        return 0;
}
