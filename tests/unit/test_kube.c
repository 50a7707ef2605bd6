/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-kubelet's names and choices, without a kubelet or a daemon. */
#include "unit.h"

#include "integrations/kubernetes/dra.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void classes(void **state)
{
        struct fgi_kube_class class;
        struct fg_error err = {0};
        assert_int_equal(fgi_kube_class_parse("8G:25", &class, &err), 0);
        assert_string_equal(class.resource, "fastgpu.dev/vgpu-8g-25");
        assert_string_equal(class.name, "vgpu-8g-25");
        assert_true(class.memory == 8ull << 30 && class.share == 250);
        assert_int_equal(fgi_kube_class_parse("1.5GiB:12.5%", &class, &err), 0);
        assert_string_equal(class.name, "vgpu-1.5gib-12.5");
        assert_int_equal(class.share, 125);
        assert_int_equal(fgi_kube_class_parse("small=512M:5", &class, &err), 0);
        assert_string_equal(class.resource, "fastgpu.dev/small");
        assert_int_equal(fgi_kube_class_parse("nvidia.com/gpu=20G:50", &class, &err), 0);
        assert_string_equal(class.resource, "nvidia.com/gpu");
        assert_string_equal(class.name, "gpu");
        static const char *const bad[] = {"", "8G", "8G:", ":25", "8G:0", "8G:101", "25%:25", "x:25", "A=8G:25", "-a=8G:25", "a-=8G:25", "a b=8G:25",
                                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=8G:25", "d/=8G:25", "/a=8G:25", "D.e/a=8G:25", "d/e/a=8G:25",
                                          /* It would be cut, and be another resource. */
                                          "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd/a=8G:25"};
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                err.text[0] = 0;
                assert_int_not_equal(fgi_kube_class_parse(bad[i], &class, &err), 0);
                assert_true(err.text[0] != 0);
        }
}

static void ids(void **state)
{
        struct fgi_kube_id id;
        assert_int_equal(fgi_kube_id_parse("00ff3a-12", &id), 0);
        assert_string_equal(id.tag, "00ff3a");
        assert_int_equal(id.slot, 12);
        static const char *const bad[] = {"", "00ff3a", "00ff3a-", "00ff3a-1x", "00ff3a-01", "00ff3a-1000", "00FF3a-1", "00ff3-1", "00ff3a--1", "00ff3a-99999999999"};
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_int_equal(fgi_kube_id_parse(bad[i], &id), -EINVAL);
}

static void names(void **state)
{
        const struct fgi_kube_id some[] = {{"b00000", 3}, {"a00000", 7}, {"b00000", 1}};
        struct fgi_kube_id many[FGI_KUBE_IDS_MAX], back[FGI_KUBE_IDS_MAX];
        char name[FGI_KUBE_NAME_MAX], other[FGI_KUBE_NAME_MAX];
        fgi_kube_set_name("vgpu-8g-25", some, 3, name);
        assert_string_equal(name, "vgpu-8g-25-a00000.7-b00000.1.3");
        assert_int_equal(fgi_kube_set_ids("vgpu-8g-25", name, back, 3), 3);
        assert_string_equal(back[2].tag, "b00000");
        assert_int_equal(back[2].slot, 3);
        assert_int_equal(fgi_kube_set_ids("vgpu-8g", name, back, 3), -ENOENT);
        assert_int_equal(fgi_kube_set_ids("vgpu-8g-25-a00000.7", name, back, 3), 2); /* one class's name may continue another's */
        static const char *const others[] = {"vgpu-8g-25", "vgpu-8g-25-", "vgpu-8g-25-a00000", "vgpu-8g-25-a00000.", "vgpu-8g-25-a00000.1-", "vgpu-8g-25-a00000.01",
                                             "vgpu-8g-25-a00000.1x", "vgpu-8g-25-mine", "vgpu-8g-25-x0123", "my-vgpu"};
        for (size_t i = 0; i < COUNT_OF(others); i++)
                assert_int_equal(fgi_kube_set_ids("vgpu-8g-25", others[i], back, 3), -ENOENT);
        for (uint32_t i = 0; i < FGI_KUBE_IDS_MAX; i++) {
                snprintf(many[i].tag, sizeof many[i].tag, "%06x", i);
                many[i].slot = 999 - i;
        }
        fgi_kube_set_name("vgpu-8g-25", many, FGI_KUBE_IDS_MAX, name);
        assert_true(strlen(name) < FGI_KUBE_NAME_MAX);
        assert_int_equal(fgi_kube_set_ids("vgpu-8g-25", name, back, 3), 0);
        many[0].slot = 5;
        fgi_kube_set_name("vgpu-8g-25", many, FGI_KUBE_IDS_MAX, other);
        assert_string_not_equal(name, other);
}

/* --- what is told and preferred --- */

static struct fgi_kube *two_gpus(void)
{
        struct fgi_kube *kube = calloc(1, sizeof *kube);
        kube->without = json_array();
        struct fg_error err = {0};
        kube->node.is_there = true;
        kube->node.gpus = 2;
        for (uint32_t i = 0; i < 2; i++) {
                struct fgi_kube_gpu *gpu = &kube->node.gpu[i];
                *gpu = (struct fgi_kube_gpu){.memory = 8ull << 30, .memory_free = 8ull << 30, .share_free = 1000, .usable = true, .numa = (int)i - 1};
                snprintf(gpu->tag, sizeof gpu->tag, "%c00000", 'a' + (int)i);
        }
        static const char *const text[] = {"2G:20", "4G:50"};
        for (uint32_t i = 0; i < 2; i++) {
                assert_int_equal(fgi_kube_class_parse(text[i], &kube->resource[i].class, &err), 0);
                kube->resource[kube->resources++].kube = kube;
        }
        return kube;
}

static size_t healthy(struct fgi_kube *kube, uint32_t resource, size_t *ret_all)
{
        Fgi__Plugin__Devices list;
        size_t n = 0;
        assert_int_equal(fgi_kube_devices(&kube->resource[resource], &list), 0);
        *ret_all = list.n_devices;
        for (size_t i = 0; i < list.n_devices; i++) {
                const Fgi__Plugin__Device *device = list.devices[i];
                n += strcmp(device->health, "Healthy") == 0;
                assert_true(device->id[0] == 'a' ? !device->topology : device->topology && device->topology->nodes[0]->id == 0);
        }
        fgi_kube_devices_free(&list);
        return n;
}

static void slots(void **state)
{
        struct fgi_kube *kube = two_gpus();
        const struct fgi_kube_id id[] = {{"a00000", 2}, {"a00000", 0}};
        size_t all;
        assert_int_equal(healthy(kube, 0, &all), 8); /* 4 by memory on each; 5 by share */
        assert_int_equal(healthy(kube, 1, &all), 4);
        assert_int_equal(all, 4);
        assert_non_null(fgi_kube_held_add(kube, 0, "vgpu-2g-20-a00000.0.2", id, 2));
        kube->node.gpu[0].memory_free -= 4ull << 30;
        kube->node.gpu[0].share_free -= 400;
        assert_int_equal(healthy(kube, 0, &all), 8); /* two in use, two that fit */
        assert_int_equal(healthy(kube, 1, &all), 3);
        kube->node.gpu[0].share_free -= 500; /* somebody else */
        assert_int_equal(healthy(kube, 0, &all), 6);
        assert_int_equal(all, 8);
        assert_int_equal(healthy(kube, 1, &all), 2);
        kube->node.gpu[0].usable = false;
        assert_int_equal(healthy(kube, 0, &all), 4);
        kube->node.is_there = false;
        assert_int_equal(healthy(kube, 0, &all), 0);
        free(kube->held);
        json_decref(kube->without);
        free(kube);
}

static void preferences(void **state)
{
        struct fgi_kube *kube = two_gpus();
        static char text[][9] = {"a00000-0", "a00000-1", "a00000-2", "b00000-0", "b00000-3", "x"};
        char *available[] = {text[0], text[1], text[2], text[3], text[4], text[5]}, *must[] = {text[1]}, *chosen[FGI_KUBE_IDS_MAX];
        Fgi__Plugin__PreferredContainer wanted = FGI__PLUGIN__PREFERRED_CONTAINER__INIT;
        wanted.available = available;
        wanted.n_available = COUNT_OF(available);
        wanted.count = 1;
        kube->node.gpu[0].memory_free = 4ull << 30;
        assert_int_equal(fgi_kube_prefer(&kube->resource[0], &wanted, chosen), 1);
        assert_string_equal(chosen[0], "b00000-0"); /* the daemon takes the GPU with the most left */
        wanted.count = 2;
        assert_int_equal(fgi_kube_prefer(&kube->resource[0], &wanted, chosen), 2);
        assert_string_equal(chosen[1], "a00000-0"); /* and spreads */
        wanted.must = must;
        wanted.n_must = 1;
        assert_int_equal(fgi_kube_prefer(&kube->resource[0], &wanted, chosen), 2);
        assert_string_equal(chosen[0], "a00000-1");
        assert_string_equal(chosen[1], "b00000-0");
        wanted.count = 5; /* more than would fit: all that there are, each once */
        assert_int_equal(fgi_kube_prefer(&kube->resource[0], &wanted, chosen), 5);
        for (size_t i = 0; i < 5; i++)
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(chosen[i], chosen[j]);
        wanted.count = -1;
        assert_int_equal(fgi_kube_prefer(&kube->resource[0], &wanted, chosen), 0);
        json_decref(kube->without);
        free(kube);
}

static void numa(void **state)
{
        char folder[64], path[256];
        unit_make_folder(folder);
        static const char *const made[] = {"proc", "proc/driver", "proc/driver/nvidia", "proc/driver/nvidia/gpus", "proc/driver/nvidia/gpus/0000:41:00.0",
                                           "sys", "sys/bus", "sys/bus/pci", "sys/bus/pci/devices", "sys/bus/pci/devices/0000:41:00.0"};
        for (size_t i = 0; i < COUNT_OF(made); i++) {
                snprintf(path, sizeof path, "%s/%s", folder, made[i]);
                assert_int_equal(mkdir(path, 0700), 0);
        }
        snprintf(path, sizeof path, "%s/proc/driver/nvidia/gpus/0000:41:00.0/information", folder);
        FILE *file = fopen(path, "w");
        fputs("Model: \t\t A\nGPU UUID: \t GPU-12\nDevice Minor: \t 0\n", file);
        fclose(file);
        assert_int_equal(fgi_kube_numa(folder, "GPU-12"), -1);
        snprintf(path, sizeof path, "%s/sys/bus/pci/devices/0000:41:00.0/numa_node", folder);
        file = fopen(path, "w");
        fputs("3\n", file);
        fclose(file);
        assert_int_equal(fgi_kube_numa(folder, "GPU-12"), 3);
        assert_int_equal(fgi_kube_numa(folder, "GPU-1"), -1);
        unit_remove_folder(folder);
}

/* Many empty parts in a small message ask for much memory. */
static void bounds(void **state)
{
        uint8_t *data = calloc(1, 8u << 20);
        for (size_t i = 0; i < 4u << 20; i++)
                data[2 * i] = 0x0a; /* devices: one of length 0 */
        ProtobufCMessage *message = fgi_kube_unpack(&fgi__plugin__devices__descriptor, data, 2000);
        assert_non_null(message);
        fgi_kube_forget(message);
        assert_null(fgi_kube_unpack(&fgi__plugin__devices__descriptor, data, 8u << 20));
        assert_null(fgi_kube_unpack(&fgi__plugin__devices__descriptor, (const uint8_t *)"\x0a\x7f", 2));
        free(data);
}

static void quantities(void **state)
{
        static const struct {
                const char *text;
                uint64_t milli;
        } good[] = {{"8Gi", 1000ull << 33}, {"10", 10000}, {"12.5", 12500}, {"1500m", 1500}, {"1e3", 1000000}, {"1.5k", 1500000}, {"0.0001", 1}, {"+2M", 2000000000}, {".5", 500}};
        static const char *const bad[] = {"", "x", "1x", "-1", "1 Gi", "1e", "1e99", "99999999999999999999", "1.2.3", "100Ei", "Gi"};
        uint64_t milli;
        for (size_t i = 0; i < COUNT_OF(good); i++) {
                assert_int_equal(fgi_kube_quantity(good[i].text, &milli), 0);
                assert_true(milli == good[i].milli);
        }
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_true(fgi_kube_quantity(bad[i], &milli) < 0);
}

static void projects(void **state)
{
        static const char *const bad[] = {"", "team", "=x", "Team=x", "a/b=x", "team=", "team=a/b", "team=-a", "red=again",
                                          "team=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
        struct fgi_kube_payers payers = {.prefix = "k8s-"};
        struct fg_error err = {0};
        char name[FGI_KUBE_NAME_MAX], other[FGI_KUBE_NAME_MAX], namespace[64] = "";
        fgi_kube_own_project(&payers, "team-a", name);
        assert_string_equal(name, "k8s-team-a");
        memset(namespace, 'a', 63);
        fgi_kube_own_project(&payers, namespace, name);
        namespace[62] = 'b';
        fgi_kube_own_project(&payers, namespace, other);
        assert_true(strlen(name) < FGI_KUBE_NAME_MAX && strcmp(name, other) != 0);
        assert_int_equal(fgi_kube_payer_parse("red=Finance_1.x", &payers, &err), 0);
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_int_equal(fgi_kube_payer_parse(bad[i], &payers, &err), -EINVAL);
        assert_true(fgi_kube_payer(&payers, "red", name));
        assert_string_equal(name, "Finance_1.x");
        assert_false(fgi_kube_payer(&payers, "re", name));
}

/* A name that is no pod's is asked of nobody. */
static void labels(void **state)
{
        static struct fgi_kube kube;
        char payer[FGI_KUBE_NAME_MAX] = "red";
        assert_int_equal(fgi_kube_label_parse("example.com/project", &kube, &(struct fg_error){0}), 0);
        assert_true(fgi_kube_label(&kube, "nowhere", payer));
        assert_string_equal(payer, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(classes), cmocka_unit_test(ids),  cmocka_unit_test(names),  cmocka_unit_test(slots),
                cmocka_unit_test(preferences), cmocka_unit_test(numa), cmocka_unit_test(bounds),
                cmocka_unit_test(quantities), cmocka_unit_test(projects), cmocka_unit_test(labels),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
