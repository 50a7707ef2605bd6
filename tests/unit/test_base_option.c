/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/log.h"
#include "base/option.h"

#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], file[96];

static void write_file(const void *data, size_t size)
{
        FILE *f = fopen(file, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(data, 1, size, f), size);
        assert_int_equal(fclose(f), 0);
}

static void write_text(const char *text)
{
        write_file(text, strlen(text));
}

static int clear_environment(void **state)
{
        for (int i = 0; i < FG_OPT_COUNT; i++) {
                char name[64];
                snprintf(name, sizeof(name), "FASTGPU_%s", fg_option_table[i].name);
                for (char *c = name; *c; c++)
                        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
                unsetenv(name);
        }
        unlink(file);
        return 0;
}

static void table_is_complete(void **state)
{
        for (int i = 0; i < FG_OPT_COUNT; i++) {
                const struct fg_option *o = &fg_option_table[i];
                assert_true(o->name && o->default_value && o->unit && o->doc && *o->name && *o->doc);
                assert_true(o->min <= o->max);
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(o->name, fg_option_table[j].name);
        }
}

static void defaults(void **state)
{
        static const uint64_t expected[FG_OPT_COUNT] = {
                [FG_OPT_MEMORY_RESERVE] = 64 << 20, [FG_OPT_IDLE_EXIT] = 600,        [FG_OPT_QUANTUM] = 8000,
                [FG_OPT_FREE_AFTER] = 1000,         [FG_OPT_MAX_CONNECTIONS] = 4096, [FG_OPT_REQUEST_TIMEOUT] = 10,
                [FG_OPT_PERSIST_INTERVAL] = 10,     [FG_OPT_RESCAN_INTERVAL] = 0,    [FG_OPT_LOG_LEVEL] = FG_LOG_INFO,
                [FG_OPT_WATCHDOG] = FG_WATCHDOG_REPORT, [FG_OPT_WATCHDOG_INTERVAL] = 250, [FG_OPT_TELEMETRY_INTERVAL] = 5, [FG_OPT_METRICS_LIMIT] = 5000,
                [FG_OPT_RATE_LIMIT] = 500, [FG_OPT_AUDIT_KEEP] = 1000000, [FG_OPT_EVENTS_KEEP] = 100000,
                [FG_OPT_MAX_PER_SOURCE] = 64, [FG_OPT_BURST_PRICE] = 500000, [FG_OPT_IDLE_LEASE] = 43200, [FG_OPT_HISTORY_SIZE] = 1 << 30, [FG_OPT_HISTORY_MINUTES] = 604800,      [FG_OPT_CDI_MAX] = 128, [FG_OPT_JOBS_KEEP] = 10000,      [FG_OPT_JOB_LOG_MAX] = 64 << 20,
                [FG_OPT_JOB_PIDS_MAX] = 4096,       [FG_OPT_SHARE_HALF_LIFE] = 604800, [FG_OPT_MIN_RUN] = 300,
                [FG_OPT_PREEMPT] = 1,              [FG_OPT_QUEUE_POLICY] = 2,
        };
        const char *const files[] = {NULL, file, "/nonexistent/fastgpu.conf"};
        for (size_t f = 0; f < COUNT_OF(files); f++) {
                struct fg_options options;
                assert_int_equal(fg_options_load(&options, files[f], NULL), 0);
                for (int i = 0; i < FG_OPT_COUNT; i++) {
                        assert_int_equal(options.value[i], expected[i]);
                        assert_string_equal(options.source[i], "default");
                        assert_string_equal(options.text[i], "");
                }
        }
}

static void later_wins(void **state)
{
        struct fg_options o;
        write_text("# a comment = 1\n\n   \t\n  quantum =  4000 \r\nidle-exit=7\nidle-exit = 8\nmemory-reserve = 1.5G\n"
                   "log-level = debug\nburst-price = .25");
        setenv("FASTGPU_IDLE_EXIT", "9", 1);
        assert_int_equal(fg_options_load(&o, file, NULL), 0);
        assert_int_equal(o.value[FG_OPT_QUANTUM], 4000);
        assert_string_equal(o.source[FG_OPT_QUANTUM], "file");
        assert_int_equal(o.value[FG_OPT_IDLE_EXIT], 9);
        assert_string_equal(o.source[FG_OPT_IDLE_EXIT], "environment");
        assert_int_equal(o.value[FG_OPT_MEMORY_RESERVE], 1536 << 20);
        assert_int_equal(o.value[FG_OPT_LOG_LEVEL], FG_LOG_DEBUG);
        assert_int_equal(o.value[FG_OPT_BURST_PRICE], 250000);
        assert_string_equal(o.source[FG_OPT_FREE_AFTER], "default");
        setenv("FASTGPU_MEMORY_RESERVE", "0", 1);
        assert_int_equal(fg_options_load(&o, file, NULL), 0);
        assert_int_equal(o.value[FG_OPT_MEMORY_RESERVE], 0);
}

/* A refused file names itself, the line, what was found; the options given stay as they were. */
static void bad_files(void **state)
{
        static const struct {
                const char *text;
                int result;
                const char *says[3];
        } row[] = {
                {"quantum = 1999", -ERANGE, {"line 1", "\"1999\"", "2000 to 20000"}},
                {"\n\nquantum = fast\n", -EINVAL, {"line 3", "\"fast\"", "quantum"}},
                {"quantum = 99999999999999999999999999", -ERANGE, {"quantum"}},
                {"quantum = -5", -ERANGE, {"\"-5\""}},
                {"quantum =", -EINVAL, {"quantum"}},
                {"quantum", -EINVAL, {"option = value"}},
                {"quantum 5000", -EINVAL, {"option = value"}},
                {"= 5", -EINVAL, {"no option"}},
                {"qantum = 5000", -EINVAL, {"\"qantum\"", "--dump-config"}},
                {"Quantum = 5000", -EINVAL, {"\"Quantum\""}},
                {"memory-reserve = 1025G", -ERANGE, {"memory-reserve", "1 TiB"}},
                {"memory-reserve = 10%", -EINVAL, {"memory-reserve", "\"10%\""}},
                {"memory-reserve = much", -EINVAL, {"memory-reserve", "\"much\""}},
                {"log-level = loud", -EINVAL, {"\"loud\"", "error, warning, info or debug"}},
                {"log-level = 7", -EINVAL, {"\"7\""}},
                {"listen = 8443", -EINVAL, {"listen", "\"8443\"", "HOST:PORT"}},
                {"listen = ::1:8443", -EINVAL, {"listen", "brackets"}},
                {"max-per-source = 0", -ERANGE, {"max-per-source", "1 to 65536"}},
                {"burst-price = 1.000001", -ERANGE, {"burst-price", "0 to 1"}},
                {"burst-price = 50%", -EINVAL, {"\"50%\"", "0.5"}},
                {"burst-price = .", -EINVAL, {"burst-price"}},
                {"burst-price = 0.1234567", -EINVAL, {"six decimals"}},
                {"quantum = 5000 6000", -EINVAL, {"\"5000 6000\""}},
                {"quantum = 5000 # comment", -EINVAL, {"quantum"}},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_options o, before;
                struct fg_error err = {0};
                memset(&o, 0x55, sizeof(o));
                before = o;
                write_text(row[i].text);
                if (fg_options_load(&o, file, &err) != row[i].result)
                        fail_msg("\"%s\": %s", row[i].text, err.text);
                assert_memory_equal(&o, &before, sizeof(o));
                assert_non_null(strstr(err.text, file));
                for (size_t s = 0; s < COUNT_OF(row[i].says) && row[i].says[s]; s++)
                        if (!strstr(err.text, row[i].says[s]))
                                fail_msg("\"%s\" does not say %s: %s", row[i].text, row[i].says[s], err.text);
        }
}

static void unreadable_files(void **state)
{
        struct fg_options o;
        struct fg_error err = {0};
        write_file("quantum = 5000\0x\n", 17);
        assert_int_equal(fg_options_load(&o, file, &err), -EINVAL);
        assert_non_null(strstr(err.text, "NUL"));
        assert_int_equal(fg_options_load(&o, folder, &err), -EISDIR);
        assert_non_null(strstr(err.text, folder));
        char below[128];
        snprintf(below, sizeof(below), "%s/fastgpu.conf", file);
        assert_int_equal(fg_options_load(&o, below, &err), -ENOTDIR);
        assert_non_null(strstr(err.text, below));
        if (geteuid() != 0) {
                assert_int_equal(chmod(file, 0), 0);
                assert_int_equal(fg_options_load(&o, file, &err), -EACCES);
        }
}

/* A name longer than the parser keeps must not become a valid one by being cut. */
static void long_lines(void **state)
{
        static char line[100000];
        struct fg_options o;
        fg_options_load(&o, NULL, NULL);
        memset(line, ' ', sizeof(line) - 1);
        memcpy(line + sizeof(line) - 16, "quantum = 3000", 14);
        assert_int_equal(fg_options_parse_line(&o, line, NULL), 0);
        assert_int_equal(o.value[FG_OPT_QUANTUM], 3000);
        memset(line, '0', sizeof(line) - 1);
        memcpy(line, "quantum = ", 10);
        memcpy(line + sizeof(line) - 5, "3001", 4);
        assert_int_not_equal(fg_options_parse_line(&o, line, NULL), 0);
        assert_int_equal(o.value[FG_OPT_QUANTUM], 3000);
        memset(line, 'q', 50000);
        assert_int_equal(fg_options_parse_line(&o, line, NULL), -EINVAL);
}

static void bad_environment(void **state)
{
        struct fg_options o;
        struct fg_error err = {0};
        setenv("FASTGPU_QUANTUM", "50", 1);
        assert_int_equal(fg_options_load(&o, NULL, &err), -ERANGE);
        assert_non_null(strstr(err.text, "FASTGPU_QUANTUM"));
        assert_non_null(strstr(err.text, "\"50\""));
        setenv("FASTGPU_QUANTUM", "", 1);
        assert_int_equal(fg_options_load(&o, NULL, &err), -EINVAL);
}

/* --dump-config is a file that means the same, whatever the values. */
static void dump_round_trip(void **state)
{
        uint64_t seed = 42;
        for (int round = 0; round < 300; round++) {
                struct fg_options o, back;
                assert_int_equal(fg_options_load(&o, NULL, NULL), 0);
                for (int i = 0; i < FG_OPT_COUNT; i++) {
                        const struct fg_option *row = &fg_option_table[i];
                        uint64_t pick = row->min + unit_random(&seed) % (row->max - row->min + 1);
                        o.value[i] = round == 0 ? o.value[i] : round == 1 ? row->min : round == 2 ? row->max : pick;
                }
                if (round > 2)
                        o.value[FG_OPT_LOG_LEVEL] = (const uint64_t[]){3, 4, 6, 7}[unit_random(&seed) % 4];
                snprintf(o.text[FG_OPT_SIM], sizeof(o.text[FG_OPT_SIM]), "%llux\"A = b # c\":8G", (unsigned long long)unit_random(&seed));
                memset(o.text[FG_OPT_DRIVER_PATH], 'x', (size_t)round % FG_OPTION_TEXT_MAX);
                if (round % 2)
                        o.value[FG_OPT_MEMORY_RESERVE] &= ~0xfffffull;
                FILE *f = fopen(file, "we");
                assert_non_null(f);
                fg_options_dump(&o, f);
                assert_int_equal(fclose(f), 0);
                struct fg_error err = {0};
                if (fg_options_load(&back, file, &err) != 0)
                        fail_msg("%s", err.text);
                assert_memory_equal(o.value, back.value, sizeof(o.value));
                assert_memory_equal(o.text, back.text, sizeof(o.text));
                for (int i = 0; i < FG_OPT_COUNT; i++)
                        assert_string_equal(back.source[i], "file");
        }
}

static void choices_and_texts(void **state)
{
        struct fg_options o;
        struct fg_error e = {0};
        char line[FG_OPTION_TEXT_MAX + 16] = "sim = ";
        assert_int_equal(fg_options_load(&o, NULL, NULL), 0);
        assert_int_equal(fg_options_parse_line(&o, "watchdog = kill", NULL), 0);
        assert_int_equal(o.value[FG_OPT_WATCHDOG], FG_WATCHDOG_KILL);
        assert_int_equal(fg_options_parse_line(&o, "watchdog = kil", &e), -EINVAL);
        assert_non_null(strstr(e.text, "\"kil\" is not one of off|report|kill"));
        assert_int_equal(fg_options_parse_line(&o, "watchdog =", NULL), -EINVAL);
        assert_int_equal(o.value[FG_OPT_WATCHDOG], FG_WATCHDOG_KILL);
        assert_int_equal(fg_options_parse_line(&o, "sim = 2xH100 ", NULL), 0);
        assert_string_equal(o.text[FG_OPT_SIM], "2xH100");
        memset(line + 6, 'a', FG_OPTION_TEXT_MAX);
        assert_int_equal(fg_options_parse_line(&o, line, NULL), -EINVAL);
        assert_string_equal(o.text[FG_OPT_SIM], "2xH100");
        assert_int_equal(fg_options_parse_line(&o, "sim =", NULL), 0);
        assert_string_equal(o.text[FG_OPT_SIM], "");
        assert_int_equal(fg_options_parse_line(&o, "listen = [::1]:8443", NULL), 0);
        assert_string_equal(o.text[FG_OPT_LISTEN], "[::1]:8443");
        assert_int_equal(fg_options_parse_line(&o, "listen = localhost", NULL), -EINVAL);
        assert_string_equal(o.text[FG_OPT_LISTEN], "[::1]:8443");
        assert_int_equal(fg_options_parse_line(&o, "listen =", NULL), 0);
        assert_string_equal(o.text[FG_OPT_LISTEN], "");
}

/* What the dump calls the environment variable is what the loader reads. */
static void dump_names_the_environment(void **state)
{
        struct fg_options o;
        static char text[65536];
        assert_int_equal(fg_options_load(&o, NULL, NULL), 0);
        FILE *f = fmemopen(text, sizeof(text), "w");
        fg_options_dump(&o, f);
        fclose(f);
        int found = 0;
        for (char *c = strstr(text, "Environment: "); c; c = strstr(c + 1, "Environment: ")) {
                char name[64];
                assert_int_equal(sscanf(c, "Environment: %63[A-Z_]", name), 1);
                setenv(name, "no value is\nlike this", 1);
                struct fg_error err = {0};
                assert_int_equal(fg_options_load(&o, NULL, &err), -EINVAL);
                assert_non_null(strstr(err.text, name));
                unsetenv(name);
                found++;
        }
        assert_int_equal(found, FG_OPT_COUNT);
}

static int make_folder(void **state)
{
        unit_make_folder(folder);
        snprintf(file, sizeof(file), "%s/fastgpu.conf", folder);
        return 0;
}

static int remove_folder(void **state)
{
        unit_remove_folder(folder);
        return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, clear_environment, clear_environment)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(table_is_complete), TEST(defaults),         TEST(later_wins),
                TEST(bad_files),         TEST(unreadable_files), TEST(long_lines),
                TEST(bad_environment),   TEST(dump_round_trip),  TEST(dump_names_the_environment),
                TEST(choices_and_texts),
        };
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
