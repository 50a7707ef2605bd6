/* SPDX-License-Identifier: Apache-2.0
 * Processes that reserve and refund are killed at random instants, again and again, while others go on. After each kill the
 * dead process's slot is reaped; at the end the counter must equal what the living hold, to the byte. Prints one JSON line. */
#include "base/atomic.h"
#include "base/clock.h"
#include "ledger/ledger.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 6
#define THREADS   2

static struct fg_limits_page *limits;
static struct fg_usage_page *usage;

static void *churn(void *arg)
{
        struct fg_ledger *ledger = arg;
        uint64_t held[4] = {0}, n = fg_now() | 1;

        for (uint32_t i = 0;; i++) {
                uint64_t *h = &held[i % 4];

                n = n * 6364136223846793005u + 1442695040888963407u;
                fg_ledger_refund(ledger, *h);
                *h = 1 + (n >> 50);
                if (fg_ledger_reserve(ledger, *h) < 0)
                        *h = 0;
        }
        return NULL;
}

static pid_t spawn(uint32_t slot)
{
        pid_t pid = fork();

        if (pid == 0) {
                struct fg_ledger ledger;
                pthread_t other;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                fg_ledger_open(&ledger, limits, usage, slot);
                for (int i = 1; i < THREADS; i++)
                        pthread_create(&other, NULL, churn, &ledger);
                churn(&ledger);
        }
        return pid;
}

static void *map(size_t size)
{
        return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* How many kills struck between announcing and finishing an operation: the instants the lanes exist for. */
static unsigned torn_lanes(uint32_t slot)
{
        unsigned torn = 0;

        for (uint32_t i = 0; i < FG_LANES; i++)
                torn += usage->slot[slot].lane[i].seq != usage->slot[slot].lane[i].done;
        return torn;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {{"kills", required_argument, NULL, 'k'}, {0}};
        unsigned kills = 1000, torn = 0;
        uint64_t over = 0;
        pid_t pid[PROCESSES];
        struct fg_error err = {0};
        int c;

        while ((c = getopt_long(argc, argv, "k:", options, NULL)) != -1)
                if (c == 'k')
                        kills = (unsigned)strtoul(optarg, NULL, 10);
        limits = map(sizeof(*limits));
        usage = map(sizeof(*usage));
        limits->quota = 256 << 10;
        fg_page_init_usage(usage);
        srand(1);
        for (uint32_t i = 0; i < PROCESSES; i++)
                pid[i] = spawn(i);
        for (unsigned k = 0; k < kills; k++) {
                uint32_t slot = (uint32_t)rand() % PROCESSES;

                usleep((useconds_t)(500 + rand() % 4000));
                kill(pid[slot], SIGKILL);
                waitpid(pid[slot], NULL, 0);
                torn += torn_lanes(slot);
                fg_ledger_reap(usage, slot);
                over += fg_ledger_slot_held(usage, slot) != 0 || fg_load_acquire(&usage->counter.used) > limits->quota;
                pid[slot] = spawn(slot);
        }
        for (uint32_t i = 0; i < PROCESSES; i++) {
                kill(pid[i], SIGKILL);
                waitpid(pid[i], NULL, 0);
        }
        int r = fg_ledger_check(limits, usage, &err);
        for (uint32_t i = 0; i < PROCESSES; i++)
                fg_ledger_reap(usage, i);
        printf("{\"kills\": %u, \"torn\": %u, \"over\": %" PRIu64 ", \"left\": %" PRIu64 ", \"check\": \"%s\"}\n", kills, torn,
               over, usage->counter.used, r < 0 ? err.text : "ok");
        return r < 0 || over || usage->counter.used || (kills >= 100 && !torn);
}
