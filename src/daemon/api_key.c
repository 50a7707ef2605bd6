/* SPDX-License-Identifier: Apache-2.0
 * Idempotency-Key: whoever asks for the same thing again gets the same answer, and only one thing is made. */
#include "daemon/api_internal.h"

#include "daemon/store_journal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void hash_part(crypto_generichash_state *state, const char *data, size_t size)
{
        uint64_t length = size;
        crypto_generichash_update(state, (const unsigned char *)&length, sizeof length);
        if (size)
                crypto_generichash_update(state, (const unsigned char *)data, size);
}

static void hash_request(const struct fgd_request *request, uint8_t ret[32])
{
        crypto_generichash_state state;
        crypto_generichash_init(&state, NULL, 0, 32);
        hash_part(&state, request->method, strlen(request->method));
        hash_part(&state, request->path, strlen(request->path));
        hash_part(&state, request->query ? request->query : "", request->query ? strlen(request->query) : 0);
        hash_part(&state, request->body, request->body_size);
        crypto_generichash_final(&state, ret, 32);
}

/* A token's keys are its own: what one may read another of the same user may not. */
static void name_principal(const struct fgd_principal *who, char *ret, size_t size)
{
        if (!who->user)
                snprintf(ret, size, "operator");
        else
                snprintf(ret, size, "%lld/%s", (long long)who->user->id, who->token ? who->token->id : "");
}

static int check_key(struct fgd_call *call, const char *key)
{
        size_t len = strlen(key);
        for (const char *c = key; *c; c++)
                if (*c <= ' ' || *c >= 0x7f)
                        len = 0;
        if (len >= 1 && len < sizeof call->reply.key)
                return 0;
        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "an Idempotency-Key has 1 to %zu letters, digits and signs, no blanks",
                               sizeof call->reply.key - 1);
}

/* An answer that was too long to keep is written from what it told of, if that is still there. */
static void rewrite(struct fgd_call *call, const char *target)
{
        long long project = 0;
        char name[64] = "";
        const struct fgd_project *in = NULL;
        if (sscanf(target, "%lld:%63s", &project, name) == 2)
                in = fgd_project_of_id(call->manager, project);
        struct fgd_set *set = in ? fgd_registry_find(call->manager, in, name) : NULL;
        if (set) {
                fgd_write_set(set, "", &call->text);
                fgd_text_add(&call->text, "\n");
                return;
        }
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "name", name);
        fgd_text_field(&call->text, "note", "it was made, and has been deleted since");
        fgd_text_add(&call->text, ", \"vgpus\": []}\n");
}

static int replay(struct fgd_call *call, struct fgd_kept_reply *kept)
{
        bool is_same = sodium_memcmp(kept->hash, call->reply.hash, sizeof kept->hash) == 0;
        if (is_same && kept->body)
                fgd_text_add(&call->text, kept->body);
        else if (is_same)
                rewrite(call, kept->target);
        free(kept->body);
        if (!is_same)
                return fgd_problem_set(&call->problem, FGD_MISMATCH, "the Idempotency-Key \"%s\" belongs to another request: a new request "
                                       "needs a new key", call->reply.key);
        call->status = kept->status;
        call->is_checked = call->is_replay = true;
        return 1;
}

int fgd_key_check(struct fgd_call *call)
{
        const char *key = call->request->idempotency_key;
        struct fgd_kept_reply kept;
        struct fg_error err = {0};
        if (!key || call->route->effect != FGD_CREATES)
                return 0;
        if (check_key(call, key) < 0)
                return -1;
        snprintf(call->reply.key, sizeof call->reply.key, "%s", key);
        name_principal(&call->who, call->reply.principal, sizeof call->reply.principal);
        hash_request(call->request, call->reply.hash);
        int r = fgd_store_get_reply(call->manager->store, call->reply.principal, key, time(NULL), &kept, &err);
        if (r < 0)
                return fgd_problem_set(&call->problem, FGD_STORAGE, "it cannot be told whether this was done before: %s", err.text);
        if (r > 0)
                return replay(call, &kept);
        call->manager->journal->reply = &call->reply;
        return 0;
}

void fgd_key_ready(void *user, const void *object)
{
        struct fgd_call *call = user;
        if (!call->write)
                return;
        call->write(call, object);
        const struct fgd_text *keep = call->kept.data ? &call->kept : &call->text;
        call->reply.status = call->status;
        if (!keep->failed && keep->size <= FGD_REPLY_BODY_MAX) {
                call->reply.body = keep->data;
                call->reply.size = keep->size;
        }
}
