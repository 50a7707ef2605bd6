/* SPDX-License-Identifier: Apache-2.0
 * Proofs: the lower levels of the tree from the hashes on disk, the upper ones from memory. */
#include "daemon/moneylog_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (1u << FGD_MONEYLOG_LEVEL)

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

void fgd_moneylog_grow(struct fgd_moneylog *log, const struct fg_tlog_hash *leaf)
{
        struct fg_tlog_hash node;
        fg_tlog_append(&log->block, leaf);
        if (log->block.size < BLOCK)
                return;
        fg_tlog_root(&log->block, &node);
        log->block = (struct fg_tlog_tree){0};
        for (unsigned level = FGD_MONEYLOG_LEVEL; push(log, level, &node) == 0 && log->level[level].count % 2 == 0; level++) {
                const struct fg_tlog_hash *last = &log->level[level].node[log->level[level].count - 1];
                fg_tlog_node(last - 1, last, &node);
        }
}

static int read_node(void *user, unsigned level, uint64_t index, struct fg_tlog_hash *ret)
{
        struct fgd_moneylog *log = user;
        struct fg_tlog_hash leaf[BLOCK];
        struct fg_tlog_tree tree = {0};
        if (level >= FGD_MONEYLOG_LEVEL) {
                if (level >= 64 || index >= log->level[level].count)
                        return -ENOENT;
                *ret = log->level[level].node[index];
                return 0;
        }
        uint64_t first = index << level, count = 1ull << level;
        if (first + count > log->hashed)
                return -ENOENT;
        ssize_t n = pread(log->hashes, leaf, count * sizeof *leaf, (off_t)(first * sizeof *leaf));
        if (n != (ssize_t)(count * sizeof *leaf))
                return n < 0 ? -errno : -EIO;
        for (uint64_t i = 0; i < count; i++)
                fg_tlog_append(&tree, &leaf[i]);
        fg_tlog_root(&tree, ret);
        return 0;
}

int fgd_moneylog_prove(struct fgd_moneylog *log, uint64_t record, uint64_t size, struct fg_tlog_proof *ret)
{
        return size > log->tree.size ? -EINVAL : fg_tlog_prove_nodes(read_node, log, record, size, ret);
}

int fgd_moneylog_prove_consistency(struct fgd_moneylog *log, uint64_t old_size, uint64_t size, struct fg_tlog_proof *ret)
{
        return size > log->tree.size ? -EINVAL : fg_tlog_prove_consistency_nodes(read_node, log, old_size, size, ret);
}
