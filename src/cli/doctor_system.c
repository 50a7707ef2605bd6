/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "base/futex.h"
#include "base/paths.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

static void check_kernel(struct cli_report *report)
{
        struct utsname name = {0};
        uint32_t word = 0;
        uname(&name);
        int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        if (fd >= 0)
                close(fd);
        if (fd < 0)
                cli_report_add(report, "kernel", CLI_FINDING_FAIL,
                               "use Linux 5.3 or newer, and a container that does not forbid pidfd_open",
                               "%s %s: no pidfd_open (%s), so the death of a program would not be noticed",
                               name.sysname, name.release, strerror(errno));
        else if (syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
                cli_report_add(report, "kernel", CLI_FINDING_FAIL, "use a kernel and a container that allow futex",
                               "%s %s: no futex (%s), so programs could not wait for their turn", name.sysname,
                               name.release, strerror(errno));
        else
                cli_report_add(report, "kernel", CLI_FINDING_OK, "", "%s %s: pidfd_open and futex are there",
                               name.sysname, name.release);
}

static void check_cgroup(struct cli_report *report)
{
        struct statfs fs;
        if (statfs("/sys/fs/cgroup", &fs) < 0)
                cli_report_add(report, "cgroup", CLI_FINDING_WARN, "mount cgroup2 on /sys/fs/cgroup",
                               "no control groups (%s): programs are ended one by one, not as a group",
                               strerror(errno));
        else if (fs.f_type != CGROUP2_SUPER_MAGIC)
                cli_report_add(report, "cgroup", CLI_FINDING_WARN, "boot with systemd.unified_cgroup_hierarchy=1",
                               "version 1: the driver's own memory limits need version 2");
        else
                cli_report_add(report, "cgroup", CLI_FINDING_OK, "", "version 2");
}

/* The folder, or the nearest one above it in which it could be made. */
static int writable(const char *folder, char ret_found[PATH_MAX])
{
        snprintf(ret_found, PATH_MAX, "%s", folder);
        for (;;) {
                if (access(ret_found, W_OK | X_OK) == 0)
                        return 0;
                char *slash = strrchr(ret_found, '/');
                if (errno != ENOENT || !slash || slash == ret_found)
                        return -errno;
                *slash = '\0';
        }
}

static void check_folder(struct cli_report *report, const char *what, const char *folder)
{
        char found[PATH_MAX];
        int r = writable(folder, found);
        if (r < 0)
                cli_report_add(report, what, CLI_FINDING_FAIL,
                               "make the folder yours, or set FASTGPU_STATE_DIR to one that is",
                               "%s cannot be written: %s: %s", folder, found, strerror(-r));
        else if (strcmp(found, folder) != 0)
                cli_report_add(report, what, CLI_FINDING_OK, "", "%s does not exist yet and can be made", folder);
        else
                cli_report_add(report, what, CLI_FINDING_OK, "", "%s can be written", folder);
}

void cli_doctor_system(struct cli_report *report)
{
        struct fg_paths paths;
        struct fg_error err = {0};
        check_kernel(report);
        check_cgroup(report);
        if (fg_paths_find(&paths, &err) < 0) {
                cli_report_add(report, "state", CLI_FINDING_FAIL, "set HOME or FASTGPU_STATE_DIR", "%s", err.text);
                return;
        }
        check_folder(report, "state", paths.state);
        check_folder(report, "run", paths.run);
}
