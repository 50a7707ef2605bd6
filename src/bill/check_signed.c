/* SPDX-License-Identifier: Apache-2.0
 * A log against what was signed of it. */
#include "bill/check_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b)
{
        const struct fg_tlog_checkpoint *x = a, *y = b;
        return x->size < y->size ? -1 : x->size > y->size;
}

/* Do the kept hashes make the root of the largest checkpoint? Then each of them is as good as signed. */
static int judge_hashes(struct fg_bill_check *check, struct fg_error *err)
{
        struct fg_tlog_tree tree = check->begin;
        struct fg_tlog_hash hash, root;
        if (!check->log->hashes || check->checkpoints == 0)
                return 0;
        const struct fg_tlog_checkpoint *last = &check->checkpoint[check->checkpoints - 1];
        if (fseeko(check->log->hashes, (off_t)(tree.size * sizeof(hash)), SEEK_SET) < 0)
                return 0;
        while (tree.size < last->size && fread(&hash, sizeof(hash), 1, check->log->hashes) == 1)
                fg_tlog_append(&tree, &hash);
        if (ferror(check->log->hashes))
                return fg_error_set(err, -EIO, "cannot read the hashes");
        fg_tlog_root(&tree, &root);
        check->are_hashes_signed = tree.size == last->size && memcmp(&root, &last->root, sizeof(root)) == 0;
        check->verdict.are_hashes_wrong = !check->are_hashes_signed;
        return 0;
}

int fg_bill_check_notes(struct fg_bill_check *check, const uint8_t public[32], const char *node, struct fg_error *err)
{
        char origin[FG_TLOG_NAME_MAX];
        snprintf(origin, sizeof(origin), "fastgpu/%s", node);
        for (size_t i = 0; i < check->log->notes && check->checkpoints < FG_BILL_CHECKPOINTS; i++) {
                struct fg_tlog_checkpoint *at = &check->checkpoint[check->checkpoints];
                struct fg_error why = {0};
                const char *note = check->log->note[i];
                if (fg_tlog_open(note, strlen(note), public, at, &why) < 0)
                        fg_bill_check_say(check, -1, "checkpoint", "%s", why.text);
                else if (strcmp(at->origin, origin) != 0)
                        fg_bill_check_say(check, -1, "checkpoint", "it is of the log %s, not of %s", at->origin, origin);
                else
                        check->checkpoints++;
        }
        qsort(check->checkpoint, check->checkpoints, sizeof(check->checkpoint[0]), by_size);
        if (check->checkpoints)
                check->verdict.signed_size = check->checkpoint[check->checkpoints - 1].size;
        return judge_hashes(check, err);
}

void fg_bill_check_root(struct fg_bill_check *check)
{
        while (check->passed < check->checkpoints && check->checkpoint[check->passed].size < check->begin.size)
                check->passed++;
        for (; check->passed < check->checkpoints && check->checkpoint[check->passed].size == check->all.size; check->passed++) {
                const struct fg_tlog_checkpoint *at = &check->checkpoint[check->passed];
                struct fg_tlog_hash root;
                fg_tlog_root(&check->all, &root);
                if (memcmp(&root, &at->root, sizeof(root)) == 0)
                        check->agreed = at->size;
                else
                        fg_bill_check_say(check, -1, "checkpoint", "the log is not the one that was signed: among the records "
                                          "%" PRIu64 " to %" PRIu64 " one is another", check->agreed, at->size - 1);
        }
}

void fg_bill_check_end(struct fg_bill_check *check)
{
        uint64_t size = check->all.size, wanted = check->verdict.signed_size;
        if (wanted > size)
                fg_bill_check_say(check, check->next, "", "the records %" PRId64 " to %" PRIu64 " are missing: %" PRIu64 " were signed",
                                  check->next, wanted - 1, wanted);
}

int fg_bill_check_kept(struct fg_bill_check *check, int64_t record, struct fg_tlog_hash *ret)
{
        FILE *f = check->log->hashes;
        if (!check->are_hashes_signed || (uint64_t)record >= check->verdict.signed_size)
                return 0;
        off_t at = (off_t)record * (off_t)sizeof(*ret);
        if (ftello(f) != at && fseeko(f, at, SEEK_SET) < 0)
                return 0;
        return fread(ret, sizeof(*ret), 1, f) == 1;
}
