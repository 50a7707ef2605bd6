/* SPDX-License-Identifier: Apache-2.0
 * Series of figures: one array for each, null where nothing is known. */
#include "daemon/api_history.h"

#include "daemon/metering_internal.h"

#include <stdio.h>
#include <string.h>

#define OF_DEVICE  (1u << FGD_HISTORY_DEVICE)
#define OF_PROJECT (1u << FGD_HISTORY_PROJECT)
#define OF_VGPU    (1u << FGD_HISTORY_VGPU)
#define OF_ALL     (OF_DEVICE | OF_PROJECT | OF_VGPU)

/* One figure of a point; false: it is not known. */
typedef bool (*write_t)(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column);

static void write_part(struct fgd_text *text, uint64_t value, uint64_t unit)
{
        char digits[24];
        int n = 0;
        fgd_text_digits(text, value / unit);
        if (!(value %= unit))
                return;
        digits[n++] = '.';
        for (; value; value %= unit) {
                unit /= 10;
                digits[n++] = (char)('0' + value / unit);
        }
        digits[n] = '\0';
        fgd_text_add(text, digits);
}

static bool write_count(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column)
{
        fgd_text_digits(text, row->value[column]);
        return true;
}

static bool write_seconds(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column)
{
        write_part(text, row->value[column], 1000);
        return true;
}

static bool write_cost(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column)
{
        write_part(text, row->value[column], 1000000);
        return true;
}

static bool write_known(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column)
{
        if (row->value[FGD_H_UNKNOWN])
                return false;
        return write_seconds(text, row, column);
}

static bool write_kept(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column)
{
        uint64_t native = row->value[FGD_H_NATIVE], lost = row->value[FGD_H_LOST];
        if (row->value[FGD_H_UNKNOWN])
                return false;
        write_part(text, native > lost ? native - lost : 0, 1000);
        return true;
}

static bool write_state(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column)
{
        static const char *const name[FG_METER_STATES] = {[FG_METER_RUN] = "run", [FG_METER_HOLD] = "hold", [FG_METER_WAIT] = "wait",
                                                          [FG_METER_PARK] = "park", [FG_METER_DOWN] = "down"};
        if (row->value[column] >= FG_METER_STATES)
                return false;
        fgd_text_string(text, name[row->value[column]]);
        return true;
}

static bool write_temperature(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column)
{
        if (!row->value[column])
                return false;
        fgd_text_digits(text, row->value[column] - 1);
        return true;
}

static bool write_power(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column)
{
        if (!row->value[column] || !row->value[FGD_H_WALL])
                return false;
        fgd_text_addf(text, "%.1f", (double)row->value[column] / (double)row->value[FGD_H_WALL]);
        return true;
}

/* `column` counts the factors: p, alpha, u, s, v. */
static bool write_factor(struct fgd_text *text, const struct fgd_history_row *row, enum fgd_history_column column)
{
        const uint64_t *v = row->value;
        uint64_t lost = v[FGD_H_LOST] < v[FGD_H_NATIVE] ? v[FGD_H_LOST] : v[FGD_H_NATIVE];
        const struct fgd_perf_sum sum = {.counters = {.servable = v[FGD_H_SERVABLE], .occupied = v[FGD_H_OCCUPIED], .busy = v[FGD_H_BUSY],
                                                      .native = v[FGD_H_NATIVE], .kept = v[FGD_H_NATIVE] - lost},
                                         .unknown = v[FGD_H_UNKNOWN]};
        struct fg_perf f;
        fgd_perf_evaluate(&sum, &f);
        const bool has[] = {f.has_p, f.has_alpha, f.has_u, f.has_s, f.has_v};
        const double value[] = {f.p, f.alpha, f.u, f.s, f.v};
        if (!has[column])
                return false;
        fgd_text_addf(text, "%.6g", value[column]);
        return true;
}

static const struct series {
        const char *name;
        unsigned of;
        enum fgd_history_column column;
        write_t write;
        bool is_optional; /* absent where no point has it */
} table[] = {
        {"metered_seconds", OF_ALL, FGD_H_WALL, write_seconds},
        {"gpu_seconds", OF_ALL, FGD_H_BUSY, write_seconds},
        {"reserved_gpu_seconds", OF_ALL, FGD_H_RESERVED, write_seconds},
        {"burst_gpu_seconds", OF_ALL, FGD_H_BURST, write_seconds},
        {"cost", OF_ALL, FGD_H_COST, write_cost},
        {"memory_used_bytes", OF_ALL, FGD_H_MEMORY, write_count},
        {"memory_quota_bytes", OF_ALL, FGD_H_QUOTA, write_count},
        {"share", OF_ALL, FGD_H_SHARE, write_count},
        {"throttled_seconds", OF_ALL, FGD_H_WAIT, write_seconds},
        {"refusals", OF_ALL, FGD_H_REFUSALS, write_count},
        {"state", OF_VGPU, FGD_H_STATE, write_state},
        {"vgpus", OF_PROJECT | OF_DEVICE, FGD_H_COUNT, write_count},
        {"servable_gpu_seconds", OF_ALL, FGD_H_SERVABLE, write_seconds},
        {"occupied_gpu_seconds", OF_ALL, FGD_H_OCCUPIED, write_seconds},
        {"native_gpu_seconds", OF_ALL, FGD_H_NATIVE, write_known},
        {"kept_gpu_seconds", OF_ALL, FGD_H_NATIVE, write_kept},
        {"p", OF_ALL, 0, write_factor},
        {"alpha", OF_ALL, 1, write_factor},
        {"u", OF_ALL, 2, write_factor},
        {"s", OF_ALL, 3, write_factor},
        {"v", OF_ALL, 4, write_factor},
        {"idle_gpu_seconds", OF_DEVICE, FGD_H_IDLE, write_seconds},
        {"temperature_c", OF_DEVICE, FGD_H_TEMPERATURE, write_temperature, true},
        {"power_w", OF_DEVICE, FGD_H_ENERGY, write_power, true},
};
#define SERIES (sizeof table / sizeof *table)

/* Bits of the table. */
static int read_series(struct fgd_call *call, enum fgd_history_kind kind, const char *list, uint64_t *ret)
{
        *ret = 0;
        for (size_t i = 0; !*list && i < SERIES; i++)
                *ret |= table[i].of >> kind & 1 ? 1ull << i : 0;
        while (*list) {
                size_t i = 0, len = strcspn(list, ",");
                while (i < SERIES && (strlen(table[i].name) != len || memcmp(table[i].name, list, len) != 0 || !(table[i].of >> kind & 1)))
                        i++;
                if (i == SERIES)
                        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "there is no series \"%.*s\" of this; without \"series\" the answer has all",
                                               len < 40 ? (int)len : 40, list);
                *ret |= 1ull << i;
                list += len + (list[len] == ',');
        }
        return 0;
}

static bool is_cost_known(const struct fgd_history_range *range, const struct fgd_history_answer *answer, int64_t point)
{
        return answer->currency[0] && range->from + point * range->step >= answer->cost_from;
}

static void write_series(struct fgd_text *text, const struct series *series, const struct fgd_history_range *range,
                         const struct fgd_history_answer *answer)
{
        int64_t points = (range->until - range->from) / range->step;
        fgd_text_name(text, series->name);
        fgd_text_add(text, "[");
        for (int64_t i = 0; i < points; i++) {
                const struct fgd_history_point *point = &answer->point[i];
                bool is_known = point->is_known && (series->column != FGD_H_COST || series->write != write_cost || is_cost_known(range, answer, i));
                fgd_text_add(text, i ? ", " : "");
                if (!is_known || !series->write(text, &point->row, series->column))
                        fgd_text_add(text, "null");
        }
        fgd_text_add(text, "]");
}

static bool is_anywhere(const struct series *series, const struct fgd_history_range *range, const struct fgd_history_answer *answer)
{
        for (int64_t i = 0; i < (range->until - range->from) / range->step; i++)
                if (answer->point[i].row.value[series->column])
                        return true;
        return false;
}

void fgd_history_write_range(struct fgd_text *text, const struct fgd_history_range *range)
{
        char date[32];
        fgd_text_field(text, "from", fgd_date_format(range->from, date));
        fgd_text_number(text, "from_s", (uint64_t)range->from);
        fgd_text_field(text, "until", fgd_date_format(range->until, date));
        fgd_text_number(text, "until_s", (uint64_t)range->until);
}

int fgd_history_write(struct fgd_call *call, const struct fgd_history_subjects_of *about, const struct fgd_history_range *range,
                      const struct fgd_history_answer *answer, const char *series)
{
        struct fgd_text *text = &call->text;
        uint64_t which;
        if (read_series(call, about->kind, series, &which) < 0)
                return -1;
        fgd_text_add(text, "{");
        fgd_text_field(text, "kind", about->kind_name);
        fgd_text_field(text, "name", about->name);
        if (*about->project)
                fgd_text_field(text, "project", about->project);
        if (*about->uuid)
                fgd_text_field(text, "uuid", about->uuid);
        fgd_history_write_range(text, range);
        fgd_text_number(text, "now_s", (uint64_t)(fgd_metering_now(call->manager) / 1000000));
        fgd_text_number(text, "step_s", (uint64_t)range->step);
        fgd_text_number(text, "points", (uint64_t)((range->until - range->from) / range->step));
        fgd_text_number(text, "minutes_from_s", (uint64_t)fgd_history_minutes_from(call->manager));
        if (answer->currency[0])
                fgd_text_field(text, "currency", answer->currency);
        fgd_text_name(text, "series");
        fgd_text_add(text, "{");
        for (size_t i = 0; i < SERIES; i++)
                if (which >> i & 1 && (!table[i].is_optional || is_anywhere(&table[i], range, answer)))
                        write_series(text, &table[i], range, answer);
        fgd_text_add(text, "}}\n");
        return 0;
}

/* Of the clock: how many it existed in, how many of them it used its device in, and the most that it used, permille. */
struct hours {
        uint64_t count, busy, busiest;
};

static void end_hour(struct hours *hours, const struct fgd_history_row *row)
{
        uint64_t wall = row->value[FGD_H_WALL], busy = row->value[FGD_H_BUSY];
        uint64_t share = wall && busy < UINT64_MAX / 2000 ? (busy * 1000 + wall - 1) / wall : 0;
        hours->count++;
        hours->busy += busy > 0;
        hours->busiest = share > hours->busiest ? share : hours->busiest;
}

static struct hours count_hours(const struct fgd_history_range *range, const struct fgd_history_answer *answer, struct fgd_history_row *sum)
{
        struct hours hours = {0};
        struct fgd_history_row of_hour = {0};
        int64_t points = (range->until - range->from) / range->step, last = -1;
        for (int64_t i = 0; i < points; i++) {
                int64_t hour = (range->from + i * range->step) / FGD_HISTORY_HOUR;
                const struct fgd_history_point *point = &answer->point[i];
                if (!point->is_known)
                        continue;
                if (last >= 0 && hour != last)
                        end_hour(&hours, &of_hour);
                if (hour != last)
                        of_hour = (struct fgd_history_row){0};
                fgd_history_fold(&of_hour, &point->row);
                fgd_history_fold(sum, &point->row);
                last = hour;
        }
        if (last >= 0)
                end_hour(&hours, &of_hour);
        return hours;
}

static void write_total(struct fgd_text *text, const char *name, uint64_t value, uint64_t unit)
{
        fgd_text_name(text, name);
        write_part(text, value, unit);
}

void fgd_history_write_sum(struct fgd_text *text, const struct fgd_history_who *who, bool exists, const struct fgd_history_range *range,
                           const struct fgd_history_answer *answer)
{
        struct fgd_history_row sum = {0};
        const struct hours hours = count_hours(range, answer, &sum);
        fgd_text_add(text, "{");
        fgd_text_field(text, "vgpu", who->key);
        fgd_text_field(text, "name", who->name);
        fgd_text_field(text, "user", who->user);
        fgd_text_field(text, "device", who->device);
        fgd_text_number(text, "first_s", (uint64_t)who->first);
        fgd_text_number(text, "last_s", (uint64_t)who->last);
        fgd_text_bool(text, "exists", exists);
        write_total(text, "metered_seconds", sum.value[FGD_H_WALL], 1000);
        write_total(text, "gpu_seconds", sum.value[FGD_H_BUSY], 1000);
        write_total(text, "reserved_gpu_seconds", sum.value[FGD_H_RESERVED], 1000);
        write_total(text, "burst_gpu_seconds", sum.value[FGD_H_BURST], 1000);
        if (answer->currency[0] && !answer->cost_from) {
                write_total(text, "cost", sum.value[FGD_H_COST], 1000000);
                fgd_text_field(text, "currency", answer->currency);
        }
        fgd_text_number(text, "memory_peak_bytes", sum.value[FGD_H_MEMORY]);
        fgd_text_number(text, "memory_quota_bytes", sum.value[FGD_H_QUOTA]);
        fgd_text_number(text, "share", sum.value[FGD_H_SHARE]);
        write_total(text, "throttled_seconds", sum.value[FGD_H_WAIT], 1000);
        fgd_text_number(text, "refusals", sum.value[FGD_H_REFUSALS]);
        fgd_text_number(text, "hours", hours.count);
        fgd_text_number(text, "busy_hours", hours.busy);
        fgd_text_number(text, "busiest_hour_share", hours.busiest);
        fgd_text_add(text, "}");
}
