/* SPDX-License-Identifier: Apache-2.0 */
#include "cdi/cdi.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int fg_cdi_name(const char *project, const char *name, int64_t index, char ret[FG_CDI_NAME_MAX])
{
        char tail[24] = "";
        if (index >= 0)
                snprintf(tail, sizeof tail, "::%lld", (long long)index);
        int n = snprintf(ret, FG_CDI_NAME_MAX, "%s%s%s%s", project, *project ? ":" : "", name, tail);
        if (n <= 0 || n >= (int)FG_CDI_NAME_MAX)
                return -EINVAL;
        for (const char *at = ret; *at; at++)
                if (!isalnum((unsigned char)*at) && !strchr("_.:-", *at))
                        return -EINVAL;
        return isalnum((unsigned char)ret[0]) && isalnum((unsigned char)ret[n - 1]) ? 0 : -EINVAL;
}
