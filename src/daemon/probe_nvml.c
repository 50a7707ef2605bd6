/* SPDX-License-Identifier: Apache-2.0
 *
 * fastgpu-probe-nvml [--driver-path FOLDER] [--contexts 1] [--watch MS] [--sample MS]: prints the machine's NVIDIA GPUs as
 * fastgpu-probe-opencl prints OpenCL devices; with --watch (its processes) or --sample (its sensors) it goes on, a line per GPU and look,
 * until its parent is gone. A program of its own, because NVML
 * hangs, crashes and takes milliseconds a call. */
#include "daemon/probe_nvml.h"

#include "base/clock.h"
#include "daemon/text.h"
#include "fastgpu/page.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define GPUS_MAX FGD_NVML_GPUS
#define MIG_MAX  16u

static FILE *out;
static struct fgd_nvml nvml;

static void put_line(struct fgd_text *line)
{
        fprintf(out, "%s}\n", line->data);
        fgd_text_clear(line);
}

static void complain(const char *format, const char *what)
{
        struct fgd_text line = {0};
        char text[512];
        snprintf(text, sizeof text, format, what);
        fgd_text_add(&line, "{");
        fgd_text_field(&line, "problem", text);
        put_line(&line);
}

/* --- the devices --- */

static bool has_mig(nvmlDevice_t device, const char **ret_word)
{
        unsigned now = 0, pending = 0;
        bool known = nvml.nvmlDeviceGetMigMode && nvml.nvmlDeviceGetMigMode(device, &now, &pending) == NVML_SUCCESS;
        *ret_word = !known ? "unsupported" : now ? "enabled" : "disabled";
        return known && now;
}

static bool has_mps(void)
{
        const char *folder = getenv("CUDA_MPS_PIPE_DIRECTORY");
        char path[4096];
        snprintf(path, sizeof path, "%s/control", folder && *folder ? folder : "/tmp/nvidia-mps");
        return access(path, F_OK) == 0;
}

static void print_device(nvmlDevice_t device, const char *mig)
{
        struct fgd_text line = {0};
        char uuid[96] = "", key[FG_KEY_MAX], model[128] = "", driver[96] = "";
        const char *dash;
        nvmlMemory_t memory = {0};
        nvmlReturn_t r = nvml.nvmlDeviceGetUUID(device, uuid, sizeof uuid);
        if (r == NVML_SUCCESS)
                r = nvml.nvmlDeviceGetMemoryInfo(device, &memory);
        if (r != NVML_SUCCESS) {
                complain("an NVIDIA GPU is left out: NVML says \"%s\"", nvml.nvmlErrorString(r));
                return;
        }
        nvml.nvmlDeviceGetName(device, model, sizeof model);
        if (nvml.nvmlSystemGetDriverVersion)
                nvml.nvmlSystemGetDriverVersion(driver, sizeof driver);
        dash = strchr(uuid, '-');
        snprintf(key, sizeof key, "cuda/%s", uuid);
        fgd_text_add(&line, "{");
        fgd_text_field(&line, "key", key);
        fgd_text_field(&line, "uuid", dash ? dash + 1 : uuid);
        fgd_text_field(&line, "model", model);
        fgd_text_field(&line, "vendor", "NVIDIA Corporation");
        fgd_text_field(&line, "driver", driver);
        fgd_text_field(&line, "type", "gpu");
        fgd_text_field(&line, "mig", mig);
        fgd_text_bool(&line, "mps", has_mps());
        fgd_text_number(&line, "memory", memory.total);
        fgd_text_number(&line, "compute_units", fgd_nvml_multiprocessors(&nvml, device));
        put_line(&line);
}

/* What of it can be made into vGPUs: the GPU, or its MIG slices where it is cut into such. */
static unsigned list_parts(nvmlDevice_t gpu, nvmlDevice_t ret[MIG_MAX], const char **ret_mig)
{
        unsigned max = 0, n = 0;
        if (!has_mig(gpu, ret_mig)) {
                ret[0] = gpu;
                return 1;
        }
        if (!nvml.nvmlDeviceGetMaxMigDeviceCount || !nvml.nvmlDeviceGetMigDeviceHandleByIndex ||
            nvml.nvmlDeviceGetMaxMigDeviceCount(gpu, &max) != NVML_SUCCESS)
                return 0;
        for (unsigned i = 0; i < max && n < MIG_MAX; i++)
                n += nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, i, &ret[n]) == NVML_SUCCESS;
        *ret_mig = "slice";
        return n;
}

static unsigned list_gpus(nvmlDevice_t ret[GPUS_MAX])
{
        unsigned count = 0, n = 0;
        nvmlReturn_t r = nvml.nvmlDeviceGetCount_v2(&count);
        if (r != NVML_SUCCESS)
                complain("NVML does not count the GPUs: \"%s\"", nvml.nvmlErrorString(r));
        for (unsigned i = 0; r == NVML_SUCCESS && i < count && n < GPUS_MAX; i++) {
                nvmlReturn_t one = nvml.nvmlDeviceGetHandleByIndex_v2(i, &ret[n]);
                if (one == NVML_SUCCESS)
                        n++;
                else
                        complain("an NVIDIA GPU is left out: NVML says \"%s\"", nvml.nvmlErrorString(one));
        }
        return n;
}

/* After the devices: should CUDA hang, they are known all the same. */
static void print_context(nvmlDevice_t device)
{
        struct fgd_text line = {0};
        char uuid[96] = "";
        if (nvml.nvmlDeviceGetUUID(device, uuid, sizeof uuid) != NVML_SUCCESS)
                return;
        fgd_text_add(&line, "{");
        fgd_text_field(&line, "context", uuid);
        fgd_text_number(&line, "bytes", fgd_nvml_context_bytes(&nvml, device, uuid));
        put_line(&line);
}

static void print_contexts(const char *folder)
{
        nvmlDevice_t gpu[GPUS_MAX], part[MIG_MAX];
        const char *mig;
        fflush(out);
        if (!fgd_nvml_contexts_begin(folder))
                return;
        unsigned gpus = list_gpus(gpu);
        for (unsigned i = 0; i < gpus; i++) {
                unsigned parts = list_parts(gpu[i], part, &mig);
                for (unsigned j = 0; j < parts; j++)
                        print_context(part[j]);
        }
}

static void print_devices(void)
{
        nvmlDevice_t gpu[GPUS_MAX], part[MIG_MAX];
        unsigned gpus = list_gpus(gpu);
        for (unsigned i = 0; i < gpus; i++) {
                const char *mig;
                unsigned parts = list_parts(gpu[i], part, &mig);
                if (!parts)
                        complain("%s", "an NVIDIA GPU in MIG mode has no MIG device; make one with nvidia-smi mig -cgi … -C");
                for (unsigned j = 0; j < parts; j++)
                        print_device(part[j], mig);
        }
}

/* --- the watch --- */

static void print_processes(struct fgd_text *line, nvmlDevice_t device)
{
        static nvmlProcessInfo_t process[FGD_NVML_PROCESSES];
        int n = fgd_nvml_processes(&nvml, device, process);
        if (n < 0) {
                fgd_text_field(line, "error", nvml.nvmlErrorString((nvmlReturn_t)(-1 - n)));
                return;
        }
        fgd_text_name(line, "processes");
        fgd_text_add(line, "[");
        for (int i = 0; i < n; i++)
                if (process[i].usedGpuMemory <= INT64_MAX)
                        fgd_text_addf(line, "%s[%u, %llu]", i ? ", " : "", process[i].pid, process[i].usedGpuMemory);
                else
                        fgd_text_addf(line, "%s[%u, -1]", i ? ", " : "", process[i].pid);
        fgd_text_add(line, "]");
}

static void print_look(nvmlDevice_t device)
{
        struct fgd_text line = {0};
        char uuid[96] = "";
        nvmlMemory_t memory = {0};
        nvmlUtilization_t use = {0};
        nvmlReturn_t r;
        if (nvml.nvmlDeviceGetUUID(device, uuid, sizeof uuid) != NVML_SUCCESS)
                return; /* a lost GPU does not even know its name: its figures turn stale */
        fgd_text_add(&line, "{");
        fgd_text_field(&line, "watch", uuid);
        r = nvml.nvmlDeviceGetMemoryInfo(device, &memory);
        if (r == NVML_SUCCESS) {
                fgd_text_number(&line, "used", memory.used);
                print_processes(&line, device);
        } else {
                fgd_text_field(&line, "error", nvml.nvmlErrorString(r));
        }
        if (nvml.nvmlDeviceGetUtilizationRates && nvml.nvmlDeviceGetUtilizationRates(device, &use) == NVML_SUCCESS)
                fgd_text_number(&line, "utilization", use.gpu);
        put_line(&line);
}

static void print_sample(unsigned index, nvmlDevice_t device)
{
        struct fgd_text line = {0};
        if (fgd_nvml_sample(&nvml, index, device, &line))
                put_line(&line);
}

static void watch_one(unsigned index, nvmlDevice_t device)
{
        print_look(device);
}

/* Goes on with all that can be made into vGPUs. */
static int go_on(unsigned ms, bool samples)
{
        void (*look)(unsigned index, nvmlDevice_t device) = samples ? print_sample : watch_one;
        nvmlDevice_t gpu[GPUS_MAX], part[MIG_MAX];
        unsigned gpus = list_gpus(gpu);
        const char *mig;
        struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
        if (samples)
                fgd_nvml_events_begin(&nvml, gpu, gpus);
        for (;;) {
                fgd_nvml_events_take(&nvml);
                for (unsigned i = 0; i < gpus; i++) {
                        unsigned parts = list_parts(gpu[i], part, &mig);
                        for (unsigned j = 0; j < parts; j++)
                                look(i, part[j]);
                }
                if (fflush(out) != 0)
                        return EXIT_FAILURE; /* nobody listens any more */
                nanosleep(&pause, NULL);
        }
}

/* --- */

struct request {
        const char *folder;
        unsigned every; /* ms; 0: does not go on */
        bool samples;
        bool contexts;
};

static int take_arguments(int argc, char **argv, struct request *ret)
{
        *ret = (struct request){.folder = ""};
        for (int i = 1; i < argc; i += 2) {
                if (i + 1 < argc && strcmp(argv[i], "--driver-path") == 0)
                        ret->folder = argv[i + 1];
                else if (i + 1 < argc && (strcmp(argv[i], "--watch") == 0 || strcmp(argv[i], "--sample") == 0) && atoi(argv[i + 1]) > 0)
                        ret->every = (unsigned)atoi(argv[i + 1]), ret->samples = strcmp(argv[i], "--sample") == 0;
                else if (i + 1 < argc && strcmp(argv[i], "--contexts") == 0)
                        ret->contexts = true;
                else
                        return -EINVAL;
        }
        return 0;
}

/* Most machines have no such GPU: that is no problem to speak of, unless there are signs of one. */
static void complain_of_loading(int r, const char *folder, const char *why)
{
        if (r == -ENOENT && !*folder && access("/proc/driver/nvidia/version", F_OK) < 0)
                return;
        complain(r == -ENOENT ? "an NVIDIA driver is there but not its NVML: %s" : "NVML cannot be used: %s", why);
}

static bool is_simulated(void)
{
        const char *sim = getenv("FASTGPU_SIM");
        return sim && *sim;
}

/* NVML has no words for what is wrong with a spec; the simulator says it on standard error. */
static nvmlReturn_t start_nvml(char *ret_said, size_t size)
{
        int kept = -1, heard = is_simulated() ? memfd_create("said", MFD_CLOEXEC) : -1;
        if (heard >= 0)
                kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        if (kept >= 0)
                dup2(heard, STDERR_FILENO);
        nvmlReturn_t r = nvml.nvmlInit_v2();
        if (kept >= 0) {
                dup2(kept, STDERR_FILENO);
                ssize_t n = pread(heard, ret_said, size - 1, 0);
                ret_said[n > 0 ? n : 0] = 0;
                ret_said[strcspn(ret_said, "\n")] = 0;
                close(kept);
        }
        if (heard >= 0)
                close(heard);
        return r;
}

static void complain_of_starting(nvmlReturn_t r, const char *folder, const char *said)
{
        if (is_simulated())
                complain("no GPU is simulated (fastgpu-sim(7) has examples of specs): %s", *said ? said : nvml.nvmlErrorString(r));
        else if (r != NVML_ERROR_DRIVER_NOT_LOADED || *folder || access("/proc/driver/nvidia/version", F_OK) == 0)
                complain("NVML does not start: \"%s\"; try modprobe nvidia", nvml.nvmlErrorString(r));
        /* else: the library without the driver, as in many images: no GPU */
}

int main(int argc, char **argv)
{
        struct request request;
        char why[512] = "";
        int answer = dup(STDOUT_FILENO); /* drivers may write to standard output: they get standard error */
        out = answer < 0 ? NULL : fdopen(answer, "w");
        if (!out || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 || take_arguments(argc, argv, &request) < 0)
                return EXIT_FAILURE;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int r = fgd_nvml_load(&nvml, request.folder, why, sizeof why);
        nvmlReturn_t ready = r < 0 ? NVML_SUCCESS : start_nvml(why, sizeof why);
        if (r < 0)
                complain_of_loading(r, request.folder, why);
        else if (ready != NVML_SUCCESS)
                complain_of_starting(ready, request.folder, why);
        if (r == 0 && ready == NVML_SUCCESS) {
                if (request.every)
                        return go_on(request.every, request.samples);
                print_devices();
                if (request.contexts)
                        print_contexts(request.folder);
        }
        fprintf(out, "{\"end\": true}\n");
        fflush(out);
        _exit(ferror(out) ? EXIT_FAILURE : EXIT_SUCCESS);
}
