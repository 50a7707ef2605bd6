/* SPDX-License-Identifier: Apache-2.0
 * Prices of options by chance, and what a trading rule would have earned. */

/* Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011): four random words of a counter and a key. No state: any path can be
 * drawn by any work item, and a seed gives the same paths on every device. */
static uint4 philox(uint4 counter, uint2 key)
{
        for (int round = 0; round < 10; round++) {
                uint high0 = mul_hi(0xD2511F53u, counter.x), low0 = 0xD2511F53u * counter.x;
                uint high1 = mul_hi(0xCD9E8D57u, counter.z), low1 = 0xCD9E8D57u * counter.z;

                counter = (uint4)(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
                key += (uint2)(0x9E3779B9u, 0xBB67AE85u);
        }
        return counter;
}

kernel void words(global uint4 *out, global const uint4 *counter, uint2 key)
{
        out[get_global_id(0)] = philox(counter[get_global_id(0)], key);
}

/* Two normal draws (Box and Muller) of two words. */
static real2 normal(uint2 word)
{
        real length = sqrt(-2 * log((word.x + (real)0.5) * (real)0x1p-32));
        real turn = 2 * (word.y + (real)0.5) * (real)0x1p-32;

        return length * (real2)(cospi(turn), sinpi(turn));
}

/* Each work item draws four prices at the end of the option's life in each of some rounds, and adds up what a call and a put pay
 * there. sum: call, call squared, put, put squared. */
kernel void paths(global real4 *sum, uint first, uint last, uint2 seed, real spot, real strike, real drift, real volatility)
{
        uint item = get_global_id(0);
        real4 total = sum[item];

        for (uint round = first; round < last; round++) {
                uint4 word = philox((uint4)(item, round, 0, 0), seed);
                real2 first = normal(word.xy), second = normal(word.zw);
                real draw[4] = {first.x, first.y, second.x, second.y};

                for (int i = 0; i < 4; i++) {
                        real end = spot * exp(drift + volatility * draw[i]);
                        real call = max(end - strike, (real)0), put = max(strike - end, (real)0);

                        total += (real4)(call, call * call, put, put * put);
                }
        }
        sum[item] = total;
}

/* One rule for each work item: hold the share in the month after its mean over the last `fast` months was above that over the
 * last `slow` ones, else hold cash. `before` has the sums of all earlier prices. Worth at the end of 1 at the start;
 * each purchase and sale costs `fee` of it. */
kernel void rules(global const real *price, global const real *before, uint first, uint last, real fee, global real *worth)
{
        uint fast = get_global_id(0) + 1, slow = get_global_id(1) + 1;
        real mine = 1;
        int held = 0;

        for (uint month = first; month + 1 < last; month++) {
                real near = (before[month + 1] - before[month + 1 - fast]) / fast;
                real far = (before[month + 1] - before[month + 1 - slow]) / slow;
                int hold = near > far;

                if (hold != held)
                        mine *= 1 - fee;
                if (hold)
                        mine *= price[month + 1] / price[month];
                held = hold;
        }
        worth[get_global_id(1) * get_global_size(0) + get_global_id(0)] = mine;
}
