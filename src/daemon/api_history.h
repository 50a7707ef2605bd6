/* SPDX-License-Identifier: Apache-2.0
 * What the files of /v1/history share: api_history.c (what is asked), api_history_write.c (what is answered). */
#ifndef FGD_API_HISTORY_H
#define FGD_API_HISTORY_H

#include "daemon/api_internal.h"
#include "daemon/history.h"

#define FGD_HISTORY_POINTS   1500u /* of one answer, at most */
#define FGD_HISTORY_DAYS_MAX 400   /* of one question */

/* What an answer is about. */
struct fgd_history_subjects_of {
        enum fgd_history_kind kind;
        const char *kind_name, *name, *project, *uuid; /* "": it has none */
};

/* The whole answer. `series`: names with commas between them, "": all. -1: one of them is not known. */
int fgd_history_write(struct fgd_call *call, const struct fgd_history_subjects_of *about, const struct fgd_history_range *range,
                      const struct fgd_history_answer *answer, const char *series);
/* A vGPU's row of the summary. */
void fgd_history_write_sum(struct fgd_text *text, const struct fgd_history_who *who, bool exists, const struct fgd_history_range *range,
                           const struct fgd_history_answer *answer);
/* "from" to "until_s", after "{". */
void fgd_history_write_range(struct fgd_text *text, const struct fgd_history_range *range);

#endif
