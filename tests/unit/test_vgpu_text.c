/* SPDX-License-Identifier: Apache-2.0
 * The text of a vGPU is kept and taken again: through whatever changes, it is what a plain printf() of the vGPU is. */
#include "unit.h"

#include "daemon/api_write.h"
#include "daemon/manager.h"

#define SETS  700 /* more than are kept */
#define STEPS 60000

static struct fgd_device device[3];
static struct fgd_set *set[SETS];
static uint64_t seed = 1;

static unsigned random_below(unsigned end)
{
        return (unsigned)(unit_random(&seed) % end);
}

static struct fgd_set *make_set(unsigned n)
{
        uint32_t count = n % 50 == 0 ? 100 : 1 + n % 3;
        struct fgd_set *s = calloc(1, sizeof *s + count * sizeof s->vgpu[0]);
        assert_non_null(s);
        snprintf(s->name, sizeof s->name, "set-%u-%u", n, random_below(1000));
        s->id = n + 1;
        s->count = count;
        for (uint32_t i = 0; i < count; i++) {
                struct fgd_vgpu *v = &s->vgpu[i];
                *v = (struct fgd_vgpu){.set = s, .device = &device[random_below(3)], .id = (int64_t)n * 100 + i, .index = i,
                                       .memory = unit_random(&seed) >> random_below(60), .share = (uint16_t)random_below(1001)};
                for (unsigned b = 0; b < sizeof v->uuid; b++)
                        v->uuid[b] = (uint8_t)random_below(256);
        }
        return s;
}

static void change_device(struct fgd_device *d)
{
        if (random_below(2)) {
                d->present = !d->present;
                return;
        }
        snprintf(d->model, sizeof d->model, "model \"%u\"", random_below(100));
        d->facts++; /* as the inventory does when it takes over what was seen */
}

/* Whatever its text depends on, one thing at a time. */
static void change(struct fgd_vgpu *v, unsigned n)
{
        switch (random_below(12)) {
        case 0: v->memory = unit_random(&seed) >> random_below(64); break;
        case 1: v->share = (uint16_t)random_below(1001); break;
        case 2: v->mode ^= 1; break;
        case 3: v->priority = (uint8_t)random_below(3); break;
        case 4: v->set->is_paused = !v->set->is_paused; break;
        case 5: v->quarantined = !v->quarantined; break;
        case 6: change_device(&device[random_below(3)]); break;
        case 7: v->device = v->quarantined && random_below(2) ? NULL : &device[random_below(3)]; v->quarantined |= !v->device; break;
        case 8: v->base.launches = random_below(2) * 5; break;
        case 9: v->live.gpu_ns = random_below(2) * 7; break;
        case 10:
                free(set[n]);
                set[n] = make_set(n);
                break;
        default: break;
        }
        for (uint32_t i = 0; i < set[n]->count; i++)
                set[n]->vgpu[i].quarantined |= !set[n]->vgpu[i].device;
}

static int print_usage(const struct fgd_vgpu *v, char *at, size_t size)
{
        return snprintf(at, size, "\"usage\": {\"memory_used\": 0, \"memory_peak\": 0, \"processes\": 0, \"pids\": [], \"gpu_ns\": %llu, "
                        "\"granted_ns\": 0, \"launches\": %llu, \"waits\": 0, \"wait_ns\": 0, \"refusals\": 0, \"faults\": 0, \"active\": false}}",
                        (unsigned long long)(v->base.gpu_ns + v->live.gpu_ns), (unsigned long long)(v->base.launches + v->live.launches));
}

static void print_vgpu(const struct fgd_vgpu *v, char ret[2048])
{
        static const char *const mode[] = {[FG_MODE_SHARE] = "share", [FG_MODE_CAP] = "cap"};
        static const char *const priority[] = {[FG_PRIORITY_LOW] = "low", [FG_PRIORITY_NORMAL] = "normal", [FG_PRIORITY_HIGH] = "high"};
        char uuid[37], number[16], model[64] = "";
        snprintf(number, sizeof number, "%u", v->device ? v->device->id : 0);
        if (v->device && sscanf(v->device->model, "model \"%[0-9]", model) == 1)
                memmove(model + 8, model, strlen(model) + 1), memcpy(model, "model \\\"", 8), strcat(model, "\\\"");
        int n = snprintf(ret, 2048, "{\"name\": \"%s/%u\", \"index\": %u, \"uuid\": \"%s\", \"device\": %s, \"device_key\": \"%s\", \"device_model\": \"%s\", "
                         "\"memory\": %llu, \"share\": %u, \"mode\": \"%s\", \"priority\": \"%s\", \"tier\": \"soft\", \"state\": \"%s\", ",
                         v->set->name, v->index, v->index, fgd_uuid_format(v->uuid, uuid), v->device ? number : "null",
                         v->device ? v->device->key : "", model, (unsigned long long)v->memory, v->share, mode[v->mode], priority[v->priority],
                         v->quarantined ? "quarantined" : !v->device->present ? "lost" : v->set->is_paused ? "suspended" : "ready");
        print_usage(v, ret + n, 2048 - (size_t)n);
}

static void is_always_what_it_is_made_of(void **state)
{
        char wanted[2048];
        struct fgd_text text = {0};
        for (unsigned i = 0; i < 3; i++) {
                device[i] = (struct fgd_device){.id = i, .present = true, .model = "model \"1\""};
                snprintf(device[i].key, sizeof device[i].key, "opencl/x/%u", i);
        }
        for (unsigned n = 0; n < SETS; n++)
                set[n] = make_set(n);
        for (unsigned step = 0; step < STEPS; step++) {
                /* Most are told of twice and more between two changes. */
                unsigned n = random_below(step % 2 ? SETS : 20);
                if (step % 3 == 0)
                        change(&set[n]->vgpu[random_below(set[n]->count)], n);
                struct fgd_vgpu *v = &set[n]->vgpu[random_below(set[n]->count)];
                print_vgpu(v, wanted);
                text.size = 0;
                fgd_write_vgpu(v, &text);
                assert_false(text.failed);
                assert_string_equal(text.data, wanted);
        }
        fgd_text_clear(&text);
        for (unsigned n = 0; n < SETS; n++)
                free(set[n]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(is_always_what_it_is_made_of)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
