/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static unsigned char hash_key[crypto_shorthash_KEYBYTES];

int fgd_hash_start(void)
{
        if (sodium_init() < 0)
                return -ENODATA;
        randombytes_buf(hash_key, sizeof hash_key);
        return 0;
}

uint64_t fgd_hash(const void *data, size_t size)
{
        uint64_t hash;
        _Static_assert(sizeof hash == crypto_shorthash_BYTES, "SipHash has 64 bits");
        crypto_shorthash((unsigned char *)&hash, data, size, hash_key);
        return hash;
}

uint64_t fgd_hash_text(const char *text)
{
        return fgd_hash(text, strlen(text));
}

uint64_t fgd_hash_number(uint64_t number)
{
        return fgd_hash(&number, sizeof number);
}

static struct fgd_node **bucket_of(const struct fgd_table *table, uint64_t hash)
{
        return &table->bucket[hash & (table->size - 1)];
}

static void insert(struct fgd_table *table, struct fgd_node *node)
{
        struct fgd_node **at = bucket_of(table, node->hash);
        node->next = *at;
        *at = node;
}

int fgd_table_reserve(struct fgd_table *table)
{
        struct fgd_table larger = {.size = table->size ? table->size * 2 : 16, .count = table->count};
        if (table->count < table->size)
                return 0;
        larger.bucket = calloc(larger.size, sizeof(struct fgd_node *));
        if (!larger.bucket)
                return -ENOMEM;
        for (uint32_t i = 0; i < table->size; i++)
                for (struct fgd_node *node = table->bucket[i], *next; node; node = next) {
                        next = node->next;
                        insert(&larger, node);
                }
        free(table->bucket);
        *table = larger;
        return 0;
}

void fgd_table_add(struct fgd_table *table, struct fgd_node *node, uint64_t hash)
{
        node->hash = hash;
        insert(table, node);
        table->count++;
}

void fgd_table_remove(struct fgd_table *table, struct fgd_node *node)
{
        struct fgd_node **at = bucket_of(table, node->hash);
        while (*at != node)
                at = &(*at)->next;
        *at = node->next;
        node->next = NULL;
        table->count--;
}

static struct fgd_node *skip_to(struct fgd_node *node, uint64_t hash)
{
        while (node && node->hash != hash)
                node = node->next;
        return node;
}

struct fgd_node *fgd_table_first(const struct fgd_table *table, uint64_t hash)
{
        return table->size ? skip_to(*bucket_of(table, hash), hash) : NULL;
}

struct fgd_node *fgd_table_next(const struct fgd_node *node)
{
        return skip_to(node->next, node->hash);
}

void fgd_table_clear(struct fgd_table *table)
{
        free(table->bucket);
        *table = (struct fgd_table){0};
}
