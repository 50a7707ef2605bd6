/* SPDX-License-Identifier: Apache-2.0 */
#include "bill/focus.h"
#include "bill/when.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct row {
        const struct fg_bill_focus *focus;
        const struct fg_bill_sums *sums;
        const struct fg_bill_bill *bill;
        const struct fg_bill_cell *cell; /* NULL: the rounding */
        enum fg_bill_kind kind;
        int64_t quantity; /* ppm*us */
        int64_t cost;     /* nano-units */
};

enum value {
        COST, LIST_COST, ACCOUNT, ACCOUNT_TYPE, CURRENCY, MONTH_END, MONTH_START, CATEGORY, NOTHING, DESCRIPTION, FREQUENCY, DAY_END, DAY_START, BUSY,
        BUSY_UNIT, UNIT_PRICE, INVOICE, PROVIDER, PRICING, QUANTITY, UNIT, RESOURCE, RESOURCE_NAME, RESOURCE_TYPE, SERVICE_CATEGORY, SERVICE,
        SUBCATEGORY, SKU, SKU_METER, SKU_DETAILS, SKU_PRICE, PROJECT, PROJECT_TYPE, TAGS, MODE, SECONDS, DEVICE, USER, FIRST, LAST
};

static const struct {
        const char *name;
        enum value value;
        const char *type; /* of the metadata file */
} columns[] = {
        {"BilledCost", COST, "Decimal"},
        {"BillingAccountId", ACCOUNT, "String"},
        {"BillingAccountName", ACCOUNT, "String"},
        {"BillingAccountType", ACCOUNT_TYPE, "String"},
        {"BillingCurrency", CURRENCY, "String"},
        {"BillingPeriodEnd", MONTH_END, "Date/Time"},
        {"BillingPeriodStart", MONTH_START, "Date/Time"},
        {"ChargeCategory", CATEGORY, "String"},
        {"ChargeClass", NOTHING, "String"},
        {"ChargeDescription", DESCRIPTION, "String"},
        {"ChargeFrequency", FREQUENCY, "String"},
        {"ChargePeriodEnd", DAY_END, "Date/Time"},
        {"ChargePeriodStart", DAY_START, "Date/Time"},
        {"ConsumedQuantity", BUSY, "Decimal"},
        {"ConsumedUnit", BUSY_UNIT, "String"},
        {"ContractedCost", LIST_COST, "Decimal"},
        {"ContractedUnitPrice", UNIT_PRICE, "Decimal"},
        {"EffectiveCost", COST, "Decimal"},
        {"InvoiceId", INVOICE, "String"},
        {"InvoiceIssuerName", PROVIDER, "String"},
        {"ListCost", LIST_COST, "Decimal"},
        {"ListUnitPrice", UNIT_PRICE, "Decimal"},
        {"PricingCategory", PRICING, "String"},
        {"PricingQuantity", QUANTITY, "Decimal"},
        {"PricingUnit", UNIT, "String"},
        {"ProviderName", PROVIDER, "String"},
        {"PublisherName", PROVIDER, "String"},
        {"ResourceId", RESOURCE, "String"},
        {"ResourceName", RESOURCE_NAME, "String"},
        {"ResourceType", RESOURCE_TYPE, "String"},
        {"ServiceCategory", SERVICE_CATEGORY, "String"},
        {"ServiceName", SERVICE, "String"},
        {"ServiceSubcategory", SUBCATEGORY, "String"},
        {"SkuId", SKU, "String"},
        {"SkuMeter", SKU_METER, "String"},
        {"SkuPriceDetails", SKU_DETAILS, "JSON"},
        {"SkuPriceId", SKU_PRICE, "String"},
        {"SubAccountId", PROJECT, "String"},
        {"SubAccountName", PROJECT, "String"},
        {"SubAccountType", PROJECT_TYPE, "String"},
        {"Tags", TAGS, "JSON"},
        {"x_GpuUuid", DEVICE, "String"},
        {"x_GpuSeconds", SECONDS, "Decimal"},
        {"x_LedgerFirst", FIRST, "Decimal"},
        {"x_LedgerLast", LAST, "Decimal"},
        {"x_Mode", MODE, "String"},
        {"x_User", USER, "String"},
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct {
        const char *category, *pricing, *meter, *text;
} kinds[FG_BILL_KINDS] = {
        [FG_BILL_RESERVED] = {"Usage", "Standard", "Reserved GPU time", "reserved"},
        [FG_BILL_BURST] = {"Usage", "Dynamic", "Burst GPU time", "burst beyond the reserve"},
        [FG_BILL_CREDIT] = {"Credit", "", "Idle credit", "credit for idle reserve that others used"},
        [FG_BILL_REBATE] = {"Credit", "", "Rebate", "rebate for what was reserved beyond the GPU"},
        [FG_BILL_ROUNDING] = {"Adjustment", "", "", "rounding of the invoice's lines to whole coins"},
};

void fg_bill_csv_cell(FILE *f, const char *text)
{
        if (!strpbrk(text, ",\"\r\n")) {
                fputs(text, f);
                return;
        }
        putc('"', f);
        for (; *text; text++) {
                if (*text == '"')
                        putc('"', f);
                putc(*text, f);
        }
        putc('"', f);
}

static const char *text_of(const struct row *row, uint32_t number)
{
        return fg_bill_texts_get(&row->sums->texts, number);
}

/* What a row without a vGPU, the rounding, has too. */
static bool print_common(FILE *f, const struct row *row, enum value value)
{
        const struct fg_bill_bill *bill = row->bill;
        char buf[FG_NUMBER_MAX], when[FG_BILL_WHEN_MAX];
        int64_t from, until;
        fg_bill_month_of(bill->from, &from, &until);
        const char *text = NULL;
        switch (value) {
        case COST:
                text = fg_money_format(row->cost, fg_currency_decimals(bill->currency), buf, sizeof(buf));
                break;
        case LIST_COST:
                text = fg_money_format(row->kind == FG_BILL_ROUNDING ? 0 : row->cost, fg_currency_decimals(bill->currency), buf, sizeof(buf));
                break;
        case ACCOUNT: text = row->focus->account; break;
        case ACCOUNT_TYPE: text = "Organisation"; break;
        case CURRENCY: text = bill->currency; break;
        case MONTH_START: text = fg_bill_when_format(from, when); break;
        case MONTH_END: text = fg_bill_when_format(until, when); break;
        case CATEGORY: text = kinds[row->kind].category; break;
        case FREQUENCY: text = row->cell ? "Usage-Based" : "One-Time"; break;
        case DAY_START: text = fg_bill_when_format(row->cell ? row->cell->day : bill->from, when); break;
        case DAY_END: text = fg_bill_when_format(row->cell ? row->cell->day + FG_BILL_DAY : bill->until, when); break;
        case INVOICE: text = row->focus->is_draft ? "" : bill->number; break;
        case PROVIDER: text = row->focus->provider; break;
        case SERVICE_CATEGORY: text = "Compute"; break;
        case SERVICE: text = "FastGPU vGPU"; break;
        case SUBCATEGORY: text = "Other (Compute)"; break;
        case PROJECT: text = bill->project; break;
        case PROJECT_TYPE: text = "Project"; break;
        case NOTHING: text = ""; break;
        case DESCRIPTION:
                if (row->cell)
                        return false;
                text = kinds[row->kind].text;
                break;
        default: return false;
        }
        fg_bill_csv_cell(f, text);
        return true;
}

/* Device time in ppm*us. What was used beyond the reserve is on the row that charges for it, if there is one. */
static int64_t consumed(const struct row *row)
{
        const struct fg_bill_cell *cell = row->cell;
        if (row->kind == FG_BILL_BURST)
                return cell->burst;
        return cell->busy * FG_PPM - (cell->surcharge ? cell->burst : 0);
}

static void print_value(FILE *f, const struct row *row, enum value value)
{
        const struct fg_bill_cell *cell = row->cell;
        char buf[256], number[FG_NUMBER_MAX];
        if (print_common(f, row, value) || !cell)
                return;
        const char *class = cell->cap ? "cap" : "share", *text = buf;
        bool is_usage = row->kind <= FG_BILL_BURST;
        switch (value) {
        case DESCRIPTION: snprintf(buf, sizeof(buf), "vGPU %.80s: %s", text_of(row, cell->name), kinds[row->kind].text); break;
        case BUSY: text = is_usage ? fg_seconds_format(consumed(row), number, sizeof(number)) : ""; break;
        case BUSY_UNIT: text = is_usage ? "GPU-Seconds" : ""; break;
        case UNIT_PRICE: text = fg_money_format(cell->price, fg_currency_decimals(row->bill->currency), number, sizeof(number)); break;
        case PRICING: text = kinds[row->kind].pricing; break;
        case QUANTITY: text = fg_hours_format(row->quantity, number, sizeof(number)); break;
        case UNIT: text = "GPU-Hours"; break;
        case RESOURCE: text = text_of(row, cell->vgpu); break;
        case RESOURCE_NAME: text = text_of(row, cell->name); break;
        case RESOURCE_TYPE: text = "vGPU"; break;
        case SKU: snprintf(buf, sizeof(buf), "vgpu-%s", class); break;
        case SKU_METER: text = kinds[row->kind].meter; break;
        case SKU_DETAILS: snprintf(buf, sizeof(buf), "{\"x_Class\": \"%s\"}", class); break;
        case SKU_PRICE: snprintf(buf, sizeof(buf), "vgpu-%s-%" PRId64, class, cell->price); break;
        case TAGS: text = "{}"; break;
        case MODE: text = class; break;
        case SECONDS: text = fg_seconds_format(row->quantity, number, sizeof(number)); break;
        case DEVICE: text = text_of(row, cell->device); break;
        case USER: text = text_of(row, cell->user); break;
        case FIRST: snprintf(buf, sizeof(buf), "%" PRId64, cell->first); break;
        default: snprintf(buf, sizeof(buf), "%" PRId64, cell->last); break;
        }
        fg_bill_csv_cell(f, text);
}

static void print_row(FILE *f, const struct row *row)
{
        for (size_t i = 0; i < COLUMNS; i++) {
                if (i)
                        putc(',', f);
                print_value(f, row, columns[i].value);
        }
        fputs("\r\n", f);
}

int fg_bill_focus_head(FILE *f)
{
        for (size_t i = 0; i < COLUMNS; i++)
                fprintf(f, "%s%s", i ? "," : "", columns[i].name);
        fputs("\r\n", f);
        return ferror(f) ? -EIO : 0;
}

int fg_bill_focus_rows(FILE *f, const struct fg_bill_sums *sums, const struct fg_bill_bill *bill, const struct fg_bill_focus *focus)
{
        int64_t sum = 0;
        for (uint32_t i = 0; i < sums->count; i++) {
                const struct fg_bill_cell *cell = &sums->cell[i];
                if (!fg_bill_covers(sums, bill, cell))
                        continue;
                for (int kind = 0; kind < FG_BILL_ROUNDING; kind++) {
                        struct row row = {focus, sums, bill, cell, (enum fg_bill_kind)kind, fg_bill_quantity(cell, (enum fg_bill_kind)kind), 0};
                        if (row.quantity == 0)
                                continue;
                        row.cost = fg_money_round((fg_int128)row.quantity * cell->price, 9);
                        sum += row.cost;
                        print_row(f, &row);
                }
        }
        if (sum != bill->payable) {
                const struct row row = {focus, sums, bill, NULL, FG_BILL_ROUNDING, 0, bill->payable - sum};
                print_row(f, &row);
        }
        return ferror(f) ? -EIO : 0;
}

int fg_bill_focus_metadata(FILE *f, const char *provider, int64_t now)
{
        char when[FG_BILL_WHEN_MAX];
        fprintf(f, "{\"DataGenerator\": {\"DataGenerator\": \"%s\"}, \"Schema\": [{\"SchemaId\": \"fastgpu-focus-1\", \"FocusVersion\": \"1.2\", "
                "\"CreationDate\": \"%s\", \"ColumnDefinition\": [", provider, fg_bill_when_format(now, when));
        for (size_t i = 0; i < COLUMNS; i++) {
                fprintf(f, "%s{\"ColumnName\": \"%s\", \"DataType\": \"%s\"", i ? ", " : "", columns[i].name, columns[i].type);
                if (strcmp(columns[i].type, "Decimal") == 0)
                        fputs(", \"NumericPrecision\": 38, \"NumberScale\": 15", f);
                if (strcmp(columns[i].type, "String") == 0)
                        fputs(", \"StringEncoding\": \"UTF-8\"", f);
                putc('}', f);
        }
        fputs("]}]}\n", f);
        return ferror(f) ? -EIO : 0;
}
