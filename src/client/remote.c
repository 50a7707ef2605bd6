/* SPDX-License-Identifier: Apache-2.0
 * Requests to a remote daemon, by libcurl. Everything that it would do beyond one request and one answer is switched off: other
 * protocols, redirects, cookies, passwords from files, proxies that nobody named for https. */
#include "client/remote.h"
#include "client/remote_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX        (64u << 20)
#define HEAD_MAX        (64u << 10)
#define CONNECT_TIME_MS 10000L

struct fg_remote {
        CURL *easy;
        struct curl_slist *headers;
        char url[FG_CLIENT_URL_MAX], fingerprint[FG_CLIENT_FINGERPRINT_MAX];
        char words[CURL_ERROR_SIZE];
        /* Of the request that is under way. */
        char *body;
        size_t size, room, head;
        bool too_large;
};

static size_t on_body(char *data, size_t one, size_t count, void *user)
{
        struct fg_remote *remote = user;
        size_t more = one * count;
        remote->too_large = more > BODY_MAX - remote->size;
        if (remote->too_large)
                return 0;
        size_t need = remote->size + more + 1, room = remote->room ? remote->room : 4096;
        while (room < need)
                room *= 2;
        char *grown = room == remote->room ? remote->body : realloc(remote->body, room);
        if (!grown)
                return 0;
        remote->body = grown;
        remote->room = room;
        memcpy(grown + remote->size, data, more);
        remote->size += more;
        grown[remote->size] = '\0';
        return more;
}

/* The library takes as many header lines, interim answers and trailers as there are. */
static size_t on_head(char *data, size_t one, size_t count, void *user)
{
        struct fg_remote *remote = user;
        remote->head += one * count;
        remote->too_large |= remote->head > HEAD_MAX;
        return remote->too_large ? 0 : one * count;
}

static bool add_header(struct fg_remote *remote, const char *line)
{
        struct curl_slist *longer = curl_slist_append(remote->headers, line);
        if (longer)
                remote->headers = longer;
        return longer;
}

static bool set_headers(struct fg_remote *remote, const char *token)
{
        char line[FG_CLIENT_TOKEN_MAX + 32];
        snprintf(line, sizeof line, "Authorization: Bearer %s", token);
        /* Without waiting for "100 Continue" in front of larger bodies. */
        bool fine = add_header(remote, "Content-Type: application/json") && add_header(remote, "Expect:") && (!*token || add_header(remote, line));
        explicit_bzero(line, sizeof line);
        return fine;
}

static void close_remote(struct fg_remote *remote)
{
        if (remote->easy)
                curl_easy_cleanup(remote->easy);
        for (struct curl_slist *h = remote->headers; h; h = h->next)
                explicit_bzero(h->data, strlen(h->data));
        curl_slist_free_all(remote->headers);
        free(remote->body);
        free(remote);
}

static int open_remote(const struct fg_client_target *target, struct fg_remote **ret, struct fg_error *err)
{
        struct fg_remote *remote = calloc(1, sizeof *remote);
        if (!remote)
                return fg_error_set(err, -ENOMEM, "out of memory");
        strcpy(remote->url, target->url);
        strcpy(remote->fingerprint, target->fingerprint);
        remote->easy = fg_remote_handle(target, remote->words);
        if (!remote->easy || !set_headers(remote, target->token)) {
                close_remote(remote);
                return fg_error_set(err, -ENOMEM, "cannot set up libcurl");
        }
        fg_remote_trust(remote->easy, target->fingerprint);
        curl_easy_setopt(remote->easy, CURLOPT_HTTPHEADER, remote->headers);
        curl_easy_setopt(remote->easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* the token is not for a proxy */
        curl_easy_setopt(remote->easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(remote->easy, CURLOPT_WRITEDATA, remote);
        curl_easy_setopt(remote->easy, CURLOPT_HEADERFUNCTION, on_head);
        curl_easy_setopt(remote->easy, CURLOPT_HEADERDATA, remote);
        curl_easy_setopt(remote->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)BODY_MAX);
        *ret = remote;
        return 0;
}

static void prepare(struct fg_remote *remote, const struct fg_client_call *call, uint64_t patience_ms)
{
        CURL *easy = remote->easy;
        const char *json = call->json;
        bool get = strcmp(call->method, "GET") == 0;
        remote->size = remote->room = remote->head = 0;
        remote->too_large = false;
        remote->words[0] = '\0';
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)patience_ms);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, patience_ms < CONNECT_TIME_MS ? (long)patience_ms : CONNECT_TIME_MS);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
        if (get && !json) {
                curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        } else {
                curl_easy_setopt(easy, CURLOPT_POST, 1L);
                curl_easy_setopt(easy, CURLOPT_POSTFIELDS, json ? json : "");
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(json ? strlen(json) : 0));
                curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
        }
        /* A kept connection may end under our hands, and the library then asks again; only reading may be done twice. */
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, get ? 0L : 1L);
}

static int finish(struct fg_remote *remote, struct fg_client_reply *ret, struct fg_error *err)
{
        long status = 0;
        curl_easy_getinfo(remote->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status < 200 || status > 599)
                return fg_error_set(err, -EPROTO, "what answers at %s is not fastgpud, or it broke off", remote->url);
        char *body = remote->body ? FG_TAKE_PTR(remote->body) : strdup("");
        if (!body)
                return fg_error_set(err, -ENOMEM, "out of memory");
        *ret = (struct fg_client_reply){.status = (int)status, .body = body, .size = remote->size};
        return 0;
}

static int request(struct fg_remote *remote, const struct fg_client_call *call, uint64_t patience_ms, struct fg_client_reply *ret,
                   struct fg_error *err)
{
        fg_autofree char *url = NULL, *key = NULL;
        if (asprintf(&url, "%s%s", remote->url, call->path) < 0 ||
            asprintf(&key, "Idempotency-Key: %s", call->idempotency_key ? call->idempotency_key : "") < 0) {
                url = key = NULL;
                return fg_error_set(err, -ENOMEM, "out of memory");
        }
        struct curl_slist keyed = {key, remote->headers}; /* of this request alone */
        prepare(remote, call, patience_ms);
        curl_easy_setopt(remote->easy, CURLOPT_HTTPHEADER, call->idempotency_key ? &keyed : remote->headers);
        CURLcode code = curl_easy_setopt(remote->easy, CURLOPT_URL, url);
        if (code == CURLE_OK)
                code = curl_easy_perform(remote->easy);
        curl_easy_setopt(remote->easy, CURLOPT_HTTPHEADER, remote->headers);
        int r = code == CURLE_OK      ? finish(remote, ret, err)
                : remote->too_large ? fg_error_set(err, -EPROTO, "what answers at %s sends more than any answer has", remote->url)
                                    : fg_remote_explain(remote->easy, code, remote->url, remote->fingerprint, remote->words, err);
        free(FG_TAKE_PTR(remote->body));
        return r;
}

__attribute__((visibility("default"))) extern const struct fg_remote_ops fg_remote_ops;
const struct fg_remote_ops fg_remote_ops = {FG_REMOTE_VERSION, open_remote, close_remote, request, fg_remote_certificate};
