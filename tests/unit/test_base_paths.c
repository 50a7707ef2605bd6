/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/paths.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static int clear_environment(void **state)
{
        unsetenv("FASTGPU_STATE_DIR");
        unsetenv("XDG_STATE_HOME");
        unsetenv("XDG_RUNTIME_DIR");
        setenv("HOME", "/home/somebody", 1);
        return 0;
}

static void private_folder(void **state)
{
        struct fg_paths p;
        setenv("FASTGPU_STATE_DIR", "/tmp/x//", 1);
        setenv("XDG_STATE_HOME", "/ignored", 1);
        assert_int_equal(fg_paths_find(&p, NULL), 0);
        assert_string_equal(p.state, "/tmp/x");
        assert_string_equal(p.run, "/tmp/x/run");
        assert_true(p.is_private);
        assert_int_equal(chdir("/usr"), 0);
        setenv("FASTGPU_STATE_DIR", "here", 1);
        assert_int_equal(fg_paths_find(&p, NULL), 0);
        assert_string_equal(p.state, "/usr/here");
        setenv("FASTGPU_STATE_DIR", "/", 1);
        assert_int_equal(fg_paths_find(&p, NULL), 0);
        assert_string_equal(p.state, "/");
        assert_int_equal(chdir("/"), 0);
}

static void too_long(void **state)
{
        static char dir[3 * PATH_MAX];
        static const size_t length[] = {PATH_MAX - 10, PATH_MAX, 3 * PATH_MAX - 1};
        for (size_t i = 0; i < COUNT_OF(length); i++) {
                struct fg_paths p = {.state = "untouched"};
                struct fg_error err = {0};
                memset(dir, 'x', length[i]);
                dir[0] = '/';
                dir[length[i]] = '\0';
                setenv("FASTGPU_STATE_DIR", dir, 1);
                assert_int_equal(fg_paths_find(&p, &err), -ENAMETOOLONG);
                assert_non_null(strstr(err.text, "FASTGPU_STATE_DIR"));
                assert_string_equal(p.state, "untouched");
        }
}

/* Runs in a child, as somebody who is not root. */
static void check_user(void)
{
        struct fg_paths p;
        struct fg_error err = {0};
        assert_int_equal(fg_paths_find(&p, NULL), 0);
        assert_string_equal(p.state, "/home/somebody/.local/state/fastgpu");
        assert_string_equal(p.run, "/home/somebody/.local/state/fastgpu/run");
        assert_false(p.is_private);
        setenv("FASTGPU_STATE_DIR", "", 1); /* empty is as good as unset */
        setenv("XDG_STATE_HOME", "/xdg/state", 1);
        setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
        assert_int_equal(fg_paths_find(&p, NULL), 0);
        assert_string_equal(p.state, "/xdg/state/fastgpu");
        assert_string_equal(p.run, "/run/user/7/fastgpu");
        setenv("XDG_STATE_HOME", "relative", 1);
        setenv("XDG_RUNTIME_DIR", "relative", 1);
        assert_int_equal(fg_paths_find(&p, NULL), 0);
        assert_string_equal(p.state, "/home/somebody/.local/state/fastgpu");
        assert_string_equal(p.run, "/home/somebody/.local/state/fastgpu/run");
        unsetenv("HOME");
        assert_int_equal(fg_paths_find(&p, &err), -ENOENT);
        assert_non_null(strstr(err.text, "FASTGPU_STATE_DIR"));
        setenv("HOME", "relative", 1);
        assert_int_equal(fg_paths_find(&p, &err), -ENOENT);
        setenv("XDG_STATE_HOME", "/xdg/state", 1);
        assert_int_equal(fg_paths_find(&p, NULL), 0);
}

static void user_folders(void **state)
{
        int status;
        pid_t child = fork();
        if (child == 0) {
                if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
                        _exit(1);
                check_user(); /* a failed assertion exits with another status */
                _exit(42);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 42);
}

static void system_folders(void **state)
{
        struct fg_paths p;
        if (geteuid() != 0)
                skip();
        setenv("XDG_STATE_HOME", "/ignored", 1);
        assert_int_equal(fg_paths_find(&p, NULL), 0);
        assert_string_equal(p.state, "/var/lib/fastgpu");
        assert_string_equal(p.run, FG_SYSTEM_RUN);
        assert_false(p.is_private);
}

/* Copies this program to folder/`where` and lets the copy say its prefix. */
static void check_prefix(const char *where, const char *expected_tail, bool deleted)
{
        char path[256], self[PATH_MAX], command[3 * PATH_MAX], said[PATH_MAX] = "", expected[256];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        assert_true(n > 0);
        self[n] = '\0';
        snprintf(path, sizeof(path), "%s/%s", folder, where);
        snprintf(command, sizeof(command), "mkdir -p \"$(dirname '%s')\" && cp '%s' '%s' && '%s' --say-prefix%s", path,
                 self, path, path, deleted ? "-deleted" : "");
        FILE *pipe = popen(command, "re");
        assert_non_null(pipe);
        char *line = fgets(said, sizeof(said), pipe);
        assert_int_equal(pclose(pipe), 0);
        assert_non_null(line);
        snprintf(expected, sizeof(expected), "%s%s\n", folder, expected_tail);
        assert_string_equal(said, expected);
}

static void prefixes(void **state)
{
        check_prefix("out/bin/fastgpu", "/out", false);
        check_prefix("out/sbin/fastgpud", "/out", false);
        check_prefix("out/lib/fastgpu/fastgpu-probe-opencl", "/out", false);
        check_prefix("out/lib/x86_64-linux-gnu/fastgpu/fastgpu-probe-opencl", "/out", false);
        check_prefix("fastgpu/bin/fastgpu", "/fastgpu", false);
        check_prefix("out/bin/replaced", "/out", true);
        char untouched[2] = "x";
        struct fg_error err = {0};
        assert_int_equal(fg_paths_prefix(untouched, 0, &err), -ENAMETOOLONG);
        assert_string_equal(untouched, "x");
}

static unsigned mode_of(const char *path)
{
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        return st.st_mode & 07777;
}

static void makes_folders(void **state)
{
        char path[160];
        mode_t mask = umask(077);
        snprintf(path, sizeof(path), "%s/a/b//c/", folder);
        assert_int_equal(fg_mkdirs(path, 0751, NULL), 0);
        assert_int_equal(mode_of(path), 0751);
        snprintf(path, sizeof(path), "%s/a", folder);
        assert_int_equal(mode_of(path), 0751);
        assert_int_equal(mode_of(folder), 0700); /* was there: left alone */
        snprintf(path, sizeof(path), "%s/a/b/c", folder);
        assert_int_equal(fg_mkdirs(path, 0700, NULL), 0);
        assert_int_equal(mode_of(path), 0751);
        umask(mask);
}

static void refuses_folders(void **state)
{
        char path[160];
        struct fg_error err = {0};
        snprintf(path, sizeof(path), "%s/file", folder);
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        fclose(f);
        assert_int_equal(fg_mkdirs(path, 0755, &err), -ENOTDIR);
        strcat(path, "/below");
        assert_int_equal(fg_mkdirs(path, 0755, &err), -ENOTDIR);
        assert_non_null(strstr(err.text, "/file"));
        assert_int_equal(fg_mkdirs("", 0755, &err), -ENOENT);
        assert_int_equal(fg_mkdirs("/proc/nowhere/x", 0755, &err), -ENOENT);
        assert_non_null(strstr(err.text, "/proc/nowhere"));
        static char lengthy[2 * PATH_MAX];
        memset(lengthy, '/', sizeof(lengthy) - 1);
        assert_int_equal(fg_mkdirs(lengthy, 0755, &err), -ENAMETOOLONG);
}

static int make_folder(void **state)
{
        unit_make_folder(folder);
        return 0;
}

static int remove_folder(void **state)
{
        unit_remove_folder(folder);
        return 0;
}

static int say_prefix(const char *self, bool delete_first)
{
        char prefix[PATH_MAX];
        if (delete_first && unlink(self) != 0)
                return 1;
        if (fg_paths_prefix(prefix, sizeof(prefix), NULL) != 0)
                return 1;
        puts(prefix);
        return 0;
}

#define TEST(f) cmocka_unit_test_setup(f, clear_environment)

int main(int argc, char **argv)
{
        if (argc == 2 && strncmp(argv[1], "--say-prefix", 12) == 0)
                return say_prefix(argv[0], argv[1][12] != '\0');
        const struct CMUnitTest tests[] = {
                TEST(private_folder), TEST(too_long),      TEST(user_folders),    TEST(system_folders),
                TEST(prefixes),       TEST(makes_folders), TEST(refuses_folders),
        };
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
