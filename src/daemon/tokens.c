/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tokens.h"

#include "base/cleanup.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/store_tenants.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ID_CHARS   (FGD_TOKEN_ID_SIZE - 1)
#define HEX_CHARS  (FGD_TOKEN_SECRET_SIZE - 1)
#define KEPT_AFTER (30 * 86400) /* s: so long it can be told why a token no longer works */

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

static void hash_secret(const char *secret, uint8_t ret[FGD_TOKEN_HASH_SIZE])
{
        crypto_generichash(ret, FGD_TOKEN_HASH_SIZE, (const unsigned char *)secret, HEX_CHARS, NULL, 0);
}

static bool all_of(const char *text, size_t count, const char *allowed)
{
        return strspn(text, allowed) >= count;
}

/* "Bearer fgt_ID_SECRET" and nothing else. */
static bool split(const char *header, char ret_id[FGD_TOKEN_ID_SIZE], const char **ret_secret)
{
        const char *at = header;
        if (strncasecmp(at, "Bearer ", 7) != 0)
                return false;
        for (at += 7; *at == ' ';)
                at++;
        if (strncmp(at, FGD_TOKEN_PREFIX, 4) != 0 || !all_of(at + 4, ID_CHARS, letters) || at[4 + ID_CHARS] != '_')
                return false;
        snprintf(ret_id, FGD_TOKEN_ID_SIZE, "%.*s", (int)ID_CHARS, at + 4);
        *ret_secret = at + 4 + ID_CHARS + 1;
        return strlen(*ret_secret) == HEX_CHARS && all_of(*ret_secret, HEX_CHARS, "0123456789abcdef");
}

static int refuse_age(const struct fgd_token *token, struct fgd_problem *problem)
{
        char when[32];
        if (token->revoked)
                return fgd_problem_set(problem, FGD_UNAUTHORIZED, "the token %s was revoked", token->id);
        return fgd_problem_set(problem, FGD_UNAUTHORIZED, "the token %s expired at %s; make another with \"fastgpu token create\"", token->id,
                               fgd_date_format(token->expires, when));
}

int fgd_token_verify(struct fgd_manager *m, const char *header, int64_t now, const struct fgd_token **ret, struct fgd_problem *problem)
{
        static const uint8_t nobody[FGD_TOKEN_HASH_SIZE];
        uint8_t hash[FGD_TOKEN_HASH_SIZE];
        char id[FGD_TOKEN_ID_SIZE];
        const char *secret;
        if (!split(header, id, &secret))
                return fgd_problem_set(problem, FGD_UNAUTHORIZED, "the Authorization header is not of the form \"Bearer fgt_ID_SECRET\"");
        const struct fgd_token *token = fgd_token_find(m, id);
        hash_secret(secret, hash);
        /* Without the secret nobody learns which tokens there are: the same words, and the same work. */
        if (sodium_memcmp(hash, token ? token->hash : nobody, sizeof hash) != 0 || !token)
                return fgd_problem_set(problem, FGD_UNAUTHORIZED, "there is no such token");
        if (token->revoked || token->expires <= now)
                return refuse_age(token, problem);
        *ret = token;
        return 0;
}

static void make_id(const struct fgd_manager *m, char ret[FGD_TOKEN_ID_SIZE])
{
        do {
                unsigned char random[ID_CHARS];
                randombytes_buf(random, sizeof random);
                for (unsigned i = 0; i < ID_CHARS; i++)
                        ret[i] = letters[random[i] & 31];
                ret[ID_CHARS] = 0;
        } while (fgd_token_find(m, ret));
}

static int check_room(const struct fgd_manager *m, const struct fgd_user *user, struct fgd_problem *problem)
{
        if (user->tokens >= FGD_USER_TOKENS_MAX)
                return fgd_problem_set(problem, FGD_NO_ROOM, "\"%s\" has %u tokens, and more are not possible: those revoked or expired are "
                                       "forgotten after 30 days", user->name, user->tokens);
        if (m->tenants->token_count >= FGD_TENANTS_MAX)
                return fgd_problem_set(problem, FGD_NO_ROOM, "there are %u tokens already, and more are not possible", m->tenants->token_count);
        return 0;
}

static struct fgd_token *token_new(const struct fgd_manager *m, const struct fgd_token_wish *wish, char secret[FGD_TOKEN_SECRET_SIZE])
{
        unsigned char random[HEX_CHARS / 2];
        struct fgd_token *token = calloc(1, sizeof *token);
        if (!token)
                return NULL;
        randombytes_buf(random, sizeof random);
        sodium_bin2hex(secret, FGD_TOKEN_SECRET_SIZE, random, sizeof random);
        sodium_memzero(random, sizeof random);
        hash_secret(secret, token->hash);
        make_id(m, token->id);
        memcpy(token->name, wish->name, sizeof token->name);
        token->user = wish->user;
        token->project = wish->project;
        token->cap = wish->cap;
        token->created = time(NULL);
        token->expires = wish->expires;
        return token;
}

static int make(struct fgd_manager *m, const struct fgd_token_wish *wish, char secret[FGD_TOKEN_SECRET_SIZE], struct fgd_problem *problem)
{
        struct fg_error err = {0};
        int r = check_room(m, wish->user, problem);
        if (r < 0)
                return r;
        fg_autofree struct fgd_token *token = token_new(m, wish, secret);
        if (!token || fgd_tenants_reserve(m) < 0)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        fgd_event_stage(m, wish->project, "token.created", wish->user->name, "the token %s of \"%s\" was made", token->id, wish->user->name);
        fgd_journal_ready(m, &(struct fgd_token_made){token, secret});
        if (fgd_store_add_token(m->store, token, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "no token was made: %s", err.text);
        fgd_token_add(m, FG_TAKE_PTR(token));
        return 0;
}

int fgd_token_make(struct fgd_manager *m, const struct fgd_token_wish *wish, struct fgd_problem *problem)
{
        char secret[FGD_TOKEN_SECRET_SIZE] = "";
        fgd_tokens_sweep(m, time(NULL));
        int r = make(m, wish, secret, problem);
        sodium_memzero(secret, sizeof secret);
        return r;
}

int fgd_token_revoke(struct fgd_manager *m, struct fgd_token *token, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        if (token->revoked)
                return 0;
        fgd_event_stage(m, token->project, "token.revoked", token->user->name, "the token %s of \"%s\" was revoked", token->id,
                        token->user->name);
        if (fgd_store_revoke_token(m->store, token, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the token was not revoked: %s", err.text);
        fgd_events_release(m);
        token->revoked = true;
        return 0;
}

static bool is_stale(const struct fgd_token *token, int64_t now)
{
        return token->expires < now - KEPT_AFTER || (token->revoked && token->created < now - KEPT_AFTER);
}

void fgd_tokens_sweep(struct fgd_manager *m, int64_t now)
{
        struct fgd_token *token, *next;
        bool any = false;
        TAILQ_FOREACH(token, &m->tenants->tokens, order)
                any = any || is_stale(token, now);
        if (!any || fgd_store_sweep_tokens(m->store, now - KEPT_AFTER, NULL) < 0)
                return;
        FGD_TAILQ_EACH_SAFE(token, &m->tenants->tokens, order, next)
                if (is_stale(token, now))
                        fgd_token_remove(m, token);
}

void fgd_token_scrub(char *text)
{
        for (char *at = text; (at = strstr(at, FGD_TOKEN_PREFIX)); at++) {
                char *secret = strchr(at + sizeof FGD_TOKEN_PREFIX - 1, '_');
                for (char *c = secret ? secret + 1 : at; secret && *c && strchr("0123456789abcdefABCDEF", *c); c++)
                        *c = '*';
        }
}
