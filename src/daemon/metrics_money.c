/* SPDX-License-Identifier: Apache-2.0
 * What projects have spent, added up from the books when they have grown. */
#include "daemon/metrics_internal.h"

#include "bill/when.h"
#include "daemon/manager.h"
#include "daemon/money.h"

#include <stdlib.h>
#include <string.h>

/* The entries of a project stand together: `first` has where, by the number of its name, plus one. */
struct adding {
        struct fgd_manager *manager;
        const struct fg_bill_sums *sums;
        uint32_t *first;
        struct fgd_spent *spent;
        size_t count, room;
};

static struct fgd_spent *entry(struct adding *a, const struct fgd_project *project, const char *currency)
{
        for (size_t i = 0; i < a->count; i++)
                if (a->spent[i].project == project && strcmp(a->spent[i].currency, currency) == 0)
                        return &a->spent[i];
        if (a->count == a->room) {
                size_t room = a->room ? 2 * a->room : 16;
                struct fgd_spent *more = reallocarray(a->spent, room, sizeof *more);
                if (!more)
                        return NULL;
                a->spent = more;
                a->room = room;
        }
        struct fgd_spent *spent = &a->spent[a->count++];
        *spent = (struct fgd_spent){.project = project};
        strncpy(spent->currency, currency, sizeof spent->currency - 1);
        return spent;
}

/* Most cells have the project and the currency of one that was there before. */
static struct fgd_spent *entry_of_cell(struct adding *a, const struct fg_bill_cell *cell)
{
        const char *currency = fg_bill_texts_get(&a->sums->texts, cell->currency);
        uint32_t *first = &a->first[cell->project];
        if (*first && *first != UINT32_MAX && strcmp(a->spent[*first - 1].currency, currency) == 0)
                return &a->spent[*first - 1];
        const struct fgd_project *project =
                *first == UINT32_MAX ? NULL : fgd_project_find(a->manager, fg_bill_texts_get(&a->sums->texts, cell->project));
        struct fgd_spent *spent = project && *currency ? entry(a, project, currency) : NULL;
        if (!project)
                *first = UINT32_MAX;
        else if (spent && !*first)
                *first = (uint32_t)(spent - a->spent) + 1;
        return spent;
}

static void add_cells(struct adding *a, int64_t month)
{
        for (uint32_t i = 0; i < a->sums->count; i++) {
                const struct fg_bill_cell *cell = &a->sums->cell[i];
                struct fgd_spent *spent = entry_of_cell(a, cell);
                fg_int128 cost = spent ? fg_bill_cell_cost(cell) : 0;
                if (!spent || __builtin_add_overflow(spent->all, cost, &spent->all))
                        continue;
                if (cell->day >= month)
                        spent->month += cost;
        }
}

static void add_budgets(struct adding *a, const struct fg_bill_books *books)
{
        size_t count;
        const struct fg_bill_budget *budget = fg_bill_books_budgets(books, &count);
        for (size_t i = 0; i < count; i++) {
                const struct fgd_project *project = budget[i].amount ? fgd_project_find(a->manager, budget[i].project) : NULL;
                struct fgd_spent *spent = project ? entry(a, project, budget[i].currency) : NULL;
                if (spent)
                        spent->budget = budget[i].amount;
        }
}

bool fgd_metrics_add_up(struct fgd_manager *m, int64_t now)
{
        struct fgd_metrics *metrics = m->metrics;
        int64_t month, next;
        if (!m->money || !m->money->log)
                return false;
        const struct fg_bill_books *books = fgd_moneylog_books(m->money->log);
        int64_t seq = fg_bill_books_next(books);
        fg_bill_month_of(now, &month, &next);
        if (metrics->spent_seq == seq && metrics->spent_month == month)
                return true;
        struct adding a = {.manager = m, .sums = fg_bill_books_sums(books)};
        a.first = calloc(a.sums->texts.count + 1, sizeof *a.first);
        if (!a.first)
                return false;
        add_cells(&a, month);
        add_budgets(&a, books);
        free(a.first);
        free(metrics->spent);
        metrics->spent = a.spent;
        metrics->spent_count = a.count;
        metrics->spent_seq = seq;
        metrics->spent_month = month;
        return true;
}
