/* SPDX-License-Identifier: Apache-2.0
 * Taking over what an earlier daemon left: runners, pages with living owners, sockets. Called once, after the store was
 * loaded and before anybody is served. */
#ifndef FGD_ADOPT_H
#define FGD_ADOPT_H

struct fgd_manager;

void fgd_adopt(struct fgd_manager *manager);

#endif
