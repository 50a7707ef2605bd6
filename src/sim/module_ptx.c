/* SPDX-License-Identifier: Apache-2.0
 * What PTX text declares: its entries with the sizes of their parameters, and its global variables. Instructions are
 * passed over. */
#include "sim/module.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *skip(const char *p)
{
        for (;;) {
                while (isspace((unsigned char)*p))
                        p++;
                if (p[0] == '/' && p[1] == '/') {
                        while (*p && *p != '\n')
                                p++;
                } else if (p[0] == '/' && p[1] == '*') {
                        const char *end = strstr(p + 2, "*/");
                        p = end ? end + 2 : p + strlen(p);
                } else {
                        return p;
                }
        }
}

static bool is_name(char c)
{
        return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.';
}

static size_t word(const char *p)
{
        size_t len = 0;

        while (is_name(p[len]))
                len++;
        return len;
}

static bool is(const char *p, size_t len, const char *text)
{
        return len == strlen(text) && !memcmp(p, text, len);
}

/* .u64, .f32, .b8, .f16x2 … in bytes; 0: not a type. */
static uint32_t type_bytes(const char *p, size_t len)
{
        unsigned long bits;

        if (is(p, len, ".pred"))
                return 1;
        if (len < 3 || p[0] != '.' || !strchr("bsuf", p[1]))
                return 0;
        bits = strtoul(p + 2, NULL, 10);
        return bits == 8 || bits == 16 || bits == 32 || bits == 64 || bits == 128 ? (uint32_t)bits / 8 : 0;
}

/* "[.space] [.align N] .type name[count]" up to , ) or ;. Returns behind it; *ret_name: NULL if it is not a
 * declaration. */
static const char *declaration(const char *p, const char **ret_name, size_t *ret_len, uint64_t *ret_bytes)
{
        uint64_t bytes = 0, count = 1;
        size_t len;

        *ret_name = NULL;
        for (p = skip(p); *p && !strchr(",);={}", *p); p = skip(p)) {
                len = word(p);
                if (*p == '[') {
                        count *= strtoull(p + 1, NULL, 10);
                        p = strchr(p, ']') ? strchr(p, ']') + 1 : p + strlen(p);
                } else if (len == 0) {
                        p++;
                } else {
                        if (is(p, len, ".align"))
                                p = skip(p + len), len = word(p);
                        else if (*p != '.')
                                *ret_name = p, *ret_len = len;
                        else if (type_bytes(p, len))
                                bytes = type_bytes(p, len);
                        p += len;
                }
        }
        *ret_bytes = bytes * count;
        return p;
}

static const char *entry(struct fgsim_image *image, const char *p, CUresult *ret)
{
        struct fgsim_kernel_text *kernel;
        const char *name;
        uint64_t bytes;
        size_t len;

        p = skip(p);
        len = word(p);
        kernel = fgsim_image_add_kernel(image, p, len);
        if (!kernel) {
                *ret = CUDA_ERROR_INVALID_PTX;
                return p;
        }
        kernel->has_args = true;
        p = skip(p + len);
        if (*p != '(')
                return p;
        do {
                p = declaration(p + 1, &name, &len, &bytes);
                if (name && bytes && bytes <= 4096 && kernel->arg_count < FGSIM_ARGS_MAX)
                        kernel->arg[kernel->arg_count++] = (uint32_t)bytes;
        } while (*p == ',');
        if (*p != ')')
                *ret = CUDA_ERROR_INVALID_PTX;
        return p;
}

static const char *global(struct fgsim_image *image, const char *p)
{
        struct fgsim_global_text *found;
        const char *name;
        uint64_t bytes;
        size_t len;

        p = declaration(p, &name, &len, &bytes);
        found = name && bytes && bytes <= 1ull << 40 ? fgsim_image_add_global(image, name, len) : NULL;
        if (found)
                found->bytes = bytes;
        return p;
}

static const char *skip_body(const char *p)
{
        unsigned depth = 0;

        for (p = skip(p); *p; p = skip(p + 1)) {
                depth += *p == '{';
                if (*p == '}' && --depth == 0)
                        return p + 1;
        }
        return p;
}

CUresult fgsim_image_ptx(struct fgsim_image *image, const char *text)
{
        CUresult r = CUDA_SUCCESS;
        const char *p = skip(text);

        if (strncmp(p, ".version", 8))
                return CUDA_ERROR_INVALID_IMAGE;
        for (; *p && r == CUDA_SUCCESS; p = skip(p)) {
                size_t len = word(p);
                if (*p == '{')
                        p = skip_body(p);
                else if (len == 0)
                        p++;
                else if (is(p, len, ".entry"))
                        p = entry(image, p + len, &r);
                else if (is(p, len, ".global") || is(p, len, ".const"))
                        p = global(image, p + len);
                else
                        p += len;
        }
        return r;
}
