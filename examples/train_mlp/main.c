/* SPDX-License-Identifier: Apache-2.0 */
#include "cl.h"
#include "mlp.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct options {
        struct mlp_config config;
        double seconds; /* > 0: train for this long, however many epochs that is */
        bool check;
        bool each;
};

static const char usage_text[] =
        "usage: train_mlp [--device N] [--epochs N] [--samples N] [--batch N] [--seed N] [--learnable | --random-labels]\n"
        "                 [--seconds S] [--check] [--each-device]\n"
        "Trains a small network (10 inputs, 128 relu, 1 sigmoid; Adam) on an OpenCL device.\n"
        "\n"
        "  --device N        OpenCL device, counted over all platforms (0)\n"
        "  --epochs N        times the data is gone through (10)\n"
        "  --samples N       size of the data (1000)\n"
        "  --batch N         samples in a step (32)\n"
        "  --seed N          where all that is random comes from (1)\n"
        "  --learnable       labels follow from the inputs (the default)\n"
        "  --random-labels   labels are coin throws: there is nothing to learn\n"
        "  --seconds S       train for S seconds instead of --epochs\n"
        "  --check           train in plain C too and compare; exit 1 if they differ\n"
        "  --each-device     a network on each device there is, all at once; each has a seed of its own\n";

static int parse_number(const char *name, const char *text, double min, double max, double *ret)
{
        char *end;
        double value;

        errno = 0;
        value = strtod(text, &end);
        if (errno || end == text || *end || !(value >= min && value <= max)) {
                fprintf(stderr, "train_mlp: --%s takes a number from %.0f to %.0f, not '%s'\n", name, min, max, text);
                return -1;
        }
        *ret = value;
        return 0;
}

static const struct option long_options[] = {
        {"device", required_argument, NULL, 'd'},   {"epochs", required_argument, NULL, 'e'},
        {"samples", required_argument, NULL, 'n'},  {"batch", required_argument, NULL, 'b'},
        {"seed", required_argument, NULL, 's'},     {"learnable", no_argument, NULL, 'l'},
        {"random-labels", no_argument, NULL, 'r'},  {"seconds", required_argument, NULL, 't'},
        {"check", no_argument, NULL, 'c'},          {"help", no_argument, NULL, 'h'},
        {"each-device", no_argument, NULL, 'a'},
        {0},
};

/* Flags; false if `option` is not one of them. */
static bool set_flag(struct options *o, int option)
{
        switch (option) {
        case 'l':
                o->config.random_labels = false;
                return true;
        case 'r':
                o->config.random_labels = true;
                return true;
        case 'c':
                o->check = true;
                return true;
        case 'a':
                o->each = true;
                return true;
        case 'h':
                fputs(usage_text, stdout);
                exit(0);
        default:
                return false;
        }
}

static int set_number(struct options *o, int option, const char *name, const char *text)
{
        double value, max = option == 't' ? 86400 : option == 'd' ? 255 : 4e9 / (MLP_INPUTS * sizeof(float));

        if (parse_number(name, text, option == 'd' || option == 's' ? 0 : 1, max, &value) < 0)
                return -1;
        if (option == 'd')
                o->config.device = (unsigned)value;
        else if (option == 'e')
                o->config.epochs = (unsigned)value;
        else if (option == 'n')
                o->config.samples = (unsigned)value;
        else if (option == 'b')
                o->config.batch = (unsigned)value;
        else if (option == 's')
                o->config.seed = (uint64_t)value;
        else
                o->seconds = value;
        return 0;
}

static int parse_options(int argc, char **argv, struct options *o)
{
        int option, index;

        while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
                if (option == '?' ||
                    (!set_flag(o, option) && set_number(o, option, long_options[index].name, optarg) < 0))
                        return -1;
        }
        if (optind < argc) {
                fprintf(stderr, "train_mlp: '%s' is not an option; see train_mlp --help\n", argv[optind]);
                return -1;
        }
        return 0;
}

static double now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void print_epoch(const struct options *o, unsigned epoch, const struct mlp_result *r)
{
        char whose[32] = "", of[16] = "";

        if (o->each)
                snprintf(whose, sizeof(whose), "device %u  ", o->config.device);
        if (!(o->seconds > 0))
                snprintf(of, sizeof(of), "/%u", o->config.epochs);
        printf("%sepoch %u%s  loss %.4f  accuracy %.3f\n", whose, epoch, of, r->loss, r->accuracy);
        fflush(stdout);
}

static int train(const struct options *o, struct mlp_trainer *trainer, uint32_t *order, struct mlp_result *last)
{
        double start = now(), printed = 0;

        for (unsigned epoch = 0; o->seconds > 0 ? now() < start + o->seconds : epoch < o->config.epochs; epoch++) {
                mlp_order(o->config.seed, epoch, o->config.samples, order);
                if (mlp_trainer_epoch(trainer, order, last) < 0)
                        return -1;
                if (o->seconds > 0 && now() < printed + 0.5)
                        continue;
                printed = now();
                print_epoch(o, epoch + 1, last);
        }
        return 0;
}

/* The two round differently at most (a compiler may fuse a multiplication with an addition), which Adam's division carries
 * along: far below one step of 1e-3. */
static int compare(const struct options *o, struct mlp_trainer *trainer, struct mlp_trainer *reference, uint32_t *order,
                   const struct mlp_result *device)
{
        float p[MLP_PARAMS], q[MLP_PARAMS];
        struct mlp_result plain = {0};
        float worst = 0;
        bool same = true;

        for (unsigned epoch = 0; epoch < o->config.epochs; epoch++) {
                mlp_order(o->config.seed, epoch, o->config.samples, order);
                if (mlp_trainer_epoch(reference, order, &plain) < 0)
                        return -1;
        }
        if (mlp_trainer_params(trainer, p) < 0 || mlp_trainer_params(reference, q) < 0)
                return -1;
        for (unsigned k = 0; k < MLP_PARAMS; k++) {
                worst = fmaxf(worst, fabsf(p[k] - q[k]));
                same &= fabsf(p[k] - q[k]) < 1e-4f; /* false for a NaN */
        }
        same &= fabs(plain.loss - device->loss) < 1e-4 * (1 + plain.loss);
        printf("check: plain C has loss %.6f, the device %.6f; largest difference of a weight %.2g: %s\n", plain.loss,
               device->loss, (double)worst, same ? "the same" : "NOT the same");
        return same ? 0 : -1;
}

static int run(const struct options *o, struct mlp_trainer *trainer, struct mlp_trainer *reference, uint32_t *order)
{
        struct mlp_data data;
        struct mlp_result result = {0};
        float params[MLP_PARAMS];
        int rc;

        if (mlp_data_new(&o->config, &data) < 0) {
                fprintf(stderr, "train_mlp: no memory for %u samples\n", o->config.samples);
                return -1;
        }
        mlp_params_init(o->config.seed, params);
        rc = mlp_trainer_load(trainer, &data, params);
        if (rc == 0)
                rc = train(o, trainer, order, &result);
        if (rc == 0 && o->check) {
                mlp_trainer_load(reference, &data, params);
                rc = compare(o, trainer, reference, order, &result);
        }
        mlp_data_free(&data);
        return rc;
}

/* All of it on one device; what a thread runs. NULL when it went well. */
static void *run_device(void *options)
{
        const struct options *o = options;
        struct mlp_trainer *trainer = NULL, *reference = NULL;
        uint32_t *order = calloc(o->config.samples, sizeof(*order));
        int rc = -1;

        if (order && mlp_device_new(&o->config, &trainer) == 0 && mlp_reference_new(&o->config, &reference) == 0)
                rc = run(o, trainer, reference, order);
        mlp_trainer_free(trainer);
        mlp_trainer_free(reference);
        free(order);
        return rc < 0 ? options : NULL;
}

static int run_each_device(const struct options *o)
{
        unsigned devices = 0, started = 0;
        struct options *own;
        pthread_t *thread;
        int rc = 0;

        if (cl_count_devices(&devices) < 0)
                return -1;
        own = calloc(devices, sizeof(*own));
        thread = calloc(devices, sizeof(*thread));
        for (; own && thread && started < devices; started++) {
                own[started] = *o;
                own[started].config.device = started;
                own[started].config.seed += started;
                if (pthread_create(&thread[started], NULL, run_device, &own[started]) != 0)
                        break;
        }
        if (started < devices)
                rc = cl_failed("a thread for each device", CL_OUT_OF_HOST_MEMORY);
        while (started > 0) {
                void *failed = NULL;

                pthread_join(thread[--started], &failed);
                rc |= failed ? -1 : 0;
        }
        free(own);
        free(thread);
        return rc;
}

int main(int argc, char **argv)
{
        struct options o = {.config = {.samples = 1000, .batch = 32, .epochs = 10, .seed = 1, .rate = 1e-3f,
                                       .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-7f}};

        if (parse_options(argc, argv, &o) < 0)
                return 2;
        if (o.check && o.seconds > 0) {
                fprintf(stderr, "train_mlp: --check needs --epochs, not --seconds\n");
                return 2;
        }
        if (o.each)
                return run_each_device(&o) < 0 ? 1 : 0;
        return run_device(&o) ? 1 : 0;
}
