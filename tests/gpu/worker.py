#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program that uses the GPU as it is told: a command a line on standard input, a line of JSON for each answer.

usage: worker.py ptx|torch [WORK]

    calibrate MICROSECONDS           -> work that makes a kernel that long
    steps N                          -> seconds that N steps took
    load START_NS SECONDS DEPTH      -> kernels completed in each tenth of a second
    requests START_NS SECONDS EVERY_MS KERNELS -> microseconds that each request took
    fill CHUNK                       -> bytes allocated until the driver refused
    info | devices | bye
"""
import collections
import json
import os
import sys
import time

BIN_NS = 100_000_000


def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def sleep_until(when):
    left = when - now()
    if left > 0:
        time.sleep(left / 1e9)


class Worker:
    def __init__(self, engine):
        self.engine = engine

    def calibrate(self, microseconds):
        for _ in range(2):
            for _ in range(3):
                self.engine.launch()
            self.engine.sync()
            begin = now()
            for _ in range(20):
                self.engine.launch()
            self.engine.sync()
            took = (now() - begin) / 20_000
            self.engine.set_work(min(max(int(self.engine.work * float(microseconds) / took), 100), 1 << 30))
        return self.engine.work

    def steps(self, count):
        begin = now()
        for _ in range(int(count)):
            self.engine.step()
        self.engine.sync()
        return (now() - begin) / 1e9

    def load(self, start, seconds, depth):
        start, length = int(start), int(float(seconds) * 1e9)
        bins, under_way = [0] * (length // BIN_NS), collections.deque()
        sleep_until(start)
        while now() < start + length:
            self.engine.launch()
            under_way.append(self.engine.mark())
            if len(under_way) >= int(depth):
                self.engine.wait(under_way.popleft())
                at = (now() - start) // BIN_NS
                if at < len(bins):
                    bins[at] += 1
        for event in under_way:
            self.engine.wait(event)
        return bins

    def requests(self, start, seconds, every_ms, kernels):
        begin, every = int(start), int(float(every_ms) * 1e6)
        end, took = begin + int(float(seconds) * 1e9), []
        while begin < end:
            sleep_until(begin)
            asked = now()
            for _ in range(int(kernels)):
                self.engine.launch()
            self.engine.wait(self.engine.mark())
            took.append((now() - asked) / 1000)
            begin += every * max(1, -(-(now() - begin) // every))
        return took

    def fill(self, chunk):
        """In ever smaller pieces, down to the 2 MiB that drivers hand out at least."""
        chunk, total = int(chunk), 0
        while chunk >= 2 << 20:
            if self.engine.alloc(chunk):
                total += chunk
            else:
                chunk //= 2
        return total

    def info(self):
        return self.engine.info()

    def devices(self):
        return self.engine.devices()


def make_engine(name, work):
    if name == "torch":
        from engine_torch import Torch as Engine
    else:
        from engine_ptx import Ptx as Engine
    return Engine(work)


def main():
    name, work = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    worker = Worker(make_engine(name, work))
    worker.engine.launch()
    worker.engine.sync()
    print(json.dumps({"pid": os.getpid()}), flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "bye":
            return
        print(json.dumps(getattr(worker, word)(*rest)), flush=True)


if __name__ == "__main__":
    main()
