/* SPDX-License-Identifier: Apache-2.0
 *
 * fastgpu-otlp: reads spans from standard input, one a line, and posts them to the OTLP/HTTP collector that FASTGPU_OTLP_URL names. A
 * program of its own, because a collector may be slow, hostile or gone, and its name may take seconds to look up. Ends with its input, after
 * one more try within LAST_MS. What cannot be delivered is dropped and said once. */
#include "daemon/otlp.h"

#include "base/clock.h"
#include "base/log.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GATHER_MS   1000u  /* spans wait so long for others */
#define TIMEOUT_MS  10000l
#define LAST_MS     3000u
#define BACKOFF_MAX 60000u
#define REPLY_MAX   (64u << 10)

struct sender {
        struct fgd_otlp_queue queue;
        CURLM *multi;
        CURL *easy; /* of the request that is under way */
        struct curl_slist *headers;
        char *body;
        uint32_t batch;
        size_t reply;
        unsigned failures;
        uint64_t not_before, gathering_since, ends_at; /* ns; ends_at 0: the input goes on */
        uint64_t told_dropped;
        bool is_told;
        char words[CURL_ERROR_SIZE];
};

/* What a collector answers is of no use; much of it is an attack. */
static size_t on_reply(char *data, size_t one, size_t count, void *user)
{
        struct sender *s = user;
        s->reply += one * count;
        return s->reply > REPLY_MAX ? 0 : one * count;
}

static long timeout_ms(void)
{
        const char *text = getenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
        if (!text || !*text)
                text = getenv("OTEL_EXPORTER_OTLP_TIMEOUT");
        long ms = text ? strtol(text, NULL, 10) : 0;
        return ms > 0 && ms <= 600000 ? ms : TIMEOUT_MS;
}

/* "key=value,key2=value2", the values percent-encoded. What would be two headers is none. */
static void add_headers(struct sender *s, const char *list)
{
        while (list && *list) {
                size_t size = strcspn(list, ","), name = strcspn(list, "=,");
                char line[4096];
                int length = 0;
                char *value = name < size && size - name <= INT32_MAX ? curl_easy_unescape(NULL, list + name + 1, (int)(size - name - 1), &length) : NULL;
                while (name && *list == ' ')
                        list++, size--, name--;
                if (value && name && (size_t)length == strlen(value) && !strpbrk(value, "\r\n")) {
                        snprintf(line, sizeof line, "%.*s: %s", (int)name, list, value);
                        struct curl_slist *longer = curl_slist_append(s->headers, line);
                        s->headers = longer ? longer : s->headers;
                }
                curl_free(value);
                list += size;
                list += *list == ',';
        }
}

static const char *of_environment(const char *exact, const char *all)
{
        const char *value = getenv(exact);
        value = value && *value ? value : getenv(all);
        return value && *value ? value : NULL;
}

static void set_options(struct sender *s, CURL *easy, const char *url)
{
        const char *certificate = of_environment("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE");
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, s->ends_at ? (long)LAST_MS : timeout_ms());
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, s->headers);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, s->body);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_reply);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, s);
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, s->words);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "fastgpud/" FASTGPU_VERSION);
        if (certificate)
                curl_easy_setopt(easy, CURLOPT_CAINFO, certificate);
}

static void begin(struct sender *s, const char *url)
{
        s->body = fgd_otlp_body(&s->queue, &s->batch);
        s->easy = s->body ? curl_easy_init() : NULL;
        s->reply = 0;
        s->words[0] = 0;
        if (s->easy) {
                set_options(s, s->easy, url);
                curl_multi_add_handle(s->multi, s->easy);
                return;
        }
        free(s->body);
        s->body = NULL;
        s->not_before = fg_now() + FG_NSEC_PER_SEC;
}

static void say_failure(struct sender *s, CURLcode result, long status)
{
        if (s->is_told)
                return;
        s->is_told = true;
        if (result != CURLE_OK)
                fg_log_warning("traces do not reach the collector: %s", s->words[0] ? s->words : curl_easy_strerror(result));
        else
                fg_log_warning("the collector does not take traces: HTTP status %ld", status);
}

/* Whatever is not worth another try, or has waited too long, goes. */
static void end(struct sender *s, CURLcode result)
{
        long status = 0;
        curl_off_t after = 0;
        curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &after);
        bool is_taken = result == CURLE_OK && status >= 200 && status < 300;
        bool is_again = result != CURLE_OK ? s->reply <= REPLY_MAX : status == 429 || (status >= 502 && status <= 504);
        if (is_taken || !is_again)
                fgd_otlp_drop(&s->queue, s->batch);
        if (!is_taken && !is_again)
                s->queue.dropped += s->batch;
        if (is_taken && s->is_told)
                fg_log_warning("traces reach the collector again; %llu were dropped", (unsigned long long)(s->queue.dropped - s->told_dropped));
        if (is_taken) {
                s->is_told = false;
                s->told_dropped = s->queue.dropped;
                s->failures = 0;
                s->not_before = 0;
        } else {
                uint64_t wait = 1000u << (s->failures < 6 ? s->failures : 6);
                s->failures++;
                wait = after > 0 && (uint64_t)after * 1000 > wait ? (uint64_t)after * 1000 : wait;
                s->not_before = fg_now() + (wait < BACKOFF_MAX ? wait : BACKOFF_MAX) * FG_NSEC_PER_MSEC;
                say_failure(s, result, status);
        }
        curl_multi_remove_handle(s->multi, s->easy);
        curl_easy_cleanup(s->easy);
        s->easy = NULL;
        free(s->body);
        s->body = NULL;
}

static void read_input(struct sender *s)
{
        char data[65536];
        ssize_t n;
        while ((n = read(STDIN_FILENO, data, sizeof data)) > 0)
                fgd_otlp_take(&s->queue, data, (size_t)n);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                s->ends_at = fg_now() + LAST_MS * FG_NSEC_PER_MSEC;
                s->not_before = 0;
        }
        if (s->queue.count && !s->gathering_since)
                s->gathering_since = fg_now();
}

static bool is_due(const struct sender *s, uint64_t now)
{
        bool is_full = s->queue.count >= FGD_OTLP_BATCH || now - s->gathering_since >= GATHER_MS * FG_NSEC_PER_MSEC;
        return !s->easy && s->queue.count && now >= s->not_before && (is_full || s->ends_at);
}

static void step(struct sender *s, const char *url)
{
        struct curl_waitfd input = {.fd = STDIN_FILENO, .events = CURL_WAIT_POLLIN};
        CURLMsg *message;
        int running, left;
        if (is_due(s, fg_now())) {
                s->gathering_since = 0;
                begin(s, url);
        }
        curl_multi_perform(s->multi, &running);
        while ((message = curl_multi_info_read(s->multi, &left)))
                if (message->msg == CURLMSG_DONE)
                        end(s, message->data.result);
        bool rests = !s->queue.count && !s->easy;
        curl_multi_poll(s->multi, &input, s->ends_at ? 0 : 1, s->ends_at ? 20 : rests ? 60000 : 200, NULL);
        if (!s->ends_at)
                read_input(s);
        if (s->queue.count && !s->gathering_since)
                s->gathering_since = fg_now();
}

int main(void)
{
        static struct sender s;
        const char *url = getenv("FASTGPU_OTLP_URL");
        if (!url || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(s.multi = curl_multi_init())) {
                fg_log_error("fastgpu-otlp is started by fastgpud, with FASTGPU_OTLP_URL");
                return EXIT_FAILURE;
        }
        signal(SIGPIPE, SIG_IGN);
        s.headers = curl_slist_append(NULL, "Content-Type: application/json");
        struct curl_slist *more = curl_slist_append(s.headers, "Expect:");
        s.headers = more ? more : s.headers;
        add_headers(&s, of_environment("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"));
        fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
        read_input(&s);
        while (!s.ends_at || (fg_now() < s.ends_at && (s.queue.count || s.easy) && s.failures < 8))
                step(&s, url);
        return EXIT_SUCCESS;
}
