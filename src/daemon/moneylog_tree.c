/* SPDX-License-Identifier: Apache-2.0
 * The tree's nodes: the lowest levels are made from the hashes on disk, the middle ones from the index, the upper ones are in memory. */
#include "daemon/moneylog_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (1u << FGD_MONEYLOG_BLOCK)
#define CHUNK (1u << (FGD_MONEYLOG_LEVEL - FGD_MONEYLOG_BLOCK)) /* blocks of a node in memory */
#define ROWS  1024u                                             /* read at once */

int fgd_moneylog_reserve(struct fgd_moneylog *log, size_t records)
{
        size_t wanted = log->fresh_count + records / BLOCK + 1;
        if (wanted <= log->fresh_room)
                return 0;
        struct fgd_moneylog_row *more = reallocarray(log->fresh, 2 * wanted, sizeof *more);
        if (!more)
                return -ENOMEM;
        log->fresh = more;
        log->fresh_room = 2 * wanted;
        return 0;
}

static int push(struct fgd_moneylog *log, unsigned level, const struct fg_tlog_hash *node)
{
        if (log->level[level].count == log->level[level].room) {
                size_t room = log->level[level].room ? 2 * log->level[level].room : 16;
                struct fg_tlog_hash *more = reallocarray(log->level[level].node, room, sizeof *more);
                if (!more)
                        return -ENOMEM;
                log->level[level].node = more;
                log->level[level].room = room;
        }
        log->level[level].node[log->level[level].count++] = *node;
        return 0;
}

/* A full block, in the order of blocks. */
static void add_block(struct fgd_moneylog *log, const struct fg_tlog_hash *root)
{
        struct fg_tlog_hash node;
        unsigned level = FGD_MONEYLOG_LEVEL;
        fg_tlog_append(&log->chunk, root);
        if (log->chunk.size < CHUNK || log->is_short)
                return;
        fg_tlog_root(&log->chunk, &node);
        log->chunk = (struct fg_tlog_tree){0};
        for (;; level++) {
                log->is_short = push(log, level, &node) < 0;
                if (log->is_short || log->level[level].count % 2)
                        return;
                const struct fg_tlog_hash *last = &log->level[level].node[log->level[level].count - 1];
                fg_tlog_node(last - 1, last, &node);
        }
}

void fgd_moneylog_grow(struct fgd_moneylog *log, const struct fg_tlog_hash *leaf, int64_t at)
{
        if (log->block.size == 0)
                log->block_at = at;
        fg_tlog_append(&log->block, leaf);
        if (log->block.size < BLOCK)
                return;
        struct fgd_moneylog_row *row = &log->fresh[log->fresh_count++];
        row->at = log->block_at;
        fg_tlog_root(&log->block, &row->node);
        log->block = (struct fg_tlog_tree){0};
        add_block(log, &row->node);
}

int fgd_moneylog_index_up(struct fgd_moneylog *log)
{
        if (log->fresh_count == 0 || log->trouble[0])
                return 0;
        int r = fgd_moneylog_write_all(log->index, log->fresh, log->fresh_count * sizeof *log->fresh,
                                       (int64_t)(log->indexed * sizeof *log->fresh));
        if (r < 0)
                return r;
        log->indexed += log->fresh_count;
        log->fresh_count = 0;
        return 0;
}

static int read_rows(const struct fgd_moneylog *log, uint64_t first, size_t count, struct fgd_moneylog_row *ret)
{
        ssize_t n = pread(log->index, ret, count * sizeof *ret, (off_t)(first * sizeof *ret));
        return n == (ssize_t)(count * sizeof *ret) ? 0 : n < 0 ? -errno : -EIO;
}

int fgd_moneylog_row(const struct fgd_moneylog *log, uint64_t block, struct fgd_moneylog_row *ret)
{
        uint64_t fresh = block - log->indexed;
        if (block < log->indexed)
                return read_rows(log, block, 1, ret);
        if (fresh < log->fresh_count)
                *ret = log->fresh[fresh];
        else if (fresh == log->fresh_count && log->block.size)
                *ret = (struct fgd_moneylog_row){.at = log->block_at}; /* not full: it has no root */
        else
                return -ENOENT;
        return 0;
}

static int read_leaves(const struct fgd_moneylog *log, uint64_t first, uint64_t count, struct fg_tlog_tree *tree)
{
        struct fg_tlog_hash leaf[BLOCK];
        ssize_t n = pread(log->hashes, leaf, count * sizeof *leaf, (off_t)(first * sizeof *leaf));
        if (n != (ssize_t)(count * sizeof *leaf))
                return n < 0 ? -errno : -EIO;
        for (uint64_t i = 0; i < count; i++)
                fg_tlog_append(tree, &leaf[i]);
        return 0;
}

static int read_node(void *user, unsigned level, uint64_t index, struct fg_tlog_hash *ret)
{
        struct fgd_moneylog *log = user;
        struct fg_tlog_tree tree = {0};
        if (level >= FGD_MONEYLOG_LEVEL) {
                if (level >= 64 || index >= log->level[level].count)
                        return -ENOENT;
                *ret = log->level[level].node[index];
                return 0;
        }
        uint64_t first = index << level, end = first + (1ull << level);
        if (end > (level < FGD_MONEYLOG_BLOCK ? log->hashed : log->tree.size))
                return -ENOENT;
        int r = level < FGD_MONEYLOG_BLOCK ? read_leaves(log, first, end - first, &tree) : 0;
        for (uint64_t i = first; r == 0 && level >= FGD_MONEYLOG_BLOCK && i < end; i += BLOCK) {
                struct fgd_moneylog_row row;
                r = fgd_moneylog_row(log, i / BLOCK, &row);
                if (r == 0)
                        fg_tlog_append(&tree, &row.node);
        }
        if (r == 0)
                fg_tlog_root(&tree, ret);
        return r;
}

void fgd_moneylog_tree_clear(struct fgd_moneylog *log)
{
        for (size_t i = 0; i < sizeof log->level / sizeof log->level[0]; i++)
                log->level[i].count = 0;
        log->chunk = log->block = (struct fg_tlog_tree){0};
        log->is_short = false;
        log->indexed = 0;
        log->fresh_count = 0;
}

int fgd_moneylog_tree_load(struct fgd_moneylog *log, const struct fg_bill_point *point, int64_t block_at)
{
        struct fgd_moneylog_row row[ROWS];
        struct fg_tlog_tree blocks = {0};
        uint64_t count = point->tree.size / BLOCK, rest = point->tree.size % BLOCK;
        int64_t before = -1;
        int r = 0;
        fgd_moneylog_tree_clear(log);
        for (uint64_t at = 0; r == 0 && at < count; at += ROWS) {
                size_t n = count - at < ROWS ? (size_t)(count - at) : ROWS;
                r = read_rows(log, at, n, row);
                for (size_t i = 0; r == 0 && i < n; i++) {
                        r = row[i].at > before && row[i].at < point->bytes ? 0 : -EBADMSG;
                        before = row[i].at;
                        fg_tlog_append(&blocks, &row[i].node);
                        add_block(log, &row[i].node);
                }
        }
        if (r == 0)
                r = read_leaves(log, count * BLOCK, rest, &log->block);
        log->indexed = count;
        log->block_at = block_at;
        unsigned peaks = (unsigned)__builtin_popcountll(count), more = (unsigned)__builtin_popcountll(rest);
        if (r == 0 && (memcmp(blocks.peak, point->tree.peak, peaks * sizeof *blocks.peak) != 0 ||
                       memcmp(log->block.peak, point->tree.peak + peaks, more * sizeof *blocks.peak) != 0))
                r = -EBADMSG;
        return r;
}

int fgd_moneylog_prove(struct fgd_moneylog *log, uint64_t record, uint64_t size, struct fg_tlog_proof *ret)
{
        return size > log->tree.size ? -EINVAL : fg_tlog_prove_nodes(read_node, log, record, size, ret);
}

int fgd_moneylog_prove_consistency(struct fgd_moneylog *log, uint64_t old_size, uint64_t size, struct fg_tlog_proof *ret)
{
        return size > log->tree.size ? -EINVAL : fg_tlog_prove_consistency_nodes(read_node, log, old_size, size, ret);
}
