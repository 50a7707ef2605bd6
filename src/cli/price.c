/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/price.h"
#include "base/cleanup.h"
#include "base/size.h"
#include "cli/table.h"
#include "cli/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options {
        bool json;
        struct cli_wish wish;
        const char *file;
};

static const struct argp_option option_table[] = {CLI_OPTION_GPUS, CLI_OPTION_MEMORY, CLI_OPTION_COMPUTE, CLI_OPTION_MODE,
                                                  CLI_OPTION_DEVICE, CLI_OPTION_JSON, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        if (key == CLI_KEY_JSON) {
                o->json = true;
                return 0;
        }
        if (key != ARGP_KEY_ARGS)
                return cli_wish_take(&o->wish, key, arg);
        char **args = state->argv + state->next;
        if (state->argc - state->next == 2 && strcmp(args[0], "set") == 0) {
                o->file = args[1];
                return 0;
        }
        cli_fail(0, "\"%s\": type `fastgpu price`, `fastgpu price set FILE`, or give --memory and --compute", args[0]);
        return EINVAL;
}

const struct argp cli_price_argp = {.options = option_table,
                                    .parser = parse,
                                    .args_doc = "[set FILE]",
                                    .doc = "Show what a GPU-hour costs, or what vGPUs such as these would cost in an hour; with `set`, put a new price "
                                           "list (CSV) in place of the one in force."};

static int print_list(const json_t *reply)
{
        static const struct cli_column columns[] = {{"DEVICE", false}, {"MODEL", false}, {"CLASS", false}, {"FROM", false},
                                                    {"UNTIL", false},  {"PRICE", true},  {"CURRENCY", false}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *row;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(json_object_get(reply, "prices"), i, row)
        {
                static const char *const fields[] = {"device", "model", "class", "from", "until", "price", "currency"};
                for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++) {
                        const char *text = cli_text(row, fields[f]);
                        cli_table_add(table, "%s", *text ? text : f < 3 ? "any" : "-");
                }
        }
        if (i == 0) {
                puts("no prices are set: usage is recorded and costs nothing");
                return 0;
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static int read_file(const char *path, char **ret)
{
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        fg_autofree char *text = malloc(FG_BILL_PRICES_BYTES + 2);
        size_t size = 0;
        ssize_t n = 1;
        if (fd < 0)
                return cli_fail(CLI_USAGE, "cannot read %s: %m", path);
        if (!text)
                return cli_fail(CLI_FAILED, "out of memory");
        while (size <= FG_BILL_PRICES_BYTES && (n = read(fd, text + size, FG_BILL_PRICES_BYTES + 1 - size)) > 0)
                size += (size_t)n;
        if (n < 0)
                return cli_fail(CLI_USAGE, "cannot read %s: %m", path);
        struct fg_bill_prices prices = {0};
        struct fg_error err = {0};
        if (strnlen(text, size) < size)
                return cli_fail(CLI_USAGE, "%s is no CSV file: it has a zero byte", path);
        if (fg_bill_prices_parse(text, size, &prices, &err) < 0)
                return cli_fail(CLI_USAGE, "%s: %s", path, err.text);
        fg_bill_prices_clear(&prices);
        text[size] = '\0';
        *ret = FG_TAKE_PTR(text);
        return 0;
}

static int set(const struct options *o)
{
        cli_autojson json_t *reply = NULL;
        fg_autofree char *text = NULL;
        int code = read_file(o->file, &text);
        if (code)
                return code;
        json_t *body = json_pack("{s:s}", "csv", text);
        if (!body)
                return cli_fail(CLI_USAGE, "%s is not UTF-8", o->file);
        code = cli_call("PUT", "/v1/prices", body, NULL, &reply);
        if (code)
                return code;
        if (!o->json)
                return print_list(reply);
        cli_print_json(reply, stdout);
        return 0;
}

int cli_prices_take(const json_t *reply, struct fg_bill_prices *ret)
{
        fg_autofree char *csv = NULL;
        size_t size, i;
        const json_t *row;
        struct fg_error err = {0};
        FILE *f = open_memstream(&csv, &size);
        if (!f)
                return cli_fail(CLI_FAILED, "out of memory");
        fputs("device,model,class,from,until,currency,price\n", f);
        json_array_foreach(json_object_get(reply, "prices"), i, row)
                fprintf(f, "\"%s\",\"%s\",%s,%s,%s,%s,%s\n", cli_text(row, "device"), cli_text(row, "model"), cli_text(row, "class"),
                        cli_text(row, "from"), cli_text(row, "until"), cli_text(row, "currency"), cli_text(row, "price"));
        fclose(f);
        if (i == 0)
                return cli_fail(CLI_NOT_FOUND, "no prices are set; an admin sets them with: fastgpu price set FILE");
        return fg_bill_prices_parse(csv, size, ret, &err) < 0 ? cli_fail(CLI_FAILED, "the daemon's prices make no sense: %s", err.text) : 0;
}

/* r = max(memory, share) of each vGPU, added up, ppm. */
static int rate_of(const json_t *body, uint64_t whole, uint64_t *ret)
{
        uint64_t gpus = json_object_get(body, "gpus") ? cli_number(body, "gpus") : 1;
        const json_t *memory = json_object_get(body, "memory"), *compute = json_object_get(body, "compute");
        struct fg_error err = {0};
        *ret = 0;
        for (uint64_t i = 0; i < gpus; i++) {
                const char *m = json_string_value(json_is_array(memory) ? json_array_get(memory, json_array_size(memory) > 1 ? i : 0) : memory);
                const char *c = json_string_value(json_is_array(compute) ? json_array_get(compute, json_array_size(compute) > 1 ? i : 0) : compute);
                uint64_t bytes = 0, rate;
                uint32_t permille = 0;
                if ((m && fg_size_parse(m, whole, &bytes, &err) < 0) || (c && fg_share_parse(c, &permille, &err) < 0))
                        return cli_fail(CLI_USAGE, "%s", err.text);
                rate = whole ? (uint64_t)((fg_uint128)bytes * FG_PPM / whole) : 0;
                *ret += rate > permille * 1000ull ? rate : permille * 1000ull;
        }
        return 0;
}

static const json_t *find_device(const json_t *devices, const char *wanted)
{
        size_t i;
        const json_t *device;
        json_array_foreach(devices, i, device)
        {
                char id[24];
                snprintf(id, sizeof id, "%llu", (unsigned long long)cli_number(device, "id"));
                if (!wanted || strcmp(id, wanted) == 0 || strcmp(cli_text(device, "key"), wanted) == 0 ||
                    (strlen(wanted) >= 4 && strncmp(cli_text(device, "uuid"), wanted, strlen(wanted)) == 0))
                        return device;
        }
        return NULL;
}

/* Of `rate` ppm of a GPU, in an hour. */
static void hour_of(const struct fg_bill_price *price, uint64_t rate, char hour[FG_NUMBER_MAX])
{
        fg_int128 cost;
        fg_cost_of((fg_int128)rate * 3600000000ll, price->price, &cost);
        fg_money_format(fg_money_round(cost, 9), fg_currency_decimals(price->currency), hour, FG_NUMBER_MAX);
}

static int print_estimate(const struct options *o, const struct fg_bill_price *price, const json_t *device, uint64_t rate)
{
        char hour[FG_NUMBER_MAX];
        const char *mode = o->wish.mode ? o->wish.mode : "share";
        if (!price)
                return cli_fail(CLI_NOT_FOUND, "no price is in force for %s, class %s", cli_text(device, "model"), mode);
        hour_of(price, rate, hour);
        if (o->json) {
                cli_autojson json_t *answer = json_pack("{s:s,s:s,s:s,s:I,s:s}", "per_hour", hour, "currency", price->currency, "class", mode,
                                                        "reserved_ppm", (json_int_t)rate, "device", cli_text(device, "uuid"));
                cli_print_json(answer, stdout);
                return 0;
        }
        printf("%s %s an hour on %s, class %s", hour, price->currency, cli_text(device, "model"), mode);
        puts(strcmp(mode, "share") == 0 ? "; what is used beyond the share costs the daemon's burst-price of that rate more" : "");
        return 0;
}

static int estimate(const struct options *o, const json_t *list)
{
        cli_autojson json_t *body = NULL, *devices = NULL;
        struct fg_bill_prices prices = {0};
        uint64_t rate = 0;
        int code = cli_wish_body(&o->wish, &body);
        if (code == 0)
                code = cli_wish_infer_gpus(body);
        if (code == 0)
                code = cli_call("GET", "/v1/devices", NULL, NULL, &devices);
        if (code)
                return code;
        const json_t *device = find_device(json_object_get(devices, "devices"), o->wish.device);
        if (!device)
                return cli_fail(CLI_NOT_FOUND, "there is no device%s%s", o->wish.device ? " " : "", o->wish.device ? o->wish.device : "");
        code = rate_of(body, cli_number(device, "memory"), &rate);
        if (code == 0)
                code = cli_prices_take(list, &prices);
        if (code == 0)
                code = print_estimate(o, fg_bill_prices_find(&prices, cli_text(device, "uuid"), cli_text(device, "model"),
                                                             o->wish.mode ? o->wish.mode : "share", time(NULL)), device, rate);
        fg_bill_prices_clear(&prices);
        return code;
}

void cli_price_hint(struct fg_client *client, const json_t *wish, char *ret, size_t len)
{
        cli_autojson json_t *list = NULL, *devices = NULL;
        const char *wanted = cli_text(wish, "device"), *mode = cli_text(wish, "mode");
        struct fg_bill_prices prices = {0};
        char hour[FG_NUMBER_MAX];
        uint64_t rate = 0;
        *ret = '\0';
        if (cli_request(client, "GET", "/v1/prices", NULL, &list) || json_array_size(json_object_get(list, "prices")) == 0 ||
            cli_request(client, "GET", "/v1/devices", NULL, &devices))
                return;
        const json_t *device = find_device(json_object_get(devices, "devices"), *wanted ? wanted : NULL);
        if (!device || rate_of(wish, cli_number(device, "memory"), &rate) || cli_prices_take(list, &prices))
                return;
        if (rate == 0) /* neither memory nor compute: a whole device */
                rate = FG_PPM * (json_object_get(wish, "gpus") ? cli_number(wish, "gpus") : 1);
        const struct fg_bill_price *price = fg_bill_prices_find(&prices, cli_text(device, "uuid"), cli_text(device, "model"),
                                                                *mode ? mode : "share", time(NULL));
        if (price) {
                hour_of(price, rate, hour);
                snprintf(ret, len, "%s %s an hour", hour, price->currency);
        }
        fg_bill_prices_clear(&prices);
}

int cli_price(int argc, char **argv)
{
        struct options o = {.json = false};
        cli_autojson json_t *reply = NULL;
        struct cli_witness witness;
        int code = cli_parse("price", &cli_price_argp, argc, argv, &o);
        if (code == 0 && o.file && !cli_wish_is_empty(&o.wish))
                code = cli_fail(CLI_USAGE, "`price set FILE` takes no other option");
        if (code == 0)
                code = cli_witness(&witness);
        if (code)
                return code;
        if (o.file)
                return set(&o);
        code = cli_call("GET", "/v1/prices", NULL, NULL, &reply);
        if (code)
                return code;
        if (!cli_wish_is_empty(&o.wish))
                return estimate(&o, reply);
        if (!o.json)
                return print_list(reply);
        cli_print_json(reply, stdout);
        return 0;
}
