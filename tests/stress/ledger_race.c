/* SPDX-License-Identifier: Apache-2.0
 * Processes times threads reserve and refund mixed sizes against one quota while an observer reads the counter. Prints one
 * JSON line: rounds, observations over the quota (must be 0), bytes lost (must be 0). */
#include "base/atomic.h"
#include "base/clock.h"
#include "ledger/ledger.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PROCESSES 8
#define THREADS   3
#define HOLD      8

static struct fg_limits_page *limits;
static struct fg_usage_page *usage;
static uint64_t rounds_per_thread = 50000;

struct shared {
        uint64_t granted, refused, over;
        uint32_t stop;
        /* What the "driver" has really handed out: raised after a grant, lowered before a refund, so it can only be too low. */
        uint64_t driver;
};
static struct shared *shared;

static uint64_t next_random(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static void *worker(void *arg)
{
        struct fg_ledger *ledger = arg;
        uint64_t seed = (uint64_t)(uintptr_t)&seed ^ ((uint64_t)ledger->slot << 40) ^ fg_now(), held[HOLD] = {0};
        uint64_t granted = 0, refused = 0;

        for (uint64_t i = 0; i < rounds_per_thread; i++) {
                uint64_t *h = &held[i % HOLD];

                if (*h) {
                        fg_sub_seq_cst(&shared->driver, *h);
                        fg_ledger_refund(ledger, *h);
                        *h = 0;
                }
                uint64_t bytes = 1 + next_random(&seed) % (next_random(&seed) % 4 ? 4096 : 300000);
                if (fg_ledger_reserve(ledger, bytes) == 0) {
                        *h = bytes;
                        granted++;
                        if (fg_add_seq_cst(&shared->driver, bytes) + bytes > limits->quota)
                                fg_add_relaxed(&shared->over, 1);
                } else {
                        refused++;
                }
        }
        for (int i = 0; i < HOLD; i++) {
                fg_sub_seq_cst(&shared->driver, held[i]);
                fg_ledger_refund(ledger, held[i]);
        }
        fg_add_relaxed(&shared->granted, granted);
        fg_add_relaxed(&shared->refused, refused);
        return NULL;
}

static void process(uint32_t slot)
{
        struct fg_ledger ledger;
        pthread_t threads[THREADS];

        fg_ledger_open(&ledger, limits, usage, slot);
        for (int i = 0; i < THREADS; i++)
                pthread_create(&threads[i], NULL, worker, &ledger);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        exit(0);
}

static void *observer(void *arg)
{
        while (!fg_load_relaxed(&shared->stop))
                if (fg_load_acquire(&usage->counter.used) > limits->quota)
                        fg_add_relaxed(&shared->over, 1);
        return NULL;
}

static void *map(size_t size)
{
        return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int main(int argc, char **argv)
{
        static const struct option options[] = {{"rounds", required_argument, NULL, 'r'}, {0}};
        struct fg_error err = {0};
        pthread_t watch;
        int c, status, bad = 0;

        while ((c = getopt_long(argc, argv, "r:", options, NULL)) != -1)
                if (c == 'r')
                        rounds_per_thread = strtoull(optarg, NULL, 10) / (PROCESSES * THREADS) + 1;
        limits = map(sizeof(*limits));
        usage = map(sizeof(*usage));
        shared = map(sizeof(*shared));
        limits->quota = 1 << 20;
        fg_page_init_usage(usage);

        for (uint32_t slot = 0; slot < PROCESSES; slot++)
                if (fork() == 0)
                        process(slot);
        pthread_create(&watch, NULL, observer, NULL);
        for (int i = 0; i < PROCESSES; i++) {
                wait(&status);
                bad += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        }
        fg_store_relaxed(&shared->stop, 1);
        pthread_join(watch, NULL);
        int r = fg_ledger_check(limits, usage, &err);
        printf("{\"rounds\": %" PRIu64 ", \"granted\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"over\": %" PRIu64
               ", \"lost\": %" PRIu64 ", \"check\": \"%s\"}\n",
               shared->granted + shared->refused, shared->granted, shared->refused, shared->over, usage->counter.used,
               r < 0 ? err.text : "ok");
        /* A race nobody lost proves nothing: both outcomes must have happened. */
        return bad || r < 0 || shared->over || usage->counter.used || !shared->granted || !shared->refused;
}
