/* SPDX-License-Identifier: Apache-2.0
 * What lets another process find memory: a card in a handle's bytes, or at the end of a descriptor's file. */
#ifndef FGSIM_CARD_H
#define FGSIM_CARD_H

#include "sim/internal.h"

enum fgsim_card_kind { FGSIM_CARD_RANGE = 1, FGSIM_CARD_VMM, FGSIM_CARD_POOL };

struct fgsim_card {
        uint32_t magic, kind;
        uint32_t pid;
        int32_t fd;       /* in that process: opened through /proc/PID/fd */
        uint64_t hash;    /* of the spec */
        uint64_t offset, bytes;
        uint64_t id;      /* tells a range from the one that had its place before */
        uint16_t gpu;
        uint16_t handle_types;
        int16_t location_type, location_id;
};
_Static_assert(sizeof(struct fgsim_card) <= 64, "fits into the interface's handles");

/* A file of `bytes` with the card behind them. -1: errno. */
int fgsim_card_file(const struct fgsim_card *card, uint64_t bytes);
/* Reads the card of such a file; false: it is none. */
bool fgsim_card_of_file(int fd, enum fgsim_card_kind kind, struct fgsim_card *ret);

/* The card of a range in the arena; false: it cannot be shared. */
bool fgsim_card_of_range(const struct fgsim_range *range, struct fgsim_card *ret);
/* Maps what the card says, once per process: further calls count. */
CUresult fgsim_card_open(const struct fgsim_card *card, struct fgsim_context *ctx, CUdeviceptr *ret);

#endif
