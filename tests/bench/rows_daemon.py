# SPDX-License-Identifier: Apache-2.0
"""The daemon and the command line: what they cost when nothing happens, and when much does."""
import json
import os
import subprocess
import signal
import tempfile
import time

from load import median
from node import FASTGPU, Node, tool
from row import Row

HISTORY_MAKE = tool("lib", "fastgpu", "bench", "history-make")

MANY = 10000
MANY_DEVICES = 10  # a device has 1000 permille to give


def elapsed_ms(argv, env):
    start = time.perf_counter()
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - start)


def run_true(row, context):
    bare, inside = [], []
    with Node() as node:
        node.fastgpu("create", "--name", "x", "--memory", "64M")
        for _ in range(20 if context.quick else 100):
            bare.append(elapsed_ms(["true"], node.env))
            inside.append(elapsed_ms([FASTGPU, "run", "x", "--", "true"], node.env))
    extra = median(inside) - median(bare)
    return row.result(f"{extra:.2f} ms", extra <= 10, f"true alone {median(bare):.2f} ms",
                      data={"bare": bare, "inside": inside})


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) * 1024 / 1e6


def idle(row, context):
    seconds = 5 if context.quick else 30
    with Node(FASTGPU_IDLE_EXIT="600") as node:
        node.fastgpu("create", "--gpus", "2", "--name", "x", "--memory", "64M")
        node.run("x/0", "true")
        pid = node.daemon_pid()
        time.sleep(2)
        before, start = cpu_seconds(pid), time.monotonic()
        time.sleep(seconds)
        percent = 100 * (cpu_seconds(pid) - before) / (time.monotonic() - start)
        rss = resident_mb(pid)
    return row.result(f"{percent:.2f} % CPU, {rss:.1f} MB", percent <= 0.2 and rss <= 15,
                      data={"percent": percent, "rss_mb": rss, "seconds": seconds})


def create_many(node, count, compute="0.1"):
    for i in range(count):
        status, body = node.request("POST", "/v1/vgpus", {"name": f"v{i}", "memory": ["64K"], "compute": [compute],
                                                          "device": str(i % MANY_DEVICES)})
        if status != 201:
            raise RuntimeError(f"vGPU {i}: {status} {body}")


def ready_seconds(node):
    start = time.monotonic()
    node.fastgpu("devices")
    return time.monotonic() - start


def many(row, context):
    count = 500 if context.quick else MANY
    with Node(FASTGPU_IDLE_EXIT="600", POCL_DEVICES=" ".join(["pthread"] * MANY_DEVICES)) as node:
        fresh = ready_seconds(node)
        start = time.monotonic()
        create_many(node, count)
        created = time.monotonic() - start
        node.stop_daemon(signal.SIGKILL)
        restart = ready_seconds(node)
        found = len(node.get("/v1/vgpus")["sets"])
    ok = found == count and created <= 10 and restart <= 1
    return row.result(f"{count} in {created:.1f} s; restart after kill -9 {restart:.2f} s, {found} found", ok,
                      f"start of an empty daemon {fresh:.2f} s", data={"created": created, "restart": restart, "fresh": fresh})


def history(row, context):
    """A day of busy vGPUs, at the pace of the machine."""
    count, minutes = 1000, 240 if context.quick else 1440
    with tempfile.TemporaryDirectory(prefix="fastgpu-bench.") as folder:
        out = subprocess.run([HISTORY_MAKE, "--many", str(count), os.path.join(folder, "state"), "1795600800", str(minutes)],
                             check=True, capture_output=True, text=True)
    got = json.loads(out.stdout)
    day = got["bytes"] / count * 1000 / minutes * 1440 / 1e6
    return row.result(f"{day:.1f} MB; {got['chart_ms']:.1f} ms, of a project {got['project_chart_ms']:.1f} ms", day <= 50 and got["chart_ms"] <= 100,
                      f"rows as they are {20 * 8 * 1000 * 1440 / 1e6:.0f} MB", data=got)


ROWS = {
    "run": Row("fastgpu run X -- true over true", "≤ 10 ms", "", run_true),
    "idle": Row("fastgpud idle", "≤ 0.2 % CPU, ≤ 15 MB", "", idle),
    "history": Row("a day of history of 1000 busy vGPUs; a chart of 24 h", "≤ 50 MB, ≤ 100 ms", "", history),
    "many": Row("10 000 vGPUs: created, restart ready", "≤ 10 s, ≤ 1 s", "", many),
}
