# SPDX-License-Identifier: Apache-2.0
"""Compute: what the gate costs, how exactly the device is divided, what is lost meanwhile."""
from load import Load, add_rows, bins, calibrate, median, run_one, run_together, share_errors, total, windows
from node import Node
from row import Row

TINY = ("--iterations", 0, "--groups", 1, "--batch", 256)


def kernel(context, us):
    """Options of a kernel of that length, the same for every row of this run."""
    if us not in context.kernels:
        with Node() as node:
            context.kernels[us] = calibrate(node, us)
    depth = 4 if us > 1000 else 16 if us > 200 else 64
    return ("--iterations", context.kernels[us], "--depth", depth)


def create(node, name, *options):
    node.fastgpu("create", "--name", name, *options)


def tiny(row, context):
    native, inside = [], []
    with Node() as node:
        create(node, "solo", "--memory", "64M", "--compute", "50")
        for _ in range(3 if context.quick else 9):
            native.append(run_one(node, None, *TINY, seconds=2)["rate"])
            inside.append(run_one(node, "solo/0", *TINY, seconds=2)["rate"])
    ratio = median([n / i for n, i in zip(native, inside)])
    return row.result(f"{ratio:.3f} ({1e6 / median(inside):.2f} us)", ratio <= 1.03, f"{1e6 / median(native):.2f} us",
                      data={"native": native, "inside": inside})


def share_run(node, loads, tenants, seconds, targets):
    """One run; loads[i] belongs to tenant tenants[i]. Returns (share, mean, worst, completions)."""
    results = run_together(node, loads, seconds)
    rows = [add_rows(*[bins(r, seconds) for r, t in zip(results, tenants) if t == tenant])
            for tenant in range(len(targets))]
    return (*share_errors(rows, targets), sum(map(sum, rows)))


def share_row(us, shares, tenants, worst_goal):
    """Tenant i asks for shares[i]; `tenants` names the tenant of each process."""

    def function(row, context):
        options = kernel(context, us)
        runs, bare = [], []
        with Node() as node:
            create(node, "t", "--gpus", str(len(shares)), "--memory", "64M", "--compute", ",".join(map(str, shares)))
            for _ in range(context.repeats):
                bare.append(share_run(node, [Load(None, *options) for _ in tenants], tenants, context.seconds / 2, shares))
                runs.append(share_run(node, [Load(f"t/{t}", *options) for t in tenants], tenants, context.seconds, shares))
        mean, worst = median([r[1] for r in runs]), median([r[2] for r in runs])
        return row.result(f"mean {mean:.2f}, worst {worst:.2f}", mean <= 1 and worst <= worst_goal,
                          f"mean {median([b[1] for b in bare]):.1f}, worst {median([b[2] for b in bare]):.1f}",
                          data={"runs": runs, "bare": bare, "iterations": context.kernels[us]})

    return function


def throughput(row, context):
    """The work two tenants get done together, against one process that has the device to itself, and against two
    without limits."""
    lines = []
    for us in (90, 350, 3500):
        options = kernel(context, us)
        shared, solo, two = [], [], []
        seconds = context.seconds / 2
        with Node() as node:
            create(node, "t", "--gpus", "2", "--memory", "64M", "--compute", "70,30")
            for _ in range(context.repeats):
                solo.append(total(run_one(node, None, *options, seconds=seconds), seconds))
                results = run_together(node, [Load("t/0", *options), Load("t/1", *options)], seconds)
                shared.append(sum(total(r, seconds) for r in results))
                results = run_together(node, [Load(None, *options), Load(None, *options)], seconds)
                two.append(sum(total(r, seconds) for r in results))
        ratio = median([s / n for s, n in zip(shared, solo)])
        against_two = median([s / n for s, n in zip(shared, two)])
        lines.append(row.result(f"{ratio:.3f}", ratio >= 0.97, f"two unlimited: {against_two:.3f} of their sum",
                                what=f"{row.what}, {us / 1000:g} ms kernels",
                                data={"shared": shared, "solo": solo, "two": two}))
    return lines


def device_time(result, seconds):
    """Device time in each bin, as the driver's own profiling reports it."""
    return result["device_ns"][: len(bins(result, seconds))]


def cap(row, context):
    """100 % is the device time that the same program gets per second alone and without FastGPU, before and after."""
    options = (*kernel(context, 350), "--profile")
    worst, mean, rate, data = [], [], [], []
    with Node() as node:
        create(node, "capped", "--memory", "64M", "--compute", "30", "--mode", "cap")
        for _ in range(context.repeats):
            before = run_one(node, None, *options, seconds=3)
            inside = run_one(node, "capped/0", *options, seconds=context.seconds)
            after = run_one(node, None, *options, seconds=3)
            whole = sum(device_time(before, 3) + device_time(after, 3)) / 6
            solo = (total(before, 3) + total(after, 3)) / 6
            busy = device_time(inside, context.seconds)
            per_second = [100 * w[0] / whole for w in windows([busy])]
            mean.append(100 * sum(busy) / context.seconds / whole)
            rate.append(100 * total(inside, context.seconds) / context.seconds / solo)
            worst.append(max(abs(share - 30) for share in per_second))
            data.append({"solo_ns_per_s": whole, "solo_rate": solo, "rate": rate[-1], "windows": per_second})
    return row.result(f"mean {median(mean):.2f} %, worst window off by {median(worst):.2f}", median(worst) <= 1,
                      f"{median(rate):.1f} % of the kernels it gets done alone", data=data)


def priority(row, context):
    """Requests of the high one arrive every 15 ms; alone and beside a low one that never stops."""
    options = kernel(context, 350)
    request = ("--iterations", context.kernels[350], "--batch", 4, "--batch-every-ms", 15)
    seconds = context.seconds
    ratios, p99s, solos, natives = [], [], [], []
    with Node() as node:
        create(node, "high", "--memory", "64M", "--compute", "50", "--priority", "high")
        create(node, "low", "--memory", "64M", "--compute", "50", "--priority", "low")
        for _ in range(context.repeats):
            solo = run_one(node, "high/0", *request, seconds=seconds)
            both = run_together(node, [Load("high/0", *request), Load("low/0", *options)], seconds)
            native = run_together(node, [Load(None, *request), Load(None, *options)], seconds)
            ratios.append(both[0]["p99_us"] / solo["p99_us"])
            p99s.append(both[0]["p99_us"])
            solos.append(solo["p99_us"])
            natives.append(native[0]["p99_us"])
    return row.result(f"{median(ratios):.2f} × ({median(p99s) / 1000:.2f} ms)", median(ratios) <= 1.15,
                      f"solo {median(solos) / 1000:.2f} ms; without FastGPU beside it {median(natives) / 1000:.2f} ms",
                      data={"ratio": ratios, "p99": p99s, "solo": solos, "native_both": natives})


SHARE_PEER = "XSched 16–24 by default, 3.3 at best"
ROWS = {
    "tiny": Row("tiny kernels, pipelined, uncontended: inside / native", "≤ 1.03", "XSched 1.9", tiny),
    "share-0.09": Row("share 70/30, 0.09 ms kernels: error in points", "mean ≤ 1, worst 1 s ≤ 2", "XSched 9–11, 1.1 at best",
                      share_row(90, (70, 30), (0, 1), 2)),
    "share-0.35": Row("share 70/30, 0.35 ms kernels: error in points", "mean ≤ 1, worst 1 s ≤ 2", SHARE_PEER,
                      share_row(350, (70, 30), (0, 1), 2)),
    "share-3.5": Row("share 70/30, 3.5 ms kernels: error in points", "mean ≤ 1, worst 1 s ≤ 4", "XSched 20–27, 4.3 at best",
                     share_row(3500, (70, 30), (0, 1), 4)),
    "share-three": Row("share 50/30/20, 0.35 ms kernels: error in points", "mean ≤ 1, worst 1 s ≤ 4", "",
                       share_row(350, (50, 30, 20), (0, 1, 2), 4)),
    "share-two": Row("two processes in the 70, one in the 30: error in points", "mean ≤ 1, worst 1 s ≤ 4", "",
                     share_row(350, (70, 30), (0, 0, 1), 4)),
    "throughput": Row("throughput while sharing 70/30 / native", "≥ 0.97", "", throughput),
    "cap": Row("cap 30, alone on the device, any 1 s", "30 ± 1 points", "", cap),
    "priority": Row("high priority (4 × 0.35 ms every 15 ms) beside a low one (SCHED_IDLE, as on any CPU device): p99 / solo", "≤ 1.15", "XSched 1.22–1.6",
                    priority),
}
