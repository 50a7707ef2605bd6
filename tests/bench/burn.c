/* SPDX-License-Identifier: Apache-2.0 */
#include "burn.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
        "usage: burn (--kernel-us U | --iterations N) [--seconds S] [--device N] [--start-at NS] [PATTERN] [OPTIONS]\n"
        "Launches kernels that take U microseconds alone on the device; prints one line of JSON.\n"
        "\n"
        "patterns\n"
        "  --depth D            keep D in flight, waiting for the oldest (16)\n"
        "  --batch B            launch B, then wait for all; no events\n"
        "  --sync               wait for each\n"
        "  --batch B --batch-every-ms P\n"
        "                       launch B every P ms and report their latency\n"
        "  --churn BYTES        launch nothing; create and release a buffer of BYTES again and again\n"
        "  --hold               launch nothing; hold the memory until killed or --seconds are over\n"
        "options\n"
        "  --memory BYTES       hold a buffer of that size, written once\n"
        "  --report-ms M        completions in each M ms\n"
        "  --profile            with it: the device time the driver reports, too\n"
        "  --groups G           work groups in a launch (8 for each compute unit)\n"
        "  --calibrate          only find the iterations for --kernel-us\n";

enum option_id { DEVICE = 256, DEPTH, BATCH, EVERY, SYNC, REPORT, GROUPS, KERNEL_US, ITERATIONS, SECONDS, START_AT, MEMORY,
                 PROFILE, CHURN, HOLD, CALIBRATE, HELP };

static const struct option long_options[] = {
        {"device", required_argument, NULL, DEVICE},
        {"depth", required_argument, NULL, DEPTH},
        {"batch", required_argument, NULL, BATCH},
        {"batch-size", required_argument, NULL, BATCH},
        {"batch-every-ms", required_argument, NULL, EVERY},
        {"sync", no_argument, NULL, SYNC},
        {"report-ms", required_argument, NULL, REPORT},
        {"groups", required_argument, NULL, GROUPS},
        {"kernel-us", required_argument, NULL, KERNEL_US},
        {"iterations", required_argument, NULL, ITERATIONS},
        {"seconds", required_argument, NULL, SECONDS},
        {"start-at", required_argument, NULL, START_AT},
        {"memory", required_argument, NULL, MEMORY},
        {"churn", required_argument, NULL, CHURN},
        {"profile", no_argument, NULL, PROFILE},
        {"hold", no_argument, NULL, HOLD},
        {"calibrate", no_argument, NULL, CALIBRATE},
        {"help", no_argument, NULL, HELP},
        {0},
};

static bool set_flag(struct burn_options *o, int id)
{
        if (id == SYNC)
                o->batch = 1;
        else if (id == PROFILE)
                o->profile = true;
        else if (id == HOLD)
                o->hold = true;
        else if (id == CALIBRATE)
                o->calibrate_only = true;
        else
                return false;
        return true;
}

static void set_value(struct burn_options *o, int id, double value, uint64_t whole)
{
        switch (id) {
        case DEVICE:
                o->device = (unsigned)whole;
                break;
        case DEPTH:
                o->depth = (unsigned)whole;
                break;
        case BATCH:
                o->batch = (unsigned)whole;
                break;
        case EVERY:
                o->every_ms = (unsigned)whole;
                break;
        case REPORT:
                o->report_ms = (unsigned)whole;
                break;
        case GROUPS:
                o->groups = (unsigned)whole;
                break;
        case KERNEL_US:
                o->kernel_us = value;
                break;
        case ITERATIONS:
                o->iterations = (int64_t)whole;
                break;
        case SECONDS:
                o->seconds = value;
                break;
        case START_AT:
                o->start_at = whole;
                break;
        case MEMORY:
                o->memory = whole;
                break;
        case CHURN:
                o->churn = whole;
                break;
        }
}

static int parse_options(int argc, char **argv, struct burn_options *o)
{
        int id;

        while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
                char *end;
                double value;

                if (id == '?')
                        return -1;
                if (id == HELP) {
                        fputs(usage_text, stdout);
                        exit(0);
                }
                if (set_flag(o, id))
                        continue;
                value = strtod(optarg, &end);
                if (end == optarg || *end || value < 0) {
                        fprintf(stderr, "burn: '%s' is not a number\n", optarg);
                        return -1;
                }
                set_value(o, id, value, strtoull(optarg, NULL, 10));
        }
        if (optind < argc || o->depth < 1 || (o->every_ms && !o->batch)) {
                fprintf(stderr, "burn: bad combination of options; see burn --help\n");
                return -1;
        }
        if (o->kernel_us <= 0 && o->iterations < 0 && !o->hold && !o->churn) {
                fprintf(stderr, "burn: say --kernel-us or --iterations\n");
                return -1;
        }
        return 0;
}

int main(int argc, char **argv)
{
        struct burn_options options = {.depth = 16, .iterations = -1, .seconds = 1};
        struct burn burn = {0};
        struct burn_result result = {0};
        int rc;

        if (parse_options(argc, argv, &options) < 0)
                return 2;
        rc = burn_open(&options, &burn);
        if (rc == 0 && options.iterations >= 0)
                burn.iterations = (cl_uint)options.iterations;
        else if (rc == 0 && options.kernel_us > 0)
                rc = burn_calibrate(&burn);
        if (rc == 0 && !options.calibrate_only)
                rc = burn_run(&burn, &result);
        if (rc == 0)
                burn_print(&burn, &result);
        burn_result_clear(&result);
        burn_close(&burn);
        return rc < 0 ? 1 : 0;
}
