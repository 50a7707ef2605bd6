/* SPDX-License-Identifier: Apache-2.0
 * CUDA_VISIBLE_DEVICES: what a value selects, and what the driver finds there while it starts. */
#include "device_fake.h"
#include "shim/cuda/visible.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const uint8_t uuid[3][16] = {{0x11, 0x22, 0x33}, {0x11, 0x22, 0x44}, {0xab, 0xcd}};

static void selection(void **test)
{
        static const struct {
                const char *text, *want;
        } row[] = {
                {NULL, "012"},
                {"", ""},
                {"0", "0"},
                {"2,0", "20"},
                {" 1 , 2 ", "12"},
                {"+1", "1"},
                {"1x,2", "12"}, /* as strtoul() reads it */
                {"0,3,1", "0"}, /* ends before the first that is wrong */
                {"0,-1,1", "0"},
                {"-1", ""},
                {"0,,1", "0"},
                {"NoDevFiles", ""},
                {"0,0", ""}, /* twice empties it */
                {"0,1,0", ""},
                {"99999999999999999999999", ""},
                {"GPU-112233", "0"},
                {"GPU-112244,GPU-112233", "10"},
                {"GPU-1122", ""}, /* ambiguous */
                {"GPU-", ""},
                {"GPU-ab", "2"},
                {"GPU-AB", "2"},
                {"GPU-ff", ""},
                {"GPU-ab,GPU-ff,GPU-112233", "2"},
                {"GPU-abcd0000-0000-0000-0000-000000000000", "2"},
                {"GPU-abcd0000-0000-0000-0000-0000000000000", ""}, /* longer than any */
                {"GPU-ab,GPU-abcd", ""},
                {"GPU-ab,1", "2"}, /* no mixture */
                {"1,GPU-ab", "1"},
                {"gpu-ab", ""},
                {"MIG-ab", ""},
                {",", ""},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                unsigned list[3], count = fgc_visible_parse(row[i].text, 3, uuid, list);
                char got[4] = "";
                assert_true(count <= 3);
                for (unsigned k = 0; k < count; k++)
                        got[k] = (char)('0' + list[k]);
                if (strcmp(got, row[i].want) != 0)
                        fail_msg("\"%s\" selects \"%s\", not \"%s\"", row[i].text, got, row[i].want);
        }
}

/* The driver sees physical devices, each once, in the program's order; afterwards the program's value is back. */
static void hidden(void **test)
{
        static const int below[] = {1, 0, 1};
        assert_int_equal(fake_start(3, below, "2,1,0"), CUDA_SUCCESS);
        assert_string_equal(fake_seen,
                            "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1,GPU-a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0");
        assert_string_equal(getenv(FGC_VISIBLE_ENV), "2,1,0");
        assert_int_equal(fgc_vgpu_count, 3);
        assert_int_equal(fgc_vgpus[0].real, 1);
        assert_int_equal(fgc_vgpus[1].real, 0);
        assert_true(fgc_vgpus[0].first && fgc_vgpus[1].first && !fgc_vgpus[2].first);
        fake_stop();
}

static void hidden_without_a_value(void **test)
{
        static const int below[] = {1};
        char **before = environ;
        unsetenv(FGC_VISIBLE_ENV);
        before = environ;
        assert_int_equal(fake_start(1, below, NULL), CUDA_SUCCESS);
        assert_string_equal(fake_seen, "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1");
        assert_null(getenv(FGC_VISIBLE_ENV));
        assert_ptr_equal(environ, before);
        fake_stop();
}

/* A variable that another part of the program sets meanwhile stays. */
static void environment_changes_meanwhile(void **test)
{
        static const int below[] = {0};
        struct fg_session *session;
        for (int had = 0; had < 2; had++) {
                assert_int_equal(fake_start(1, below, had ? "0" : NULL), CUDA_SUCCESS);
                struct fg_session copy = {.count = 1, .vgpu = fgc_vgpus[0].session};
                session = &copy;
                fgc_devices_forget();
                fgc_visible_begin(session);
                assert_string_equal(getenv(FGC_VISIBLE_ENV), "GPU-a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0");
                setenv("FASTGPU_TEST_MEANWHILE", "kept", 1);
                fgc_visible_end();
                assert_string_equal(getenv("FASTGPU_TEST_MEANWHILE"), "kept");
                if (had)
                        assert_string_equal(getenv(FGC_VISIBLE_ENV), "0");
                else
                        assert_null(getenv(FGC_VISIBLE_ENV));
                unsetenv("FASTGPU_TEST_MEANWHILE");
                free(copy.vgpu);
        }
}

static _Atomic int reading;

/* How often a thread found something else than the program's value or the driver's. */
static void *read_on(void *unused)
{
        long wrong = 0;
        while (reading) {
                const char *value = getenv(FGC_VISIBLE_ENV), *path = getenv("PATH");
                wrong += !path || (value && strcmp(value, "0") != 0 && strncmp(value, "GPU-a0a0a0a0", 12) != 0);
        }
        return (void *)wrong;
}

static void others_read_meanwhile(void **test)
{
        static const int below[] = {0};
        pthread_t thread;
        void *wrong;
        for (int had = 0; had < 2; had++) {
                assert_int_equal(fake_start(1, below, had ? "0" : NULL), CUDA_SUCCESS);
                struct fg_session session = {.count = 1, .vgpu = fgc_vgpus[0].session};
                fgc_devices_forget();
                reading = 1;
                assert_int_equal(pthread_create(&thread, NULL, read_on, NULL), 0);
                for (int i = 0; i < 1000; i++) {
                        fgc_visible_begin(&session);
                        fgc_visible_end();
                }
                reading = 0;
                pthread_join(thread, &wrong);
                assert_null(wrong);
                free(session.vgpu);
        }
}

/* Two threads in cuInit at once: the program's value is back when the last one is through. */
static void nested(void **test)
{
        static const int below[] = {0};
        assert_int_equal(fake_start(1, below, "0"), CUDA_SUCCESS);
        struct fg_session session = {.count = 1, .vgpu = fgc_vgpus[0].session};
        fgc_devices_forget();
        fgc_visible_begin(&session);
        fgc_visible_begin(&session);
        fgc_visible_end();
        assert_string_not_equal(getenv(FGC_VISIBLE_ENV), "0");
        fgc_visible_end();
        assert_string_equal(getenv(FGC_VISIBLE_ENV), "0");
        free(session.vgpu);
}

/* A child that is forked while a thread of the parent is in cuInit: its environment is the program's, and it can start CUDA. */
static void forked_meanwhile(void **test)
{
        static const int below[] = {0};
        for (int had = 0; had < 2; had++) {
                int status;
                assert_int_equal(fake_start(1, below, had ? "0" : NULL), CUDA_SUCCESS);
                struct fg_session session = {.count = 1, .vgpu = fgc_vgpus[0].session};
                fgc_devices_forget();
                fgc_visible_begin(&session);
                pid_t child = fork();
                if (child == 0) {
                        const char *value = getenv(FGC_VISIBLE_ENV);
                        bool right = had ? value && strcmp(value, "0") == 0 : !value;
                        right &= fake_start(1, below, "0") == CUDA_SUCCESS && fgc_vgpu_count == 1;
                        _exit(right ? 0 : 1);
                }
                assert_int_equal(waitpid(child, &status, 0), child);
                assert_int_equal(status, 0);
                fgc_visible_end();
                free(session.vgpu);
        }
}

static void nothing_visible(void **test)
{
        static const int below[] = {0, 1};
        assert_int_equal(fake_start(2, below, ""), CUDA_ERROR_NO_DEVICE);
        assert_string_equal(fake_seen, "");
        assert_int_equal(fgc_vgpu_count, 0);
        fake_stop();
}

static void by_uuid(void **test)
{
        static const int below[] = {0, 0};
        char text[64];
        snprintf(text, sizeof text, "GPU-1111,GPU-1010");
        assert_int_equal(fake_start(2, below, text), CUDA_SUCCESS);
        assert_int_equal(fgc_vgpu_count, 2);
        CUuuid got;
        assert_int_equal(fgc_cuDeviceGetUuid_v2(&got, 0), CUDA_SUCCESS);
        assert_int_equal((unsigned char)got.bytes[0], 0x11);
        assert_int_equal(fgc_cuDeviceGetUuid(&got, 1), CUDA_SUCCESS);
        assert_int_equal((unsigned char)got.bytes[15], 0x10);
        assert_string_equal(fake_seen, "GPU-a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0");
        fake_stop();
}

/* A visible vGPU whose device the driver does not have: no devices at all. One that is not visible does not matter. */
static void device_gone(void **test)
{
        static const int below[] = {0, 3};
        assert_int_equal(fake_start(2, below, NULL), CUDA_ERROR_NO_DEVICE);
        assert_int_equal(fgc_vgpu_count, 0);
        fake_stop();
        assert_int_equal(fake_start(2, below, "0"), CUDA_SUCCESS);
        assert_int_equal(fgc_vgpu_count, 1);
        fake_stop();
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(selection),
                cmocka_unit_test(hidden),
                cmocka_unit_test(hidden_without_a_value),
                cmocka_unit_test(environment_changes_meanwhile),
                cmocka_unit_test(others_read_meanwhile),
                cmocka_unit_test(nested),
                cmocka_unit_test(forked_meanwhile),
                cmocka_unit_test(nothing_visible),
                cmocka_unit_test(by_uuid),
                cmocka_unit_test(device_gone),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
