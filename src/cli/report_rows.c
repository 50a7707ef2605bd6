/* SPDX-License-Identifier: Apache-2.0
 * What is known of each vGPU in the month, put together, and what follows from it. */
#include "cli/report.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "bill/price.h"
#include "cli/price.h"

#include <string.h>
#include <time.h>

bool cli_report_at(const struct cli_report *r, const char *series, size_t i, double *ret)
{
        const json_t *value = json_array_get(json_object_get(json_object_get(r->course, "series"), series), i);
        *ret = json_number_value(value);
        return json_is_number(value);
}

double cli_report_sum(const struct cli_report *r, const char *series)
{
        size_t points = json_array_size(json_object_get(json_object_get(r->course, "series"), series));
        double sum = 0, value;
        for (size_t i = 0; i < points; i++)
                if (cli_report_at(r, series, i, &value))
                        sum += value;
        return sum;
}

const char *cli_report_name(const struct cli_report_row *row)
{
        return cli_text(row->usage ? row->usage : row->history, "name");
}

static const json_t *find(const json_t *list, const char *field, const char *value)
{
        size_t i;
        const json_t *one;
        json_array_foreach(list, i, one) if (strcmp(cli_text(one, field), value) == 0) return one;
        return NULL;
}

static void find_vgpu(const struct cli_report *r, const char *uuid, struct cli_report_row *row)
{
        size_t i;
        const json_t *set;
        json_array_foreach(json_object_get(r->sets, "sets"), i, set)
        {
                row->vgpu = find(json_object_get(set, "vgpus"), "uuid", uuid);
                row->set = cli_text(set, "name");
                if (row->vgpu)
                        return;
        }
}

static void find_device(const struct cli_report *r, struct cli_report_row *row)
{
        size_t i;
        const json_t *device;
        json_array_foreach(json_object_get(r->devices, "devices"), i, device)
                if (json_is_integer(json_object_get(row->vgpu, "device")) && cli_number(device, "id") == cli_number(row->vgpu, "device"))
                        row->device = device;
}

static uint64_t milliseconds(const json_t *row, const char *field)
{
        double seconds = json_number_value(json_object_get(row, field));
        return seconds > 0 && seconds < 1e15 ? (uint64_t)(seconds * 1000 + 0.5) : 0;
}

/* Of what is there now, by what it asks for now. */
static void advise(struct cli_report_row *row, const struct fg_bill_prices *prices)
{
        const json_t *h = row->history;
        row->advice = (struct fg_bill_advice){0};
        if (!row->vgpu || !row->device || !h)
                return;
        const struct fg_bill_price *price = fg_bill_prices_find(prices, cli_text(row->device, "uuid"), cli_text(row->device, "model"),
                                                                cli_text(row->vgpu, "mode"), time(NULL));
        const struct fg_bill_seen seen = {.device_memory = cli_number(row->device, "memory"), .memory = cli_number(row->vgpu, "memory"),
                                          .memory_peak = cli_number(h, "memory_peak_bytes"), .share = (uint32_t)cli_number(row->vgpu, "share"),
                                          .share_peak = (uint32_t)cli_number(h, "busiest_hour_share"), .hours = cli_number(h, "hours"),
                                          .metered_ms = milliseconds(h, "metered_seconds"), .busy_ms = milliseconds(h, "gpu_seconds"),
                                          .throttled_ms = milliseconds(h, "throttled_seconds"), .refusals = cli_number(h, "refusals"),
                                          .price = price ? price->price : 0};
        snprintf(row->currency, sizeof row->currency, "%s", price ? price->currency : "");
        fg_bill_advise(&seen, &row->advice);
}

static double cost_of(const struct cli_report_row *row)
{
        return row->usage ? strtod(cli_text(row->usage, "cost"), NULL) : 0;
}

static int by_cost(const void *a, const void *b)
{
        double x = cost_of(a), y = cost_of(b);
        return x > y ? -1 : x < y ? 1 : strcmp(cli_report_name(a), cli_report_name(b));
}

static void add_row(struct cli_report *r, const json_t *usage, const json_t *history)
{
        struct cli_report_row *row = &r->row[r->rows++];
        *row = (struct cli_report_row){.usage = usage, .history = history, .set = ""};
        find_vgpu(r, cli_text(usage ? usage : history, "vgpu"), row);
        find_device(r, row);
}

int cli_report_make_rows(struct cli_report *r)
{
        const json_t *usage = json_object_get(r->usage, "usage"), *one;
        struct fg_bill_prices prices = {0};
        size_t i;
        r->row = calloc(json_array_size(usage) + json_array_size(r->history) + 1, sizeof *r->row);
        if (!r->row)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(usage, i, one) add_row(r, one, find(r->history, "vgpu", cli_text(one, "vgpu")));
        json_array_foreach(r->history, i, one) if (!find(usage, "vgpu", cli_text(one, "vgpu"))) add_row(r, NULL, one);
        int code = json_array_size(json_object_get(r->prices, "prices")) ? cli_prices_take(r->prices, &prices) : 0;
        for (size_t k = 0; code == 0 && k < r->rows; k++)
                advise(&r->row[k], &prices);
        fg_bill_prices_clear(&prices);
        qsort(r->row, r->rows, sizeof *r->row, by_cost);
        return code;
}

bool cli_report_is_advised(const struct cli_report_row *row)
{
        return row->advice.kind > FG_ADVICE_TOO_NEW;
}

static void shrink_reason(const struct cli_report_row *row, char *ret, size_t len)
{
        char held[32], peak[32];
        const json_t *h = row->history;
        double used = (double)cli_number(h, "busiest_hour_share") / 10;
        bool is_memory = row->advice.memory != cli_number(row->vgpu, "memory"), is_share = row->advice.share != cli_number(row->vgpu, "share");
        int n = 0;
        *ret = '\0';
        if (is_memory)
                n = snprintf(ret, len, "held %s and never used more than %s", cli_report_bytes((double)cli_number(row->vgpu, "memory"), held, sizeof held),
                             cli_report_bytes((double)cli_number(h, "memory_peak_bytes"), peak, sizeof peak));
        if (is_share)
                snprintf(ret + n, len - (size_t)n, "%sheld a share of %g %% and used %g %% in its busiest hour", n ? ", and " : "",
                         (double)cli_number(row->vgpu, "share") / 10, used);
}

void cli_report_reason(const struct cli_report_row *row, char *ret, size_t len)
{
        const json_t *h = row->history;
        char peak[32];
        *ret = '\0';
        switch (row->advice.kind) {
        case FG_ADVICE_SHRINK:
                shrink_reason(row, ret, len);
                break;
        case FG_ADVICE_DELETE:
                snprintf(ret, len, "did not use its device in %llu hours", (unsigned long long)cli_number(h, "hours"));
                break;
        case FG_ADVICE_MORE_MEMORY:
                snprintf(ret, len, "was refused memory %llu times and used up to %s", (unsigned long long)cli_number(h, "refusals"),
                         cli_report_bytes((double)cli_number(h, "memory_peak_bytes"), peak, sizeof peak));
                break;
        case FG_ADVICE_MORE_SHARE:
                snprintf(ret, len, "waited for its share for %.1f hours", json_number_value(json_object_get(h, "throttled_seconds")) / 3600);
                break;
        default:
                break;
        }
}

/* "3840M": exact, as it is typed. */
static const char *as_typed(uint64_t bytes, char *buf, size_t len)
{
        if (bytes % (1ull << 20))
                snprintf(buf, len, "%llu", (unsigned long long)bytes);
        else if (bytes % (1ull << 30))
                snprintf(buf, len, "%lluM", (unsigned long long)(bytes >> 20));
        else
                snprintf(buf, len, "%lluG", (unsigned long long)(bytes >> 30));
        return buf;
}

void cli_report_command(const struct cli_report *r, const struct cli_report_row *row, char *ret, size_t len)
{
        char size[32], share[32] = "", memory[48] = "";
        unsigned index = (unsigned)cli_number(row->vgpu, "index");
        if (row->advice.kind == FG_ADVICE_DELETE) { /* a set goes as a whole */
                snprintf(ret, len, "fastgpu delete %.80s --project %.80s", row->set, r->project);
                return;
        }
        if (row->advice.memory != cli_number(row->vgpu, "memory"))
                snprintf(memory, sizeof memory, " --memory %s", as_typed(row->advice.memory, size, sizeof size));
        if (row->advice.share != cli_number(row->vgpu, "share"))
                snprintf(share, sizeof share, " --compute %g", row->advice.share / 10.0);
        snprintf(ret, len, "fastgpu resize %.80s/%u%s%s --project %.80s", row->set, index, memory, share, r->project);
}
