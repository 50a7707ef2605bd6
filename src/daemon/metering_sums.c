/* SPDX-License-Identifier: Apache-2.0
 * The open day of UTC, added up as its windows are settled. What is exact for longer is in the records. */
#include "daemon/metering_internal.h"

#include <stdlib.h>

#define ACCOUNTS_MAX 20000u
#define DAY_S        86400

static void add(struct fgd_meter_sum *sum, const struct fg_meter_line *line)
{
        sum->busy += line->conserved_us;
        sum->reserved += line->reserved;
        sum->burst += line->burst;
        sum->surcharge += line->surcharge;
        sum->credit += line->credit;
        sum->rebate += line->rebate;
}

/* Of a day that is over nothing stays. */
static void turn(int64_t *day, struct fgd_meter_sum *sum, int64_t start)
{
        if (*day == start / DAY_S)
                return;
        *day = start / DAY_S;
        *sum = (struct fgd_meter_sum){0};
}

static uint64_t hash(int64_t project, int64_t user)
{
        const int64_t key[] = {project, user};
        return fgd_hash(key, sizeof key);
}

static struct fgd_meter_account *find(const struct fgd_metering *mt, int64_t project, int64_t user)
{
        for (struct fgd_node *at = fgd_table_first(&mt->accounts, hash(project, user)); at; at = fgd_table_next(at)) {
                struct fgd_meter_account *account = FGD_OF_NODE(at, struct fgd_meter_account, node);
                if (account->project_id == project && account->user_id == user)
                        return account;
        }
        return NULL;
}

static void free_accounts(struct fgd_metering *mt, int64_t but_of)
{
        for (uint32_t i = 0; i < mt->accounts.size; i++)
                for (struct fgd_node *at = mt->accounts.bucket[i], *next; at; at = next) {
                        struct fgd_meter_account *account = FGD_OF_NODE(at, struct fgd_meter_account, node);
                        next = at->next;
                        if (account->day == but_of)
                                continue;
                        fgd_table_remove(&mt->accounts, at);
                        free(account);
                }
}

static struct fgd_meter_account *get(struct fgd_metering *mt, const struct fgd_meter *meter, int64_t day)
{
        struct fgd_meter_account *account = find(mt, meter->project_id, meter->user_id);
        if (account)
                return account;
        if (mt->accounts.count >= ACCOUNTS_MAX)
                free_accounts(mt, day);
        if (mt->accounts.count >= ACCOUNTS_MAX || fgd_table_reserve(&mt->accounts) < 0 || !(account = calloc(1, sizeof *account)))
                return &mt->rest;
        account->project_id = meter->project_id;
        account->user_id = meter->user_id;
        account->day = day;
        fgd_table_add(&mt->accounts, &account->node, hash(meter->project_id, meter->user_id));
        return account;
}

static void add_total(struct fgd_meter_total *total, const struct fg_meter_window *window, const struct fg_meter_line *line, int64_t start)
{
        total->busy_us += line->conserved_us;
        total->reserved += line->reserved;
        total->burst += line->burst;
        total->windows++;
        total->last = start;
        total->busy_last_us = line->conserved_us;
        total->wall_us = window->wall_us;
}

void fgd_meter_count(struct fgd_metering *mt, struct fgd_meter_device *md, const struct fg_meter_window *window,
                     const struct fg_meter_line *line, int64_t start)
{
        struct fgd_meter *meter;
        if (md->day != start / DAY_S)
                md->day_wall = md->day_idle = 0, md->windows = 0;
        turn(&md->day, &md->sum, start);
        TAILQ_FOREACH(meter, &md->lines, order) {
                struct fgd_meter_account *account = get(mt, meter, start / DAY_S);
                turn(&account->day, &account->sum, start);
                add(&account->sum, line);
                turn(&meter->day, &meter->sum, start);
                add(&meter->sum, line);
                add(&md->sum, line);
                add_total(&meter->total, window, line++, start);
        }
        md->day_wall += window->wall_us;
        md->day_idle += window->idle;
        md->windows++;
}

void fgd_metering_sums_free(struct fgd_metering *mt)
{
        free_accounts(mt, -1);
        fgd_table_clear(&mt->accounts);
}
