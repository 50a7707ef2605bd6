/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option.h"
#include "base/address.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/size.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const struct fg_option fg_option_table[FG_OPT_COUNT] = {
        [FG_OPT_MEMORY_RESERVE] = {"memory-reserve", "64M", "bytes", FG_OPTION_SIZE, 0, 1ull << 40,
                                   "Memory of each device that is kept out of vGPUs"},
        [FG_OPT_IDLE_EXIT] = {"idle-exit", "600", "s", FG_OPTION_COUNT, 0, 31536000,
                              "Time without anything to do after which a daemon that a command started ends; 0: never"},
        [FG_OPT_QUANTUM] = {"quantum", "8000", "us", FG_OPTION_COUNT, 2000, 20000,
                            "Device time granted at once while programs compete"},
        [FG_OPT_FREE_AFTER] = {"free-after", "1000", "ms", FG_OPTION_COUNT, 1, 60000,
                               "Time without a second demand after which programs run ungated"},
        [FG_OPT_MAX_CONNECTIONS] = {"max-connections", "4096", "", FG_OPTION_COUNT, 1, 65536,
                                    "Connections to the API that are open at the same time"},
        [FG_OPT_REQUEST_TIMEOUT] = {"request-timeout", "10", "s", FG_OPTION_COUNT, 1, 3600,
                                    "Time within which a request to the API must be complete, also when its bytes trickle"},
        [FG_OPT_PERSIST_INTERVAL] = {"persist-interval", "10", "s", FG_OPTION_COUNT, 1, 3600,
                                     "Time between writes of usage to the store"},
        [FG_OPT_RESCAN_INTERVAL] = {"rescan-interval", "0", "s", FG_OPTION_COUNT, 0, 86400,
                                    "Time between looks at the devices; 0: only when asked"},
        [FG_OPT_LOG_LEVEL] = {"log-level", "info", "", FG_OPTION_LEVEL, FG_LOG_ERROR, FG_LOG_DEBUG,
                              "What is logged: error, warning, info or debug"},
        [FG_OPT_DRIVER_PATH] = {"driver-path", "", "", FG_OPTION_TEXT, 0, 0,
                                "Folder where the vendor's libcuda.so.1 and libnvidia-ml.so.1 are looked for first"},
        [FG_OPT_SIM] = {"sim", "", "", FG_OPTION_TEXT, 0, 0,
                        "Simulated GPUs instead of real ones: a spec such as 2xH100, or the path of a spec file, see fastgpu-sim(7)"},
        [FG_OPT_WATCHDOG] = {"watchdog", "report", "", FG_OPTION_CHOICE, FG_WATCHDOG_OFF, FG_WATCHDOG_KILL,
                             "What is done about programs that get around their quota on an NVIDIA GPU: off, report or kill",
                             "off|report|kill"},
        [FG_OPT_WATCHDOG_INTERVAL] = {"watchdog-interval", "250", "ms", FG_OPTION_COUNT, 50, 60000,
                                      "Time between looks at the processes on NVIDIA GPUs"},
        [FG_OPT_TELEMETRY_INTERVAL] = {"telemetry-interval", "5", "s", FG_OPTION_COUNT, 0, 3600,
                                       "Time between looks at temperature, power and clocks of NVIDIA GPUs; 0: never"},
        [FG_OPT_LISTEN] = {"listen", "", "", FG_OPTION_ADDRESS, 0, 0,
                           "Where remote callers are answered, over TLS: HOST:PORT, [IPV6]:PORT or :PORT for all addresses; empty: nowhere"},
        [FG_OPT_TLS_CERT] = {"tls-cert", "", "", FG_OPTION_TEXT, 0, 0,
                             "Path of the certificate for remote callers, in PEM, with those that sign it behind it; empty: one of the "
                             "daemon's own, made on the first start"},
        [FG_OPT_TLS_KEY] = {"tls-key", "", "", FG_OPTION_TEXT, 0, 0, "Path of the private key of tls-cert, in PEM"},
        [FG_OPT_MAX_PER_SOURCE] = {"max-per-source", "64", "", FG_OPTION_COUNT, 1, 65536,
                                   "Remote connections from one address (IPv6: one /64) that are open at the same time"},
        [FG_OPT_RATE_LIMIT] = {"rate-limit", "500", "requests/s", FG_OPTION_COUNT, 0, 1000000,
                               "Requests that each user may send on average, twice as many at once; 0: any number"},
        [FG_OPT_AUDIT_KEEP] = {"audit-keep", "1000000", "rows", FG_OPTION_COUNT, 1000, 1000000000,
                               "Rows of the audit that are kept; older ones go"},
        [FG_OPT_EVENTS_KEEP] = {"events-keep", "100000", "rows", FG_OPTION_COUNT, 1000, 1000000000,
                                "Events that are kept; older ones go"},
        [FG_OPT_BURST_PRICE] = {"burst-price", "0.5", "", FG_OPTION_PART, 0, 1000000,
                                "What device time beyond the reserve costs in mode share, as part of the price"},
        [FG_OPT_JOBS_KEEP] = {"jobs-keep", "10000", "jobs", FG_OPTION_COUNT, 0, 10000000,
                              "Jobs that are over and are kept, with their output; older ones go"},
        [FG_OPT_JOB_LOG_MAX] = {"job-log-max", "64M", "bytes", FG_OPTION_SIZE, 4096, 1ull << 40,
                                "Output of each job that is kept; what comes later is dropped and counted"},
        [FG_OPT_JOB_PIDS_MAX] = {"job-pids-max", "4096", "", FG_OPTION_COUNT, 0, 4194304,
                                 "Processes and threads of each job, where a cgroup can bound them; 0: any number"},
        [FG_OPT_QUEUE_POLICY] = {"queue-policy", "learned", "", FG_OPTION_CHOICE, 0, 2,
                                 "Which job goes first: learned and fair take the project that has had least for its weight, and in it learned the job that "
                                 "should take least device time, fair the one submitted first; fifo the one submitted first of all", "fair|fifo|learned"},
        [FG_OPT_SHARE_HALF_LIFE] = {"share-half-life", "604800", "s", FG_OPTION_COUNT, 0, 31536000,
                                    "Time after which what a project has used counts for half in the job queue; 0: it always counts"},
        [FG_OPT_MIN_RUN] = {"min-run", "300", "s", FG_OPTION_COUNT, 0, 31536000,
                            "Time that a job runs before it may be suspended for one of a higher class"},
        [FG_OPT_PREEMPT] = {"preempt", "on", "", FG_OPTION_CHOICE, 0, 1,
                            "Whether jobs are suspended for those of a higher class: off or on", "off|on"},
        [FG_OPT_IDLE_LEASE] = {"idle-lease", "43200", "s", FG_OPTION_COUNT, 0, 316224000,
                               "Time without use of its device after which a vGPU is deleted, or suspended while programs hold it, unless "
                               "its project says otherwise; 0: never"},
        [FG_OPT_HISTORY_SIZE] = {"history-size", "1G", "bytes", FG_OPTION_SIZE, 0, 1ull << 44,
                                 "The most that the history of use takes on the disk; what is oldest goes; 0: no history"},
        [FG_OPT_HISTORY_MINUTES] = {"history-minutes", "604800", "s", FG_OPTION_COUNT, 3600, 31622400,
                                    "Time for which the history is kept minute by minute; hour by hour it is kept for a year"},
        [FG_OPT_OTLP_ENDPOINT] = {"otlp-endpoint", "", "", FG_OPTION_TEXT, 0, 0,
                                  "Where the lives of jobs and vGPUs are sent as traces over OTLP/HTTP, such as http://localhost:4318; empty: "
                                  "where OTEL_EXPORTER_OTLP_ENDPOINT says, else nowhere"},
        [FG_OPT_METRICS_LIMIT] = {"metrics-limit", "5000", "", FG_OPTION_COUNT, 1, 100000,
                                  "vGPUs, and as many projects, that one answer of /metrics tells of; how many are left out is told"},
        [FG_OPT_CDI_DIR] = {"cdi-dir", "", "", FG_OPTION_TEXT, 0, 0,
                            "Folder in which container engines look for devices (CDI), such as /run/cdi; empty: there for the system's "
                            "daemon, nowhere for others; none: nowhere"},
        [FG_OPT_CDI_MAX] = {"cdi-max", "128", "devices", FG_OPTION_COUNT, 1, 100000,
                            "Devices that engines are told of at the same time, the newest: each takes them 0.15 ms whenever a container "
                            "starts"},
        [FG_OPT_PLACEMENT_POLICY] = {"placement-policy", "fgd", "", FG_OPTION_CHOICE, 0, 4,
                                     "Which device a vGPU goes to: fgd keeps what is left useful to the requests that come, fastgpu weighs the gaps "
                                     "more, packing takes the fullest that has room, first-fit the first, spread the freest", "fgd|fastgpu|packing|first-fit|spread"},
        [FG_OPT_SLOWDOWN_LIMIT] = {"slowdown-limit", "0", "%", FG_OPTION_COUNT, 0, 1000,
                                   "By how much programs on one device may slow each other, as learned of them and their like: none goes where it would be "
                                   "more, and of equal devices to the one where it is least; 0: no limit, nothing is asked"},
};

static const struct {
        const char *name;
        uint64_t level;
} level_table[] = {
        {"error", FG_LOG_ERROR}, {"warning", FG_LOG_WARNING}, {"info", FG_LOG_INFO}, {"debug", FG_LOG_DEBUG}};

#define LEVELS (sizeof(level_table) / sizeof(level_table[0]))

static int level_parse(const char *what, const char *text, uint64_t *ret, struct fg_error *err)
{
        for (size_t i = 0; i < LEVELS; i++)
                if (strcmp(text, level_table[i].name) == 0) {
                        *ret = level_table[i].level;
                        return 0;
                }
        return fg_error_set(err, -EINVAL, "%s \"%.80s\" is not error, warning, info or debug", what, text);
}

static int option_size_parse(const struct fg_option *o, const char *text, uint64_t *ret, struct fg_error *err)
{
        char min[32], max[32];
        uint64_t value = 0;
        int r = strcmp(text, "0") == 0 ? 0 : fg_size_parse(text, 0, &value, err);
        if (r < 0)
                return fg_error_wrap(err, r, "%s", o->name);
        if (value < o->min || value > o->max)
                return fg_error_set(err, -ERANGE, "%s \"%.80s\" is out of range: %s to %s", o->name, text,
                                    fg_size_format(o->min, min, sizeof(min)), fg_size_format(o->max, max, sizeof(max)));
        *ret = value;
        return 0;
}

/* The `index`th of "off|report|kill"; its length, 0 when there is none. */
static size_t choice_at(const char *choices, uint64_t index, const char **ret)
{
        for (; index && *choices; choices++)
                index -= *choices == '|';
        *ret = choices;
        return strcspn(choices, "|");
}

static int choice_parse(const struct fg_option *o, const char *text, uint64_t *ret, struct fg_error *err)
{
        for (uint64_t i = o->min; i <= o->max; i++) {
                const char *choice;
                size_t length = choice_at(o->choices, i, &choice);
                if (strlen(text) == length && strncmp(text, choice, length) == 0) {
                        *ret = i;
                        return 0;
                }
        }
        return fg_error_set(err, -EINVAL, "%s \"%.80s\" is not one of %s", o->name, text, o->choices);
}

/* "0.5", "1", ".25" to six decimals, in millionths. */
static int part_parse(const struct fg_option *o, const char *text, uint64_t *ret, struct fg_error *err)
{
        uint64_t value = 0;
        unsigned decimals = 0, digits = 0;
        const char *c = text;
        for (; *c >= '0' && *c <= '9' && digits < 2; c++, digits++)
                value = value * 10 + (uint64_t)(*c - '0');
        if (*c == '.')
                for (c++; *c >= '0' && *c <= '9' && decimals < 6; c++, decimals++, digits++)
                        value = value * 10 + (uint64_t)(*c - '0');
        if (*c || !digits)
                return fg_error_set(err, -EINVAL, "%s \"%.80s\" is not a number such as 0.5, with at most six decimals", o->name, text);
        for (; decimals < 6; decimals++)
                value *= 10;
        if (value < o->min || value > o->max)
                return fg_error_set(err, -ERANGE, "%s \"%.80s\" is out of range: 0 to 1", o->name, text);
        *ret = value;
        return 0;
}

static int text_check(const struct fg_option *o, const char *text, struct fg_error *err)
{
        for (const char *c = text; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        return fg_error_set(err, -EINVAL, "%s holds a control character", o->name);
        if (strlen(text) >= FG_OPTION_TEXT_MAX)
                return fg_error_set(err, -EINVAL, "%s \"%.40s…\" is longer than %u bytes", o->name, text, FG_OPTION_TEXT_MAX - 1);
        return 0;
}

static bool is_text(const struct fg_option *o)
{
        return o->type == FG_OPTION_TEXT || o->type == FG_OPTION_ADDRESS;
}

static int address_check(const struct fg_option *o, const char *text, struct fg_error *err)
{
        struct fg_address address;
        int r = text_check(o, text, err);
        return r < 0 || !*text ? r : fg_address_parse(o->name, text, 0, &address, err);
}

static int option_parse(const struct fg_option *o, const char *text, uint64_t *ret, struct fg_error *err)
{
        switch (o->type) {
        case FG_OPTION_SIZE:
                return option_size_parse(o, text, ret, err);
        case FG_OPTION_LEVEL:
                return level_parse(o->name, text, ret, err);
        case FG_OPTION_CHOICE:
                return choice_parse(o, text, ret, err);
        case FG_OPTION_PART:
                return part_parse(o, text, ret, err);
        case FG_OPTION_TEXT:
                *ret = 0;
                return text_check(o, text, err);
        case FG_OPTION_ADDRESS:
                *ret = 0;
                return address_check(o, text, err);
        default:
                return fg_count_parse(o->name, text, o->min, o->max, ret, err);
        }
}

/* On failure nothing has changed. */
static int option_set(struct fg_options *options, int id, const char *text, const char *source, struct fg_error *err)
{
        const struct fg_option *o = &fg_option_table[id];
        int r = option_parse(o, text, &options->value[id], err);
        if (r < 0)
                return r;
        if (is_text(o))
                snprintf(options->text[id], sizeof(options->text[id]), "%s", text);
        options->source[id] = source;
        return 0;
}

static int option_find(const char *name)
{
        for (int i = 0; i < FG_OPT_COUNT; i++)
                if (strcmp(name, fg_option_table[i].name) == 0)
                        return i;
        return -ENOENT;
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Copies [from, to) without the blanks around it; cut to len - 1, which no valid name or value reaches. */
static void copy_trimmed(char *ret, size_t len, const char *from, const char *to)
{
        while (from < to && is_space(*from))
                from++;
        while (to > from && is_space(to[-1]))
                to--;
        size_t n = (size_t)(to - from) < len ? (size_t)(to - from) : len - 1;
        memcpy(ret, from, n);
        ret[n] = '\0';
}

int fg_options_parse_line(struct fg_options *options, const char *line, struct fg_error *err)
{
        char name[128], value[2 * FG_OPTION_TEXT_MAX];
        const char *end = line + strlen(line), *equals = strchr(line, '=');
        copy_trimmed(name, sizeof(name), line, equals ? equals : end);
        if (name[0] == '#' || (name[0] == '\0' && !equals))
                return 0;
        if (!equals)
                return fg_error_set(err, -EINVAL, "\"%.80s\" is not \"option = value\"", name);
        copy_trimmed(value, sizeof(value), equals + 1, end);
        int id = option_find(name);
        if (id < 0)
                return fg_error_set(err, -EINVAL, "no option is called \"%.80s\"; --dump-config lists them", name);
        return option_set(options, id, value, "file", err);
}

static int load_defaults(struct fg_options *options, struct fg_error *err)
{
        for (int i = 0; i < FG_OPT_COUNT; i++) {
                int r = option_set(options, i, fg_option_table[i].default_value, "default", err);
                if (r < 0)
                        return fg_error_wrap(err, r, "default");
        }
        return 0;
}

static void close_file(FILE **f)
{
        if (*f)
                fclose(*f);
}

static int load_file(struct fg_options *options, const char *file, struct fg_error *err)
{
        FG_CLEANUP(close_file) FILE *f = fopen(file, "re");
        fg_autofree char *line = NULL;
        size_t size = 0;
        ssize_t len;
        if (!f)
                return errno == ENOENT ? 0 : fg_error_set(err, -errno, "cannot read %s: %m", file);
        errno = 0;
        for (unsigned number = 1; (len = getline(&line, &size, f)) >= 0; number++) {
                int r = strlen(line) == (size_t)len ? fg_options_parse_line(options, line, err)
                                                    : fg_error_set(err, -EINVAL, "the line holds a NUL byte");
                if (r < 0)
                        return fg_error_wrap(err, r, "%s line %u", file, number);
        }
        return feof(f) ? 0 : fg_error_set(err, errno ? -errno : -EIO, "cannot read %s: %m", file);
}

/* "memory-reserve" -> "FASTGPU_MEMORY_RESERVE" */
static void environment_name(const struct fg_option *o, char *ret, size_t len)
{
        snprintf(ret, len, "FASTGPU_%s", o->name);
        for (char *c = ret; *c; c++)
                *c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
}

static int load_environment(struct fg_options *options, struct fg_error *err)
{
        for (int i = 0; i < FG_OPT_COUNT; i++) {
                char name[64];
                environment_name(&fg_option_table[i], name, sizeof(name));
                const char *value = getenv(name);
                if (!value)
                        continue;
                int r = option_set(options, i, value, "environment", err);
                if (r < 0)
                        return fg_error_wrap(err, r, "environment variable %s", name);
        }
        return 0;
}

int fg_options_load(struct fg_options *ret, const char *file, struct fg_error *err)
{
        struct fg_options options = {0};
        int r = load_defaults(&options, err);
        if (r == 0 && file)
                r = load_file(&options, file, err);
        if (r == 0)
                r = load_environment(&options, err);
        if (r == 0)
                *ret = options;
        return r;
}

/* The value as a person would type it, exactly. */
static void option_format(const struct fg_option *o, uint64_t value, char *ret, size_t len)
{
        static const char letter[] = "KMGT";
        unsigned unit = 0;
        if (o->type == FG_OPTION_LEVEL)
                for (size_t i = 0; i < LEVELS; i++)
                        if (level_table[i].level == value) {
                                snprintf(ret, len, "%s", level_table[i].name);
                                return;
                        }
        if (o->type == FG_OPTION_CHOICE) {
                const char *choice;
                int length = (int)choice_at(o->choices, value, &choice);
                snprintf(ret, len, "%.*s", length, choice);
                return;
        }
        if (o->type == FG_OPTION_PART) {
                size_t n = (size_t)snprintf(ret, len, "%llu.%06llu", (unsigned long long)value / 1000000, (unsigned long long)value % 1000000);
                while (n < len && ret[n - 1] == '0')
                        ret[--n] = 0;
                if (n < len && ret[n - 1] == '.')
                        ret[n - 1] = 0;
                return;
        }
        while (o->type == FG_OPTION_SIZE && value && value % 1024 == 0 && unit < 4)
                value /= 1024, unit++;
        snprintf(ret, len, "%llu%.*s", (unsigned long long)value, unit ? 1 : 0, unit ? letter + unit - 1 : "");
}

static void dump_text(const struct fg_options *options, int id, const char *name, FILE *out)
{
        const struct fg_option *o = &fg_option_table[id];
        fprintf(out, "# %s. By default %s. Environment: %s. From: %s.\n%s = %s\n", o->doc,
                *o->default_value ? o->default_value : "none", name, options->source[id], o->name, options->text[id]);
}

static void dump_value(const struct fg_options *options, int id, const char *name, FILE *out)
{
        const struct fg_option *o = &fg_option_table[id];
        char value[64], min[64], max[64];
        option_format(o, options->value[id], value, sizeof(value));
        option_format(o, o->min, min, sizeof(min));
        option_format(o, o->max, max, sizeof(max));
        fprintf(out, "# %s. %s to %s%s%s, by default %s. Environment: %s. From: %s.\n%s = %s\n", o->doc, min, max,
                *o->unit ? " " : "", o->unit, o->default_value, name, options->source[id], o->name, value);
}

void fg_options_dump(const struct fg_options *options, FILE *out)
{
        for (int i = 0; i < FG_OPT_COUNT; i++) {
                char name[64];
                environment_name(&fg_option_table[i], name, sizeof(name));
                (is_text(&fg_option_table[i]) ? dump_text : dump_value)(options, i, name, out);
        }
}
