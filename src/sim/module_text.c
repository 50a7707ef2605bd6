/* SPDX-License-Identifier: Apache-2.0
 * Images: the simulator's own text, PTX, and binaries that are only believed to hold what is asked for. */
#include "sim/module.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_WORD       "fastgpu-sim"
#define FATBIN_WRAPPER 0x466243b1u
#define FATBIN         0xba55ed50u
#define FILE_MAX       (256u << 20)

struct fgsim_kernel_text *fgsim_image_add_kernel(struct fgsim_image *image, const char *name, size_t len)
{
        struct fgsim_kernel_text *all;

        if (len == 0 || len >= sizeof(all->name))
                return NULL;
        all = realloc(image->kernel, (image->kernels + 1) * sizeof(*all));
        if (!all)
                return NULL;
        image->kernel = all;
        all += image->kernels++;
        memset(all, 0, sizeof(*all));
        memcpy(all->name, name, len);
        all->param = -1;
        all->unit = 1;
        return all;
}

struct fgsim_global_text *fgsim_image_add_global(struct fgsim_image *image, const char *name, size_t len)
{
        struct fgsim_global_text *all;

        if (len == 0 || len >= sizeof(all->name))
                return NULL;
        all = realloc(image->global, (image->globals + 1) * sizeof(*all));
        if (!all)
                return NULL;
        image->global = all;
        all += image->globals++;
        memset(all, 0, sizeof(*all));
        memcpy(all->name, name, len);
        return all;
}

static bool parse_unit(const char *text, uint64_t *ret)
{
        static const struct {
                const char *name;
                uint64_t ns;
        } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};

        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
                if (!strcmp(text, units[i].name)) {
                        *ret = units[i].ns;
                        return true;
                }
        return false;
}

static bool parse_time(const char *text, uint64_t *ret)
{
        uint64_t unit = 1;
        char *end;
        double value = strtod(text, &end);

        if (end == text || !(value >= 0) || (*end ? !parse_unit(end, &unit) : value != 0) ||
            value * (double)unit > 1e18)
                return false;
        *ret = (uint64_t)(value * (double)unit + 0.5);
        return true;
}

static bool parse_args(const char *text, struct fgsim_kernel_text *kernel)
{
        kernel->has_args = true;
        while (*text) {
                char *end;
                unsigned long bytes = strtoul(text, &end, 10);
                if (end == text || bytes == 0 || bytes > 4096 || kernel->arg_count == FGSIM_ARGS_MAX ||
                    (*end && *end != ','))
                        return false;
                kernel->arg[kernel->arg_count++] = (uint32_t)bytes;
                text = *end ? end + 1 : end;
        }
        return true;
}

static bool parse_number(const char *text, unsigned long long max, unsigned long long *ret)
{
        char *end;

        if (*text < '0' || *text > '9')
                return false;
        *ret = strtoull(text, &end, 10);
        return *end == 0 && *ret <= max;
}

static bool parse_key(char *word, struct fgsim_kernel_text *kernel)
{
        char *value = strchr(word, '=');
        unsigned long long number;

        if (!value)
                return false;
        *value++ = 0;
        if (!strcmp(word, "time"))
                return kernel->has_time = parse_time(value, &kernel->ns);
        if (!strcmp(word, "args"))
                return parse_args(value, kernel);
        if (!strcmp(word, "unit"))
                return parse_unit(value, &kernel->unit);
        if (!strcmp(word, "host") && strlen(value) < sizeof(kernel->host))
                return strcpy(kernel->host, value);
        if (strcmp(word, "param") || !parse_number(value, FGSIM_ARGS_MAX - 1, &number))
                return false;
        kernel->param = (int)number;
        return true;
}

static bool parse_line(struct fgsim_image *image, char *line)
{
        char *save, *what = strtok_r(line, " \t\r", &save), *name = what ? strtok_r(NULL, " \t\r", &save) : NULL;
        struct fgsim_kernel_text *kernel;
        struct fgsim_global_text *global;
        unsigned long long bytes;

        if (!what || what[0] == '#')
                return true;
        if (!name)
                return false;
        if (!strcmp(what, "kernel")) {
                char *word;
                kernel = fgsim_image_add_kernel(image, name, strlen(name));
                while (kernel && (word = strtok_r(NULL, " \t\r", &save)))
                        if (!parse_key(word, kernel))
                                return false;
                return kernel;
        }
        what = strcmp(what, "global") ? NULL : strtok_r(NULL, " \t\r", &save);
        if (!what || strtok_r(NULL, " \t\r", &save) || !parse_number(what, 1ull << 40, &bytes) || bytes == 0)
                return false;
        global = fgsim_image_add_global(image, name, strlen(name));
        if (global)
                global->bytes = bytes;
        return global;
}

static CUresult parse_own(struct fgsim_image *image, const char *text)
{
        char *copy = strdup(text), *save, *line = copy ? strtok_r(copy, "\n", &save) : NULL;
        CUresult r = copy ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

        while (line && r == CUDA_SUCCESS && (line = strtok_r(NULL, "\n", &save)))
                if (!parse_line(image, line))
                        r = CUDA_ERROR_INVALID_IMAGE;
        free(copy);
        return r;
}

static bool is_own(const char *text)
{
        size_t len = strlen(OWN_WORD);

        return !strncmp(text, OWN_WORD, len) && (text[len] == 0 || strchr("\n\r \t", text[len]));
}

static bool is_binary(const void *image)
{
        uint32_t magic;

        memcpy(&magic, image, sizeof(magic));
        return magic == FATBIN || magic == FATBIN_WRAPPER || !memcmp(image, "\177ELF", 4);
}

static CUresult parse(struct fgsim_image *image, const char *text)
{
        if (is_own(text))
                return parse_own(image, text);
        /* A text has at least four bytes, its NUL included, before it is taken for a binary. */
        if (text[0] && text[1] && text[2] && is_binary(text)) {
                image->is_opaque = true;
                return CUDA_SUCCESS;
        }
        return fgsim_image_ptx(image, text);
}

struct fgsim_image *fgsim_image_load(const void *data, CUresult *ret)
{
        struct fgsim_image *image = calloc(1, sizeof(*image));

        if (!image) {
                *ret = CUDA_ERROR_OUT_OF_MEMORY;
                return NULL;
        }
        image->refs = 1;
        *ret = parse(image, data);
        if (*ret == CUDA_SUCCESS)
                return image;
        fgsim_image_drop(image);
        return NULL;
}

void fgsim_image_drop(struct fgsim_image *image)
{
        if (__atomic_sub_fetch(&image->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        free(image->kernel);
        free(image->global);
        free(image);
}

int fgsim_image_kernel(const struct fgsim_image *image, const char *name)
{
        for (size_t i = 0; i < image->kernels; i++)
                if (!strcmp(image->kernel[i].name, name))
                        return (int)i;
        return -1;
}

int fgsim_image_global(const struct fgsim_image *image, const char *name)
{
        for (size_t i = 0; i < image->globals; i++)
                if (!strcmp(image->global[i].name, name))
                        return (int)i;
        return -1;
}

char *fgsim_image_read(const char *path, CUresult *ret)
{
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        struct stat st;
        char *text = NULL;
        size_t have = 0;
        ssize_t n = 1;

        *ret = fd < 0 ? CUDA_ERROR_FILE_NOT_FOUND : CUDA_ERROR_INVALID_IMAGE;
        if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= FILE_MAX)
                text = calloc(1, (size_t)st.st_size + 8);
        while (text && n > 0 && have < (size_t)st.st_size) {
                n = read(fd, text + have, (size_t)st.st_size - have);
                have += n > 0 ? (size_t)n : 0;
        }
        if (fd >= 0)
                close(fd);
        if (text)
                *ret = CUDA_SUCCESS;
        return text;
}
