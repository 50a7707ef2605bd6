/* SPDX-License-Identifier: Apache-2.0
 * GPUs known by name. Figures are the makers' published ones; copy speeds are what such a card reaches in practice. */
#include "sim/spec_internal.h"

#include <string.h>
#include <strings.h>

#define KI (1ull << 10)
#define MI (1ull << 20)
#define GI (1ull << 30)

#define COMMON .context = 300 * MI, .launch_ns = 2000, .slice_ns = 2000000, .kernel_ns = 10000

const char fgsim_model_names[] = "H100, A100, L4, T4";

static const struct {
        const char *name;
        struct fgsim_gpu_spec gpu;
} models[] = {
        {"H100", {.model = "NVIDIA H100 80GB HBM3", .memory = 80 * GI, .sms = 132, .major = 9, .minor = 0,
                  .clock_mhz = 1980, .memory_clock_mhz = 2619, .bus_width = 5120, .threads_per_sm = 2048,
                  .shared_per_sm = 228 * KI, .l2_bytes = 50 * MI,
                  .watts = 700, .h2d = 50 * GI, .d2h = 50 * GI, .d2d = 1200 * GI, COMMON}},
        {"A100", {.model = "NVIDIA A100-SXM4-80GB", .memory = 80 * GI, .sms = 108, .major = 8, .minor = 0,
                  .clock_mhz = 1410, .memory_clock_mhz = 1593, .bus_width = 5120, .threads_per_sm = 2048,
                  .shared_per_sm = 164 * KI, .l2_bytes = 40 * MI,
                  .watts = 400, .h2d = 25 * GI, .d2h = 25 * GI, .d2d = 800 * GI, COMMON}},
        {"L4", {.model = "NVIDIA L4", .memory = 24 * GI, .sms = 58, .major = 8, .minor = 9, .clock_mhz = 2040,
                .memory_clock_mhz = 6251, .bus_width = 192, .threads_per_sm = 1536, .shared_per_sm = 100 * KI,
                .l2_bytes = 48 * MI, .watts = 72, .h2d = 25 * GI, .d2h = 25 * GI, .d2d = 130 * GI, COMMON}},
        {"T4", {.model = "Tesla T4", .memory = 16 * GI, .sms = 40, .major = 7, .minor = 5, .clock_mhz = 1590,
                .memory_clock_mhz = 5001, .bus_width = 256, .threads_per_sm = 1024, .shared_per_sm = 64 * KI,
                .l2_bytes = 4 * MI, .watts = 70, .h2d = 12 * GI, .d2h = 12 * GI, .d2d = 120 * GI, COMMON}},
};

const struct fgsim_gpu_spec fgsim_model_plain = {
        .model = "FastGPU simulated GPU", .sms = 64, .major = 8, .minor = 0, .clock_mhz = 1500,
        .memory_clock_mhz = 5000, .bus_width = 256, .threads_per_sm = 2048, .shared_per_sm = 100 * KI,
        .l2_bytes = 32 * MI, .watts = 250,
        .h2d = 25 * GI, .d2h = 25 * GI, .d2d = 400 * GI, COMMON};

const struct fgsim_gpu_spec *fgsim_model_find(const char *name)
{
        for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
                if (strcasecmp(name, models[i].name) == 0 || strcmp(name, models[i].gpu.model) == 0)
                        return &models[i].gpu;
        return NULL;
}
