/* SPDX-License-Identifier: Apache-2.0
 * Tokens: fgt_ID_SECRET. The secret is random, told once, and kept only as a hash. */
#ifndef FGD_TOKENS_H
#define FGD_TOKENS_H

#include "daemon/problem.h"
#include "daemon/tenants.h"

#define FGD_TOKEN_PREFIX "fgt_"

/* The token of an Authorization header, if it holds at `now` (unix time). */
int fgd_token_verify(struct fgd_manager *manager, const char *header, int64_t now, const struct fgd_token **ret, struct fgd_problem *problem);

struct fgd_token_wish {
        struct fgd_user *user;
        struct fgd_project *project; /* NULL: all of the user's */
        enum fgd_role cap;
        char name[64];
        int64_t expires;
};
/* What a new token's answer is written from: the only moment at which its secret is there. */
struct fgd_token_made {
        const struct fgd_token *token;
        const char *secret;
};
int fgd_token_make(struct fgd_manager *manager, const struct fgd_token_wish *wish, struct fgd_problem *problem);
int fgd_token_revoke(struct fgd_manager *manager, struct fgd_token *token, struct fgd_problem *problem);
/* Tokens that have been of no use for a month are forgotten. */
void fgd_tokens_sweep(struct fgd_manager *manager, int64_t now);

/* Takes the secrets out of a text that may hold tokens ("fgt_ID_…"), in place. */
void fgd_token_scrub(char *text);

#endif
