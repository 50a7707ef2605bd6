/* SPDX-License-Identifier: Apache-2.0
 * The plain export: a row for each vGPU, day and price. */
#include "bill/focus.h"
#include "bill/when.h"

#include <errno.h>
#include <inttypes.h>

int fg_bill_csv_head(FILE *f)
{
        fputs("invoice,day,project,user,vgpu,name,device,class,reserved_gpu_hours,burst_gpu_hours,credit_gpu_hours,rebate_gpu_hours,"
              "busy_gpu_seconds,currency,price,cost,first_record,last_record\r\n", f);
        return ferror(f) ? -EIO : 0;
}

static void print_hours(FILE *f, int64_t ppmus)
{
        char buf[FG_NUMBER_MAX];
        fprintf(f, ",%s", fg_hours_format(ppmus, buf, sizeof(buf)));
}

static void print_row(FILE *f, const struct fg_bill_sums *sums, const struct fg_bill_bill *bill, const struct fg_bill_cell *cell)
{
        char buf[FG_NUMBER_MAX], day[FG_BILL_WHEN_MAX];
        unsigned decimals = fg_currency_decimals(bill->currency);
        const char *const text[] = {bill->number, NULL, bill->project, fg_bill_texts_get(&sums->texts, cell->user),
                                    fg_bill_texts_get(&sums->texts, cell->vgpu), fg_bill_texts_get(&sums->texts, cell->name),
                                    fg_bill_texts_get(&sums->texts, cell->device), cell->cap ? "cap" : "share"};
        for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
                if (i)
                        putc(',', f);
                if (text[i])
                        fg_bill_csv_cell(f, text[i]);
                else
                        fprintf(f, "%.10s", fg_bill_when_format(cell->day, day));
        }
        print_hours(f, cell->reserved);
        print_hours(f, cell->surcharge);
        print_hours(f, cell->credit);
        print_hours(f, cell->rebate);
        fprintf(f, ",%s", fg_seconds_format((fg_int128)cell->busy * FG_PPM, buf, sizeof(buf)));
        fprintf(f, ",%s,%s", bill->currency, fg_money_format(cell->price, decimals, buf, sizeof(buf)));
        fprintf(f, ",%s", fg_money_format(fg_money_round(fg_bill_cell_cost(cell), 9), decimals, buf, sizeof(buf)));
        fprintf(f, ",%" PRId64 ",%" PRId64 "\r\n", cell->first, cell->last);
}

int fg_bill_csv_rows(FILE *f, const struct fg_bill_sums *sums, const struct fg_bill_bill *bill)
{
        for (uint32_t i = 0; i < sums->count; i++)
                if (fg_bill_covers(sums, bill, &sums->cell[i]))
                        print_row(f, sums, bill, &sums->cell[i]);
        return ferror(f) ? -EIO : 0;
}
