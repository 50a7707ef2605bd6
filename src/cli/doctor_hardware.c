/* SPDX-License-Identifier: Apache-2.0
 * The machine below: kernel modules, device nodes and the links to them, IOMMU. */
#include "cli/doctor.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char *next_name(DIR *folder)
{
        struct dirent *entry;
        while (folder && (entry = readdir(folder)))
                if (entry->d_name[0] != '.')
                        return entry->d_name;
        return NULL;
}

static bool starts_with(const char *path, const char *text)
{
        char line[64] = "";
        FILE *file = fopen(path, "re");
        if (file && !fgets(line, sizeof line, file))
                line[0] = 0;
        if (file)
                fclose(file);
        return strncmp(line, text, strlen(text)) == 0;
}

/* Of NVIDIA's, with a class of displays or accelerators. */
static unsigned count_gpus(void)
{
        DIR *folder = opendir("/sys/bus/pci/devices");
        char vendor[PATH_MAX], class[PATH_MAX];
        unsigned count = 0;
        for (const char *name; (name = next_name(folder));) {
                snprintf(vendor, sizeof vendor, "/sys/bus/pci/devices/%s/vendor", name);
                snprintf(class, sizeof class, "/sys/bus/pci/devices/%s/class", name);
                count += starts_with(vendor, "0x10de") && (starts_with(class, "0x03") || starts_with(class, "0x12"));
        }
        if (folder)
                closedir(folder);
        return count;
}

static void check_modules(struct cli_report *report)
{
        unsigned gpus = count_gpus();
        if (gpus && access("/sys/module/nvidia", F_OK) < 0)
                cli_report_add(report, "module", CLI_FINDING_FAIL, "modprobe nvidia; if there is no such module, install NVIDIA's driver",
                               "%u NVIDIA GPU%s on the bus, and the kernel module nvidia is not loaded", gpus, gpus == 1 ? "" : "s");
        else if (gpus && access("/sys/module/nvidia_uvm", F_OK) < 0)
                cli_report_add(report, "module", CLI_FINDING_FAIL, "modprobe nvidia_uvm (and nvidia-modprobe -u for its node)",
                               "the kernel module nvidia_uvm is not loaded: CUDA cannot start");
        else if (gpus)
                cli_report_add(report, "module", CLI_FINDING_OK, "", "nvidia and nvidia_uvm are loaded");
}

/* NVIDIA's driver makes this node only once its module is loaded; CUDA in a container cannot load it. */
static void check_uvm(struct cli_report *report)
{
        if (access("/dev/nvidiactl", F_OK) < 0)
                return;
        if (access("/dev/nvidia-uvm", F_OK) < 0)
                cli_report_add(report, "uvm", CLI_FINDING_FAIL, "modprobe nvidia_uvm (and nvidia-modprobe -u for its node)",
                               "there are NVIDIA GPUs and no /dev/nvidia-uvm: CUDA cannot start");
        else
                cli_report_add(report, "uvm", CLI_FINDING_OK, "", "/dev/nvidiactl and /dev/nvidia-uvm are there");
}

/* systemd finds a device of a container by this link alone when it writes the container's rules anew. */
static void check_links(struct cli_report *report)
{
        DIR *folder = opendir("/dev");
        char path[PATH_MAX], missing[64] = "";
        struct stat st;
        unsigned nodes = 0;
        for (const char *name; (name = next_name(folder));) {
                snprintf(path, sizeof path, "/dev/%s", name);
                if (strncmp(name, "nvidia", 6) != 0 || stat(path, &st) < 0 || !S_ISCHR(st.st_mode))
                        continue;
                nodes++;
                snprintf(path, sizeof path, "/dev/char/%u:%u", major(st.st_rdev), minor(st.st_rdev));
                if (access(path, F_OK) < 0 && !missing[0])
                        snprintf(missing, sizeof missing, "%.20s (%.40s)", path, name);
        }
        if (folder)
                closedir(folder);
        if (missing[0])
                cli_report_add(report, "links", CLI_FINDING_WARN, "start fastgpud as the system's daemon, which makes them for the GPUs of its vGPUs",
                               "no %s: systemctl daemon-reload takes the GPU from containers that run", missing);
        else if (nodes)
                cli_report_add(report, "links", CLI_FINDING_OK, "", "/dev/char has each of %u nodes of NVIDIA's", nodes);
}

static void check_iommu(struct cli_report *report)
{
        DIR *folder = opendir("/sys/class/iommu");
        const char *name = next_name(folder);
        if (name)
                cli_report_add(report, "iommu", CLI_FINDING_OK, "", "on (%s%s)", name, strncmp(name, "dmar", 4) == 0 ? ", VT-d" : strncmp(name, "ivhd", 4) == 0 ? ", AMD-Vi" : "");
        else
                cli_report_add(report, "iommu", CLI_FINDING_OK, "", "off: only virtual machines with a GPU of their own need VT-d or AMD-Vi");
        if (folder)
                closedir(folder);
}

void cli_doctor_hardware(struct cli_report *report)
{
        check_modules(report);
        check_uvm(report);
        check_links(report);
        check_iommu(report);
}
