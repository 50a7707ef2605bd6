/* SPDX-License-Identifier: Apache-2.0
 * The arbiter's thread: sleeps until a tenant pokes, the daemon changes something, or a grant ends. */
#include "daemon/arbiter_internal.h"

#include "base/atomic.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void wake(struct fgd_arbiter *a)
{
        uint64_t one = 1;
        ssize_t ignored = write(a->control, &one, sizeof(one));

        (void)ignored;
}

/* The descriptors are read under the lock and only while they are a client's: outside it the number may be another file's by
 * now. */
static void drain_pokes(struct fgd_arbiter *a)
{
        char drain[512];
        ssize_t ignored = read(a->control, drain, sizeof(uint64_t));

        for (const struct fgd_arbiter_client *c = a->clients; c; c = c->next)
                ignored = read(c->poke, drain, sizeof(drain));
        (void)ignored;
}

static void wait_for_pokes(struct fgd_arbiter *a, uint64_t ns)
{
        struct timespec ts = {.tv_sec = (time_t)(ns / FG_NSEC_PER_SEC), .tv_nsec = (long)(ns % FG_NSEC_PER_SEC)};
        struct epoll_event events[16];
        int n = epoll_pwait2(a->epoll, events, 16, ns == UINT64_MAX ? NULL : &ts, NULL);

        if (n < 0 && errno != EINTR) /* a kernel before 5.11, or a filter that does not know it */
                epoll_wait(a->epoll, events, 16, ns == UINT64_MAX ? -1 : (int)(ns / FG_NSEC_PER_MSEC) + 1);
}

/* Anybody may poke as often as he likes; looking at all pages each time would be the daemon's own time. Sharing needs a few
 * hundred looks a second. */
static void restrain(struct fgd_arbiter *a)
{
        static const struct timespec pause = {.tv_nsec = FLOOD_PAUSE};
        uint64_t now = fg_now();

        if (now - a->looks_since >= FLOOD_SPAN) {
                a->looks_since = now;
                a->looks = 0;
        }
        if (++a->looks > FLOOD_LOOKS)
                nanosleep(&pause, NULL);
}

static void *arbiter_thread(void *arg)
{
        struct fgd_arbiter *a = arg;
        uint64_t wait;

        prctl(PR_SET_NAME, "arbiter");
        prctl(PR_SET_TIMERSLACK, 1000);
        setpriority(PRIO_PROCESS, (id_t)gettid(), -10); /* a help where it is allowed */
        for (;;) {
                pthread_mutex_lock(&a->lock);
                if (a->stop)
                        break;
                drain_pokes(a);
                uint64_t now = fg_now();
                fgd_arbiter_observe(a, now);
                wait = fgd_arbiter_decide(a, now);
                pthread_mutex_unlock(&a->lock);
                wait_for_pokes(a, wait);
                restrain(a);
        }
        pthread_mutex_unlock(&a->lock);
        return NULL;
}

static int watch(struct fgd_arbiter *a, int fd)
{
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

        return epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int fgd_arbiter_new(const struct fgd_arbiter_config *config, struct fgd_arbiter **ret, struct fg_error *err)
{
        struct fgd_arbiter *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return fg_error_set(err, -ENOMEM, "cannot start the arbiter: %m");
        a->config = *config;
        a->observed_at = fg_now();
        pthread_mutex_init(&a->lock, NULL);
        a->epoll = epoll_create1(EPOLL_CLOEXEC);
        a->control = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = a->epoll < 0 || a->control < 0 ? -errno : watch(a, a->control);
        if (r == 0)
                r = -pthread_create(&a->thread, NULL, arbiter_thread, a);
        if (r < 0) {
                if (a->epoll >= 0)
                        close(a->epoll);
                if (a->control >= 0)
                        close(a->control);
                free(a);
                return fg_error_set(err, r, "cannot start the arbiter: %m");
        }
        *ret = a;
        return 0;
}

void fgd_arbiter_free(struct fgd_arbiter *a)
{
        if (!a)
                return;
        pthread_mutex_lock(&a->lock);
        a->stop = true;
        pthread_mutex_unlock(&a->lock);
        wake(a);
        pthread_join(a->thread, NULL);
        while (a->clients) {
                struct fgd_arbiter_client *c = a->clients;

                a->clients = c->next;
                free(c);
        }
        close(a->epoll);
        close(a->control);
        pthread_mutex_destroy(&a->lock);
        free(a->shares);
        free(a->candidates);
        free(a);
}

static int grow(struct fgd_arbiter *a)
{
        size_t capacity = a->capacity ? 2 * a->capacity : 16;
        void *p;

        if (a->count < a->capacity)
                return 0;
        p = reallocarray(a->shares, capacity, sizeof(*a->shares));
        if (!p)
                return -ENOMEM;
        a->shares = p;
        p = reallocarray(a->candidates, capacity, sizeof(*a->candidates));
        if (!p)
                return -ENOMEM;
        a->candidates = p;
        a->capacity = capacity;
        return 0;
}

/* Tokens are earned while no program is there, too; virtual time is floored when the vGPU first wants the device. */
static void open_account(struct fgd_arbiter_client *c, uint64_t now)
{
        const struct fgd_arbiter_account *account = c->account;

        c->share.vtime = account->vtime;
        c->share.tokens = account->tokens;
        c->share.weight = fg_load_relaxed(&c->limits->share_permille);
        c->share.cap = fg_load_relaxed(&c->limits->mode) == FG_MODE_CAP;
        if (account->left_at)
                fg_share_earn(&c->share, now - account->left_at);
}

static void close_account(const struct fgd_arbiter_client *c, uint64_t now)
{
        *c->account = (struct fgd_arbiter_account){.vtime = c->share.vtime, .tokens = c->share.tokens, .left_at = now};
}

int fgd_arbiter_add(struct fgd_arbiter *a, struct fg_limits_page *limits, struct fg_usage_page *usage, int poke,
                    struct fgd_arbiter_account *account, struct fgd_arbiter_client **ret)
{
        struct fgd_arbiter_client *c = calloc(1, sizeof(*c));
        uint64_t now = fg_now(), beat;
        int r;

        if (!c)
                return -ENOMEM;
        *c = (struct fgd_arbiter_client){.limits = limits, .usage = usage, .poke = poke, .stale = true, .share.weight = 1,
                                         .account = account};
        open_account(c, now);
        /* Programs went on while no arbiter watched; what they used since then is theirs to pay. */
        beat = fg_load_relaxed(&limits->beat);
        if (beat && beat < now)
                c->passed = now - beat;
        pthread_mutex_lock(&a->lock);
        r = grow(a);
        if (r == 0)
                r = watch(a, poke);
        if (r == 0) {
                /* Whatever the grant was, it was another arbiter's. */
                fg_store_seq_cst(&limits->grant, ((fg_load_relaxed(&limits->grant) >> 2) + 1) << 2 | FG_GRANT_DENIED);
                c->next = a->clients;
                a->clients = c;
                a->count++;
        }
        pthread_mutex_unlock(&a->lock);
        if (r < 0) {
                free(c);
                return r;
        }
        wake(a);
        *ret = c;
        return 0;
}

void fgd_arbiter_remove(struct fgd_arbiter *a, struct fgd_arbiter_client *client)
{
        pthread_mutex_lock(&a->lock);
        fgd_arbiter_observe(a, fg_now());
        close_account(client, fg_now());
        for (struct fgd_arbiter_client **p = &a->clients; *p; p = &(*p)->next)
                if (*p == client) {
                        *p = client->next;
                        a->count--;
                        break;
                }
        epoll_ctl(a->epoll, EPOLL_CTL_DEL, client->poke, NULL);
        if (a->owner == client) {
                a->owner = NULL;
                a->phase = PHASE_NONE;
        }
        pthread_mutex_unlock(&a->lock);
        free(client);
        wake(a);
}

void fgd_arbiter_changed(struct fgd_arbiter *a, struct fgd_arbiter_client *client)
{
        pthread_mutex_lock(&a->lock);
        client->stale = true;
        pthread_mutex_unlock(&a->lock);
        wake(a);
}

void fgd_arbiter_refresh(struct fgd_arbiter *a)
{
        pthread_mutex_lock(&a->lock);
        fgd_arbiter_observe(a, fg_now());
        pthread_mutex_unlock(&a->lock);
}
