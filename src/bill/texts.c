/* SPDX-License-Identifier: Apache-2.0 */
#include "bill/sums.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(crypto_shorthash_KEYBYTES == sizeof(((struct fg_bill_texts *)0)->key), "SipHash's key");

static uint64_t hash_of(const struct fg_bill_texts *texts, const char *text)
{
        uint8_t out[crypto_shorthash_BYTES];
        uint64_t hash;
        crypto_shorthash(out, (const uint8_t *)text, strlen(text), texts->key);
        memcpy(&hash, out, sizeof(hash));
        return hash;
}

/* Where it is, or where it would stand. Equation: fewer than half of the buckets are taken. */
static uint32_t *bucket_of(const struct fg_bill_texts *texts, const char *text)
{
        uint32_t mask = texts->buckets - 1, at = (uint32_t)hash_of(texts, text) & mask;
        while (texts->bucket[at] && strcmp(texts->text[texts->bucket[at] - 1], text) != 0)
                at = (at + 1) & mask;
        return &texts->bucket[at];
}

static int grow(struct fg_bill_texts *texts)
{
        uint32_t room = texts->room ? 2 * texts->room : 64;
        char **text = realloc(texts->text, room * sizeof(*text));
        if (!text)
                return -ENOMEM;
        texts->text = text;
        uint32_t *bucket = calloc(4 * (size_t)room, sizeof(*bucket));
        if (!bucket)
                return -ENOMEM;
        if (texts->room == 0)
                randombytes_buf(texts->key, sizeof(texts->key));
        free(texts->bucket);
        texts->bucket = bucket;
        texts->buckets = 4 * room;
        texts->room = room;
        for (uint32_t i = 0; i < texts->count; i++)
                *bucket_of(texts, text[i]) = i + 1;
        return 0;
}

int fg_bill_texts_number(struct fg_bill_texts *texts, const char *text, uint32_t *ret)
{
        if (texts->count == 0 && text[0]) {
                uint32_t zero;
                int r = fg_bill_texts_number(texts, "", &zero);
                if (r < 0)
                        return r;
        }
        *ret = fg_bill_texts_find(texts, text);
        if (*ret != UINT32_MAX)
                return 0;
        int r = texts->count == texts->room ? grow(texts) : 0;
        char *copy = r == 0 ? strdup(text) : NULL;
        if (!copy)
                return -ENOMEM;
        uint32_t *bucket = bucket_of(texts, text);
        texts->text[texts->count] = copy;
        *ret = texts->count++;
        *bucket = *ret + 1;
        return 0;
}

uint32_t fg_bill_texts_find(const struct fg_bill_texts *texts, const char *text)
{
        uint32_t number = texts->count ? *bucket_of(texts, text) : 0;
        return number ? number - 1 : UINT32_MAX;
}

const char *fg_bill_texts_get(const struct fg_bill_texts *texts, uint32_t number)
{
        return number < texts->count ? texts->text[number] : "";
}
