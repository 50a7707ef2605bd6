/* SPDX-License-Identifier: Apache-2.0
 *
 * A bundle: one file with all that it takes to check an invoice without the log and without the node. Lines:
 *
 *      fastgpu bundle 1
 *      key BASE64                        the node's
 *      checkpoint N                      N lines follow: the signed checkpoint
 *      record NUMBER N                   the record's line follows, then N lines of base64, the way up to the root
 *      …                                 in the order of their numbers
 *      end
 *
 * Its records are the node's, all price lists, the project's usage records that the invoice covers with their windows,
 * and the invoice. Usage records of a project name the one before (`prev`), so that none can be left out. */
#ifndef FG_BILL_BUNDLE_H
#define FG_BILL_BUNDLE_H

#include "bill/check.h"

struct fg_bill_bundle {
        uint8_t public[32];
        char note[FG_TLOG_NOTE_MAX];
        struct fg_tlog_checkpoint checkpoint;
        struct fg_bill_invoice invoice;
        int64_t records, usages, windows;
        size_t findings;
        char *text; /* the invoice made again from the records, allocated; NULL: it could not be */
};
void fg_bill_bundle_clear(struct fg_bill_bundle *bundle);

static inline void fg_bill_cleanup_bundlep(struct fg_bill_bundle *bundle)
{
        fg_bill_bundle_clear(bundle);
}

/* `public`: the key that is known to be the node's; NULL: whatever the bundle says, which proves no more than that it
 * fits itself. 0, whatever was found. -EBADMSG: it is no bundle; -EIO, -ENOMEM. */
int fg_bill_bundle_check(FILE *f, const uint8_t *public, fg_bill_found_t found, void *user, struct fg_bill_bundle *ret,
                         struct fg_error *err);

/* Writing: head, each record in order, end. -EIO. */
int fg_bill_bundle_head(FILE *f, const char *key, const char *note);
int fg_bill_bundle_record(FILE *f, int64_t number, const char *text, const struct fg_tlog_proof *proof);
int fg_bill_bundle_end(FILE *f);

#endif
