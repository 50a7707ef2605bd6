/* SPDX-License-Identifier: Apache-2.0
 * Lines of the watchdog's and the telemetry's helpers, which may be a driver's chatter as well: whatever they say, the figures stay within bounds and
 * the answers are whole. */
#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/telemetry.h"
#include "daemon/watchdog_internal.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answers(const struct fgd_manager *m, const struct fgd_device *device)
{
        struct fgd_text text = {0};
        fgd_text_add(&text, "{");
        fgd_watchdog_write_device(m, device, &text);
        fgd_watchdog_write_findings(m, &text);
        fgd_telemetry_write_device(m, device, &text);
        fgd_text_add(&text, "}");
        json_t *object = text.failed ? NULL : json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
        assert(text.failed || object);
        json_decref(object);
        fgd_text_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct fgd_manager m;
        static struct fgd_device device = {.key = "cuda/GPU-1", .api = "cuda", .present = true};
        struct fgd_watchdog *w = calloc(1, sizeof *w);
        char *text = malloc(size + 1), *rest = text;
        if (!w || !text)
                abort();
        memcpy(text, data, size);
        text[size] = 0;
        fg_log_set_level(FG_LOG_ERROR);
        memset(&m, 0, sizeof m);
        TAILQ_INIT(&m.pages);
        m.device[0] = &device;
        m.devices = 1;
        m.watchdog = w;
        m.telemetry = fgd_telemetry_new(&m);
        if (!m.telemetry)
                abort();
        m.options.value[FG_OPT_WATCHDOG] = FG_WATCHDOG_REPORT;
        m.options.value[FG_OPT_WATCHDOG_INTERVAL] = 250;
        w->manager = &m;
        for (char *line; (line = strsep(&rest, "\n"));) {
                fgd_watchdog_take(w, line);
                fgd_telemetry_take(m.telemetry, line);
        }
        assert(w->findings <= FGD_WATCH_FINDINGS);
        assert(!w->look[0] || w->look[0]->processes <= FGD_WATCH_PROCESSES);
        assert(!w->look[0] || w->look[0]->utilization <= 100);
        check_answers(&m, &device);
        free(w->look[0]);
        free(w);
        fgd_telemetry_free(m.telemetry);
        free(text);
        return 0;
}
