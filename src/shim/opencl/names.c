/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/names.h"

/* By beginning, so that a family goes as one. */
static const char *const names_hidden[] = {
        "cl_khr_command_buffer",        "cl_khr_semaphore", "cl_khr_external_semaphore", "cl_arm_shared_virtual_memory",
        "cl_ext_buffer_device_address",
};

bool fgo_names_hidden(const char *extension, size_t length)
{
        for (size_t i = 0; i < sizeof(names_hidden) / sizeof(names_hidden[0]); i++) {
                size_t hidden = strlen(names_hidden[i]);
                if (length >= hidden && memcmp(extension, names_hidden[i], hidden) == 0)
                        return true;
        }
        return false;
}

size_t fgo_names_filter(char *list)
{
        char *out = list;

        for (const char *in = list; *in;) {
                size_t word = strcspn(in, " "), gap = strspn(in + word, " ");
                if (!fgo_names_hidden(in, word)) {
                        memmove(out, in, word + gap);
                        out += word + gap;
                }
                in += word + gap;
        }
        *out = 0;
        return (size_t)(out - list) + 1;
}

size_t fgo_names_filter_versions(void *list, size_t size)
{
        cl_name_version *entry = list;
        size_t count = size / sizeof(*entry), kept = 0;

        for (size_t i = 0; i < count; i++)
                if (!fgo_names_hidden(entry[i].name, strnlen(entry[i].name, sizeof(entry[i].name))))
                        entry[kept++] = entry[i];
        return kept * sizeof(*entry);
}
