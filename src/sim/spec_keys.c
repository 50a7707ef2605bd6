/* SPDX-License-Identifier: Apache-2.0
 * The keys of each section: one row for each, with its parser. */
#include "sim/spec_internal.h"

#include "base/size.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_MEMORY (1ull << 44) /* 16 TiB: the range that a process reserves for its device memory */
#define HOUR_NS    3600000000000ull

typedef int set_f(struct fgsim_section *s, void *field, const char *value, struct fg_error *err);

struct key {
        int section;
        const char *name;
        size_t offset;
        set_f *set;
};

static int set_text(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        if (strlen(value) >= FGSIM_NAME_MAX)
                return fg_error_set(err, -EINVAL, "'%.40s…' is too long: at most %d characters", value,
                                    FGSIM_NAME_MAX - 1);
        strcpy(field, value);
        return 0;
}

static int set_uuid(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        static const char pattern[] = "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        bool good = strlen(value) == strlen(pattern);
        for (size_t i = 0; good && value[i]; i++)
                good = pattern[i] == 'x' ? strchr("0123456789abcdef", value[i]) != NULL : value[i] == pattern[i];
        if (!good)
                return fg_error_set(err, -EINVAL, "'%s' is no UUID; write it as %s, each x a digit 0-9a-f", value,
                                    pattern);
        strcpy(field, value);
        return 0;
}

static int set_size(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        uint64_t bytes = 0;
        int r = fg_size_parse(value, 0, &bytes, err);
        if (r < 0)
                return r;
        if (bytes > MAX_MEMORY)
                return fg_error_set(err, -ERANGE, "'%s' is more than 16T", value);
        *(uint64_t *)field = bytes;
        return 0;
}

static int set_size_or_none(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        if (strcmp(value, "0") == 0)
                return *(uint64_t *)field = 0, 0;
        return set_size(s, field, value, err);
}

static int set_size32(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        uint64_t bytes = 0;
        int r = set_size(s, &bytes, value, err);
        if (r == 0 && bytes > INT32_MAX)
                r = fg_error_set(err, -ERANGE, "'%s' is more than 2G", value);
        if (r == 0)
                *(uint32_t *)field = (uint32_t)bytes;
        return r;
}

static int set_number(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        uint64_t number;
        int r = fg_count_parse("the value", value, 1, 1000000, &number, err);
        if (r == 0)
                *(uint32_t *)field = (uint32_t)number;
        return r;
}

static int set_count(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        return fg_count_parse("count", value, 1, FGSIM_GPUS_MAX, field, err);
}

static int set_calls(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        return fg_count_parse("the number of calls", value, 0, 1000000000, field, err);
}

static int set_times(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        if (strcmp(value, "forever") == 0)
                return *(uint64_t *)field = FGSIM_FOREVER, 0;
        return set_calls(s, field, value, err);
}

static int set_time(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        return fgsim_time_parse(value, field, err);
}

/* "9.0", "12.9": two numbers with a point. */
static int parse_version(const char *value, unsigned *ret_major, unsigned *ret_minor, struct fg_error *err)
{
        unsigned major = 0, minor = 0;
        int end = 0;
        if (sscanf(value, "%3u.%2u%n", &major, &minor, &end) != 2 || value[end] || value[0] < '0' || value[0] > '9')
                return fg_error_set(err, -EINVAL, "'%s' is no version; write two numbers with a point, such as 9.0",
                                    value);
        *ret_major = major, *ret_minor = minor;
        return 0;
}

static int set_capability(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        return parse_version(value, &s->gpu.major, &s->gpu.minor, err);
}

static int set_driver(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        unsigned major = 0, minor = 0;
        int r = parse_version(value, &major, &minor, err);
        if (r < 0)
                return r;
        if (major < 2 || minor > 9)
                return fg_error_set(err, -EINVAL, "'%s' is no CUDA version; write one from 2.0, such as 12.9", value);
        s->driver = major * 1000 + minor * 10;
        return 0;
}

static int set_driver_text(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        if (strlen(value) >= sizeof s->driver_text)
                return fg_error_set(err, -EINVAL, "'%.40s…' is too long: at most 31 characters", value);
        strcpy(s->driver_text, value);
        return 0;
}

static int set_kind(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        static const char *const kinds[] = {"result", "lost", "xid", "hang", "slow"};
        for (int i = 0; i < 5; i++)
                if (strcmp(value, kinds[i]) == 0) {
                        s->fault.kind = (enum fgsim_fault_kind)i;
                        return 0;
                }
        return fg_error_set(err, -EINVAL, "'%s' is no kind of fault; known: result, lost, xid, hang, slow", value);
}

static int set_result(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        uint64_t number;
        int r = fg_count_parse("result", value, 1, 999, &number, err);
        if (r == 0)
                s->fault.result = (int)number;
        return r;
}

static int set_gpu(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        uint64_t number;
        if (strcmp(value, "any") == 0)
                return s->fault.gpu = -1, 0;
        int r = fg_count_parse("gpu", value, 0, FGSIM_GPUS_MAX - 1, &number, err);
        if (r == 0)
                s->fault.gpu = (int)number;
        return r;
}

static int set_process(struct fgsim_section *s, void *field, const char *value, struct fg_error *err)
{
        return set_text(s, field, strcmp(value, "any") == 0 ? "" : value, err);
}

/* clang-format off: braces of an initialiser, not of a block */
#define GPU(key, field, set)   {FGSIM_SECTION_GPU, key, offsetof(struct fgsim_section, gpu.field), set}
#define FAULT(key, field, set) {FGSIM_SECTION_FAULT, key, offsetof(struct fgsim_section, fault.field), set}
/* clang-format on */

static const struct key keys[] = {
        {FGSIM_SECTION_SIM, "driver", 0, set_driver},
        {FGSIM_SECTION_SIM, "driver_version", 0, set_driver_text},
        {FGSIM_SECTION_GPU, "count", offsetof(struct fgsim_section, count), set_count},
        GPU("model", model, set_text),
        GPU("uuid", uuid, set_uuid),
        GPU("memory", memory, set_size),
        GPU("context", context, set_size_or_none),
        GPU("sms", sms, set_number),
        {FGSIM_SECTION_GPU, "capability", 0, set_capability},
        GPU("clock", clock_mhz, set_number),
        GPU("memory_clock", memory_clock_mhz, set_number),
        GPU("bus", bus_width, set_number),
        GPU("threads_per_sm", threads_per_sm, set_number),
        GPU("shared_per_sm", shared_per_sm, set_size32),
        GPU("l2", l2_bytes, set_size32),
        GPU("watts", watts, set_number),
        GPU("h2d", h2d, set_size_or_none),
        GPU("d2h", d2h, set_size_or_none),
        GPU("d2d", d2d, set_size_or_none),
        GPU("launch", launch_ns, set_time),
        GPU("slice", slice_ns, set_time),
        GPU("kernel", kernel_ns, set_time),
        {FGSIM_SECTION_KERNEL, "time", offsetof(struct fgsim_section, kernel.ns), set_time},
        FAULT("at", at, set_text),
        FAULT("after", after, set_calls),
        FAULT("count", count, set_times),
        FAULT("delay", delay_ns, set_time),
        FAULT("process", process, set_process),
        FAULT("xid", xid, set_number),
        {FGSIM_SECTION_FAULT, "kind", 0, set_kind},
        {FGSIM_SECTION_FAULT, "result", 0, set_result},
        {FGSIM_SECTION_FAULT, "gpu", 0, set_gpu},
};

#define KEYS (sizeof keys / sizeof keys[0])
_Static_assert(KEYS <= 64, "fgsim_section.set has a bit for each");

static const char *section_name(int type)
{
        static const char *const names[] = {"", "[sim]", "[gpu]", "[kernel]", "[fault]"};
        return names[type];
}

static int unknown_key(const struct fgsim_section *section, const char *key, struct fg_error *err)
{
        char known[FG_ERROR_MAX / 2] = "";
        size_t len = 0;
        for (size_t i = 0; i < KEYS; i++)
                if (keys[i].section == (int)section->type && len < sizeof known)
                        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", len ? ", " : "", keys[i].name);
        return fg_error_set(err, -EINVAL, "unknown key '%.40s' in %s; known: %s", key, section_name((int)section->type),
                            known);
}

int fgsim_spec_set(struct fgsim_section *section, const char *key, const char *value, struct fg_error *err)
{
        for (size_t i = 0; i < KEYS; i++) {
                if (keys[i].section != (int)section->type || strcmp(keys[i].name, key) != 0)
                        continue;
                if (section->set >> i & 1)
                        return fg_error_set(err, -EINVAL, "'%s' is set twice in this section; leave one", key);
                if (!*value)
                        return fg_error_set(err, -EINVAL, "'%s' has no value; write %s = VALUE", key, key);
                section->set |= 1ull << i;
                int r = keys[i].set(section, (char *)section + keys[i].offset, value, err);
                return r < 0 ? fg_error_wrap(err, r, "%s", key) : 0;
        }
        return unknown_key(section, key, err);
}

bool fgsim_spec_is_set(const struct fgsim_section *section, const char *key)
{
        for (size_t i = 0; i < KEYS; i++)
                if (keys[i].section == (int)section->type && strcmp(keys[i].name, key) == 0)
                        return section->set >> i & 1;
        return false;
}

/* Reads what a template has for the keys that were not set. */
static void fill(struct fgsim_section *s, const struct fgsim_gpu_spec *from)
{
        struct fgsim_section filled = *s;
        bool has_model = fgsim_spec_is_set(s, "model");
        filled.gpu = *from;
        for (size_t i = 0; i < KEYS; i++) {
                size_t at = keys[i].offset, base = offsetof(struct fgsim_section, gpu);
                size_t len = keys[i].set == set_text                                  ? FGSIM_NAME_MAX
                             : keys[i].set == set_uuid                                ? sizeof s->gpu.uuid
                             : keys[i].set == set_number || keys[i].set == set_size32 ? 4
                                                                                      : 8;
                if (keys[i].section == FGSIM_SECTION_GPU && at >= base && (s->set >> i & 1))
                        memcpy((char *)&filled + at, (char *)s + at, len);
        }
        if (fgsim_spec_is_set(s, "capability"))
                filled.gpu.major = s->gpu.major, filled.gpu.minor = s->gpu.minor;
        /* A short name stands for the full one. */
        if (has_model && from != &fgsim_model_plain)
                memcpy(filled.gpu.model, from->model, sizeof filled.gpu.model);
        *s = filled;
}

int fgsim_spec_complete(struct fgsim_section *section, struct fg_error *err)
{
        const struct fgsim_gpu_spec *model = fgsim_model_find(section->gpu.model);
        if (!model && !fgsim_spec_is_set(section, "memory"))
                return fg_error_set(err, -EINVAL, "how much memory has '%s'? write memory = SIZE (known without: %s)",
                                    section->gpu.model[0] ? section->gpu.model : "this GPU", fgsim_model_names);
        if (fgsim_spec_is_set(section, "uuid") && section->count > 1)
                return fg_error_set(err, -EINVAL, "one uuid for %llu GPUs; write count = 1, or leave the uuid out",
                                    (unsigned long long)section->count);
        fill(section, model ? model : &fgsim_model_plain);
        section->gpu.memory -= section->gpu.memory % 512;
        if (section->gpu.memory == 0 || section->gpu.context >= section->gpu.memory)
                return fg_error_set(err, -EINVAL,
                                    "no memory is left beside a context of %llu bytes; write a larger memory or a "
                                    "smaller context",
                                    (unsigned long long)section->gpu.context);
        return 0;
}

int fgsim_time_parse(const char *text, uint64_t *ret_ns, struct fg_error *err)
{
        static const struct {
                const char *name;
                uint64_t ns;
        } units[] = {{"ns", 1}, {"us", 1000}, {"µs", 1000}, {"ms", 1000000}, {"s", 1000000000}};
        uint64_t value = 0, scale = 1;
        const char *s = text;
        bool point = false;
        for (; (*s >= '0' && *s <= '9') || (*s == '.' && !point && s > text); s++) {
                if (*s == '.') {
                        point = true;
                } else if (value < HOUR_NS && scale < 1000000000) {
                        value = value * 10 + (uint64_t)(*s - '0');
                        scale *= point ? 10 : 1;
                }
        }
        if (strcmp(text, "0") == 0)
                return *ret_ns = 0, 0;
        for (size_t i = 0; s > text && s[-1] != '.' && i < sizeof units / sizeof units[0]; i++) {
                if (strcmp(s, units[i].name) != 0)
                        continue;
                if (value / scale > HOUR_NS / units[i].ns)
                        return fg_error_set(err, -ERANGE, "'%s' is more than an hour", text);
                *ret_ns = (uint64_t)((unsigned __int128)value * units[i].ns / scale);
                return 0;
        }
        return fg_error_set(err, -EINVAL, "'%s' is no time; write 200us, 2ms, 1.5s or 300ns", text);
}
