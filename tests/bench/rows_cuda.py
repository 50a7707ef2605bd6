# SPDX-License-Identifier: Apache-2.0
"""CUDA: what the drop-in adds to each call, over the simulator's driver below it, in ns of processor time."""
import json
import os
import subprocess
import time

from load import median
from node import FASTGPU, Node, tool
from row import Row

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


def adder_row(call, goal, per_call_options=()):
    def function(row, context):
        lines = []
        for options in per_call_options or ((),):
            bare, inside = [], []
            with CudaNode() as node:
                node.fastgpu("create", "--name", "v", "--memory", "4G", "--compute", "50", "--device", "0")
                argv = [CALLS, call, "--calls", "100000" if context.quick else "400000", *options]
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


ROWS = {
    "cuda-launch": Row("cuLaunchKernel, uncontended: added", "≤ 5 ns, flat", "HAMi-core 16–31, vgpu-manager 18, nvshare 63",
                       adder_row("launch", 5, ((), ("--processes", "8")))),
    "cuda-alloc": Row("cuMemAlloc + cuMemFree: added", "≤ 60 ns, flat", "HAMi-core 500 (285 µs at 50 000), vgpu-manager 2290",
                      adder_row("alloc", 60, ((), ("--live", "50000")))),
    "cuda-async": Row("cuMemAllocAsync + cuMemFreeAsync: added", "≤ 60 ns", "HAMi-core 500, vgpu-manager 2372",
                      adder_row("async", 60)),
    "cuda-meminfo": Row("cuMemGetInfo: added", "≤ 15 ns", "HAMi-core 460, vgpu-manager 3160", adder_row("meminfo", 15)),
    "cuda-start": Row("64 CUDA processes starting together", "no hang, < 1 s", "vgpu-manager 2 hangs in 10", start_together),
}
