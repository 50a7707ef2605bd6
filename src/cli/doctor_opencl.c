/* SPDX-License-Identifier: Apache-2.0
 * OpenCL as a program would find it. Drivers are loaded in a child: a broken one must not take the doctor with it. */
#include "cli/doctor.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/proof.h"

#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ICD_FOLDER "/etc/OpenCL/vendors"
#define PLATFORMS  16u
#define DEVICES    64u
#define PATIENCE   (20 * FG_NSEC_PER_SEC)

struct api {
        __typeof__(&clGetPlatformIDs) platforms;
        __typeof__(&clGetPlatformInfo) platform_info;
        __typeof__(&clGetDeviceIDs) devices;
        __typeof__(&clGetDeviceInfo) device_info;
};

/* --- in the child: one line of "platform, version: device" for each device --- */

static void list_devices(const struct api *api, cl_platform_id platform, int fd)
{
        char name[128] = "?", version[128] = "?", model[128];
        cl_device_id device[DEVICES];
        cl_uint count = 0;
        api->platform_info(platform, CL_PLATFORM_NAME, sizeof name, name, NULL);
        api->platform_info(platform, CL_PLATFORM_VERSION, sizeof version, version, NULL);
        if (api->devices(platform, CL_DEVICE_TYPE_ALL, DEVICES, device, &count) != CL_SUCCESS)
                count = 0;
        for (cl_uint i = 0; i < count && i < DEVICES; i++) {
                snprintf(model, sizeof model, "?");
                api->device_info(device[i], CL_DEVICE_NAME, sizeof model, model, NULL);
                dprintf(fd, "%s (%s): %s\n", name, version, model);
        }
}

__attribute__((noreturn)) static void run_child(int fd)
{
        cl_platform_id platform[PLATFORMS];
        cl_uint count = 0;
        int null = open("/dev/null", O_RDWR);
        for (int i = 0; i < 3 && null >= 0; i++)
                dup2(null, i);
        unsetenv(CLI_LAYER_ENV);
        void *loader = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
        if (!loader)
                _exit(0);
        struct api api = {dlsym(loader, "clGetPlatformIDs"), dlsym(loader, "clGetPlatformInfo"),
                          dlsym(loader, "clGetDeviceIDs"), dlsym(loader, "clGetDeviceInfo")};
        if (api.platforms && api.platform_info && api.devices && api.device_info &&
            api.platforms(PLATFORMS, platform, &count) == CL_SUCCESS)
                for (cl_uint i = 0; i < count && i < PLATFORMS; i++)
                        list_devices(&api, platform[i], fd);
        _exit(0);
}

/* What the child wrote. */
static void read_all(int fd, char *ret, size_t len)
{
        uint64_t deadline = fg_now() + PATIENCE;
        size_t at = 0;
        while (at < len - 1 && fg_now() < deadline) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                if (poll(&p, 1, 100) <= 0)
                        continue;
                ssize_t n = read(fd, ret + at, len - 1 - at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                at += (size_t)n;
        }
        ret[at] = '\0';
}

/* false: the child died or hung. */
static bool ask_child(char *ret, size_t len)
{
        int pipes[2], status = 0;
        *ret = '\0';
        if (pipe2(pipes, O_CLOEXEC) < 0)
                return false;
        pid_t pid = fork();
        if (pid == 0)
                run_child(pipes[1]);
        close(pipes[1]);
        if (pid > 0) {
                read_all(pipes[0], ret, len);
                /* Some drivers keep threads that hold on to the process. */
                for (int i = 0; i < 20 && waitpid(pid, &status, WNOHANG) == 0; i++)
                        poll(NULL, 0, 50);
                if (kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid)
                        status = 0;
        }
        close(pipes[0]);
        return pid > 0 && !WIFSIGNALED(status);
}

static void check_devices(struct cli_report *report)
{
        char text[16384];
        bool alive = ask_child(text, sizeof text), pocl = false;
        unsigned count = 0;
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), count++) {
                cli_report_add(report, "opencl", CLI_FINDING_OK, "", "%s", line);
                pocl |= strstr(line, "Portable Computing Language") != NULL;
        }
        if (!alive)
                cli_report_add(report, "opencl", CLI_FINDING_FAIL,
                               "remove the driver that fails from " ICD_FOLDER " (`clinfo` shows which)",
                               "asking the OpenCL drivers for their devices crashed or hung");
        else if (count == 0)
                cli_report_add(report, "opencl", CLI_FINDING_FAIL,
                               "install pocl-opencl-icd, or your GPU's OpenCL driver", "no OpenCL device");
        if (pocl)
                cli_report_add(report, "pocl", CLI_FINDING_OK, "", "the processor can stand in for a GPU");
        else
                cli_report_add(report, "pocl", CLI_FINDING_WARN, "install pocl-opencl-icd, if you want that",
                               "not there: without a GPU there is no device, and FastGPU's own tests need it");
}

static void check_loader(struct cli_report *report)
{
        struct cli_proof proof;
        struct fg_error err = {0};
        enum cli_verdict verdict = CLI_PROOF_CRASHED;
        if (cli_proof_start(&proof, &err) == 0)
                verdict = cli_proof_finish(&proof, &err);
        if (verdict == CLI_PROOF_NO_LOADER)
                cli_report_add(report, "loader", CLI_FINDING_FAIL, "install ocl-icd-libopencl1", "%s", err.text);
        else if (verdict == CLI_PROOF_OLD_LOADER)
                cli_report_add(report, "loader", CLI_FINDING_FAIL, "install ocl-icd-libopencl1 2.3 or newer", "%s",
                               err.text);
        else if (verdict == CLI_PROOF_LOADED)
                cli_report_add(report, "loader", CLI_FINDING_OK, "", "libOpenCL.so.1 is there and knows layers");
        if (verdict == CLI_PROOF_LOADED)
                cli_report_add(report, "layer", CLI_FINDING_OK, "", "%s loads", proof.layer);
        else if (verdict == CLI_PROOF_NO_LAYER || verdict == CLI_PROOF_BAD_LAYER)
                cli_report_add(report, "layer", CLI_FINDING_FAIL, "install FastGPU again", "%s", err.text);
        else
                cli_report_add(report, "layer", CLI_FINDING_FAIL, "mend the loader first", "%s",
                               verdict == CLI_PROOF_CRASHED ? err.text : "it could not be tried");
}

/* The first line of an ICD file: the driver it names. */
static void add_icd(const char *folder, const char *name, char *list, size_t len)
{
        char path[4096], driver[256] = "";
        size_t at = strlen(list);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        FILE *file = fopen(path, "re");
        if (file && !fgets(driver, sizeof driver, file))
                driver[0] = '\0';
        if (file)
                fclose(file);
        driver[strcspn(driver, "\r\n")] = '\0';
        snprintf(list + at, len - at, "%s%s (%s)", at ? ", " : "", name, *driver ? driver : "unreadable");
}

static void check_icds(struct cli_report *report)
{
        char list[2048] = "";
        const char *set = getenv("OCL_ICD_VENDORS"), *folder = set && *set ? set : ICD_FOLDER;
        DIR *dir = opendir(folder);
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                const char *dot = strrchr(entry->d_name, '.');
                if (dot && strcmp(dot, ".icd") == 0)
                        add_icd(folder, entry->d_name, list, sizeof list);
        }
        if (dir)
                closedir(dir);
        if (*list)
                cli_report_add(report, "drivers", CLI_FINDING_OK, "", "%s lists %s", folder, list);
        else if (set && *set)
                cli_report_add(report, "drivers", CLI_FINDING_WARN, "unset it, unless it is meant",
                               "OCL_ICD_VENDORS is set to %s, which lists no drivers", set);
        else
                cli_report_add(report, "drivers", CLI_FINDING_FAIL,
                               "install pocl-opencl-icd, or your GPU's OpenCL driver", "%s lists no OpenCL driver",
                               folder);
}

void cli_doctor_opencl(struct cli_report *report)
{
        check_loader(report);
        check_icds(report);
        check_devices(report);
}
