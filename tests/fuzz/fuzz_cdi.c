/* SPDX-License-Identifier: Apache-2.0
 * Other vendors' CDI files, as doctor reads them. The first byte says which: 'y' YAML, else JSON. What is taken for a kind is VENDOR/CLASS
 * and stands in the file; what is refused is refused with a reason. */
#include "cli/cdi_file.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cli_cdi_file file = {.kind = "left as it was"};
        struct fg_error err = {0};
        if (size < 1)
                return 0;
        char *text = malloc(size);
        assert(text);
        memcpy(text, data + 1, size - 1);
        if (cli_cdi_parse(text, size - 1, data[0] == 'y', &file, &err) == 0) {
                size_t length = strlen(file.kind);
                assert(file.json || data[0] == 'y');
                assert(!file.json || json_is_object(file.json));
                assert(!length || (length < CLI_CDI_KIND_MAX && strchr(file.kind, '/')));
                /* JSON may write a letter as an escape. */
                assert(file.json || memmem(text, size - 1, file.kind, length));
                json_decref(file.json);
        } else {
                assert(err.text[0] && strcmp(file.kind, "left as it was") == 0);
        }
        free(text);
        return 0;
}
