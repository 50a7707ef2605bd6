#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes and gives back GPU memory as MXNet 1.x does (its rounded pool): sizes are rounded up to a power of two, or below 16 MiB to a page;
freed blocks stay in a pool by size; when the driver says that less than 5 % is free, or refuses, the pool goes back first, and then
it is asked once more.

inside_pool.py SEED STEPS LARGEST: prints one line of JSON."""
import ctypes
import json
import random
import sys

cu = ctypes.CDLL("libcuda.so.1")
PAGE, LINEAR, RESERVE = 4096, 1 << 24, 5


class OutOfMemory(Exception):
    pass


class Pool:
    def __init__(self):
        context = ctypes.c_void_p()
        assert cu.cuInit(0) == 0 and cu.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0 and cu.cuCtxSetCurrent(context) == 0
        self.free_of, self.held, self.pooled, self.released, self.hits, self.lowest = {}, 0, 0, 0, 0, 1 << 62

    @staticmethod
    def rounded(size):
        return max(PAGE, (size + PAGE - 1) // PAGE * PAGE) if size <= LINEAR else 1 << (size - 1).bit_length()

    @staticmethod
    def info():
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        assert cu.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
        return free.value, total.value

    def release_all(self):
        for size, blocks in self.free_of.items():
            for p in blocks:
                assert cu.cuMemFree_v2(ctypes.c_uint64(p)) == 0
                self.pooled -= size
        self.free_of = {}
        self.released += 1

    def alloc(self, wanted):
        size = self.rounded(wanted)
        if self.free_of.get(size):
            self.hits += 1
            self.pooled -= size
            self.held += size
            return size, self.free_of[size].pop()
        free, total = self.info()
        if free <= total * RESERVE // 100 or size > free - total * RESERVE // 100:
            self.release_all()
        p = ctypes.c_uint64()
        if cu.cuMemAlloc_v2(ctypes.byref(p), ctypes.c_size_t(size)):
            self.release_all()
            if cu.cuMemAlloc_v2(ctypes.byref(p), ctypes.c_size_t(size)):
                raise OutOfMemory(size)
        self.held += size
        self.lowest = min(self.lowest, self.info()[0])
        return size, p.value

    def free(self, block):
        size, p = block
        self.free_of.setdefault(size, []).append(p)
        self.held -= size
        self.pooled += size


def main(seed, steps, largest):
    pool, rng, live, refused = Pool(), random.Random(seed), [], 0
    begin = pool.info()
    for _ in range(steps):
        while live and rng.random() < 0.45:
            pool.free(live.pop(rng.randrange(len(live))))
        try:
            live.append(pool.alloc(int(largest ** rng.uniform(0.5, 1))))
        except OutOfMemory:
            refused += 1
            for block in live[:len(live) // 2]:
                pool.free(block)
            del live[:len(live) // 2]
    free, total = pool.info()
    books = begin[0] - free == pool.held + pool.pooled
    for block in live:
        pool.free(block)
    pool.release_all()
    print(json.dumps({"total": total, "begin": begin[0], "end": pool.info()[0], "books": books, "hits": pool.hits, "released": pool.released,
                      "refused": refused, "lowest": pool.lowest}))


main(*map(int, sys.argv[1:]))
