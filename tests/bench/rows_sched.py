# SPDX-License-Identifier: Apache-2.0
"""Placement: what a decision costs on many nodes, and all of FGD's protocol on the traces at hand. FASTGPU_TRACES names their folder."""
import concurrent.futures
import glob
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

from node import tool
from row import Row

LOAD = tool("lib", "fastgpu", "bench", "sched-load")
TRACES = os.path.join(os.environ.get("FASTGPU_TRACES") or pathlib.Path(__file__).resolve().parents[3] / "shared/data", "openb")
NODES = os.path.join(TRACES, "openb_node_list_gpu_node.csv")
POLICIES = "fastgpu,fgd,best-fit,packing,clustering,random"
MOST_US = {1: 5, 8: 20, 82: 200}  # by how many times over the nodes are there


def pods(name):
    return os.path.join(TRACES, f"openb_pod_list_{name}.csv")


def absent(row):
    return row.result("not measured", None, f"no traces in {TRACES}")


def decisions(row, context):
    if not os.path.exists(NODES):
        return absent(row)
    lines = []
    for times in list(MOST_US)[:2 if context.quick else 3]:
        said = json.loads(subprocess.run([LOAD, NODES, pods("default"), str(times)], check=True, capture_output=True, text=True).stdout)
        median, most = said["median_ns"] / 1000, MOST_US[times]
        lines.append(row.result(f"{median:.1f} µs, p99 {said['p99_ns'] / 1000:.0f} µs, {said['bytes_per_node']:.0f} bytes a node",
                                median <= most and said["bytes_per_node"] <= 1000, what=f"{row.what}, {said['nodes']} nodes",
                                goal=f"≤ {most} µs, ≤ 1000 bytes", data=said))
    return lines


def replay(trace, seeds):
    said = subprocess.run([tool("bin", "fastgpu"), "simulate", "--nodes", NODES, "--trace", trace, "--policy", POLICIES, "--seeds", seeds, "--json"],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(said)


def openb(row, context):
    traces = sorted(glob.glob(pods("*")))
    if not os.path.exists(NODES) or not traces:
        return absent(row)
    seeds = "42" if context.quick else "42-51"
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with concurrent.futures.ThreadPoolExecutor(2) as two:
        said = dict(zip(traces, two.map(lambda trace: replay(trace, seeds), traces)))
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    for trace, rows in said.items():
        figures = ", ".join(f"{r['policy']} {r['allocated_at_100']:.2f} {r['allocated_at_130']:.2f}" for r in rows)
        print(f"  {os.path.basename(trace)[15:-4]}: {figures}", file=sys.stderr, flush=True)
    return row.result(f"{wall:.1f} s, {cpu:.1f} s of processor time", wall <= 30, f"{len(traces)} traces, seeds {seeds}, {len(POLICIES.split(','))} policies, two at a time",
                      data={"wall_s": wall, "cpu_s": cpu, "figures": {os.path.basename(trace): rows for trace, rows in said.items()}})


ROWS = {
    "placement": Row("a decision, filling a fleet", "", "prototype: 8 to 18 µs at 1213 nodes", decisions),
    "openb": Row("all of FGD's protocol on openb", "≤ 30 s on 2 cores", "authors: about 10 min for one run", openb),
}
