/* SPDX-License-Identifier: Apache-2.0 */
#include "base/atomic.h"
#include "ledger/ledger.h"

#include <errno.h>
#include <string.h>

void fg_page_init_usage(struct fg_usage_page *usage)
{
        memset(usage, 0, sizeof(*usage));
        usage->magic = FG_USAGE_MAGIC;
        usage->version = FG_PAGE_VERSION;
        usage->size = sizeof(*usage);
        usage->slots = FG_SLOTS;
}

static int check_head(const char *what, uint32_t want_magic, uint32_t want_size, size_t size, const uint32_t head[3],
                      struct fg_error *err)
{
        if (head[0] != want_magic)
                return fg_error_set(err, -EUCLEAN, "not a %s page: it starts with 0x%08x instead of 0x%08x", what, head[0],
                                    want_magic);
        if (head[1] != FG_PAGE_VERSION)
                return fg_error_set(err, -EPROTO, "%s page of version %u, this program knows version %u", what, head[1],
                                    FG_PAGE_VERSION);
        if (head[2] != want_size || size < want_size)
                return fg_error_set(err, -EUCLEAN, "%s page says it has %u bytes and has %zu, not %u", what, head[2], size,
                                    want_size);
        return 0;
}

static bool terminated(const char *text, size_t size)
{
        return memchr(text, '\0', size) && text[0];
}

int fg_page_check_limits(const void *page, size_t size, const uint8_t boot_id[16], struct fg_error *err)
{
        const struct fg_limits_page *limits = page;
        uint32_t share;
        int r;

        if (size < sizeof(*limits))
                return fg_error_set(err, -EUCLEAN, "limits page cut to %zu bytes", size);
        r = check_head("limits", FG_LIMITS_MAGIC, sizeof(*limits), size,
                       (uint32_t[]){limits->magic, limits->version, limits->size}, err);
        if (r < 0)
                return r;
        if (memcmp(limits->boot_id, boot_id, 16) != 0)
                return fg_error_set(err, -ESTALE, "limits page of an earlier boot");
        if (!terminated(limits->name, FG_NAME_MAX) || !terminated(limits->device_key, FG_KEY_MAX))
                return fg_error_set(err, -EUCLEAN, "limits page without a name or a device");
        share = fg_load_relaxed(&limits->share_permille);
        if (share < 1 || share > 1000)
                return fg_error_set(err, -EUCLEAN, "limits page with a share of %u permille", share);
        if (fg_load_relaxed(&limits->mode) > FG_MODE_CAP || fg_load_relaxed(&limits->priority) > FG_PRIORITY_HIGH)
                return fg_error_set(err, -EUCLEAN, "limits page with mode %u and priority %u",
                                    fg_load_relaxed(&limits->mode), fg_load_relaxed(&limits->priority));
        return 0;
}

int fg_page_check_usage(const void *page, size_t size, struct fg_error *err)
{
        const struct fg_usage_page *usage = page;
        int r;

        if (size < sizeof(*usage))
                return fg_error_set(err, -EUCLEAN, "usage page cut to %zu bytes", size);
        r = check_head("usage", FG_USAGE_MAGIC, sizeof(*usage), size,
                       (uint32_t[]){usage->magic, usage->version, usage->size}, err);
        if (r < 0)
                return r;
        if (usage->slots != FG_SLOTS)
                return fg_error_set(err, -EUCLEAN, "usage page with %u slots instead of %u", usage->slots, FG_SLOTS);
        return 0;
}
