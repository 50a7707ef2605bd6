#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""measure.py [SECONDS]: what the dashboard costs with 1000 vGPUs, on this machine now, as JSON; the row `web` of `make bench` calls it.

The time from asking for the page to the first content and the bytes until then (seven pages of fresh browsers each), tasks over 50 ms while
a thousand rows are told new figures each second, for so many seconds, and what the daemon spends on one such answer."""
import json
import os
import subprocess
import sys
import time

import packages
from world import GPUS, ROOM, World

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWERS = 200


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def browse(world, seconds):
    """What the scene reports, one after the other."""
    env = {**os.environ, "WEB_PACKAGES": packages.need(), "CHROMIUM": packages.CHROMIUM, "SECONDS": str(seconds)}
    reports = []
    with subprocess.Popen(["node", os.path.join(HERE, "scenes.mjs"), "measure"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as node:
        for line in node.stdout:
            what, *args = json.loads(line)
            if what == "done":
                return reports
            if what == "failed":
                raise RuntimeError(f"the scene failed: {args}")
            if what == "result":
                reports.append(args[0])
            node.stdin.write(json.dumps({"value": world.dashboard() if what == "link" else None}) + "\n")
            node.stdin.flush()
    raise RuntimeError("the browser ended too soon")


def figures(world):
    connection = world.connect()
    times, size = [], 0
    before = cpu(world.process.pid)
    for _ in range(ANSWERS):
        begin = time.perf_counter()
        connection.request("GET", "/v1/figures")
        size = len(connection.getresponse().read())
        times.append(1000 * (time.perf_counter() - begin))
    return {"what": "figures", "ms": times, "bytes": size, "daemon_ms": 1000 * (cpu(world.process.pid) - before) / ANSWERS}


def main():
    packages.need()
    with World(sim=GPUS + ROOM) as world:
        world.people()
        world.populate()
        world.crowd(1000)
        print(json.dumps([figures(world), *browse(world, int(sys.argv[1]) if sys.argv[1:] else 20)]))


if __name__ == "__main__":
    main()
