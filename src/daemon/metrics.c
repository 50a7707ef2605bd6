/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metrics_internal.h"

#include "base/clock.h"
#include "daemon/manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fgd_metrics_new(struct fgd_manager *m, struct fg_error *err)
{
        m->metrics = calloc(1, sizeof *m->metrics);
        if (!m->metrics)
                return fg_error_set(err, -ENOMEM, "out of memory");
        gethostname(m->metrics->host, sizeof m->metrics->host - 1);
        m->metrics->spent_seq = -1;
        return 0;
}

void fgd_metrics_free(struct fgd_manager *m)
{
        if (m->metrics)
                free(m->metrics->spent);
        free(m->metrics);
        m->metrics = NULL;
}

static uint64_t this_minute(void)
{
        return fg_now() / (60 * FG_NSEC_PER_SEC);
}

static void longest_add(struct fgd_longest *l, uint64_t ns)
{
        uint64_t minute = this_minute();
        if (minute != l->minute) {
                l->ns[1] = minute == l->minute + 1 ? l->ns[0] : 0;
                l->ns[0] = 0;
                l->minute = minute;
        }
        if (ns > l->ns[0])
                l->ns[0] = ns;
}

uint64_t fgd_longest(const struct fgd_longest *l)
{
        uint64_t ago = this_minute() - l->minute;
        return ago > 1 ? 0 : ago == 1 || l->ns[0] > l->ns[1] ? l->ns[0] : l->ns[1];
}

void fgd_metrics_turn(struct fgd_manager *m, uint64_t ns)
{
        if (m->metrics)
                longest_add(&m->metrics->turn, ns);
}

void fgd_metrics_pass(struct fgd_manager *m, uint64_t ns)
{
        if (m->metrics)
                longest_add(&m->metrics->pass, ns);
}

void fgd_metrics_refused(struct fgd_manager *m, enum fgd_problem_type type)
{
        m->metrics->refused[type]++;
}

void fgd_metrics_projects_changed(struct fgd_manager *m)
{
        if (m->metrics)
                m->metrics->spent_seq = -1;
}

/* --- what the caller wants --- */

/* "0.5" in thousandths; what makes no sense is 0. */
static unsigned weight_of(const char *parameters, size_t size)
{
        unsigned value = 1000;
        for (size_t i = 0; i + 2 < size; i++) {
                if ((parameters[i] != 'q' && parameters[i] != 'Q') || parameters[i + 1] != '=' || (i && !strchr("; \t", parameters[i - 1])))
                        continue;
                const char *digit = parameters + i + 2;
                value = *digit == '1' ? 1000 : 0;
                if (*digit == '0' && i + 3 < size && digit[1] == '.')
                        for (unsigned k = 0, scale = 100; k < 3 && digit + 2 + k < parameters + size; k++, scale /= 10) {
                                if (digit[2 + k] < '0' || digit[2 + k] > '9')
                                        break;
                                value += (unsigned)(digit[2 + k] - '0') * scale;
                        }
        }
        return value;
}

bool fgd_metrics_wants_openmetrics(const char *accept)
{
        static const char openmetrics[] = "application/openmetrics-text", plain[] = "text/plain";
        unsigned best = 0, rest = 0;
        for (const char *at = accept ? accept : ""; *at;) {
                at += strspn(at, ", \t");
                size_t size = strcspn(at, ","), name = strcspn(at, ",; \t");
                unsigned weight = weight_of(at + name, size - name);
                if (name == sizeof openmetrics - 1 && strncasecmp(at, openmetrics, name) == 0)
                        best = weight > best ? weight : best;
                else if (name == sizeof plain - 1 && strncasecmp(at, plain, name) == 0)
                        rest = weight > rest ? weight : rest;
                at += size;
        }
        return best && best >= rest;
}
