/* SPDX-License-Identifier: Apache-2.0
 * What a view of a set is called in the run folder: "NAME", "NAME+I", and in other projects than the standard one
 * "ID:NAME+I" with the project's number. Names have neither '+' nor ':', so no two views share a file. */
#ifndef FGD_SET_FILE_H
#define FGD_SET_FILE_H

#include "daemon/model.h"

#define FGD_SET_FILE_MAX 128u

struct fgd_manager;

/* `index` -1: all of it. Returns buf. */
char *fgd_set_file(const struct fgd_manager *manager, const struct fgd_set *set, int64_t index, char buf[FGD_SET_FILE_MAX]);
/* NULL: there is no such set, or no such vGPU in it. */
struct fgd_set *fgd_set_of_file(const struct fgd_manager *manager, const char *file, int64_t *ret_index);

#endif
