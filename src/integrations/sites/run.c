/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/sites/sites.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUT_MAX   (1u << 20)
#define WORDS_MAX 400u

void fgi_sites_add(struct fgi_sites_words *words, const char *format, ...)
{
        va_list args;
        char *text = NULL;
        va_start(args, format);
        if (words->count < FGI_SITES_WORDS && vasprintf(&text, format, args) >= 0)
                words->word[words->count++] = text;
        va_end(args);
}

void fgi_sites_words_clear(struct fgi_sites_words *words)
{
        while (words->count)
                free(words->word[--words->count]);
}

const char *fgi_sites_quote(const char *text, char *ret, size_t len)
{
        size_t used = 0;
        while (*text) {
                uint32_t c = 0;
                size_t n = fg_utf8_decode(text, FG_UTF8_MAX, &c);
                bool odd = n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0);
                if (used + (odd ? 1 : n) >= len)
                        break;
                memcpy(ret + used, odd ? "?" : text, odd ? 1 : n);
                used += odd ? 1 : n;
                text += n ? n : 1;
        }
        ret[used] = 0;
        return ret;
}

struct stream {
        int fd;
        char *text;
        size_t size, max;
        bool keep_end; /* of what is more than `max`, the end is kept; else it is an error */
};

static void start_child(const struct fgi_sites_words *words, const char *variable, int out, int err)
{
        int null = open("/dev/null", O_RDONLY);
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, 0);
        dup2(out, 1);
        dup2(err, 2);
        if (variable)
                putenv((char *)variable);
        execvp(words->word[0], words->word);
        dprintf(2, "%s\n", strerror(errno));
        _exit(127);
}

/* false: it is over. */
static bool take_some(struct stream *s)
{
        char part[4096];
        ssize_t n = read(s->fd, part, sizeof part);
        if (n <= 0)
                return n < 0 && errno == EINTR;
        const char *from = part;
        if (s->keep_end && (size_t)n > s->max) {
                from += (size_t)n - s->max;
                n = (ssize_t)s->max;
        }
        if (s->size + (size_t)n > s->max && s->keep_end) {
                size_t drop = s->size + (size_t)n - s->max;
                drop = drop < s->size ? drop : s->size;
                memmove(s->text, s->text + drop, s->size -= drop);
        }
        size_t fits = s->size + (size_t)n <= s->max ? (size_t)n : s->max - s->size;
        memcpy(s->text + s->size, from, fits);
        s->size += fits;
        return fits == (size_t)n || s->keep_end;
}

static int listen_to(struct stream stream[2], uint64_t deadline)
{
        bool open[2] = {true, true};
        while (open[0] || open[1]) {
                struct pollfd p[2] = {{.fd = open[0] ? stream[0].fd : -1, .events = POLLIN}, {.fd = open[1] ? stream[1].fd : -1, .events = POLLIN}};
                uint64_t now = fg_now();
                if (now >= deadline)
                        return -ETIMEDOUT;
                if (poll(p, 2, (int)((deadline - now) / FG_NSEC_PER_MSEC) + 1) < 0 && errno != EINTR)
                        return -errno;
                for (unsigned i = 0; i < 2; i++)
                        if (open[i] && p[i].revents)
                                open[i] = take_some(&stream[i]);
                if (stream[0].size == stream[0].max)
                        return -EMSGSIZE;
        }
        stream[0].text[stream[0].size] = stream[1].text[stream[1].size] = 0;
        return 0;
}

/* It may go on after it has closed both. */
static int wait_for(pid_t child, uint64_t deadline, int *ret_status)
{
        for (;;) {
                pid_t over = waitpid(child, ret_status, WNOHANG);
                if (over == child)
                        return 0;
                if (over < 0 && errno != EINTR)
                        return -errno;
                if (fg_now() >= deadline)
                        return -ETIMEDOUT;
                nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        }
}

/* What it said last, on one line. */
static const char *last_words(struct stream *s)
{
        s->text[s->size] = 0;
        while (s->size && strchr(" \r\n", s->text[s->size - 1]))
                s->text[--s->size] = 0;
        char *line = strrchr(s->text, '\n');
        return line ? line + 1 : s->text;
}

static int judge(const struct fgi_sites_words *words, int r, int status, uint64_t seconds, struct stream *err_out, struct fg_error *err)
{
        char said[201];
        if (r == -ETIMEDOUT)
                return fg_error_set(err, r, "%s %s was not over after %llu s, and was ended", words->word[0], words->count > 1 ? words->word[1] : "",
                                    (unsigned long long)seconds);
        if (r < 0)
                return fg_error_set(err, r, "%s: its answer is too long, or cannot be read", words->word[0]);
        if (WIFSIGNALED(status))
                return fg_error_set(err, -EIO, "%s was killed by signal %d", words->word[0], WTERMSIG(status));
        if (WEXITSTATUS(status))
                return fg_error_set(err, -EIO, "%s ended with %d: %s", words->word[0], WEXITSTATUS(status), fgi_sites_quote(last_words(err_out), said, sizeof said));
        return 0;
}

int fgi_sites_run(const struct fgi_sites_words *words, const char *variable, uint64_t seconds, char **ret_out, struct fg_error *err)
{
        int out[2], bad[2], status = 0;
        if (pipe2(out, O_CLOEXEC) < 0)
                return fg_error_set(err, -errno, "pipe: %m");
        if (pipe2(bad, O_CLOEXEC) < 0) {
                close(out[0]), close(out[1]);
                return fg_error_set(err, -errno, "pipe: %m");
        }
        size_t max = words->answer_max ? words->answer_max : OUT_MAX;
        fg_autofree char *text = malloc(max + 1), *said = malloc(WORDS_MAX + 1);
        struct stream stream[2] = {{.fd = out[0], .text = text, .max = max}, {.fd = bad[0], .text = said, .max = WORDS_MAX, .keep_end = true}};
        pid_t child = text && said ? fork() : -1;
        if (child == 0)
                start_child(words, variable, out[1], bad[1]);
        close(out[1]), close(bad[1]);
        uint64_t deadline = fg_now() + seconds * FG_NSEC_PER_SEC;
        int r = child < 0 ? -ENOMEM : listen_to(stream, deadline);
        if (r == 0)
                r = wait_for(child, deadline, &status);
        if (child > 0 && r < 0) {
                kill(-child, SIGKILL), kill(child, SIGKILL);
                while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                        ;
        }
        close(out[0]), close(bad[0]);
        r = child < 0 ? fg_error_set(err, r, "fork: %m") : judge(words, r, status, seconds, &stream[1], err);
        if (r == 0)
                *ret_out = FG_TAKE_PTR(text);
        return r;
}
