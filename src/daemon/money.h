/* SPDX-License-Identifier: Apache-2.0
 * Money in the daemon: what the metering settles goes on record, checkpoints are signed every minute, months are invoiced
 * when they are over, budgets are watched. Belongs to the main thread. docs/design/money.md. */
#ifndef FGD_MONEY_H
#define FGD_MONEY_H

#include "daemon/moneylog.h"

#include <systemd/sd-event.h>

struct fgd_device;
struct fgd_manager;
struct fgd_money_check;

#define FGD_MONEY_KEEP      100000 /* records, or as many as there are sums if that is more: then the books are kept */
#define FGD_MONEY_KEEP_END  1000   /* the same when the daemon ends: less is soon read */
#define FGD_MONEY_SETTLE_S  180 /* after a month's end, until its invoices are made */

struct fgd_money {
        struct fgd_manager *manager;
        struct fgd_moneylog *log;
        sd_event_source *timer;
        struct fgd_money_check *check;
        char why[FG_ERROR_MAX]; /* the log could not be opened; "" */
        bool is_failure_said;
        int64_t invoiced;       /* the beginning of the month up to which invoices were made */
        int64_t budget_month;   /* of `warned` */
        char **warned;          /* projects whose budget was passed in it */
        size_t warned_count;
};

/* When the devices are known, before anything is metered. Trouble with the log is a note, not an error. */
int fgd_money_start(struct fgd_manager *manager, struct fg_error *err);
void fgd_money_free(struct fgd_manager *manager);
/* unix s: the end of the last window on record; 0: none. */
int64_t fgd_money_last_end(const struct fgd_manager *manager);
/* What a GPU-hour of the device cost at `when` (unix s), nano-units, and in which currency; 0 and "": no price was in force. */
int64_t fgd_money_price(const struct fgd_manager *manager, const struct fgd_device *device, bool is_cap, int64_t when, char ret_currency[8]);
/* "": all is well; else why nothing is billed. */
const char *fgd_money_trouble(const struct fgd_manager *manager);
/* Now: signs, invoices what is due, watches budgets. */
void fgd_money_tick(struct fgd_money *money);
/* The project's budget was set: it is judged anew. */
void fgd_money_changed(struct fgd_money *money, const char *project);
/* What a project's month from `from` costs so far, nano-units. FG_MONEY_MAX: more than money can be. */
int64_t fgd_money_spent(const struct fgd_money *money, const char *project, const char *currency, int64_t from);

#endif
