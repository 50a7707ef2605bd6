# SPDX-License-Identifier: Apache-2.0
"""What FastGPU finds, what programs in one and in two vGPUs see, and what the drop-in adds to single calls."""
import os
import shutil

from context import CALLS, GIB, MIB, Skip, line, median


def inventory(context):
    with context.node() as node:
        gpu = context.find_device(node)
        if not context.simulated:
            context.gpu_outside = context.look(node)
        return line("fastgpu devices lists the GPU", "listed", f"{gpu['model']}, {gpu['memory'] / GIB:.1f} GiB, driver {gpu['driver']}", True,
                    data=gpu)


def one_view(context):
    """The size of the vGPU, by the driver and by NVML."""
    with context.node() as node:
        context.create(node, "a", "--memory", "2G", "--compute", "50")
        program = context.start(node, "a/0", "ptx")
        free, total = program("info")
        nvml = context.look(node, "a/0")["devices"]
        program.end()
        right = total == 2 * GIB and 0 < free < total and [d["total"] for d in nvml] == [2 * GIB]
        return line("one vGPU of 2 GiB: driver and NVML say so", "2 GiB", f"driver {total / GIB:g} GiB, NVML {[d['total'] / GIB for d in nvml]}", right,
                    data={"free": free, "total": total, "nvml": nvml})


def two_views(context):
    """Two vGPUs on the same GPU are two CUDA devices."""
    with context.node() as node:
        context.create(node, "a", "--gpus", "2", "--memory", "2G,1G", "--compute", "60,40")
        program = context.start(node, "a", "ptx")
        seen = program("devices")
        nvml = [d["total"] for d in context.look(node, "a")["devices"]]
        program.end()
        return line("two vGPUs on one GPU: devices by the driver and by NVML", "2 and 1 GiB", f"{[s / GIB for s in seen]}, {[s / GIB for s in nvml]}",
                    seen == nvml == [2 * GIB, GIB], data={"driver": seen, "nvml": nvml})


def quota(context):
    """A program that takes all it can get, beside what NVML says of its process from outside."""
    with context.node() as node:
        size = 4 * GIB
        context.create(node, "a", "--memory", "4G", "--compute", "50")
        program = context.start(node, "a/0", "ptx")
        taken = program("fill", 64 * MIB)
        used = sum(held(d, program.pid) for d in context.look(node)["devices"])
        books = node.usage("a/0")["memory_used"]
        if not used:
            raise Skip("NVML gives no memory of single processes here")
        program.end()
        error = 100 * (used - size) / size
        return line("a vGPU of 4 GiB filled up: the process's memory by NVML", "4 GiB ± 1 %", f"{used / GIB:.4f} GiB ({error:+.2f} %)",
                    abs(error) <= 1, f"books {books / GIB:.4f} GiB", {"taken": taken, "nvml": used, "books": books})


def held(device, pid):
    """JSON's keys are text. One process of somebody's own number space: the only one there is."""
    found = device["processes"] or {}
    return found.get(str(pid)) or (list(found.values())[0] if len(found) == 1 else None) or 0


def smi(context):
    """nvidia-smi in a vGPU, beside a program in it and another outside of it."""
    path = shutil.which("nvidia-smi")
    if not path or context.simulated:
        raise Skip("there is no nvidia-smi here")
    with context.node() as node:
        context.create(node, "a", "--memory", "2G", "--compute", "50")
        inside, outside = context.start(node, "a/0", "ptx"), context.start(node, None, "ptx")
        code, out, err = context.run(node, "a/0", path, "--query-gpu=memory.total", "--format=csv,noheader,nounits", seconds=20)
        total = [int(word) for word in out.split() if word.isdigit()]
        code2, apps, err2 = context.run(node, "a/0", path, "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits", seconds=20)
        pids = [int(row.split(",")[0]) for row in apps.splitlines() if row.split(",")[0].strip().isdigit()]
        code3, plain, err3 = context.run(node, "a/0", path, seconds=20)
        right = code == code2 == code3 == 0 and total == [2048] and pids == [inside.pid]
        return line("nvidia-smi in a vGPU of 2 GiB: memory and processes", "2048 MiB, its own alone", f"{total} MiB, {len(pids)} processes", right,
                    data={"errors": err + err2 + err3, "pids": pids, "inside": inside.pid, "outside": outside.pid, "text": plain})


def adder(call, what, goal, calls, pairs):
    """Interleaved pairs of the same program, bare and inside; calls: so few that the queue to the GPU never fills."""

    def row(context):
        if not os.access(CALLS, os.X_OK):
            raise Skip(f"{CALLS} is not built")
        bare, inside = [], []
        with context.node() as node:
            context.create(node, "a", "--memory", "2G", "--compute", "50")
            for _ in range(context.times(pairs)):
                for target, to in ((None, bare), ("a/0", inside)):
                    to.append(context.json(node, target, CALLS, call, "--calls", str(calls), seconds=30)["ns"])
        added = median([i - b for b, i in zip(bare, inside)])
        return line(what, f"≤ {goal} ns", f"{added:.1f} ns", context.simulated is not None or added <= goal, f"{median(bare):.1f} ns bare",
                    {"bare": bare, "inside": inside})

    return row


ROWS = {
    "inventory": (inventory, 40),
    "view": (one_view, 40),
    "two-views": (two_views, 40),
    "launch": (adder("launch", "cuLaunchKernel: added", 50, 32000, 9), 60),
    "quota": (quota, 40),
    "nvidia-smi": (smi, 60),
    "alloc": (adder("alloc", "cuMemAlloc + cuMemFree: added", 60, 6400, 5), 40),
    "async": (adder("async", "cuMemAllocAsync + cuMemFreeAsync: added", 60, 6400, 5), 40),
    "meminfo": (adder("meminfo", "cuMemGetInfo: added", 15, 6400, 5), 40),
}
