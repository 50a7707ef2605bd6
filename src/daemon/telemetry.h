/* SPDX-License-Identifier: Apache-2.0
 * What the NVIDIA driver says of the machine's GPUs, whoever uses them: temperature, power, clocks. Sampled by a helper of its own, so that
 * a slow sensor never delays the watchdog. What the driver does not tell is absent, what is old is stale, and neither is ever 0. */
#ifndef FGD_TELEMETRY_H
#define FGD_TELEMETRY_H

#include "daemon/text.h"

#include <stdbool.h>
#include <stdint.h>

struct fgd_device;
struct fgd_manager;
struct fgd_telemetry;

/* Each figure: its name in the helper's lines and in GET /v1/devices, and the largest value that makes sense. */
#define FGD_SAMPLE_FIGURES(X)                                                          \
        X(INDEX, "index", 4096)                   /* as NVML counts */                 \
        X(TEMPERATURE, "temperature_c", 1000)                                          \
        X(MEMORY_TEMPERATURE, "memory_temperature_c", 1000)                            \
        X(POWER, "power_mw", 100000000)                                                \
        X(POWER_LIMIT, "power_limit_mw", 100000000)                                    \
        X(ENERGY, "energy_mj", INT64_MAX)         /* since the driver was loaded */    \
        X(SM_CLOCK, "sm_clock_mhz", 1000000)                                           \
        X(MEMORY_CLOCK, "memory_clock_mhz", 1000000)                                   \
        X(UTILIZATION, "utilization", 100)        /* percent of time with a kernel */  \
        X(COPY_UTILIZATION, "memory_utilization", 100)                                 \
        X(ENCODER, "encoder_utilization", 100)                                         \
        X(DECODER, "decoder_utilization", 100)                                         \
        X(MEMORY_USED, "memory_used", INT64_MAX)  /* bytes */                          \
        X(MEMORY_FREE, "memory_free", INT64_MAX)                                       \
        X(MEMORY_RESERVED, "memory_reserved", INT64_MAX)                               \
        X(PCIE_REPLAYS, "pcie_replays", INT64_MAX)                                     \
        X(REMAPPED_CORRECTABLE, "remapped_correctable", INT64_MAX) /* rows of memory */\
        X(REMAPPED_UNCORRECTABLE, "remapped_uncorrectable", INT64_MAX)                 \
        X(REMAP_FAILED, "remap_failed", 1)                                             \
        X(XID, "xid", UINT32_MAX)                 /* of the last error; 0: none yet */

enum fgd_sample_figure {
#define X(id, name, max) FGD_SAMPLE_##id,
        FGD_SAMPLE_FIGURES(X)
#undef X
        FGD_SAMPLE_COUNT
};

/* Starts or stops the helper, as options and devices ask for. Called when devices came or went. */
void fgd_telemetry_update(struct fgd_manager *manager);
void fgd_telemetry_free(struct fgd_telemetry *telemetry); /* NULL is fine */
/* A figure that is fresh and known. */
bool fgd_telemetry_get(const struct fgd_manager *manager, const struct fgd_device *device, enum fgd_sample_figure figure, uint64_t *ret);
/* ns since the last sample; false: there never was one. */
bool fgd_telemetry_age(const struct fgd_manager *manager, const struct fgd_device *device, uint64_t *ret);
/* "telemetry": {…} of a device, nothing where there never was a sample. */
void fgd_telemetry_write_device(const struct fgd_manager *manager, const struct fgd_device *device, struct fgd_text *text);
/* One line of the helper. Anything may be in it. */
void fgd_telemetry_take(struct fgd_telemetry *telemetry, const char *line);
/* Without a helper, for fgd_telemetry_take(). NULL: out of memory. */
struct fgd_telemetry *fgd_telemetry_new(struct fgd_manager *manager);

#endif
