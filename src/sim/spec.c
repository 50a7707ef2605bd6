/* SPDX-License-Identifier: Apache-2.0
 * The spec's text: the inline form (`2xH100,1x"My GPU":8G`) and sections as in an ini file. */
#include "sim/spec_internal.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES 512

static char *trim(char *s)
{
        while (*s == ' ' || *s == '\t' || *s == '\r')
                s++;
        size_t len = strlen(s);
        while (len && strchr(" \t\r", s[len - 1]))
                s[--len] = '\0';
        return s;
}

/* Cuts a comment off; a # within "…" is text. */
static void cut_comment(char *s)
{
        bool quoted = false;
        for (; *s; s++) {
                quoted ^= *s == '"';
                if (!quoted && *s == '#')
                        return (void)(*s = '\0');
        }
}

static char *unquote(char *s)
{
        size_t len = strlen(s);
        if (len < 2 || s[0] != '"' || s[len - 1] != '"')
                return s;
        s[len - 1] = '\0';
        return s + 1;
}

static uint64_t hash_bytes(const void *data, size_t len)
{
        uint64_t hash = 0xcbf29ce484222325ull;
        for (const unsigned char *p = data; len--; p++)
                hash = (hash ^ *p) * 0x100000001b3ull;
        return hash;
}

static int add_gpus(struct fgsim_spec *spec, struct fgsim_section *s, struct fg_error *err)
{
        int r = fgsim_spec_complete(s, err);
        if (r < 0)
                return r;
        if (spec->gpus + s->count > FGSIM_GPUS_MAX)
                return fg_error_set(err, -EINVAL, "more than %d GPUs; write a smaller count", FGSIM_GPUS_MAX);
        for (uint64_t i = 0; i < s->count; i++) {
                struct fgsim_gpu_spec *gpu = &spec->gpu[spec->gpus++];
                *gpu = s->gpu;
                if (!gpu->uuid[0])
                        snprintf(gpu->uuid, sizeof gpu->uuid, "GPU-%08x-0000-4000-8000-%012x", spec->gpus, spec->gpus);
                for (uint32_t k = 0; k + 1 < spec->gpus; k++)
                        if (strcmp(spec->gpu[k].uuid, gpu->uuid) == 0)
                                return fg_error_set(err, -EINVAL, "GPU %u has the uuid of GPU %u; write another",
                                                    spec->gpus - 1, k);
        }
        return 0;
}

static int add_fault(struct fgsim_spec *spec, struct fgsim_section *s, struct fg_error *err)
{
        if (spec->faults == FGSIM_FAULTS_MAX)
                return fg_error_set(err, -EINVAL, "more than %d faults", FGSIM_FAULTS_MAX);
        if (!s->fault.at[0])
                return fg_error_set(err, -EINVAL,
                                    "a fault needs a place; write at = cuMemAlloc_v2, or at = * for every call");
        if (s->fault.kind == FGSIM_FAULT_RESULT && !s->fault.result)
                return fg_error_set(err, -EINVAL,
                                    "what does %s answer? write result = NUMBER, or kind = lost, xid, hang or slow",
                                    s->fault.at);
        if (s->fault.kind == FGSIM_FAULT_SLOW && !s->fault.delay_ns)
                return fg_error_set(err, -EINVAL, "how slow is %s? write delay = TIME", s->fault.at);
        spec->fault[spec->faults++] = s->fault;
        return 0;
}

static int add_kernel(struct fgsim_spec *spec, struct fgsim_section *s, struct fg_error *err)
{
        if (spec->kernels == FGSIM_KERNELS_MAX)
                return fg_error_set(err, -EINVAL, "more than %d kernels", FGSIM_KERNELS_MAX);
        if (!fgsim_spec_is_set(s, "time"))
                return fg_error_set(err, -EINVAL, "how long does kernel '%s' take? write time = TIME", s->kernel.name);
        spec->kernel[spec->kernels++] = s->kernel;
        return 0;
}

/* The section is complete: into the spec with it. */
static int section_end(struct fgsim_spec *spec, struct fgsim_section *s, struct fg_error *err)
{
        switch (s->type) {
        case FGSIM_SECTION_GPU:
                return add_gpus(spec, s, err);
        case FGSIM_SECTION_FAULT:
                return add_fault(spec, s, err);
        case FGSIM_SECTION_KERNEL:
                return add_kernel(spec, s, err);
        case FGSIM_SECTION_SIM:
                if (s->driver)
                        spec->driver = s->driver;
                if (s->driver_text[0])
                        memcpy(spec->driver_text, s->driver_text, sizeof spec->driver_text);
                return 0;
        default:
                return 0;
        }
}

static int section_begin(struct fgsim_section *s, char *text, unsigned line, struct fg_error *err)
{
        size_t len = strlen(text);
        *s = (struct fgsim_section){.line = line, .count = 1, .fault = {.gpu = -1, .count = FGSIM_FOREVER, .xid = 79}};
        if (text[len - 1] != ']')
                return fg_error_set(err, -EINVAL, "'%.60s' lacks its ]", text);
        text[len - 1] = '\0';
        text = trim(text + 1);
        if (strcmp(text, "sim") == 0)
                s->type = FGSIM_SECTION_SIM;
        else if (strcmp(text, "gpu") == 0)
                s->type = FGSIM_SECTION_GPU;
        else if (strcmp(text, "fault") == 0)
                s->type = FGSIM_SECTION_FAULT;
        else if (strncmp(text, "kernel ", 7) == 0)
                s->type = FGSIM_SECTION_KERNEL;
        else
                return fg_error_set(err, -EINVAL,
                                    "unknown section [%.60s]; known: [gpu], [kernel NAME], [fault], [sim]", text);
        if (s->type != FGSIM_SECTION_KERNEL)
                return 0;
        text = unquote(trim(text + 7));
        if (strlen(text) >= sizeof s->kernel.name)
                return fg_error_set(err, -EINVAL, "the kernel's name is longer than %d characters", FGSIM_NAME_MAX - 1);
        strcpy(s->kernel.name, text);
        return 0;
}

static int key_line(struct fgsim_section *s, char *text, struct fg_error *err)
{
        char *equals = strchr(text, '=');
        if (!equals)
                return fg_error_set(err, -EINVAL, "'%.60s' is neither KEY = VALUE nor a [section]", text);
        if (s->type == FGSIM_SECTION_NONE)
                return fg_error_set(err, -EINVAL, "'%.60s' is in no section; write [gpu] above it", text);
        *equals = '\0';
        return fgsim_spec_set(s, trim(text), unquote(trim(equals + 1)), err);
}

/* One line of a file; s is the section it is in. */
static int file_line(struct fgsim_spec *spec, struct fgsim_section *s, char *text, unsigned line, struct fg_error *err)
{
        cut_comment(text);
        text = trim(text);
        if (!*text)
                return 0;
        if (*text != '[')
                return key_line(s, text, err);
        int r = section_end(spec, s, err);
        if (r < 0)
                return fg_error_wrap(err, r, "section of line %u", s->line);
        return section_begin(s, text, line, err);
}

static int parse_file(const char *text, size_t len, const char *where, struct fgsim_spec *spec, struct fg_error *err)
{
        struct fgsim_section section = {.type = FGSIM_SECTION_NONE};
        unsigned line = 0;
        int r = 0;
        for (const char *end = text + len; text < end && r == 0;) {
                const char *stop = memchr(text, '\n', (size_t)(end - text));
                size_t n = stop ? (size_t)(stop - text) : (size_t)(end - text);
                char copy[LINE_MAX_BYTES];
                line++;
                if (n >= sizeof copy || memchr(text, '\0', n))
                        return fg_error_set(err, -EINVAL, "%s:%u: not a line of text below %zu bytes", where, line,
                                            sizeof copy);
                memcpy(copy, text, n);
                copy[n] = '\0';
                r = file_line(spec, &section, copy, line, err);
                text += n + 1;
        }
        if (r < 0)
                return fg_error_wrap(err, r, "%s:%u", where, line);
        r = section_end(spec, &section, err);
        return r < 0 ? fg_error_wrap(err, r, "%s:%u: section of line %u", where, line, section.line) : 0;
}

/* `2x"My GPU":8G` */
static int inline_item(struct fgsim_spec *spec, char *item, struct fg_error *err)
{
        struct fgsim_section s = {.type = FGSIM_SECTION_GPU, .line = 1, .count = 1};
        char *x = item, *colon = strrchr(item, ':');
        while (*x >= '0' && *x <= '9')
                x++;
        int r = 0;
        if (x > item && *x == 'x') {
                *x = '\0';
                r = fgsim_spec_set(&s, "count", item, err);
                item = x + 1;
        }
        if (r == 0 && colon && !strchr(colon, '"')) {
                *colon = '\0';
                r = fgsim_spec_set(&s, "memory", trim(colon + 1), err);
        }
        if (r == 0)
                r = fgsim_spec_set(&s, "model", unquote(trim(item)), err);
        return r < 0 ? r : section_end(spec, &s, err);
}

static int parse_inline(char *text, const char *where, struct fgsim_spec *spec, struct fg_error *err)
{
        for (char *item = trim(text), *next; item; item = next) {
                bool quoted = false;
                next = NULL;
                for (char *p = item; *p && !next; p++) {
                        quoted ^= *p == '"';
                        if (*p == ',' && !quoted)
                                *p = '\0', next = p + 1;
                }
                char shown[64];
                snprintf(shown, sizeof shown, "%s", item);
                int r = inline_item(spec, trim(item), err);
                if (r < 0)
                        return fg_error_wrap(
                                err, r, "%s:1: '%s' (write [COUNTx]MODEL[:MEMORY], such as 2xH100 or 1x\"My GPU\":8G)",
                                where, shown);
        }
        return 0;
}

static bool is_file_text(const char *text, size_t len)
{
        return memchr(text, '\n', len) || (len && text[0] == '[');
}

int fgsim_spec_parse(const char *text, size_t len, const char *where, struct fgsim_spec *ret, struct fg_error *err)
{
        struct fgsim_spec *spec fg_autofree = calloc(1, sizeof *spec);
        if (!spec)
                return fg_error_set(err, -ENOMEM, "%s: %m", where);
        spec->driver = 12090;
        strcpy(spec->driver_text, "575.57.08");
        if (len > FGSIM_SPEC_MAX)
                return fg_error_set(err, -EINVAL, "%s: a spec has at most %d bytes", where, FGSIM_SPEC_MAX);
        char line[LINE_MAX_BYTES] = "";
        if (!is_file_text(text, len) && (len >= sizeof line || memchr(text, '\0', len)))
                return fg_error_set(err, -EINVAL, "%s:1: not a line of text below %zu bytes", where, sizeof line);
        if (!is_file_text(text, len))
                memcpy(line, text, len);
        int r = is_file_text(text, len) ? parse_file(text, len, where, spec, err)
                                        : parse_inline(line, where, spec, err);
        if (r < 0)
                return r;
        if (spec->gpus == 0)
                return fg_error_set(err, -EINVAL, "%s: no GPU; write a [gpu] section, or inline 1xH100", where);
        spec->hash = hash_bytes(spec->gpu, sizeof spec->gpu);
        *ret = *spec;
        return 0;
}

static int read_file(const char *path, struct fgsim_spec *ret, struct fg_error *err)
{
        int fd fg_autoclose = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return fg_error_set(err, -errno, "%s: %m; FASTGPU_SIM is a spec file or an inline spec such as 2xH100",
                                    path);
        char *text fg_autofree = malloc(FGSIM_SPEC_MAX + 2);
        size_t len = 0;
        ssize_t n = text ? 1 : -1;
        while (n > 0 && len <= FGSIM_SPEC_MAX) {
                n = read(fd, text + len, FGSIM_SPEC_MAX + 1 - len);
                len += n > 0 ? (size_t)n : 0;
        }
        if (n < 0)
                return fg_error_set(err, -errno, "%s: %m", path);
        /* A file of one line is a file all the same. */
        if (len <= FGSIM_SPEC_MAX && !is_file_text(text, len))
                text[len++] = '\n';
        return fgsim_spec_parse(text, len, path, ret, err);
}

int fgsim_spec_load(const char *value, struct fgsim_spec *ret, struct fg_error *err)
{
        struct stat st;
        size_t len = strlen(value);
        bool is_inline = is_file_text(value, len) || strchr(value, '"');
        if (!is_inline && (strchr(value, '/') || (stat(value, &st) == 0 && S_ISREG(st.st_mode))))
                return read_file(value, ret, err);
        return fgsim_spec_parse(value, len, "FASTGPU_SIM", ret, err);
}
