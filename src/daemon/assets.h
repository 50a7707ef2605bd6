/* SPDX-License-Identifier: Apache-2.0
 * The dashboard's files, inside the program: made by tools/gen-assets from web/. They hold no secret; anybody may have them. */
#ifndef FGD_ASSETS_H
#define FGD_ASSETS_H

#include <stddef.h>

struct fgd_asset {
        const char *path, *type, *etag; /* the etag in its quotes */
        const unsigned char *plain, *gzip;
        size_t plain_size, gzip_size;
};

extern const struct fgd_asset fgd_assets[]; /* "/" first, the others by path */
extern const unsigned fgd_asset_count;

/* The one whose path is exactly this; NULL: there is none. Nothing is decoded: no spelling leads anywhere else. */
const struct fgd_asset *fgd_asset_find(const char *path);
/* Whether `path` can only be meant for these: what is not there is told as 404 without asking who it is. */
int fgd_asset_is_place(const char *path);

#endif
