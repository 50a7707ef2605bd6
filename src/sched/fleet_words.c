/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/fleet_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a */
static uint64_t hash(const char *text)
{
        uint64_t h = 0xcbf29ce484222325u;
        for (; *text; text++)
                h = (h ^ (unsigned char)*text) * 0x100000001b3u;
        return h ^ h >> 32;
}

static size_t slot_of(const struct fg_words *w, const char *text)
{
        size_t i = hash(text) & (w->slots - 1);
        while (w->slot[i] != FG_WORD_NONE && strcmp(w->text[w->slot[i]], text) != 0)
                i = (i + 1) & (w->slots - 1);
        return i;
}

uint32_t fg_words_find(const struct fg_words *w, const char *text)
{
        return w->slots ? w->slot[slot_of(w, text)] : FG_WORD_NONE;
}

static int grow(struct fg_words *w)
{
        uint32_t room = w->room ? 2 * w->room : 16;
        char **text = realloc(w->text, room * sizeof(*text));
        if (!text)
                return -ENOMEM;
        w->text = text;
        uint32_t *slot = malloc(2 * room * sizeof(*slot));
        if (!slot)
                return -ENOMEM;
        memset(slot, 0xff, 2 * room * sizeof(*slot));
        free(w->slot);
        w->slot = slot;
        w->slots = 2 * (size_t)room;
        w->room = room;
        for (uint32_t i = 0; i < w->count; i++)
                w->slot[slot_of(w, w->text[i])] = i;
        return 0;
}

int fg_words_add(struct fg_words *w, const char *text, uint32_t *ret)
{
        uint32_t found = fg_words_find(w, text);
        if (found == FG_WORD_NONE) {
                if (w->count == w->room && grow(w) < 0)
                        return -ENOMEM;
                char *copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
                found = w->count++;
                w->text[found] = copy;
                w->slot[slot_of(w, text)] = found;
        }
        *ret = found;
        return 0;
}

void fg_words_clear(struct fg_words *w)
{
        for (uint32_t i = 0; i < w->count; i++)
                free(w->text[i]);
        free(w->text);
        free(w->slot);
        *w = (struct fg_words){0};
}
