/* SPDX-License-Identifier: Apache-2.0 */
#include "nvml_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct fg_limits_page *limits[VGPUS];
struct fg_usage_page *usage[VGPUS];
static char folder[64];

static void *map(const char *name, unsigned index, size_t size)
{
        char path[256];
        snprintf(path, sizeof path, "%s/%s%u", getenv("FAKE_PAGES") ? getenv("FAKE_PAGES") : "", name, index);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        CHECK(fd >= 0);
        void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(page != MAP_FAILED);
        close(fd);
        return page;
}

void bench_open(const char *faults)
{
        char path[128];
        alarm(120);
        for (unsigned i = 0; i < VGPUS; i++) {
                limits[i] = map("limits", i, sizeof *limits[i]);
                usage[i] = map("usage", i, sizeof *usage[i]);
        }
        strcpy(folder, "/tmp/fastgpu-nvml-XXXXXX");
        CHECK(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/spec", folder);
        FILE *file = fopen(path, "we");
        CHECK(file);
        fprintf(file, "[gpu]\ncount = 2\nmodel = H100\n%s", faults);
        fclose(file);
        setenv("FASTGPU_SIM", path, 1);
        setenv("FASTGPU_SIM_STATE", folder, 1);
}

void bench_close(void)
{
        char command[128];
        snprintf(command, sizeof command, "rm -rf '%s'", folder);
        CHECK_EQ(system(command), 0);
}

nvmlDevice_t device(unsigned index)
{
        nvmlDevice_t ret = NULL;
        CHECK_OK(nvmlDeviceGetHandleByIndex_v2(index, &ret));
        CHECK(ret);
        return ret;
}

void own_slot(unsigned vgpu, unsigned slot, pid_t pid, uint64_t start_time)
{
        limits[vgpu]->owner[slot].start_time = start_time;
        limits[vgpu]->owner[slot].generation++;
        __atomic_store_n(&limits[vgpu]->owner[slot].pid, (uint32_t)pid, __ATOMIC_RELEASE);
}

uint64_t start_of(pid_t pid)
{
        char path[64], line[1024];
        unsigned long long start = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        FILE *file = fopen(path, "re");
        CHECK(file && fgets(line, sizeof line, file));
        fclose(file);
        CHECK_EQ(sscanf(strrchr(line, ')') + 1,
                        " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &start),
                 1);
        return start;
}

void hold(unsigned vgpu, unsigned slot, uint64_t bytes)
{
        struct fg_ledger ledger = {0};
        fg_ledger_open(&ledger, limits[vgpu], usage[vgpu], slot);
        CHECK_EQ(fg_ledger_reserve(&ledger, bytes), 0);
}

void let_go(unsigned vgpu, unsigned slot, uint64_t bytes)
{
        struct fg_ledger ledger = {0};
        fg_ledger_open(&ledger, limits[vgpu], usage[vgpu], slot);
        fg_ledger_refund(&ledger, bytes);
}

pid_t sleeper(void)
{
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        return child;
}

void end(pid_t child)
{
        kill(child, SIGKILL);
        CHECK_EQ(waitpid(child, NULL, 0), child);
}
