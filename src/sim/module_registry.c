/* SPDX-License-Identifier: Apache-2.0
 * Kernels that the program registered by name. */
#include "sim/module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
        struct entry *next;
        char name[FGSIM_NAME_MAX];
        struct fgsim_registered kernel;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries;

static struct entry *find(const char *name)
{
        struct entry *entry = entries;

        while (entry && strcmp(entry->name, name))
                entry = entry->next;
        return entry;
}

FGSIM_EXPORT int fgsim_kernel_register(const char *name, fgsim_kernel_t function, uint64_t ns)
{
        struct entry *entry;
        int r = 0;

        if (!name || !name[0] || strlen(name) >= FGSIM_NAME_MAX)
                return -EINVAL;
        pthread_mutex_lock(&lock);
        entry = find(name);
        if (!entry) {
                entry = calloc(1, sizeof(*entry));
                if (entry) {
                        strcpy(entry->name, name);
                        entry->next = entries;
                        entries = entry;
                }
        }
        if (entry)
                entry->kernel = (struct fgsim_registered){.function = function, .ns = ns};
        else
                r = -ENOMEM;
        pthread_mutex_unlock(&lock);
        return r;
}

FGSIM_EXPORT int fgsim_kernel_arguments(const char *name, size_t count, const size_t *sizes)
{
        struct entry *entry;

        if (!name || count > FGSIM_ARGS_MAX || (count && !sizes))
                return -EINVAL;
        for (size_t i = 0; i < count; i++)
                if (sizes[i] == 0 || sizes[i] > 4096)
                        return -EINVAL;
        pthread_mutex_lock(&lock);
        entry = find(name);
        if (entry) {
                entry->kernel.has_args = true;
                entry->kernel.arg_count = (uint16_t)count;
                for (size_t i = 0; i < count; i++)
                        entry->kernel.arg[i] = (uint32_t)sizes[i];
        }
        pthread_mutex_unlock(&lock);
        return entry ? 0 : -ENOENT;
}

bool fgsim_registered_find(const char *name, struct fgsim_registered *ret)
{
        struct entry *entry;

        pthread_mutex_lock(&lock);
        entry = find(name);
        if (entry)
                *ret = entry->kernel;
        pthread_mutex_unlock(&lock);
        return entry;
}
