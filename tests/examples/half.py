#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How each example behaves with half the device: rounds in some seconds with no limit beside rounds with `--mode cap --compute 50`, in turns. Prints
a table; not a test."""
import re
import statistics
import sys

from example import example, has, os
from node import Node
from share import field_options

SECONDS, TURNS = 3, 3


def rounds(node, target, field, options):
    done = node.run(target, sys.executable, example(field, field + ".py"), *options, "--seconds", str(SECONDS))
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(re.search(r"^(\d+) more rounds", done.stdout, re.M)[1])


def main():
    with Node(POCL_AFFINITY="1") as node:
        node.fastgpu("create", "--name", "whole", "--memory", "256M", "--compute", "50")
        node.fastgpu("create", "--name", "half", "--memory", "256M", "--compute", "50", "--mode", "cap")
        own = field_options(node.dir)
        if has("sklearn"):
            own = {**own, "data": (), "learning": ("--epochs", "3")}
        print("| example | rounds in 3 s, alone | capped to half | |")
        print("|---|---|---|---|")
        for field, options in own.items():
            whole, half = zip(*[[rounds(node, name, field, options) for name in ("whole/0", "half/0")] for _ in range(TURNS)])
            print(f"| {field} | {statistics.median(whole)} | {statistics.median(half)} | "
                  f"{100 * statistics.median(h / w for h, w in zip(half, whole)):.0f} % |", flush=True)
    print("load", os.getloadavg())


if __name__ == "__main__":
    main()
