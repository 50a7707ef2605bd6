# SPDX-License-Identifier: Apache-2.0
"""What FastGPU finds, what programs in one and in two vGPUs see, and what the drop-in adds to single calls."""
import os
import shutil
import time

from context import CALLS, GIB, MIB, Skip, line, median


def inventory(context):
    with context.node() as node:
        gpu = context.find_device(node)
        seen = f"{gpu['model']}, {gpu['memory'] / GIB:.1f} GiB, driver {gpu['driver']}"
        return line("fastgpu devices lists the GPU", "listed", seen, True,
                    data={"device": gpu, "nvml": context.look(node), "doctor": context.doctor(node)})


def one_view(context):
    """The size of the vGPU, by the driver and by NVML."""
    with context.node() as node:
        context.create(node, "a", "--memory", "2G", "--compute", "50")
        program = context.start(node, "a/0", "ptx")
        free, total = program("info")
        nvml = context.look(node, "a/0")["devices"]
        program.end()
        right = total == 2 * GIB and 0 < free < total and [d["total"] for d in nvml] == [2 * GIB]
        return line("one vGPU of 2 GiB: driver and NVML say so", "2 GiB",
                    f"driver {total / GIB:g} GiB, NVML {[d['total'] / GIB for d in nvml]}", right,
                    data={"free": free, "total": total, "nvml": nvml})


def two_views(context):
    """Two vGPUs on the same GPU are two CUDA devices."""
    with context.node() as node:
        context.create(node, "a", "--gpus", "2", "--memory", "2G,1G", "--compute", "60,40")
        program = context.start(node, "a", "ptx")
        seen = program("devices")
        nvml = [d["total"] for d in context.look(node, "a")["devices"]]
        program.end()
        return line("two vGPUs on one GPU: devices by the driver and by NVML", "2 and 1 GiB",
                    f"{[s / GIB for s in seen]}, {[s / GIB for s in nvml]}", seen == nvml == [2 * GIB, GIB],
                    data={"driver": seen, "nvml": nvml})


def fill_up(context, node):
    """(bytes that it took, its memory by NVML, by the books) of a program that takes all it can get."""
    program = context.start(node, "a/0", "ptx")
    taken = program("fill", 64 * MIB)
    used = sum(held(d, program.pid) for d in context.look(node)["devices"])
    books = node.usage("a/0")["memory_used"]
    program.end()
    return {"taken": taken, "nvml": used, "books": books}


def known(context, node):
    """Gives the daemon time to see what a context takes on this GPU."""
    program = context.start(node, "a/0", "ptx")
    time.sleep(1)
    program.end()


def quota(context):
    """What a full vGPU holds by NVML, from outside; the baseline is the very first program of a new node, that fills it at once."""
    with context.node() as node:
        context.create(node, "a", "--memory", "4G", "--compute", "50")
        first = fill_up(context, node)
        known(context, node)
        full = fill_up(context, node)
        if not full["nvml"]:
            raise Skip("NVML gives no memory of single processes here")
        error, error_first = (100 * (f["nvml"] / (4 * GIB) - 1) for f in (full, first))
        return line("a vGPU of 4 GiB filled up: the process's memory by NVML", "4 GiB ± 1 %",
                    f"{full['nvml'] / GIB:.4f} GiB ({error:+.2f} %)", abs(error) <= 1,
                    f"first program on a GPU not yet known {error_first:+.2f} %", {"full": full, "first": first})


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
        form = "--format=csv,noheader,nounits"
        code, out, err = context.run(node, "a/0", path, "--query-gpu=memory.total", form, seconds=20)
        total = [int(word) for word in out.split() if word.isdigit()]
        code2, apps, err2 = context.run(node, "a/0", path, "--query-compute-apps=pid,used_memory", form, seconds=20)
        pids = [int(row.split(",")[0]) for row in apps.splitlines() if row.split(",")[0].strip().isdigit()]
        code3, plain, err3 = context.run(node, "a/0", path, seconds=20)
        right = code == code2 == code3 == 0 and total == [2048] and pids == [inside.pid]
        return line("nvidia-smi in a vGPU of 2 GiB: memory and processes", "2048 MiB, its own alone",
                    f"{total} MiB, {len(pids)} processes", right,
                    data={"errors": err + err2 + err3, "pids": pids, "inside": inside.pid, "outside": outside.pid, "text": plain})


def adder(call, what, goal, calls, pairs):
    """Interleaved pairs of the same program, bare and inside; in bursts so short that the queue to the GPU never fills."""

    def row(context):
        if not os.access(CALLS, os.X_OK):
            raise Skip(f"{CALLS} is not built")
        bare, inside = [], []
        with context.node() as node:
            context.create(node, "a", "--memory", "2G", "--compute", "50")
            for _ in range(context.times(pairs)):
                for target, to in ((None, bare), ("a/0", inside)):
                    to.append(context.json(node, target, CALLS, call, "--calls", str(calls), "--burst", "400", seconds=30)["ns"])
        added = median([i - b for b, i in zip(bare, inside)])
        return line(what, f"≤ {goal} ns", f"{added:.1f} ns", context.judge(added <= goal),
                    f"{median(bare):.1f} ns bare", {"bare": bare, "inside": inside})

    return row


ROWS = {
    "inventory": (inventory, 40),
    "view": (one_view, 40),
    "two-views": (two_views, 40),
    "launch": (adder("launch", "cuLaunchKernel: added", 50, 200000, 9), 60),
    "quota": (quota, 40),
    "nvidia-smi": (smi, 60),
    "alloc": (adder("alloc", "cuMemAlloc + cuMemFree: added", 60, 64000, 5), 40),
    "async": (adder("async", "cuMemAllocAsync + cuMemFreeAsync: added", 60, 64000, 5), 40),
    "meminfo": (adder("meminfo", "cuMemGetInfo: added", 15, 64000, 5), 40),
}
