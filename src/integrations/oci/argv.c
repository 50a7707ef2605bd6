/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/oci/oci.h"

#include <string.h>

/* Options in front of the command that take a word of their own, of runc, crun and youki. */
static const char *const global_with_value[] = {"--log", "--log-format", "--log-level", "--root", "-r", "-l", "--criu", "--rootless", "--cgroup-manager"};
/* The same behind "create" and "run". */
static const char *const own_with_value[] = {"--bundle", "-b", "--console-socket", "--pid-file", "--preserve-fds", "--config", "-f"};

static bool is_in(const char *word, const char *const *list, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(word, list[i]) == 0)
                        return true;
        return false;
}
#define IS_IN(word, list) is_in(word, list, sizeof(list) / sizeof *(list))

/* The value of `name` at *at, whether it is given as "--name value" or "--name=value"; NULL: it is something else. */
static const char *value_of(int argc, char *const *argv, int at, const char *name)
{
        size_t len = strlen(name);
        if (strncmp(argv[at], name, len) != 0)
                return NULL;
        if (argv[at][len] == '=')
                return argv[at] + len + 1;
        return !argv[at][len] && at + 1 < argc ? argv[at + 1] : NULL;
}

static int take_global(int argc, char *const *argv, struct fgi_oci_call *ret)
{
        int at = 1;
        for (; at < argc && argv[at][0] == '-'; at++) {
                const char *log = value_of(argc, argv, at, "--log"), *format = value_of(argc, argv, at, "--log-format");
                const char *manager = value_of(argc, argv, at, "--cgroup-manager");
                if (log)
                        ret->log = log;
                if (manager)
                        ret->without_cgroups = strcmp(manager, "disabled") == 0;
                if (format)
                        ret->log_json = strcmp(format, "json") == 0;
                at += IS_IN(argv[at], global_with_value);
        }
        return at;
}

void fgi_oci_argv(int argc, char *const *argv, struct fgi_oci_call *ret)
{
        *ret = (struct fgi_oci_call){0};
        int at = take_global(argc, argv, ret);
        if (at >= argc)
                return;
        ret->makes = strcmp(argv[at], "create") == 0 || strcmp(argv[at], "run") == 0;
        for (at++; ret->makes && at < argc && argv[at][0] == '-'; at++) {
                const char *bundle = value_of(argc, argv, at, "--bundle");
                if (!bundle)
                        bundle = value_of(argc, argv, at, "-b");
                if (bundle)
                        ret->bundle = bundle;
                at += IS_IN(argv[at], own_with_value);
        }
}
