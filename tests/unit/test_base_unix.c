/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], deep[2048];

static void path_in(char *ret, size_t len, const char *dir, const char *name)
{
        assert_true((size_t)snprintf(ret, len, "%s/%s", dir, name) < len);
}

/* A byte goes through, and the descriptors are as promised. */
static void check_talk(const char *path, int type)
{
        int listener = fg_unix_listen(path, type, 8, 0600);
        assert_true(listener >= 0);
        int client = fg_unix_connect(path, type);
        assert_true(client >= 0);
        int server = accept(listener, NULL, NULL);
        assert_true(server >= 0);
        char c = 'x';
        assert_int_equal(write(client, &c, 1), 1);
        assert_int_equal(read(server, &c, 1), 1);
        assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
        assert_false(fcntl(client, F_GETFL) & O_NONBLOCK);
        struct timeval timeout = {1, 1};
        socklen_t len = sizeof(timeout);
        assert_int_equal(getsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &timeout, &len), 0);
        assert_int_equal(timeout.tv_sec + timeout.tv_usec, 0);
        close(server);
        close(client);
        close(listener);
}

/* Around the 107 bytes that sun_path holds, and far beyond. */
static void all_lengths(void **state)
{
        char path[4096];
        for (size_t len = 90; len < 125; len++) {
                size_t used = strlen(folder) + 1, rest = len - used;
                assert_true(rest < 108);
                char dir[200];
                snprintf(dir, sizeof(dir), "%s/%0*d", folder, (int)(rest / 2), 0);
                assert_int_equal(fg_mkdirs(dir, 0700, NULL), 0);
                snprintf(path, sizeof(path), "%s/%0*d", dir, (int)(len - strlen(dir) - 1), 0);
                assert_int_equal(strlen(path), len);
                check_talk(path, SOCK_STREAM);
                check_talk(path, SOCK_SEQPACKET);
        }
        path_in(path, sizeof(path), deep, "api.sock");
        check_talk(path, SOCK_STREAM);
        check_talk(path, SOCK_SEQPACKET);
        /* The longest name of an attach socket. */
        path_in(path, sizeof(path), deep, "n2345678901234567890123456789012345678901234567890123456789012.65535");
        check_talk(path, SOCK_SEQPACKET);
}

static void relative(void **state)
{
        assert_int_equal(chdir(folder), 0);
        check_talk("here.sock", SOCK_STREAM);
        assert_int_equal(chdir("/"), 0);
}

static void exact_mode(void **state)
{
        static const unsigned mode[] = {0600, 0660, 0666};
        static const mode_t mask[] = {0, 022, 077, 0777};
        char path[128], far[4096];
        path_in(path, sizeof(path), folder, "mode.sock");
        path_in(far, sizeof(far), deep, "mode.sock");
        for (size_t m = 0; m < COUNT_OF(mode); m++)
                for (size_t u = 0; u < 2 * COUNT_OF(mask); u++) {
                        struct stat st;
                        const char *where = u % 2 ? path : far;
                        mode_t saved = umask(mask[u / 2]);
                        int fd = fg_unix_listen(where, SOCK_STREAM, 8, mode[m]);
                        mode_t after = umask(saved);
                        assert_true(fd >= 0);
                        assert_int_equal(after, mask[u / 2]);
                        assert_int_equal(stat(where, &st), 0);
                        assert_int_equal(st.st_mode & 07777, mode[m]);
                        close(fd);
                }
}

static void stale_socket(void **state)
{
        char path[4096];
        path_in(path, sizeof(path), deep, "stale.sock");
        int first = fg_unix_listen(path, SOCK_STREAM, 8, 0600);
        assert_true(first >= 0);
        close(first); /* the file stays, as after kill -9 */
        assert_int_equal(fg_unix_connect(path, SOCK_STREAM), -ECONNREFUSED);
        check_talk(path, SOCK_STREAM);
}

/* Only a socket is anybody's leftover. */
static void never_deletes_a_file(void **state)
{
        char path[128], link[128];
        struct stat st;
        path_in(path, sizeof(path), folder, "precious");
        path_in(link, sizeof(link), folder, "link");
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(symlink(path, link), 0);
        assert_int_equal(fg_unix_listen(path, SOCK_STREAM, 8, 0666), -EEXIST);
        assert_int_equal(fg_unix_listen(link, SOCK_STREAM, 8, 0666), -EEXIST);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(fg_unix_listen(folder, SOCK_STREAM, 8, 0600), -EEXIST);
        /* Nor a link, wherever it leads. */
        path_in(path, sizeof(path), folder, "elsewhere.sock");
        int other = fg_unix_listen(path, SOCK_STREAM, 8, 0600);
        assert_true(other >= 0);
        assert_int_equal(unlink(link), 0);
        assert_int_equal(symlink(path, link), 0);
        assert_int_equal(fg_unix_listen(link, SOCK_STREAM, 8, 0666), -EEXIST);
        assert_int_equal(lstat(link, &st), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        close(other);
}

static void errors(void **state)
{
        char path[4096];
        static char lengthy[3 * PATH_MAX];
        path_in(path, sizeof(path), folder, "nobody.sock");
        assert_int_equal(fg_unix_connect(path, SOCK_STREAM), -ENOENT);
        path_in(path, sizeof(path), deep, "nobody.sock");
        assert_int_equal(fg_unix_connect(path, SOCK_STREAM), -ENOENT);
        /* Not below /nonexistent: that is the home of accounts that have none, and somebody may have made it. */
        path_in(path, sizeof(path), folder, "none/x.sock");
        assert_int_equal(fg_unix_listen(path, SOCK_STREAM, 8, 0600), -ENOENT);
        assert_int_equal(fg_unix_listen("/tmp/", SOCK_STREAM, 8, 0600), -EINVAL);
        assert_int_equal(fg_unix_listen("", SOCK_STREAM, 8, 0600), -EINVAL);
        memset(lengthy, 'x', sizeof(lengthy) - 1);
        assert_int_equal(fg_unix_connect(lengthy, SOCK_STREAM), -ENAMETOOLONG);
        assert_int_equal(fg_unix_listen(lengthy, SOCK_STREAM, 8, 0600), -ENAMETOOLONG);
        lengthy[0] = lengthy[2 * PATH_MAX] = '/';
        assert_int_equal(fg_unix_listen(lengthy, SOCK_STREAM, 8, 0600), -ENAMETOOLONG);
}

/* A listener of another type is no listener, and a file is none either. */
static void wrong_kind(void **state)
{
        char path[128];
        path_in(path, sizeof(path), folder, "kind.sock");
        int fd = fg_unix_listen(path, SOCK_SEQPACKET, 8, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fg_unix_connect(path, SOCK_STREAM), -EPROTOTYPE);
        close(fd);
        path_in(path, sizeof(path), folder, "kind.file");
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        assert_int_equal(fg_unix_connect(path, SOCK_STREAM), -ECONNREFUSED);
}

/* A listener that never accepts: connect() gives up instead of hanging for ever. */
static void full_backlog_is_bounded(void **state)
{
        char path[128];
        int fd[64], n = 0, r = 0;
        path_in(path, sizeof(path), folder, "full.sock");
        int listener = fg_unix_listen(path, SOCK_STREAM, 1, 0600);
        assert_true(listener >= 0);
        for (; n < 64; n++) {
                r = fg_unix_connect(path, SOCK_STREAM);
                if (r < 0)
                        break;
                fd[n] = r;
        }
        assert_int_equal(r, -ETIMEDOUT);
        assert_in_range(n, 1, 8);
        while (n > 0)
                close(fd[--n]);
        close(listener);
}

/* Nothing leaks a descriptor, whatever failed. */
static void no_descriptor_leaks(void **state)
{
        int before = dup(0);
        close(before);
        errors(state);
        all_lengths(state);
        int after = dup(0);
        close(after);
        assert_int_equal(before, after);
}

static int make_folders(void **state)
{
        unit_make_folder(folder);
        size_t len = (size_t)snprintf(deep, sizeof(deep), "%s", folder);
        while (len < 1500)
                len += (size_t)snprintf(deep + len, sizeof(deep) - len,
                                        "/a folder with a rather long name, one of many");
        return fg_mkdirs(deep, 0700, NULL);
}

static int remove_folder(void **state)
{
        unit_remove_folder(folder);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_lengths),          cmocka_unit_test(relative),
                cmocka_unit_test(exact_mode),           cmocka_unit_test(stale_socket),
                cmocka_unit_test(never_deletes_a_file), cmocka_unit_test(errors),
                cmocka_unit_test(wrong_kind),           cmocka_unit_test(full_backlog_is_bounded),
                cmocka_unit_test(no_descriptor_leaks),
        };
        return cmocka_run_group_tests(tests, make_folders, remove_folder);
}
