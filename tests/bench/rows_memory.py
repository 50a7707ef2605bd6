# SPDX-License-Identifier: Apache-2.0
"""Memory: exactness under races, what accounting costs, what death gives back."""
import json
import os
import random
import signal
import subprocess
import time

from load import median
from node import BURN, Node, prefix, wait_until
from row import Row

STRESS = os.path.join(os.environ.get("FASTGPU_BUILD") or os.path.join(os.path.dirname(prefix()), "build"),
                      "tests", "stress")
MIB = 1 << 20
HELD = 16 * MIB


def stress(name, *options):
    """Runs a program of tests/stress; it prints one line of JSON."""
    done = subprocess.run([os.path.join(STRESS, name), *options], capture_output=True, text=True, timeout=1200)
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"{name}: exit {done.returncode}: {done.stderr.strip()}") from None


def race(row, context):
    r = stress("ledger_race", "--rounds", "50000" if context.quick else "1000000")
    return row.result(f"{r['over']} over, {r['lost']} lost in {r['rounds']} rounds", r["over"] == 0 and r["lost"] == 0, data=r)


def cost(row, context):
    r = stress("ledger_bench")
    empty, full = r["pair_ns_0_live"], r["pair_ns_50000_live"]
    return row.result(f"{empty:.1f} ns, {full:.1f} ns with 50 000 live", max(empty, full) <= 60,
                      f"two bare atomic additions {r['atomic_pair_ns']:.1f} ns", data=r)


class Holders:
    """Programs that hold HELD bytes each, always so many, each to be killed. `target` None: without FastGPU."""

    def __init__(self, node, target, count=4):
        self.node, self.target, self.count, self.processes = node, target, count, []

    def fill(self):
        """Starts what is missing; does not wait."""
        argv = [BURN, "--hold", "--memory", str(HELD), "--seconds", "600"]
        while len(self.processes) < self.count:
            if self.target:
                self.processes.append(self.node.start(self.target, *argv, stderr=subprocess.DEVNULL))
            else:
                self.processes.append(self.node.popen(argv, stderr=subprocess.DEVNULL))

    def kill_one(self):
        """Kills one at whatever instruction it is."""
        victim = self.processes.pop(random.randrange(len(self.processes)))
        os.kill(victim.pid, signal.SIGKILL)
        return victim


def reclaim_time(node, victim):
    """ms from the kill until the vGPU knows nothing of the process and holds no more than the living can hold."""
    start = time.monotonic()
    while time.monotonic() < start + 5:
        usage = node.usage("victim/0")
        if victim.pid not in usage["pids"] and usage["memory_used"] <= len(usage["pids"]) * (HELD + MIB):
            break
    return 1000 * (time.monotonic() - start)


def go_first():
    """Before the neighbour starts: its own waits for a processor are not what is measured."""
    try:
        os.nice(-20)
    except PermissionError:
        pass


def kill_beside(node, target, neighbour, rounds):
    """Kills holders at random instants of their life, from exec to holding, while another program allocates and releases
    all the time. Returns (ms until each one's memory was back, longest gap of the neighbour in ms)."""
    argv = [BURN, "--churn", str(MIB), "--seconds", "3600"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": go_first}
    churn = node.start(neighbour, *argv, **pipes) if neighbour else node.popen(argv, **pipes)
    holders, times = Holders(node, target), []
    for i in range(rounds):
        if i <= rounds - holders.count:
            holders.fill()
        time.sleep(random.uniform(0, 0.3))
        victim = holders.kill_one()
        if target:
            times.append(reclaim_time(node, victim))
        victim.wait()
        node.started.remove(victim)
    churn.terminate()
    out, err = churn.communicate(timeout=10)
    if churn.returncode:
        raise RuntimeError(f"the neighbour failed: {err.strip()}")
    return times, json.loads(out)["longest_gap_us"] / 1000


def kill(row, context):
    rounds = 30 if context.quick else 1000
    with Node() as node:
        node.fastgpu("create", "--name", "victim", "--memory", "512M", "--compute", "50")
        node.fastgpu("create", "--name", "other", "--memory", "64M", "--compute", "50")
        _, bare_gap = kill_beside(node, None, None, rounds // 2)
        times, gap = kill_beside(node, "victim/0", "other/0", rounds)
        wait_until(lambda: node.usage("victim/0")["memory_used"] == 0, 5, "every byte of the dead is back")
    data = {"reclaim_ms": times, "gap_ms": gap, "bare_gap_ms": bare_gap}
    return [row.result(f"{median(times):.1f} ms, worst {max(times):.1f} ms of {len(times)}", max(times) <= 100, data=data),
            row.result(f"{gap:.1f} ms", gap <= 10, f"{bare_gap:.1f} ms without FastGPU",
                       what="the same: longest stall of a neighbour that allocates", goal="≤ 10 ms")]


ROWS = {
    "race": Row("quota races: 8 processes × threads, mixed sizes", "0 bytes over, 0 lost", "", race),
    "cost": Row("reserve + refund", "≤ 60 ns, flat to 50 000 live", "HAMi-core 523 ns, 285 µs at 50 000", cost),
    "kill": Row("kill -9 of a holder at a random instant: memory back", "≤ 100 ms", "", kill),
}
