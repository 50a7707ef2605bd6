/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/otlp.h"

#include "daemon/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void end_line(struct fgd_otlp_queue *q)
{
        char *copy = NULL;
        bool fits = !q->is_skipped && q->count < FGD_OTLP_SPANS && q->bytes + q->size <= FGD_OTLP_BYTES;
        if (fits && q->size)
                copy = strndup(q->line, q->size);
        if (copy) {
                q->span[(q->first + q->count++) % FGD_OTLP_SPANS] = copy;
                q->bytes += q->size;
        } else if (q->size) {
                q->dropped++;
        }
        q->size = 0;
        q->is_skipped = false;
}

void fgd_otlp_take(struct fgd_otlp_queue *q, const char *data, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                if (data[i] == '\n')
                        end_line(q);
                else if (q->size < sizeof q->line)
                        q->line[q->size++] = data[i];
                else
                        q->is_skipped = true;
        }
}

static void add_resource(struct fgd_text *text, const char *begin, const char *key, const char *value)
{
        fgd_text_add(text, begin);
        fgd_text_word(text, "key", key);
        fgd_text_add(text, ", \"value\": {");
        fgd_text_field(text, "stringValue", value);
        fgd_text_add(text, "}}");
}

char *fgd_otlp_body(const struct fgd_otlp_queue *q, uint32_t *ret_count)
{
        struct fgd_text text = {0};
        const char *service = getenv("OTEL_SERVICE_NAME");
        char host[65] = "";
        *ret_count = q->count < FGD_OTLP_BATCH ? q->count : FGD_OTLP_BATCH;
        if (!*ret_count)
                return NULL;
        gethostname(host, sizeof host - 1);
        fgd_text_add(&text, "{\"resourceSpans\": [{\"resource\": {\"attributes\": [");
        add_resource(&text, "{", "service.name", service && *service ? service : "fastgpud");
        add_resource(&text, ", {", "service.version", FASTGPU_VERSION);
        add_resource(&text, ", {", "host.name", host);
        fgd_text_add(&text, "]}, \"scopeSpans\": [{\"scope\": {\"name\": \"fastgpud\"}, \"spans\": [");
        for (uint32_t i = 0; i < *ret_count; i++) {
                fgd_text_add(&text, i ? ", " : "");
                fgd_text_add(&text, q->span[(q->first + i) % FGD_OTLP_SPANS]);
        }
        fgd_text_add(&text, "]}]}]}");
        if (text.failed)
                fgd_text_clear(&text);
        return text.data;
}

void fgd_otlp_drop(struct fgd_otlp_queue *q, uint32_t count)
{
        for (; count && q->count; count--, q->count--) {
                q->bytes -= strlen(q->span[q->first]);
                free(q->span[q->first]);
                q->span[q->first] = NULL;
                q->first = (q->first + 1) % FGD_OTLP_SPANS;
        }
}
