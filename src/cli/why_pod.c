/* SPDX-License-Identifier: Apache-2.0
 * Why a pod is pending, where this node does not know it: fastgpu-scheduler asks the cluster, through kubectl with the caller's rights. */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Beside this program, as it is installed. */
static int find_scheduler(char ret[PATH_MAX])
{
        ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
        if (n <= 0)
                return -errno;
        ret[n] = 0;
        char *slash = strrchr(ret, '/');
        size_t folder = slash ? (size_t)(slash + 1 - ret) : 0;
        if (snprintf(ret + folder, PATH_MAX - folder, "fastgpu-scheduler") >= (int)(PATH_MAX - folder))
                return -ENAMETOOLONG;
        return access(ret, X_OK) < 0 ? -errno : 0;
}

int cli_why_pod(const char *pod, bool as_json)
{
        char path[PATH_MAX];
        const char *const argv[] = {"fastgpu-scheduler", "--why", pod, as_json ? "--json" : NULL, NULL};
        int status;
        pid_t child;
        if (find_scheduler(path) < 0 || posix_spawn(&child, path, NULL, NULL, (char *const *)argv, environ) != 0)
                return -1;
        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return -1;
        /* Otherwise it could not ask, and has said why. */
        bool answered = WIFEXITED(status) && (WEXITSTATUS(status) == CLI_OK || WEXITSTATUS(status) == CLI_NOT_FOUND);
        return answered ? WEXITSTATUS(status) : -1;
}
