#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""measure.py: what the dashboard costs with 1000 vGPUs, on this machine now. No test: docs/design/dashboard.md has the figures.

Prints the time from asking for the page to the first content and the bytes until then (medians of seven fresh browsers' pages), tasks over
50 ms while a thousand rows are told new figures each second, and what the daemon spends on one such answer."""
import json
import os
import statistics
import subprocess
import time

import packages
from world import GPUS, ROOM, World

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 20


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def browse(world):
    env = {**os.environ, "WEB_PACKAGES": packages.need(), "CHROMIUM": packages.CHROMIUM, "SECONDS": str(SECONDS)}
    with subprocess.Popen(["node", os.path.join(HERE, "scenes.mjs"), "measure"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as node:
        for line in node.stdout:
            what, *args = json.loads(line)
            if what in ("done", "failed"):
                return
            if what == "result":
                print(args[0])
            node.stdin.write(json.dumps({"value": world.dashboard() if what == "link" else None}) + "\n")
            node.stdin.flush()


def main():
    with World(sim=GPUS + ROOM) as world:
        world.people()
        world.populate()
        world.crowd(1000)
        connection = world.connect()
        times, size = [], 0
        before = cpu(world.process.pid)
        for _ in range(200):
            begin = time.perf_counter()
            connection.request("GET", "/v1/figures")
            size = len(connection.getresponse().read())
            times.append(time.perf_counter() - begin)
        print(f"GET /v1/figures of 1000 vGPUs: {1e3 * statistics.median(times):.2f} ms, {size} bytes, {1e3 * (cpu(world.process.pid) - before) / 200:.2f} ms of the daemon")
        browse(world)


if __name__ == "__main__":
    main()
