/* SPDX-License-Identifier: Apache-2.0
 *
 * A transparency log: RFC 6962 Merkle trees over records, and signed checkpoints of them (C2SP tlog-checkpoint,
 * signed-note). Used by the daemon, which writes, and by everybody who checks. SHA-256 and Ed25519 are libsodium's.
 *
 * A leaf is SHA-256(0x00 || record), a node SHA-256(0x01 || left || right); the tree of nothing is SHA-256().
 * Nothing here allocates, keeps state or takes a lock: all functions may be called from any thread.
 * Formats, threats and what is not proved: docs/design/records.md. */
#ifndef FG_TLOG_TLOG_H
#define FG_TLOG_TLOG_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FG_TLOG_HASH     32u
#define FG_TLOG_DEPTH    64u       /* hashes a proof has at most */
#define FG_TLOG_SIZE_MAX INT64_MAX /* leaves of a tree: a consistency proof of a larger one can have 65 hashes */
#define FG_TLOG_NOTE_MAX 4096u     /* with its NUL: 16 Ed25519 signatures fit, as signed-note demands */
#define FG_TLOG_NAME_MAX 128u      /* of an origin, with its NUL */

struct fg_tlog_hash {
        uint8_t byte[FG_TLOG_HASH];
};

void fg_tlog_leaf(const void *record, size_t size, struct fg_tlog_hash *ret);
void fg_tlog_node(const struct fg_tlog_hash *left, const struct fg_tlog_hash *right, struct fg_tlog_hash *ret);

/* --- the tree: leaf hashes come one after another; all its state is `size` and at most 64 hashes. {0} is empty --- */

struct fg_tlog_tree {
        uint64_t size;
        struct fg_tlog_hash peak[FG_TLOG_DEPTH]; /* of the full subtrees, the largest first: one for each bit of size */
};
void fg_tlog_append(struct fg_tlog_tree *tree, const struct fg_tlog_hash *leaf);
void fg_tlog_root(const struct fg_tlog_tree *tree, struct fg_tlog_hash *ret);

/* --- proofs. The reader fetches leaf hash `index`: 0 or -errno, which ends the proving and is its result --- */

typedef int (*fg_tlog_read_t)(void *user, uint64_t index, struct fg_tlog_hash *ret);
struct fg_tlog_proof {
        uint32_t count;
        struct fg_tlog_hash hash[FG_TLOG_DEPTH]; /* the deepest first */
};
/* RFC 6962 2.1.1: leaf `index` in the tree of the first `size`; index < size. Reads all others, each once; -EINVAL. */
int fg_tlog_prove(fg_tlog_read_t read, void *user, uint64_t index, uint64_t size, struct fg_tlog_proof *ret);
/* RFC 6962 2.1.2: the tree of the first `old_size` is a beginning of that of the first `size`; 0 < old_size <= size. */
int fg_tlog_prove_consistency(fg_tlog_read_t read, void *user, uint64_t old_size, uint64_t size,
                              struct fg_tlog_proof *ret);
/* The same from a reader of full subtrees: the root of the 2^level leaves from index * 2^level. Each is read at most once,
 * about as many as the proof has. */
typedef int (*fg_tlog_node_t)(void *user, unsigned level, uint64_t index, struct fg_tlog_hash *ret);
int fg_tlog_prove_nodes(fg_tlog_node_t read, void *user, uint64_t index, uint64_t size, struct fg_tlog_proof *ret);
int fg_tlog_prove_consistency_nodes(fg_tlog_node_t read, void *user, uint64_t old_size, uint64_t size,
                                    struct fg_tlog_proof *ret);
/* 0, or -EBADMSG: RFC 9162 2.1.3.2 and 2.1.4.2, at most 128 hashes' work on any input. Sizes and roots have to come
 * from signed checkpoints: a proof says that a leaf is under a root, and fits every size at which the way up looks the
 * same. */
int fg_tlog_verify(const struct fg_tlog_proof *proof, uint64_t index, uint64_t size, const struct fg_tlog_hash *leaf,
                   const struct fg_tlog_hash *root);
int fg_tlog_verify_consistency(const struct fg_tlog_proof *proof, uint64_t old_size, uint64_t size,
                               const struct fg_tlog_hash *old_root, const struct fg_tlog_hash *root);

/* --- checkpoints --- */

struct fg_tlog_checkpoint {
        char origin[FG_TLOG_NAME_MAX]; /* whose log: "fastgpu/<node id>"; printable ASCII, no space, no '+' */
        uint64_t size;                 /* at most FG_TLOG_SIZE_MAX */
        struct fg_tlog_hash root;
        int64_t time; /* unix, s: an extension line "time <n>"; 0: none */
};

struct fg_tlog_key { /* libsodium's Ed25519 */
        uint8_t seed[32];
        uint8_t secret[64]; /* seed and public part */
        uint8_t public[32];
};
void fg_tlog_key_from_seed(const uint8_t seed[32], struct fg_tlog_key *ret);

/* The signed note: origin, size, base64 root, extension lines, an empty line, "— origin base64(key id || signature)",
 * where key id is the first 4 bytes of SHA-256(origin || "\n" || 0x01 || public key). NUL-terminated; the same bytes
 * every time. -EINVAL: an origin, size or time that cannot stand in a checkpoint. */
int fg_tlog_sign(const struct fg_tlog_checkpoint *checkpoint, const struct fg_tlog_key *key,
                 char ret[FG_TLOG_NOTE_MAX]);
/* Parses without trusting anything; -EBADMSG with the reason. `size` without a NUL. */
int fg_tlog_parse(const char *note, size_t size, struct fg_tlog_checkpoint *ret, struct fg_error *err);
/* Parses and checks the signature: -EBADMSG damaged, -EKEYREJECTED not by this key (and this origin). Others'
 * signatures beside it (witnesses) are not looked at. Whether it is the log that was asked for, the caller compares:
 * ret->origin. */
int fg_tlog_open(const char *note, size_t size, const uint8_t public[32], struct fg_tlog_checkpoint *ret,
                 struct fg_error *err);

/* base64 with padding, for keys and hashes. Encodes into buf (NUL-terminated; empty if it does not fit: `len` has to be
 * at least FG_TLOG_BASE64(size)); decodes exactly `want` bytes in their one canonical form, else -EBADMSG. */
#define FG_TLOG_BASE64(size) (((size) + 2) / 3 * 4 + 1)
void fg_tlog_base64(const void *data, size_t size, char *buf, size_t len);
int fg_tlog_unbase64(const char *text, size_t length, void *ret, size_t want);

#endif
