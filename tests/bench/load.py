# SPDX-License-Identifier: Apache-2.0
"""Running load generators together, and what their counts say about the shares."""
import json
import statistics
import subprocess
import time

from node import BURN, FASTGPU

LEAD = 2.5  # s between starting the programs and their common first launch
BIN_MS = 10


def monotonic_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Load:
    """One load generator: `target` is a vGPU, or None for none at all."""

    def __init__(self, target, *options):
        self.target = target
        self.options = [str(o) for o in options]

    def argv(self):
        return ([FASTGPU, "run", self.target, "--"] if self.target else []) + [BURN] + self.options


def run_together(node, loads, seconds):
    """Runs the loads from one common instant for `seconds`; their results in order."""
    start = monotonic_ns() + int(LEAD * 1e9)
    processes = [
        node.popen(load.argv() + ["--seconds", str(seconds), "--start-at", str(start), "--report-ms", str(BIN_MS)],
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for load in loads
    ]
    results = []
    for load, process in zip(loads, processes):
        out, err = process.communicate(timeout=seconds + 60)
        if process.returncode:
            raise RuntimeError(f"{' '.join(load.argv())}: exit {process.returncode}: {err.strip()}")
        results.append(json.loads(out))
    return results


def run_one(node, target, *options, seconds):
    return run_together(node, [Load(target, *options)], seconds)[0]


def calibrate(node, kernel_us):
    """Iterations that make a kernel of about that length when alone on the device, without FastGPU."""
    done = node.native(BURN, "--kernel-us", str(kernel_us), "--calibrate")
    return json.loads(done.stdout)["iterations"]


def bins(result, seconds):
    return result["bins"][: int(seconds * 1000 / BIN_MS)]


def total(result, seconds):
    """Completions between the common start and the common end."""
    return sum(bins(result, seconds))


def windows(rows, width_ms=1000, step_ms=100):
    """Sums of each row over every sliding window."""
    width, step = width_ms // BIN_MS, step_ms // BIN_MS
    length = min(len(row) for row in rows)
    for first in range(0, max(length - width, 0) + 1, step):
        yield [sum(row[first:first + width]) for row in rows]


def share_errors(tenants, targets):
    """(share of the first tenant, mean error, worst 1 s window) in points; `tenants` are rows of bins."""
    sums = [sum(row) for row in tenants]
    whole = sum(sums)
    mean = max(abs(100 * s / whole - t) for s, t in zip(sums, targets))
    worst = 0.0
    for window in windows(tenants):
        all_done = sum(window)
        if not all_done:
            return 100 * sums[0] / whole, mean, 100.0
        worst = max([worst] + [abs(100 * s / all_done - t) for s, t in zip(window, targets)])
    return 100 * sums[0] / whole, mean, worst


def add_rows(*rows):
    return [sum(column) for column in zip(*rows)]


def median(values):
    return statistics.median(values)


def median_between(values):
    """(median, and the two values between which that of all possible ones lies with 95 %): by ranks, whatever the values' distribution."""
    ranked = sorted(values)
    half = 0.98 * len(ranked) ** 0.5  # 1.96 × √n ÷ 2 ranks
    low, high = int(len(ranked) / 2 - half), int(len(ranked) / 2 + half)
    return median(ranked), ranked[max(low, 0)], ranked[min(high, len(ranked) - 1)]
