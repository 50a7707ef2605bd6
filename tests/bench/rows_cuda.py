# SPDX-License-Identifier: Apache-2.0
"""CUDA: what the drop-in adds to each call, over the simulator's driver below it, in ns of processor time."""
import json
import os
import subprocess
import time

from load import median
from node import FASTGPU, Node, tool
from row import Row
from rows_memory import STRESS

HERE = os.path.dirname(os.path.abspath(__file__))

CALLS = tool("lib", "fastgpu", "bench", "cuda_calls")
SPEC = "[gpu]\nmodel = H100\nlaunch = 0\nkernel = 0\nh2d = 0\nd2h = 0\nd2d = 0\n"  # a driver that costs next to nothing


class CudaNode(Node):
    """A node with a simulated GPU and one vGPU on it, named `v`."""

    def __init__(self, spec=SPEC, **env):
        super().__init__(**env)
        path = os.path.join(self.dir, "gpu.spec")
        with open(path, "w") as f:
            f.write(spec)
        self.env.update(FASTGPU_SIM=path, FASTGPU_SIM_STATE=self.dir)
        self.bare_env = {**self.env, "LD_LIBRARY_PATH": tool("lib", "fastgpu", "sim")}

    def cuda(self, target, *argv, timeout=300):
        """Runs a program of CUDA inside a vGPU, or on the bare driver when `target` is None; what it printed as JSON."""
        command, env = ([FASTGPU, "run", target, "--"], self.env) if target else ([], self.bare_env)
        done = subprocess.run([*command, *argv], env=env, capture_output=True, text=True, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)


def adder_row(call, goal, per_call_options=(), calls=400000):
    """The calls come in 64 chunks with a wait for the GPU between two. After a wait the gate sends a probe behind the first launch,
    and the simulator, which otherwise runs empty kernels at once, hands that to a thread: 20 to 50 us in which launches
    queue up. Launches are so cheap that it takes long chunks not to measure that."""
    def function(row, context):
        lines = []
        for options in per_call_options or ((),):
            bare, inside = [], []
            with CudaNode() as node:
                node.fastgpu("create", "--name", "v", "--memory", "4G", "--compute", "50", "--device", "0")
                argv = [CALLS, call, "--calls", str(calls // 4 if context.quick else calls), *options]
                for _ in range(3 if context.quick else 9):
                    bare.append(node.cuda(None, *argv)["ns"])
                    inside.append(node.cuda("v/0", *argv)["ns"])
            adder = median([i - b for b, i in zip(bare, inside)])
            what = row.what + (f" ({' '.join(options).replace('--', '')})" if options else "")
            lines.append(row.result(f"{adder:.1f} ns", adder <= goal, f"{median(bare):.1f} ns bare", what=what,
                                    data={"bare": bare, "inside": inside}))
        return lines

    return function


def start_together(row, context):
    """64 processes that initialise at the same moment."""
    seconds = []
    with CudaNode() as node:
        node.fastgpu("create", "--name", "v", "--memory", "64G", "--compute", "50", "--device", "0")
        node.cuda("v/0", CALLS, "meminfo", "--calls", "64")
        for _ in range(3 if context.quick else 10):
            begin = time.monotonic()
            node.cuda("v/0", CALLS, "meminfo", "--calls", "64", "--processes", "64", timeout=60)
            seconds.append(time.monotonic() - begin)
    return row.result(f"{median(seconds):.2f} s, worst {max(seconds):.2f} s of {len(seconds)}", max(seconds) < 1, data=seconds)


def under_books(node, quota, context_bytes, spec, program, *options, timeout=1200):
    """A program of tests/stress inside one vGPU whose books are checked once more at the end; its lines of JSON."""
    fake = os.path.join(os.path.dirname(STRESS), "cuda", "cuda-fake-daemon")
    argv = [fake, "--key", "cuda/GPU-00000001-0000-4000-8000-000000000001", "--driver", tool("lib", "fastgpu", "sim"), "--context",
            str(context_bytes), "-", str(quota), "--", "env", "LD_LIBRARY_PATH=" + tool("lib", "fastgpu"),
            "FASTGPU_SIM_STATE=" + node.dir, "FASTGPU_SIM=" + spec, os.path.join(STRESS, program), *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{program}: exit {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def race(row, context):
    """8 processes on every path that takes device memory, on a driver that answers at once and on one that takes 100 us."""
    lines = []
    for suffix, driver in (("", "0 µs driver"), ("_slow", "100 µs driver")):
        with Node() as node:
            paths = under_books(node, 8 << 30, 300 << 20, os.path.join(HERE, "..", "stress", f"cuda_race{suffix}.sim"), "cuda_race",
                                "--rounds", "20" if context.quick else "200")
        over, rounds = sum(p["over"] for p in paths), sum(p["rounds"] for p in paths)
        lines.append(row.result(f"{over} of {rounds} rounds over quota, {len(paths)} paths", over == 0, driver, data=paths))
    return lines


def step(row, context):
    with Node() as node:
        r = under_books(node, 1 << 30, 0, '1x"H100 stepped":80G', "cuda_step", "--stride", "50" if context.quick else "3")[0]
    said = f"books exact after each of {r['kills']} kills, {r['instructions']} instructions"
    return [row.result(said, True, data=r),
            row.result(f"{r['longest_us'] / 1000:.2f} ms", r["longest_us"] <= 10000, data=r, goal="≤ 10 ms",
                       what="the same: longest allocation + release of another process of the vGPU, next to the one killed")]


def cuda_share(tenants):
    def function(row, context):
        errors = []
        for _ in range(1 if context.quick else 3):
            done = subprocess.run([os.path.join(STRESS, "cuda_share"), "--shim", tool("lib", "fastgpu"), "--driver", tool("lib", "fastgpu", "sim"),
                                   "--seconds", "4" if context.quick else "10", *[w for t in tenants for w in ("--tenant", t)]],
                                  capture_output=True, text=True, timeout=120)
            errors.append(json.loads(done.stdout)["error"])
        return row.result(f"{median(errors):.2f} points", median(errors) <= 2, data=errors)

    return function


SHARE_ROWS = {
    "70/30, 20 µs": ["70:20:32", "30:20:32"], "70/30, 1 ms": ["70:1000:16", "30:1000:16"], "70/30, 20 ms": ["70:20000:2", "30:20000:2"],
    "20 µs beside 5 ms": ["50:20:32", "50:5000:4"], "cap 10 alone, 1 ms": ["10:1000:16:cap"], "cap 30 alone, 1 ms": ["30:1000:16:cap"],
    "cap 50 alone, 5 ms": ["50:5000:4:cap"], "cap 75 alone, 20 ms": ["75:20000:2:cap"],
    "10/50/30/10 coop, Ex, graph, ptsz": ["10:5000:4:coop:g1", "50:100:32:ex:g100000", "30:1000:8:graph", "10:200:16:ptsz"],
    "3 processes in one vGPU, 50/50": ["50:500:16:x3", "50:500:16"],
}


ROWS = {
    "cuda-race": Row("CUDA memory races, 8 processes, every allocating path", "0 rounds over", "HAMi-core 1–100 %, unlimited for pools and arrays",
                     race),
    "cuda-step": Row("CUDA kill -9 after every third instruction of cuMemAlloc + cuMemFree", "books exact", "HAMi-core 9.8 s or 310 s stalls", step),
    **{f"cuda-share-{i}": Row(f"CUDA share {name}: mean error", "≤ 2 points", "off by 20–90 points", cuda_share(tenants))
       for i, (name, tenants) in enumerate(SHARE_ROWS.items(), 1)},
    "cuda-launch": Row("cuLaunchKernel, uncontended: added", "≤ 5 ns, flat", "HAMi-core 16–31, vgpu-manager 18, nvshare 63",
                       adder_row("launch", 5, ((), ("--processes", "8")), calls=4000000)),
    "cuda-alloc": Row("cuMemAlloc + cuMemFree: added", "≤ 60 ns, flat", "HAMi-core 500 (285 µs at 50 000), vgpu-manager 2290",
                      adder_row("alloc", 60, ((), ("--live", "50000")))),
    "cuda-async": Row("cuMemAllocAsync + cuMemFreeAsync: added", "≤ 60 ns", "HAMi-core 500, vgpu-manager 2372",
                      adder_row("async", 60)),
    "cuda-meminfo": Row("cuMemGetInfo: added", "≤ 15 ns", "HAMi-core 460, vgpu-manager 3160", adder_row("meminfo", 15)),
    "cuda-start": Row("64 CUDA processes starting together", "no hang, < 1 s", "vgpu-manager 2 hangs in 10", start_together),
}
