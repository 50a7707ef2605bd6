/* SPDX-License-Identifier: Apache-2.0
 * The spec: what its words mean, and that wrong ones are named with their line and with what to write. */
#include "sim_test.h"

#include "sim/spec.h"

#include <errno.h>

static struct fgsim_spec spec;

static void good(const char *text)
{
        struct fg_error err = {0};
        if (fgsim_spec_parse(text, strlen(text), "spec", &spec, &err) == 0)
                return;
        fprintf(stderr, "%s\n-> %s\n", text, err.text);
        exit(1);
}

/* The message holds all these words; a failed parse leaves *ret alone. */
static void bad(const char *text, const char *a, const char *b)
{
        struct fg_error err = {0};
        struct fgsim_spec before = spec;
        int r = fgsim_spec_parse(text, strlen(text), "spec", &spec, &err);
        if (r < 0 && strstr(err.text, a) && strstr(err.text, b) && memcmp(&before, &spec, sizeof spec) == 0)
                return;
        fprintf(stderr, "%s\n-> %d %s\nlacks '%s' or '%s'\n", text, r, err.text, a, b);
        exit(1);
}

static void inline_form(void)
{
        good("H100");
        CHECK(spec.gpus == 1 && spec.gpu[0].memory == 80 * GI && spec.gpu[0].sms == 132 && spec.gpu[0].major == 9);
        CHECK(strcmp(spec.gpu[0].model, "NVIDIA H100 80GB HBM3") == 0);
        good("2xH100:10G, l4");
        CHECK(spec.gpus == 3 && spec.gpu[1].memory == 10 * GI && spec.gpu[2].memory == 24 * GI);
        CHECK(strcmp(spec.gpu[0].uuid, "GPU-00000001-0000-4000-8000-000000000001") == 0);
        good("1x\"My GPU, the 2nd\":8G");
        CHECK(spec.gpus == 1 && strcmp(spec.gpu[0].model, "My GPU, the 2nd") == 0 && spec.gpu[0].memory == 8 * GI);
        bad("", "spec:1", "2xH100");
        bad("2xZ80", "how much memory has 'Z80'", "memory = SIZE");
        bad("0xH100", "spec:1", "2xH100");
        bad("99xH100", "count", "2xH100");
        bad("H100:much", "much", "spec:1");
        bad("64xH100,1xT4", "64", "spec:1");
}

static void sections(void)
{
        good("# two kinds\n[gpu]\ncount=2\nmodel = A100 # comment\n memory = 40G\nlaunch = 0\r\n\n[gpu]\nmemory = "
             "1G\nsms = 7\n"
             "capability = 7.5\ncontext = 0\nh2d = 0\nslice = 1.5ms\n[kernel busy]\ntime = 200us\n[kernel \"a "
             "b\"]\ntime = 1s\n"
             "[sim]\ndriver = 12.4\ndriver_version = 550.1\n");
        CHECK(spec.gpus == 3 && spec.gpu[1].memory == 40 * GI && spec.gpu[1].launch_ns == 0 && spec.gpu[1].sms == 108);
        CHECK(spec.gpu[2].memory == GI && spec.gpu[2].sms == 7 && spec.gpu[2].major == 7 && spec.gpu[2].minor == 5);
        CHECK(spec.gpu[2].context == 0 && spec.gpu[2].h2d == 0 && spec.gpu[2].d2h > 0 &&
              spec.gpu[2].slice_ns == 1500000);
        CHECK(spec.kernels == 2 && spec.kernel[0].ns == 200000 && strcmp(spec.kernel[1].name, "a b") == 0);
        CHECK(spec.driver == 12040 && strcmp(spec.driver_text, "550.1") == 0);
}

static void faults(void)
{
        good("[gpu]\nmodel=T4\n[fault]\nat=cuMemAlloc_v2\nafter=10\ncount=1\nresult=2\n[fault]\nat=nvml*\nkind="
             "slow\ndelay=2s\n"
             "gpu=3\nprocess=python3\n");
        CHECK(spec.faults == 2 && spec.fault[0].after == 10 && spec.fault[0].count == 1 && spec.fault[0].result == 2);
        CHECK(spec.fault[0].gpu == -1 && spec.fault[1].gpu == 3 && spec.fault[1].count == FGSIM_FOREVER);
        CHECK(spec.fault[1].kind == FGSIM_FAULT_SLOW && spec.fault[1].delay_ns == 2000000000);
        bad("[gpu]\nmodel=T4\n[fault]\nresult=2\n", "line 3", "at = cuMemAlloc_v2");
        bad("[gpu]\nmodel=T4\n[fault]\nat=cuInit\n", "cuInit", "result = NUMBER");
        bad("[gpu]\nmodel=T4\n[fault]\nat=cuInit\nkind=slow\n", "how slow", "delay = TIME");
        bad("[gpu]\nmodel=T4\n[fault]\nat=cuInit\nkind=odd\n", "spec:5", "hang");
}

static void wrong_lines(void)
{
        bad("[gpu]\nsm = 5\n", "spec:2: unknown key 'sm' in [gpu]", "sms");
        bad("[gpu]\nmemory = 5 apples\n", "spec:2", "apples");
        bad("[gpu]\nmemory\n", "spec:2", "KEY = VALUE");
        bad("memory = 5G\n", "spec:1", "write [gpu]");
        bad("[gpus]\n", "spec:1", "[kernel NAME]");
        bad("[gpu\n", "spec:1", "]");
        bad("[gpu]\nmemory = \n", "has no value", "spec:2");
        bad("[gpu]\nmemory = 1G\nmemory = 2G\n", "spec:3", "twice");
        bad("[gpu]\nmemory = 64P\n", "spec:2", "64P");
        bad("[gpu]\nmemory = 1M\ncontext = 1M\n", "no memory is left", "smaller context");
        bad("[gpu]\nmemory = 1G\nlaunch = 5\n", "'5' is no time", "200us");
        bad("[gpu]\nmemory = 1G\nlaunch = 2h\n", "'2h' is no time", "spec:3");
        bad("[gpu]\nmemory = 1G\nlaunch = 90000s\n", "hour", "spec:3");
        bad("[gpu]\nmemory = 1G\ncapability = nine\n", "nine", "9.0");
        bad("[gpu]\nmemory = 1G\ncount = 2\nuuid = GPU-00000000-0000-0000-0000-000000000000\n", "one uuid for 2",
            "count = 1");
        bad("[gpu]\nmemory = 1G\nuuid = GPU-x\n", "GPU-x", "xxxxxxxx");
        bad("[kernel k]\n", "how long", "time = TIME");
        bad("[kernel k]\ntime = 1us\n", "no GPU", "1xH100");
        bad("[sim]\ndriver = 99\n", "spec:2", "9.0");
}

/* GPUs are shared by those who mean the same GPUs, whatever else their specs say. */
static void hashes(void)
{
        good("1xH100");
        uint64_t hash = spec.hash;
        good("[gpu]\n# the same\nmodel = H100\n[fault]\nat = cuInit\nresult = 2\n");
        CHECK(spec.hash == hash);
        good("2xH100");
        CHECK(spec.hash != hash);
}

static void files(void)
{
        char path[] = "/tmp/sim-spec-XXXXXX";
        struct fg_error err = {0};
        int fd = mkstemp(path);
        CHECK(fd >= 0 && write(fd, "[gpu]\nmodel = T4\n", 17) == 17);
        CHECK(fgsim_spec_load(path, &spec, &err) == 0 && spec.gpus == 1);
        CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, "nonsense", 8, 0) == 8);
        CHECK(fgsim_spec_load(path, &spec, &err) < 0 && strstr(err.text, path) && strstr(err.text, ":1"));
        unlink(path);
        close(fd);
        CHECK(fgsim_spec_load("/nonexistent/file", &spec, &err) == -ENOENT && strstr(err.text, "/nonexistent/file"));
        CHECK(fgsim_spec_load("/tmp", &spec, &err) < 0);
        CHECK(fgsim_spec_load("3xT4", &spec, &err) == 0 && spec.gpus == 3);
}

int main(void)
{
        inline_form();
        sections();
        faults();
        wrong_lines();
        hashes();
        files();
        return 0;
}
