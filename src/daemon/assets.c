/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/assets.h"

#include <string.h>

#define FOLDER "/assets/"

const struct fgd_asset *fgd_asset_find(const char *path)
{
        for (unsigned i = 0; i < fgd_asset_count; i++)
                if (strcmp(fgd_assets[i].path, path) == 0)
                        return &fgd_assets[i];
        return NULL;
}

int fgd_asset_is_place(const char *path)
{
        return strcmp(path, "/") == 0 || strncmp(path, FOLDER, sizeof FOLDER - 1) == 0;
}
