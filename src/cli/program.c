/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/program.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEFAULT_PATH "/bin:/usr/bin" /* as execvp() has it */

/* Set-user-id, set-group-id and file capabilities turn on "secure execution", in which libraries ignore OPENCL_LAYERS.
 */
static int check_rights(const char *name, const char *path, const struct stat *st, struct fg_error *err)
{
        bool raised = ((st->st_mode & S_ISUID) && st->st_uid != getuid()) ||
                      ((st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP) && st->st_gid != getgid()) ||
                      (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0);
        if (raised)
                return fg_error_set(err, -EPERM,
                                    "%s runs with more rights than yours (set-user-id, set-group-id or "
                                    "capabilities), so the OpenCL loader would ignore the layer that keeps the limits",
                                    name);
        return 0;
}

static int check_file(const char *name, const char *path, struct fg_error *err)
{
        struct stat st;
        if (stat(path, &st) < 0)
                return errno == EACCES ? fg_error_set(err, -EACCES, "%s: %s", name, strerror(errno)) : -ENOENT;
        if (S_ISDIR(st.st_mode))
                return fg_error_set(err, -EACCES, "%s is a folder, not a program", path);
        if (access(path, X_OK) < 0)
                return fg_error_set(err, -EACCES, "%s cannot be executed: %s", path, strerror(errno));
        return check_rights(name, path, &st, err);
}

int cli_program_check(const char *name, struct fg_error *err)
{
        char path[PATH_MAX];
        int worst = -ENOENT;
        if (strchr(name, '/')) {
                int r = check_file(name, name, err);
                return r == -ENOENT ? fg_error_set(err, r, "there is no program %s", name) : r;
        }
        const char *at = getenv("PATH") ? getenv("PATH") : DEFAULT_PATH;
        while (*name && at) {
                size_t len = strcspn(at, ":");
                int n = snprintf(path, sizeof path, "%.*s%s%s", (int)len, at, len ? "/" : "", name);
                int r = n < (int)sizeof path ? check_file(name, path, err) : -ENOENT;
                if (r == 0 || r == -EPERM)
                        return r;
                if (r == -EACCES)
                        worst = r;
                at = at[len] ? at + len + 1 : NULL;
        }
        return worst == -EACCES ? worst : fg_error_set(err, -ENOENT, "there is no program \"%s\" in PATH", name);
}
