/* SPDX-License-Identifier: Apache-2.0
 * The API server by HTTPS and JSON, with the service account. It may be slow, or lie, or be away: a few threads wait for it, the loop gets
 * the answers, and an answer is bounded. */
#include "integrations/kubernetes/dra.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define THREADS    4u /* so many claims are read at once, and so many answers of ANSWER_MAX may there be; the chart allows 64 MiB */
#define QUEUE_MAX  1024u
#define ANSWER_MAX (8u << 20)
#define PATIENCE   10L /* s */
#define TOKEN_MAX  8192u

struct question {
        struct question *next;
        char *path, *body;
        const char *method;
        fgi_kube_api_done *done;
        void *user;
        long status;
        char *answer;
        size_t size;
        bool is_too_large;
};

struct list {
        struct question *first, **last;
};

struct fgi_kube_api {
        struct fgi_kube_api_where where;
        pthread_mutex_t lock;
        pthread_cond_t more;
        struct list asked, answered;
        unsigned waiting;
        unsigned queued, idle; /* questions that no thread has taken; threads that have none */
        unsigned out;          /* questions that a thread has taken and whose answer is not used up: at most THREADS */
        bool ending;
        int event;
        unsigned threads;
        pthread_t thread[THREADS];
};

static void put(struct list *list, struct question *q)
{
        if (!list->first)
                list->last = &list->first;
        q->next = NULL;
        *list->last = q;
        list->last = &q->next;
}

static struct question *get(struct list *list)
{
        struct question *q = list->first;
        if (q)
                list->first = q->next;
        return q;
}

static void question_free(struct question *q)
{
        free(q->path);
        free(q->body);
        free(q->answer);
        free(q);
}

static size_t on_answer(char *data, size_t size, size_t count, void *user)
{
        struct question *q = user;
        size_t more = size * count;
        q->is_too_large = q->size + more >= ANSWER_MAX;
        char *larger = q->is_too_large ? NULL : realloc(q->answer, q->size + more + 1);
        if (!larger)
                return 0;
        memcpy(larger + q->size, data, more);
        q->answer = larger;
        q->size += more;
        q->answer[q->size] = 0;
        return more;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
        struct fgi_kube_api *api = user;
        return __atomic_load_n(&api->ending, __ATOMIC_RELAXED);
}

static bool is_apply(const struct question *q)
{
        return strcmp(q->method, "APPLY") == 0;
}

static const char *content_of(const struct question *q)
{
        return is_apply(q)                     ? "Content-Type: application/apply-patch+yaml" :
               strcmp(q->method, "PATCH") == 0 ? "Content-Type: application/merge-patch+json" :
                                                 "Content-Type: application/json";
}

static struct curl_slist *headers_of(const struct fgi_kube_api *api, const struct question *q)
{
        char token[TOKEN_MAX], line[TOKEN_MAX + 32];
        struct curl_slist *list = curl_slist_append(NULL, "Accept: application/json");
        if (q->body)
                list = curl_slist_append(list, content_of(q));
        fg_autoclose int fd = api->where.token[0] ? open(api->where.token, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t n = fd < 0 ? 0 : read(fd, token, sizeof token - 1);
        while (n > 0 && (unsigned char)token[n - 1] <= ' ')
                n--;
        if (n > 0) {
                token[n] = 0;
                snprintf(line, sizeof line, "Authorization: Bearer %s", token);
                list = curl_slist_append(list, line);
        }
        return list;
}

static void ask(struct fgi_kube_api *api, CURL *curl, struct question *q)
{
        char url[1024], why[CURL_ERROR_SIZE] = "";
        struct curl_slist *headers = headers_of(api, q);
        snprintf(url, sizeof url, "%s%s", api->where.url, q->path);
        curl_easy_reset(curl);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, is_apply(q) ? "PATCH" : q->method);
        if (q->body)
                curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        /* This authority and no other: the system's would be megabytes of certificates that have no say here. */
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(curl, CURLOPT_CAINFO, api->where.ca);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, PATIENCE);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, q);
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, api);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
        CURLcode code = headers ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &q->status);
        curl_slist_free_all(headers);
        if (code == CURLE_OK && q->answer)
                return;
        free(q->answer);
        q->answer = NULL;
        q->size = 0;
        if (code == CURLE_OK)
                return;
        q->status = 0;
        if (asprintf(&q->answer, "the API server at %s: %s", api->where.url,
                     q->is_too_large ? "its answer is over 8 MiB" :
                     *why            ? why :
                                       curl_easy_strerror(code)) < 0)
                q->answer = NULL;
}

static void *work(void *user)
{
        struct fgi_kube_api *api = user;
        CURL *curl = curl_easy_init();
        pthread_mutex_lock(&api->lock);
        for (;;) {
                struct question *q;
                api->idle++;
                while (!(q = api->ending || api->out == THREADS ? NULL : get(&api->asked)) && !api->ending)
                        pthread_cond_wait(&api->more, &api->lock);
                api->idle--;
                if (!q)
                        break;
                api->queued--;
                api->out++;
                pthread_mutex_unlock(&api->lock);
                if (curl)
                        ask(api, curl, q);
                pthread_mutex_lock(&api->lock);
                put(&api->answered, q);
                eventfd_write(api->event, 1);
        }
        pthread_mutex_unlock(&api->lock);
        curl_easy_cleanup(curl);
        return NULL;
}

/* Another one, if there are more questions than threads without: most nodes never need a second connection. `lock` is held. */
static void need_thread(struct fgi_kube_api *api)
{
        if (api->queued > api->idle && api->threads < THREADS && pthread_create(&api->thread[api->threads], NULL, work, api) == 0)
                api->threads++;
}

int fgi_kube_api_open(const struct fgi_kube_api_where *where, struct fgi_kube_api **ret, struct fg_error *err)
{
        struct fgi_kube_api *api = calloc(1, sizeof *api);
        if (!api)
                return fg_error_set(err, -ENOMEM, "out of memory");
        api->where = *where;
        pthread_mutex_init(&api->lock, NULL);
        pthread_cond_init(&api->more, NULL);
        api->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        int r = api->event < 0 ? errno : 0;
        curl_global_init(CURL_GLOBAL_DEFAULT);
        if (r == 0)
                r = pthread_create(&api->thread[0], NULL, work, api);
        if (r == 0) {
                api->threads = 1;
                *ret = api;
                return 0;
        }
        fgi_kube_api_close(api);
        return fg_error_set(err, -EAGAIN, "the API server cannot be asked: %s", strerror(r));
}

void fgi_kube_api_close(struct fgi_kube_api *api)
{
        struct question *q;
        if (!api)
                return;
        pthread_mutex_lock(&api->lock);
        __atomic_store_n(&api->ending, true, __ATOMIC_RELAXED);
        pthread_cond_broadcast(&api->more);
        pthread_mutex_unlock(&api->lock);
        for (unsigned i = 0; i < api->threads; i++)
                pthread_join(api->thread[i], NULL);
        while ((q = get(&api->asked)) || (q = get(&api->answered))) {
                q->done(q->user, 0, "fastgpu-kubelet ends");
                question_free(q);
        }
        if (api->event >= 0)
                close(api->event);
        pthread_cond_destroy(&api->more);
        pthread_mutex_destroy(&api->lock);
        free(api);
}

int fgi_kube_api_ask(struct fgi_kube_api *api, const char *method, const char *path, const char *body, fgi_kube_api_done *done, void *user)
{
        struct question *q = api->waiting < QUEUE_MAX ? calloc(1, sizeof *q) : NULL;
        if (!q)
                return -EAGAIN;
        *q = (struct question){.method = method, .path = strdup(path), .body = body ? strdup(body) : NULL, .done = done, .user = user};
        if (!q->path || (body && !q->body)) {
                question_free(q);
                return -EAGAIN;
        }
        api->waiting++;
        pthread_mutex_lock(&api->lock);
        put(&api->asked, q);
        api->queued++;
        need_thread(api);
        pthread_cond_signal(&api->more);
        pthread_mutex_unlock(&api->lock);
        return 0;
}

int fgi_kube_api_fd(const struct fgi_kube_api *api)
{
        return api->event;
}

void fgi_kube_api_dispatch(struct fgi_kube_api *api)
{
        eventfd_t ignored;
        struct question *q;
        eventfd_read(api->event, &ignored);
        for (;;) {
                pthread_mutex_lock(&api->lock);
                q = get(&api->answered);
                pthread_mutex_unlock(&api->lock);
                if (!q)
                        return;
                api->waiting--;
                q->done(q->user, q->status, q->answer ? q->answer : "");
                question_free(q);
                pthread_mutex_lock(&api->lock);
                api->out--;
                pthread_cond_signal(&api->more);
                pthread_mutex_unlock(&api->lock);
        }
}
