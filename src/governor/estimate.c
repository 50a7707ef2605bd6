/* SPDX-License-Identifier: Apache-2.0
 * How long a kind of work takes on the device: a moving average by key, in a table that forgets on collision. */
#include "base/atomic.h"
#include "governor/internal.h"

static uint64_t average(uint64_t old, uint64_t sample)
{
        return old ? old - old / 4 + sample / 4 : sample;
}

bool fg_estimate_known(const struct fg_gate *gate, uint32_t key)
{
        return fg_load_relaxed(&gate->estimate[key % FG_ESTIMATES].key) == key;
}

uint64_t fg_estimate_get(const struct fg_gate *gate, uint32_t key)
{
        const struct fg_estimate *e = &gate->estimate[key % FG_ESTIMATES];
        uint64_t mean;

        if (key && fg_estimate_known(gate, key))
                return fg_load_relaxed(&e->ns);
        mean = fg_load_relaxed(&gate->mean);
        return mean ? mean : fg_load_relaxed(&gate->limits->window);
}

void fg_estimate_put(struct fg_gate *gate, uint32_t key, uint64_t spent)
{
        struct fg_estimate *e = &gate->estimate[key % FG_ESTIMATES];
        uint64_t mean = average(fg_load_relaxed(&gate->mean), spent);
        uint64_t ns = average(fg_load_relaxed(&e->key) == key ? fg_load_relaxed(&e->ns) : 0, spent);

        fg_store_relaxed(&e->ns, ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX);
        fg_store_relaxed(&e->key, key);
        fg_store_relaxed(&gate->mean, mean);
        fg_store_relaxed(&gate->slot->estimate, mean);
}
