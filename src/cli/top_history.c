/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_history.h"

#include "cli/cli.h"
#include "cli/fit.h"

#include <stdlib.h>
#include <string.h>

#define FIELDS 2 /* use and memory */

struct entry {
        char *key; /* the view's digit and the row's key */
        bool seen;
        unsigned count, at;
        uint16_t value[FIELDS][CLI_TOP_HISTORY];
};

struct cli_top_history {
        struct entry **entry; /* by key */
        size_t count, room;
};

struct cli_top_history *cli_top_history_new(void)
{
        return calloc(1, sizeof(struct cli_top_history));
}

static void entry_free(struct entry *e)
{
        free(e->key);
        free(e);
}

void cli_top_history_free(struct cli_top_history *history)
{
        for (size_t i = 0; history && i < history->count; i++)
                entry_free(history->entry[i]);
        if (history)
                free(history->entry);
        free(history);
}

/* Where the key is, or would be. */
static size_t find(const struct cli_top_history *history, const char *key, bool *ret_found)
{
        size_t low = 0, high = history->count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int c = strcmp(history->entry[middle]->key, key);
                if (c == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = false;
        return low;
}

static struct entry *take(struct cli_top_history *history, char *key)
{
        bool found;
        size_t i = find(history, key, &found);
        if (found) {
                free(key);
                return history->entry[i];
        }
        if (history->count == history->room) {
                size_t room = history->room ? history->room * 2 : 64;
                struct entry **grown = realloc(history->entry, room * sizeof *grown);
                if (!grown) {
                        free(key);
                        return NULL;
                }
                history->entry = grown;
                history->room = room;
        }
        struct entry *e = calloc(1, sizeof *e);
        if (!e) {
                free(key);
                return NULL;
        }
        e->key = key;
        memmove(history->entry + i + 1, history->entry + i, (history->count++ - i) * sizeof *history->entry);
        history->entry[i] = e;
        return e;
}

static void push(struct entry *e, uint16_t use, uint16_t memory)
{
        e->value[0][e->at] = use;
        e->value[1][e->at] = memory;
        e->at = (e->at + 1) % CLI_TOP_HISTORY;
        e->count += e->count < CLI_TOP_HISTORY;
}

/* Permille that a bar can show. */
static uint16_t level(double permille)
{
        return permille > 1000 ? 1000 : permille > 0 ? (uint16_t)permille : 0;
}

void cli_top_history_add(struct cli_top_history *history, enum cli_top_view_id view, const json_t *rows)
{
        size_t i, kept = 0;
        const json_t *row;
        json_array_foreach(rows, i, row)
        {
                const json_t *use = json_object_get(row, view == CLI_TOP_DEVICE ? "busy" : "got");
                double used = (double)cli_number(row, "memory_used"), quota = (double)cli_number(row, "memory");
                char *key = NULL;
                struct entry *e = asprintf(&key, "%d%s", view, cli_text(row, "key")) < 0 ? NULL : take(history, key);
                if (!e)
                        continue;
                push(e, json_is_real(use) ? level(json_real_value(use)) : CLI_SPARK_NONE, quota > 0 ? level(used * 1000 / quota) : 0);
                e->seen = true;
        }
        for (i = 0; i < history->count; i++) {
                struct entry *e = history->entry[i];
                if (e->key[0] == (char)('0' + view) && !e->seen) {
                        entry_free(e);
                        continue;
                }
                e->seen = false;
                history->entry[kept++] = e;
        }
        history->count = kept;
}

void cli_top_history_gap(struct cli_top_history *history)
{
        for (size_t i = 0; i < history->count; i++)
                push(history->entry[i], CLI_SPARK_NONE, CLI_SPARK_NONE);
}

size_t cli_top_history_get(const struct cli_top_history *history, enum cli_top_view_id view, const char *key, const char *field,
                           uint16_t ret[CLI_TOP_HISTORY])
{
        char *full = NULL;
        bool found = false;
        if (asprintf(&full, "%d%s", view, key) < 0)
                return 0;
        size_t i = find(history, full, &found);
        free(full);
        if (!found)
                return 0;
        const struct entry *e = history->entry[i];
        const uint16_t *value = e->value[strcmp(field, "memory_used") == 0];
        for (size_t j = 0; j < e->count; j++)
                ret[j] = value[(e->at + CLI_TOP_HISTORY - e->count + j) % CLI_TOP_HISTORY];
        return e->count;
}
