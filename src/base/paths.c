/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What must still fit behind a folder: "/run/attach/" and the longest file name in there. */
#define ROOM_BELOW 256

__attribute__((format(printf, 3, 4))) static int print_path(char ret[PATH_MAX], struct fg_error *err,
                                                            const char *format, ...)
{
        va_list args;
        va_start(args, format);
        int len = vsnprintf(ret, PATH_MAX, format, args);
        va_end(args);
        if (len < 0 || len >= PATH_MAX - ROOM_BELOW)
                return fg_error_set(err, -ENAMETOOLONG, "the path \"%.80s...\" is too long", ret);
        while (len > 1 && ret[len - 1] == '/')
                ret[--len] = '\0';
        return 0;
}

static const char *env_or_null(const char *name)
{
        const char *value = getenv(name);
        return value && *value ? value : NULL;
}

/* A relative path in an XDG variable is to be ignored (XDG base directory specification); in HOME it is as useless. */
static const char *absolute_or_null(const char *name)
{
        const char *value = env_or_null(name);
        return value && *value == '/' ? value : NULL;
}

static int find_private(struct fg_paths *p, const char *dir, struct fg_error *err)
{
        char cwd[PATH_MAX] = "";
        p->is_private = true;
        /* The daemon leaves the folder it was started in. */
        if (*dir != '/' && !getcwd(cwd, sizeof(cwd)))
                return fg_error_set(err, -errno, "FASTGPU_STATE_DIR \"%.80s\" is relative to a folder that is gone",
                                    dir);
        int r = print_path(p->state, err, *dir == '/' ? "%s%s" : "%s/%s", cwd, dir);
        if (r == 0)
                r = print_path(p->run, err, "%s/run", p->state);
        return r < 0 ? fg_error_wrap(err, r, "FASTGPU_STATE_DIR") : 0;
}

static int find_system(struct fg_paths *p, struct fg_error *err)
{
        int r = print_path(p->state, err, "/var/lib/fastgpu");
        return r < 0 ? r : print_path(p->run, err, FG_SYSTEM_RUN);
}

static int find_user(struct fg_paths *p, struct fg_error *err)
{
        const char *state = absolute_or_null("XDG_STATE_HOME"), *run = absolute_or_null("XDG_RUNTIME_DIR");
        const char *home = absolute_or_null("HOME");
        if (!state && !home)
                return fg_error_set(err, -ENOENT,
                                    "no folder to keep state in: set HOME, XDG_STATE_HOME or FASTGPU_STATE_DIR");
        int r = state ? print_path(p->state, err, "%s/fastgpu", state)
                      : print_path(p->state, err, "%s/.local/state/fastgpu", home);
        if (r < 0)
                return r;
        return run ? print_path(p->run, err, "%s/fastgpu", run) : print_path(p->run, err, "%s/run", p->state);
}

int fg_paths_find(struct fg_paths *ret, struct fg_error *err)
{
        struct fg_paths p = {0};
        const char *dir = env_or_null("FASTGPU_STATE_DIR");
        int r = dir ? find_private(&p, dir, err) : geteuid() == 0 ? find_system(&p, err) : find_user(&p, err);
        if (r == 0)
                *ret = p;
        return r;
}

/* Cuts `tail` ("/bin") off the end of path. */
static bool cut_tail(char *path, const char *tail)
{
        size_t len = strlen(path), tail_len = strlen(tail);
        if (len <= tail_len || strcmp(path + len - tail_len, tail) != 0)
                return false;
        path[len - tail_len] = '\0';
        return true;
}

static void cut_component(char *path)
{
        char *slash = strrchr(path, '/');
        if (slash)
                *slash = '\0';
}

int fg_paths_prefix(char *ret, size_t len, struct fg_error *err)
{
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        if (n < 0)
                return fg_error_set(err, -errno, "cannot read /proc/self/exe: %m");
        path[n] = '\0';
        /* Also drops the " (deleted)" of a program that was replaced while it ran: the tree is still where it was. */
        cut_component(path);
        /* …/bin/fastgpu, …/lib/fastgpu/fastgpu-probe-opencl or …/lib/x86_64-linux-gnu/fastgpu/… */
        bool below_lib = cut_tail(path, "/fastgpu");
        if (below_lib && !cut_tail(path, "/lib"))
                cut_component(path), cut_component(path);
        else if (!below_lib)
                cut_component(path);
        if (strlen(path) >= len)
                return fg_error_set(err, -ENAMETOOLONG, "the path \"%.80s...\" is too long", path);
        strcpy(ret, path);
        return 0;
}

/* Makes one folder. A umask must not decide who reaches the daemon. */
static int make_one(const char *path, unsigned mode, struct fg_error *err)
{
        struct stat st;
        if (mkdir(path, mode) == 0)
                return chmod(path, mode) == 0 ? 0 : fg_error_set(err, -errno, "cannot set the mode of %s: %m", path);
        int r = -errno;
        if (stat(path, &st) == 0)
                return S_ISDIR(st.st_mode) ? 0 : fg_error_set(err, -ENOTDIR, "%s is not a folder", path);
        return fg_error_set(err, r, "cannot create the folder %s: %m", path);
}

int fg_mkdirs(const char *path, unsigned mode, struct fg_error *err)
{
        char part[PATH_MAX];
        if (!*path || strlen(path) >= sizeof(part))
                return fg_error_set(err, *path ? -ENAMETOOLONG : -ENOENT, "cannot create the folder \"%.80s\": %m",
                                    path);
        strcpy(part, path);
        for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                int r = make_one(part, mode, err);
                if (r < 0)
                        return r;
                *slash = '/';
        }
        return make_one(part, mode, err);
}
