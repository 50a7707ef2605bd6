/* SPDX-License-Identifier: Apache-2.0
 * Pages as a tenant or a crash may leave them: what the checks accept, the daemon's side must survive, and end.
 *
 * Input: one byte of flags, two bytes that cut the page, then patches of a valid page: offset (3 bytes), length (1
 * byte), bytes. */
#include "ledger/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t boot_id[16] = "this boot's id.";

static void apply_patches(uint8_t *page, size_t page_size, const uint8_t *data, size_t size)
{
        while (size >= 4) {
                size_t at = (data[0] | data[1] << 8 | data[2] << 16) % page_size, n = data[3];
                data += 4, size -= 4;
                n = n < size ? n : size;
                memcpy(page + at, data, n < page_size - at ? n : page_size - at);
                data += n, size -= n;
        }
}

static struct fg_limits_page *valid_limits(void)
{
        struct fg_limits_page *limits = aligned_alloc(64, sizeof(*limits));
        assert(limits);
        memset(limits, 0, sizeof(*limits));
        limits->magic = FG_LIMITS_MAGIC;
        limits->version = FG_PAGE_VERSION;
        limits->size = sizeof(*limits);
        memcpy(limits->boot_id, boot_id, sizeof(boot_id));
        strcpy(limits->name, "my-vgpu/0");
        strcpy(limits->device_key, "opencl/Portable Computing Language/0");
        limits->quota = 256 << 20;
        limits->share_permille = 700;
        return limits;
}

static struct fg_usage_page *valid_usage(void)
{
        struct fg_usage_page *usage = aligned_alloc(64, sizeof(*usage));
        assert(usage);
        fg_page_init_usage(usage);
        return usage;
}

/* Checks a copy that ends where the file ends, so that a read behind it is seen. */
static int check_cut(bool is_limits, const void *page, size_t size, struct fg_error *err)
{
        void *copy = NULL;
        if (posix_memalign(&copy, 64, size ? size : 1) != 0)
                abort();
        memcpy(copy, page, size);
        int r = is_limits ? fg_page_check_limits(copy, size, boot_id, err) : fg_page_check_usage(copy, size, err);
        free(copy);
        return r;
}

static void use_limits(const struct fg_limits_page *limits)
{
        assert(memcmp(limits->boot_id, boot_id, sizeof(boot_id)) == 0);
        assert(strlen(limits->name) < FG_NAME_MAX && strlen(limits->device_key) < FG_KEY_MAX);
        assert(limits->share_permille >= 1 && limits->share_permille <= 1000);
        assert(limits->mode <= FG_MODE_CAP && limits->priority <= FG_PRIORITY_HIGH);
}

/* A tenant that works on a page others of its vGPU have spoilt: it may be refused, but ends and stays within the quota.
 */
static void use_as_tenant(struct fg_usage_page *usage, const struct fg_limits_page *limits)
{
        struct fg_ledger ledger = {0};
        fg_ledger_open(&ledger, limits, usage, 7);
        for (uint64_t bytes = 1; bytes <= limits->quota * 4; bytes *= 16) {
                uint64_t before = fg_ledger_used(&ledger);
                int r = fg_ledger_reserve(&ledger, bytes);
                assert(r == 0 || r == -ENOMEM);
                assert(fg_ledger_used(&ledger) == before + (r == 0 ? bytes : 0));
                assert(r < 0 || fg_ledger_used(&ledger) <= limits->quota);
                if (r == 0 && bytes % 3)
                        fg_ledger_refund(&ledger, bytes);
        }
}

/* What the daemon does to a page it accepted. Reaping every slot leaves nothing held, whatever stood there. */
static void use_as_daemon(struct fg_usage_page *usage, struct fg_limits_page *limits)
{
        uint64_t used;
        fg_ledger_check(limits, usage, NULL);
        fg_ledger_recover(usage);
        if (fg_ledger_set_quota(limits, usage, 128 << 20, &used) == 0)
                assert(usage->counter.used <= 128 << 20);
        else
                assert(limits->quota == 256 << 20 && used > 128 << 20);
        for (uint32_t slot = 0; slot < FG_SLOTS; slot++) {
                uint64_t before = usage->counter.used, back = fg_ledger_reap(usage, slot);
                assert(back <= before && usage->counter.used == before - back);
                assert(fg_ledger_slot_held(usage, slot) == 0);
        }
}

static void use_accepted(struct fg_usage_page *usage, struct fg_limits_page *limits, bool tenant_first)
{
        if (tenant_first)
                use_as_tenant(usage, limits);
        use_as_daemon(usage, limits);
        use_as_tenant(usage, limits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 3)
                return 0;
        bool is_limits = data[0] & 1, is_cut = data[0] & 2;
        struct fg_limits_page *limits = valid_limits();
        struct fg_usage_page *usage = valid_usage();
        void *page = is_limits ? (void *)limits : (void *)usage;
        size_t page_size = is_limits ? sizeof(*limits) : sizeof(*usage);
        size_t cut = is_cut ? (size_t)(data[1] | data[2] << 8) % page_size : page_size;
        apply_patches(page, page_size, data + 3, size - 3);
        struct fg_error err = {0};
        int r = check_cut(is_limits, page, cut, &err);
        assert(r <= 0 && err.code == r && (r == 0) == (err.text[0] == '\0'));
        assert(r < 0 || !is_cut);
        if (r == 0 && is_limits)
                use_limits(limits);
        else if (r == 0)
                use_accepted(usage, limits, data[0] & 4);
        free(limits);
        free(usage);
        return 0;
}
