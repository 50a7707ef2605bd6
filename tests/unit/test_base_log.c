/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static int saved_stderr = -1, pipe_fd[2];

/* Standard error becomes a pipe that we read. */
static void capture(void)
{
        assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
        assert_true(fcntl(pipe_fd[1], F_SETPIPE_SZ, 1 << 20) > 0);
        saved_stderr = dup(STDERR_FILENO);
        assert_true(dup2(pipe_fd[1], STDERR_FILENO) >= 0);
        close(pipe_fd[1]);
}

static size_t release(char *buf, size_t len)
{
        size_t n = 0;
        dup2(saved_stderr, STDERR_FILENO);
        close(saved_stderr);
        for (ssize_t r; n < len - 1 && (r = read(pipe_fd[0], buf + n, len - 1 - n)) > 0;)
                n += (size_t)r;
        buf[n] = '\0';
        close(pipe_fd[0]);
        return n;
}

static void to_a_person(void **state)
{
        char text[4096], expected[256];
        unsetenv("JOURNAL_STREAM");
        fg_log_set_level(FG_LOG_INFO);
        capture();
        errno = ENOSPC;
        fg_log_warning("device %d: %m", 3);
        int after = errno;
        fg_log_debug("not at this level");
        fg_log_set_level(FG_LOG_ERROR);
        fg_log_info("nor this");
        fg_log_set_level(FG_LOG_DEBUG);
        fg_log_debug("two\nlines\x1b[0m");
        release(text, sizeof(text));
        snprintf(expected, sizeof(expected), "%s: device 3: No space left on device\n%s: two lines [0m\n",
                 program_invocation_short_name, program_invocation_short_name);
        assert_string_equal(text, expected);
        assert_int_equal(after, ENOSPC);
}

static void to_the_journal(void **state)
{
        char text[4096], stream[64];
        struct stat st;
        fg_log_set_level(FG_LOG_INFO);
        capture();
        fstat(STDERR_FILENO, &st);
        snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        fg_log_error("cause");
        fg_log_info("cause");
        release(text, sizeof(text));
        assert_string_equal(text, "<3>cause\n<6>cause\n");
}

/* The variable is inherited by children whose standard error goes elsewhere. */
static void not_the_journal(void **state)
{
        char text[4096];
        capture();
        setenv("JOURNAL_STREAM", "1:1", 1);
        fg_log_error("cause");
        setenv("JOURNAL_STREAM", "nonsense", 1);
        fg_log_error("cause");
        release(text, sizeof(text));
        unsetenv("JOURNAL_STREAM");
        assert_null(strstr(text, "<3>"));
}

static void long_line(void **state)
{
        static char message[100000], text[100000];
        memset(message, 'x', sizeof(message) - 1);
        capture();
        fg_log_error("%s", message);
        size_t n = release(text, sizeof(text));
        assert_in_range(n, 1000, 4096);
        assert_int_equal(text[n - 1], '\n');
}

static void *log_many(void *c)
{
        for (int i = 0; i < 500; i++)
                fg_log_error("%c%c%c%c%c%c%c%c", *(char *)c, *(char *)c, *(char *)c, *(char *)c, *(char *)c, *(char *)c,
                             *(char *)c, *(char *)c);
        return NULL;
}

static void threads_do_not_mix(void **state)
{
        static char text[1 << 20];
        char letter[4] = {'a', 'b', 'c', 'd'};
        pthread_t thread[4];
        unsetenv("JOURNAL_STREAM");
        capture();
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_create(&thread[i], NULL, log_many, &letter[i]), 0);
        for (int i = 0; i < 4; i++)
                pthread_join(thread[i], NULL);
        release(text, sizeof(text));
        int lines = 0;
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
                char *body = strrchr(line, ' ') + 1;
                assert_int_equal(strlen(body), 8);
                assert_int_equal(strspn(body, (char[]){body[0], 0}), 8);
        }
        assert_int_equal(lines, 2000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(to_a_person), cmocka_unit_test(to_the_journal),     cmocka_unit_test(not_the_journal),
                cmocka_unit_test(long_line),   cmocka_unit_test(threads_do_not_mix),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
