/* SPDX-License-Identifier: Apache-2.0
 * The governor and the arbiter on a simulated device: each tenant process has a queue whose kernels take at least a set time
 * (a sleep, so the processors stay out of it), and end when the sleep is over. Tenants keep the queue full through the gate;
 * the device is never exclusive by itself, so whatever order there is comes from the gate. Prints one JSON line: per tenant
 * the device time got, its share, the worst 1 s window, the share of what was charged, and how much device time overlapped
 * between tenants.
 *
 * With --arbiter-dies-at S2 the arbiter ends then, and the figures are of the time from one second later: the tenants' own
 * fallback. --tolerance P exits 1 when the share that was charged (without an arbiter: got) is more than P points off, or what
 * was got more than 3 P: hops between tenants that a busy machine makes long are nobody's device time, but they delay what
 * the test sees of it. A cap alone is a ceiling: it is met from above, and halfway from below.
 *
 *   gate_share --seconds S --tenant SHARE:KERNEL_US:DEPTH[:cap|high|low][:xPROCESSES][:THINK_US] ... */
#include "base/atomic.h"
#include "base/clock.h"
#include "daemon/arbiter.h"
#include "governor/gate.h"
#include "share_figures.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define MAX_TENANTS 8
#define BINS        6000 /* of 10 ms */
#define BIN         (10 * FG_NSEC_PER_MSEC)
#define QUEUE       1024

struct tenant {
        uint32_t share, kernel_us, depth, processes, think_us;
        uint32_t mode, priority;
        struct fg_limits_page *limits;
        struct fg_usage_page *usage;
        int poke;
        struct fgd_arbiter_client *client;
        struct fgd_arbiter_account account;
};

struct shared {
        uint64_t start;
        uint32_t stop, running[MAX_TENANTS];
        uint64_t bins[MAX_TENANTS][BINS]; /* device time by 10 ms bin */
        uint64_t kernels[MAX_TENANTS], overlap;
};

static struct tenant tenants[MAX_TENANTS];
static unsigned tenant_count;
static struct shared *shared;

/* --- the device --- */

struct queue {
        struct fg_gate *gate;
        unsigned tenant;
        pthread_mutex_t lock;
        pthread_cond_t more, less;
        struct fg_gate_ticket ticket[QUEUE];
        bool marker[QUEUE];
        unsigned head, tail;
};

static void sleep_until(uint64_t t)
{
        struct timespec ts = {.tv_sec = (time_t)(t / FG_NSEC_PER_SEC), .tv_nsec = (long)(t % FG_NSEC_PER_SEC)};

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void book(unsigned tenant, uint64_t begin, uint64_t end)
{
        while (begin < end) {
                uint64_t bin = (begin - shared->start) / BIN, edge = shared->start + (bin + 1) * BIN;
                uint64_t stop = end < edge ? end : edge;

                if (bin < BINS)
                        fg_add_relaxed(&shared->bins[tenant][bin], stop - begin);
                begin = stop;
        }
}

static void *device(void *arg)
{
        struct queue *q = arg;

        prctl(PR_SET_TIMERSLACK, 1000);
        for (;;) {
                pthread_mutex_lock(&q->lock);
                while (q->head == q->tail)
                        pthread_cond_wait(&q->more, &q->lock);
                struct fg_gate_ticket ticket = q->ticket[q->head % QUEUE];
                bool marker = q->marker[q->head % QUEUE];
                pthread_mutex_unlock(&q->lock);
                if (!marker) {
                        uint64_t begin = fg_now();

                        fg_add_relaxed(&shared->running[q->tenant], 1);
                        sleep_until(begin + tenants[q->tenant].kernel_us * 1000ull);
                        for (unsigned i = 0; i < tenant_count; i++)
                                if (i != q->tenant && fg_load_relaxed(&shared->running[i]))
                                        fg_add_relaxed(&shared->overlap, 1);
                        fg_add_relaxed(&shared->running[q->tenant], (uint32_t)-1);
                        book(q->tenant, begin, fg_now());
                        fg_add_relaxed(&shared->kernels[q->tenant], 1);
                }
                if (ticket.tracked)
                        fg_gate_done(q->gate, &ticket);
                pthread_mutex_lock(&q->lock);
                q->head++;
                pthread_cond_signal(&q->less);
                pthread_mutex_unlock(&q->lock);
        }
        return NULL;
}

static void push(struct queue *q, const struct fg_gate_ticket *ticket, bool marker)
{
        pthread_mutex_lock(&q->lock);
        q->ticket[q->tail % QUEUE] = *ticket;
        q->marker[q->tail++ % QUEUE] = marker;
        pthread_cond_signal(&q->more);
        pthread_mutex_unlock(&q->lock);
}

static void mark_all(struct fg_gate *gate, void *user)
{
        struct fg_gate_ticket ticket;

        fg_gate_mark(gate, &ticket);
        push(user, &ticket, true);
}

static void wait_below(struct queue *q, unsigned depth)
{
        pthread_mutex_lock(&q->lock);
        while (q->tail - q->head >= depth)
                pthread_cond_wait(&q->less, &q->lock);
        pthread_mutex_unlock(&q->lock);
}

static void tenant_process(unsigned index, uint32_t slot)
{
        static const struct fg_gate_ops ops = {.mark_all = mark_all};
        struct tenant *t = &tenants[index];
        struct queue *q = calloc(1, sizeof(*q));
        struct fg_session_vgpu vgpu = {.poke = fg_own_fd_take(t->poke)};
        pthread_t thread;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pthread_mutex_init(&q->lock, NULL);
        pthread_cond_init(&q->more, NULL);
        pthread_cond_init(&q->less, NULL);
        fg_ledger_open(&vgpu.ledger, t->limits, t->usage, slot);
        q->tenant = index;
        q->gate = fg_gate_new(&vgpu, &ops, q);
        pthread_create(&thread, NULL, device, q);
        sleep_until(shared->start);
        for (uint64_t n = 1; !fg_load_relaxed(&shared->stop); n++) {
                struct fg_gate_ticket ticket;

                if (fg_gate_enter(q->gate, 7 + index, true, &ticket) == 0)
                        push(q, &ticket, false);
                if (t->think_us && n % t->depth == 0) {
                        wait_below(q, 1);
                        sleep_until(fg_now() + t->think_us * 1000ull);
                } else {
                        wait_below(q, t->depth);
                }
        }
        _exit(0);
}

/* --- set-up --- */

static void parse_tenant(char *text)
{
        struct tenant *t = &tenants[tenant_count++];
        char *word = strtok(text, ":");

        *t = (struct tenant){.priority = FG_PRIORITY_NORMAL, .processes = 1};
        t->share = (uint32_t)atoi(word) * 10;
        t->kernel_us = (uint32_t)atoi(strtok(NULL, ":"));
        t->depth = (uint32_t)atoi(strtok(NULL, ":"));
        while ((word = strtok(NULL, ":"))) {
                if (strcmp(word, "cap") == 0)
                        t->mode = FG_MODE_CAP;
                else if (strcmp(word, "high") == 0)
                        t->priority = FG_PRIORITY_HIGH;
                else if (strcmp(word, "low") == 0)
                        t->priority = FG_PRIORITY_LOW;
                else if (word[0] == 'x')
                        t->processes = (uint32_t)atoi(word + 1);
                else
                        t->think_us = (uint32_t)atoi(word);
        }
}

static void *map(size_t size)
{
        return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void start_tenant(unsigned i, struct fgd_arbiter *arbiter, pid_t *pids, unsigned *pid_count)
{
        struct tenant *t = &tenants[i];
        int fds[2];

        t->limits = map(sizeof(*t->limits));
        t->usage = map(sizeof(*t->usage));
        fg_page_init_usage(t->usage);
        t->limits->share_permille = t->share;
        t->limits->mode = t->mode;
        t->limits->priority = t->priority;
        if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
                exit(2);
        t->poke = fds[1];
        for (uint32_t p = 0; p < t->processes; p++) {
                pid_t pid = fork();

                if (pid == 0)
                        tenant_process(i, p);
                pids[(*pid_count)++] = pid;
                t->limits->owner[p] = (struct fg_slot_owner){.pid = (uint32_t)pid, .generation = 1};
        }
        if (fgd_arbiter_add(arbiter, t->limits, t->usage, fds[0], &t->account, &t->client) < 0)
                exit(2);
}

/* Device time of tenant i in bins [from, to). */
static double device_time(unsigned i, unsigned from, unsigned to)
{
        double sum = 0;

        for (unsigned b = from; b < to; b++)
                sum += (double)shared->bins[i][b];
        return sum;
}

static double share_of(unsigned i, unsigned from, unsigned to)
{
        double all = 0;

        if (tenant_count == 1)
                return 100 * device_time(0, from, to) / ((double)(to - from) * BIN);
        for (unsigned k = 0; k < tenant_count; k++)
                all += device_time(k, from, to);
        return all > 0 ? 100 * device_time(i, from, to) / all : 0;
}

/* Of what was charged to all; alone: of the time that passed. */
static double charged_share(unsigned i, unsigned seconds)
{
        double all = 0;

        if (tenant_count == 1)
                return (double)tenants[0].limits->charged / seconds / 1e7;
        for (unsigned k = 0; k < tenant_count; k++)
                all += (double)tenants[k].limits->charged;
        return all > 0 ? 100 * (double)tenants[i].limits->charged / all : 0;
}

int main(int argc, char **argv)
{
        struct fgd_arbiter_config config = {.quantum = 6000000, .free_after = FG_NSEC_PER_SEC};
        struct fgd_arbiter *arbiter;
        unsigned seconds = 5, pid_count = 0, dies_at = 0, from = 50, to, off_by_too_much = 0;
        double tolerance = 100;
        pid_t pids[64];

        for (int i = 1; i + 1 < argc; i += 2) {
                if (strcmp(argv[i], "--seconds") == 0)
                        seconds = (unsigned)atoi(argv[i + 1]);
                else if (strcmp(argv[i], "--quantum-us") == 0)
                        config.quantum = strtoull(argv[i + 1], NULL, 10) * 1000;
                else if (strcmp(argv[i], "--arbiter-dies-at") == 0)
                        dies_at = (unsigned)atoi(argv[i + 1]);
                else if (strcmp(argv[i], "--tolerance") == 0)
                        tolerance = atof(argv[i + 1]);
                else if (strcmp(argv[i], "--tenant") == 0 && tenant_count < MAX_TENANTS)
                        parse_tenant(argv[i + 1]);
        }
        shared = map(sizeof(*shared));
        shared->start = fg_now() + 300 * FG_NSEC_PER_MSEC;
        if (fgd_arbiter_new(&config, &arbiter, NULL) < 0)
                return 2;
        for (unsigned i = 0; i < tenant_count; i++)
                start_tenant(i, arbiter, pids, &pid_count);
        if (dies_at) {
                sleep_until(shared->start + dies_at * FG_NSEC_PER_SEC);
                fgd_arbiter_free(arbiter);
                arbiter = NULL;
                from = (dies_at + 1) * 100;
        }
        sleep_until(shared->start + seconds * FG_NSEC_PER_SEC);
        fg_store_relaxed(&shared->stop, 1);
        for (unsigned i = 0; i < pid_count; i++) {
                kill(pids[i], SIGKILL);
                waitpid(pids[i], NULL, 0);
        }
        fgd_arbiter_free(arbiter);

        double all = 0;

        to = seconds * 100;
        printf("{\"tenants\": [");
        for (unsigned i = 0; i < tenant_count; i++) {
                double asked = tenants[i].share / 10.0, mean = share_of(i, from, to), charged = charged_share(i, seconds), worst = 0;

                for (unsigned b = from; b + 100 <= to; b += 10) {
                        double off = share_of(i, b, b + 100) - asked;

                        off = off < 0 ? -off : off;
                        worst = off > worst ? off : worst;
                }
                all += device_time(i, from, to);
                off_by_too_much += share_is_off(asked, mean, dies_at ? tolerance : 3 * tolerance, tenant_count == 1);
                if (!dies_at)
                        off_by_too_much += share_is_off(asked, charged, tolerance, tenant_count == 1);
                printf("%s{\"asked\": %.1f, \"got\": %.2f, \"worst\": %.2f, \"charged\": %.2f, \"kernels\": %" PRIu64 "}", i ? ", " : "",
                       asked, mean, worst, charged, shared->kernels[i]);
        }
        printf("], \"utilisation\": %.3f, \"overlaps\": %" PRIu64 "}\n", all / ((double)(to - from) * BIN), shared->overlap);
        return off_by_too_much > 0;
}
