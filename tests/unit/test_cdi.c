/* SPDX-License-Identifier: Apache-2.0
 * What a container is given: names, mounts over every name of the driver, a spec that the oldest engines read. */
#include "unit.h"

#include "cdi/cdi.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static int set_up(void **state)
{
        unit_make_folder(folder);
        return 0;
}

static int tear_down(void **state)
{
        unit_remove_folder(folder);
        return 0;
}

static void make(const char *name)
{
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (strchr(name, '.'))
                close(open(path, O_WRONLY | O_CREAT, 0644));
        else
                mkdir(path, 0755);
}

static void point(const char *name, const char *to)
{
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        assert_int_equal(symlink(to, path), 0);
}

static void names(void **state)
{
        char name[FG_CDI_NAME_MAX];
        assert_int_equal(fg_cdi_name("", "a.b-c", -1, name), 0);
        assert_string_equal(name, "a.b-c");
        assert_int_equal(fg_cdi_name("red", "a", 12, name), 0);
        assert_string_equal(name, "red:a::12");
        assert_int_equal(fg_cdi_name("", "a-", 0, name), 0);
        assert_int_equal(fg_cdi_name("", "a-", -1, name), -EINVAL);
        assert_int_equal(fg_cdi_name("", "", -1, name), -EINVAL);
}

/* Where in the container the host's file appears how often. */
static unsigned mounted(json_t *edits, const char *host_end, const char *container_path)
{
        json_t *mount;
        size_t i;
        unsigned count = 0;
        json_array_foreach(json_object_get(edits, "mounts"), i, mount) {
                const char *from = json_string_value(json_object_get(mount, "hostPath"));
                const char *to = json_string_value(json_object_get(mount, "containerPath"));
                size_t n = strlen(from), end = strlen(host_end);
                count += n >= end && strcmp(from + n - end, host_end) == 0 && (!container_path || strcmp(to, container_path) == 0);
        }
        return count;
}

static void the_driver_is_covered_under_every_name(void **state)
{
        char tree[128], driver[128];
        struct fg_error err = {0};
        snprintf(tree, sizeof tree, "%s/tree", folder);
        snprintf(driver, sizeof driver, "%s/driver", folder);
        const struct fg_cdi_host host = {tree, folder, "", driver, true};
        make("tree");
        make("driver");
        assert_null(fg_cdi_common(&host, &err));
        assert_non_null(strstr(err.text, "libfastgpu-opencl.so"));
        make("tree/libfastgpu-opencl.so");
        make("tree/libfastgpu-enter.so");
        assert_null(fg_cdi_common(&host, &err));
        assert_non_null(strstr(err.text, "libnvidia-ml.so.1"));
        make("driver/libcuda.so.999.1");
        make("driver/libnvidia-ml.so.999.1");
        make("driver/libnvidia-gpucomp.so.999.1");
        point("driver/libcuda.so.1", "libcuda.so.999.1");
        point("driver/libnvidia-ml.so.1", "libnvidia-ml.so.999.1");
        json_t *edits = fg_cdi_common(&host, &err);
        assert_non_null(edits);
        assert_int_equal(mounted(edits, "/tree/libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1"), 1);
        assert_int_equal(mounted(edits, "/tree/libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.999.1"), 1);
        assert_int_equal(mounted(edits, "/tree/libcuda.so.1", "/usr/lib64/libcuda.so.999.1"), 1);
        assert_int_equal(mounted(edits, "/tree/libnvidia-ml.so.1", "/usr/lib64/libnvidia-ml.so.999.1"), 1);
        /* The driver itself is nowhere but in the private folder. */
        assert_int_equal(mounted(edits, "/driver/libcuda.so.999.1", NULL), 1);
        assert_int_equal(mounted(edits, "/driver/libcuda.so.999.1", FG_CDI_DRIVER_INSIDE "/libcuda.so.1"), 1);
        assert_int_equal(mounted(edits, "/driver/libnvidia-gpucomp.so.999.1", "/usr/lib/x86_64-linux-gnu/libnvidia-gpucomp.so.999.1"), 1);
        assert_int_equal(mounted(edits, "/empty", "/usr/local/cuda/compat"), 1);
        assert_int_equal(mounted(edits, "/ld.so.preload", "/etc/ld.so.preload"), 1);
        assert_int_equal(mounted(edits, "/tree/python", NULL), 0);
        json_decref(edits);
        make("tree/python");
        edits = fg_cdi_common(&host, &err);
        assert_int_equal(mounted(edits, "/tree/python", FG_CDI_INSIDE "/python"), 1);
        json_decref(edits);
}

static void a_gpu_that_is_not_there_is_refused(void **state)
{
        static const char *const uuid[] = {"GPU-00000000-0000-0000-0000-000000000000"};
        const struct fg_cdi_view view = {"/box", uuid, 1};
        struct fg_error err = {0};
        assert_null(fg_cdi_of_view(&view, &err));
        assert_int_equal(err.code, -ENOENT);
        assert_non_null(strstr(err.text, uuid[0]));
}

/* A GPU whose node is /dev/full, on machines without any. */
#define GPU "GPU-11111111-0000-0000-0000-000000000000"
int __real_fg_cdi_add_gpu(const char *uuid, json_t *nodes, struct fg_error *err);
int __wrap_fg_cdi_add_gpu(const char *uuid, json_t *nodes, struct fg_error *err);

int __wrap_fg_cdi_add_gpu(const char *uuid, json_t *nodes, struct fg_error *err)
{
        if (strcmp(uuid, GPU) != 0)
                return __real_fg_cdi_add_gpu(uuid, nodes, err);
        return json_array_append_new(nodes, json_pack("{s:s}", "path", "/dev/full")) < 0 ? -ENOMEM : 0;
}

/* jansson's memory ends after so many pieces. */
static unsigned pieces_left;
static void *scarce(size_t size)
{
        return pieces_left ? pieces_left--, malloc(size) : NULL;
}

/* Whichever piece cannot be had, it is all of what was asked for, or NULL and why. */
static void without_memory_there_is_an_error(void **state)
{
        char tree[128];
        snprintf(tree, sizeof tree, "%s/tree", folder);
        make("tree");
        make("tree/libfastgpu-opencl.so");
        make("tree/libfastgpu-enter.so");
        const struct fg_cdi_host host = {tree, folder, "2xT4", "", true};
        static const char *const uuid[] = {GPU};
        const struct fg_cdi_view view = {"/box", uuid, 1};
        for (int common = 0; common < 2; common++) {
                unsigned pieces = 0;
                json_t *edits = NULL;
                while (!edits && pieces < 1000) {
                        struct fg_error err = {0};
                        pieces_left = pieces++;
                        json_set_alloc_funcs(scarce, free);
                        edits = common ? fg_cdi_common(&host, &err) : fg_cdi_of_view(&view, &err);
                        json_set_alloc_funcs(malloc, free);
                        assert_int_equal(err.code, edits ? 0 : -ENOMEM);
                }
                assert_true(pieces > 10);
                assert_non_null(edits);
                assert_int_equal(mounted(edits, common ? "/sim" : "/box", NULL), 1);
                assert_int_equal(json_array_size(json_object_get(edits, "deviceNodes")), common ? 0 : 1);
                json_decref(edits);
        }
}

static void both_in_one(void **state)
{
        struct fg_error err = {0};
        json_t *common = json_pack("{s:[s], s:[{s:s}]}", "env", "A=B", "mounts", "hostPath", "x");
        json_t *view = fg_cdi_of_view(&(struct fg_cdi_view){"/box", NULL, 0}, &err);
        json_t *both = fg_cdi_merge(common, view);
        assert_int_equal(json_array_size(json_object_get(both, "mounts")), 2);
        assert_int_equal(json_array_size(json_object_get(common, "mounts")), 1);
        json_decref(both);
        json_decref(view);
        json_decref(common);
}

static void a_spec_is_written_in_one_step(void **state)
{
        char path[256], cdi[128];
        struct fg_error err = {0};
        snprintf(cdi, sizeof cdi, "%s/cdi", folder);
        snprintf(path, sizeof path, "%s/" FG_CDI_FILE, cdi);
        json_t *edits = json_pack("{s:[s]}", "env", "A=\"b\"");
        char *device[] = {fg_cdi_spec_device("a", edits), fg_cdi_spec_device("7b", edits)};
        assert_false(fg_cdi_spec_is_there(cdi));
        for (size_t count = 0; count <= 2; count++) {
                assert_int_equal(fg_cdi_spec_write("{\"mounts\":[]}", (const char *const *)device, count, cdi, &err), 0);
                json_t *read = json_load_file(path, JSON_REJECT_DUPLICATES, NULL), *devices = json_object_get(read, "devices");
                assert_string_equal(json_string_value(json_object_get(read, "cdiVersion")), count < 2 ? "0.3.0" : "0.5.0");
                assert_string_equal(json_string_value(json_object_get(read, "kind")), "fastgpu.dev/vgpu");
                assert_true(json_is_array(json_object_get(json_object_get(read, "containerEdits"), "mounts")));
                assert_int_equal(json_array_size(devices), count);
                for (size_t i = 0; i < count; i++) {
                        assert_string_equal(json_string_value(json_object_get(json_array_get(devices, i), "name")), i ? "7b" : "a");
                        assert_true(json_equal(json_object_get(json_array_get(devices, i), "containerEdits"), edits));
                }
                json_decref(read);
        }
        assert_true(fg_cdi_spec_is_there(cdi));
        free(device[0]);
        free(device[1]);
        json_decref(edits);
        assert_int_equal(fg_cdi_spec_remove(cdi, &err), 0);
        assert_int_equal(fg_cdi_spec_remove(cdi, &err), 0);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(rmdir(cdi), 0); /* nothing was left beside it */
}

static void a_node_is_linked_by_its_number(void **state)
{
        char link[256], found[64] = "";
        assert_int_equal(fg_cdi_link_node("/dev/full", folder), 0);
        assert_int_equal(fg_cdi_link_node("/dev/full", folder), 0);
        snprintf(link, sizeof link, "%s/1:7", folder);
        assert_true(readlink(link, found, sizeof found - 1) > 0);
        assert_string_equal(found, "/dev/full");
        assert_int_equal(unlink(link), 0);
        assert_int_equal(fg_cdi_link_node("/etc/passwd", folder), -ENODEV);
        assert_int_equal(fg_cdi_link_node("/dev/none", folder), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_node_is_linked_by_its_number, set_up, tear_down),
                cmocka_unit_test(names),
                cmocka_unit_test_setup_teardown(the_driver_is_covered_under_every_name, set_up, tear_down),
                cmocka_unit_test(a_gpu_that_is_not_there_is_refused),
                cmocka_unit_test_setup_teardown(without_memory_there_is_an_error, set_up, tear_down),
                cmocka_unit_test(both_in_one),
                cmocka_unit_test_setup_teardown(a_spec_is_written_in_one_step, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
