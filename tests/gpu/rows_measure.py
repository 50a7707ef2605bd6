# SPDX-License-Identifier: Apache-2.0
"""How time is divided: what a vGPU costs, shares, caps, priorities, in kernels completed from a common start."""
from context import line, median, soon

DEPTH = 8


def together(programs, seconds):
    """Runs loads from a common instant; their completions in tenths of a second."""
    start = soon()
    for program in programs:
        program.tell("load", start, seconds, DEPTH)
    return [program.answer(seconds + 60) for program in programs]


def seconds_of(bins):
    """Sums over every sliding second."""
    return [sum(bins[i:i + 10]) for i in range(max(len(bins) - 9, 1))]


def share_error(rows, target):
    """(mean error, worst second's) in points of the first's share."""
    whole = sum(map(sum, rows))
    mean = abs(100 * sum(rows[0]) / whole - target)
    windows = [(a, a + b) for a, b in zip(*map(seconds_of, rows))]
    return mean, max(abs(100 * a / w - target) if w else 100 for a, w in windows)


def ratio(context):
    """Both programs live all the time and work in turn."""
    with context.node() as node:
        context.calibrate(node)
        context.create(node, "a", "--memory", "50%", "--compute", "50")
        bare, inside = context.start(node, None), context.start(node, "a/0")
        count = 20
        for program in (bare, inside):
            program("steps", count)
            count_each = max(int(count * context.seconds(0.7) / program("steps", count)), 1)
        pairs = [(bare("steps", count_each), inside("steps", count_each)) for _ in range(context.times(21))]
        bare.end(), inside.end()
    value = median([i / b for b, i in pairs])
    step = 1e6 * median([b for b, _ in pairs]) / count_each
    return line(f"training step, inside / bare ({context.engine()})", "≤ 1.005", f"{value:.4f}",
                context.judge(value <= 1.005), f"{step:.0f} µs a step", {"steps": count_each, "pairs": pairs})


def share(engine):
    def row(context):
        kind = engine or context.engine()
        seconds = context.seconds(10)
        with context.node() as node:
            context.calibrate(node, kind)
            context.create(node, "t", "--gpus", "2", "--memory", "2G", "--compute", "70,30")
            pair = [context.start(node, None, kind) for _ in range(2)]
            bare = share_error(together(pair, seconds / 2), 70)
            for program in pair:
                program.end()
            pair = [context.start(node, f"t/{i}", kind) for i in range(2)]
            together(pair, context.seconds(1.5))
            rows = together(pair, seconds)
            usage = [node.usage(f"t/{i}") for i in range(2)]
        mean, worst = share_error(rows, 70)
        return line(f"share 70/30, two programs that never stop ({kind}): error in points", "mean ≤ 2",
                    f"mean {mean:.2f}, worst second {worst:.2f}", context.judge(mean <= 2),
                    f"mean {bare[0]:.1f}, worst second {bare[1]:.1f}", {"rows": rows, "usage": usage})

    return row


def cap(context):
    """Alone on the GPU; 100 % is what the same program gets outside, before and after."""
    seconds = context.seconds(8)
    with context.node() as node:
        context.calibrate(node)
        context.create(node, "c", "--memory", "2G", "--compute", "30", "--mode", "cap")
        bare, inside = context.start(node, None), context.start(node, "c/0")
        before = together([bare], seconds / 3)[0]
        together([inside], context.seconds(1.5))
        rows = together([inside], seconds)[0]
        after = together([bare], seconds / 3)[0]
    whole = (sum(before) + sum(after)) / (len(before) + len(after))
    got = 100 * sum(rows) / len(rows) / whole
    worst = max(abs(100 * w / min(len(rows), 10) / whole - 30) for w in seconds_of(rows))
    return line(f"cap 30, alone on the GPU ({context.engine()})", "30 ± 2 %", f"{got:.1f} %, worst second off by {worst:.1f}",
                context.judge(abs(got - 30) <= 2),
                f"{10 * whole:.0f} kernels/s", {"before": before, "rows": rows, "after": after})


def p99(values):
    return sorted(values)[min(len(values) - 1, int(0.99 * len(values)))]


def priority(context):
    """Requests of the high one every 15 ms, alone and beside a low one that never stops."""
    seconds = context.seconds(8)
    with context.node() as node:
        context.calibrate(node)
        context.create(node, "high", "--memory", "2G", "--compute", "50", "--priority", "high")
        context.create(node, "low", "--memory", "2G", "--compute", "50", "--priority", "low")
        high, low = context.start(node, "high/0"), context.start(node, "low/0")
        high("requests", soon(), context.seconds(1), 15, 4)
        solo = high("requests", soon(), seconds, 15, 4)
        start = soon()
        low.tell("load", start, seconds + 1, DEPTH)
        high.tell("requests", start + 10**9, seconds, 15, 4)
        both, rows = high.answer(seconds + 60), low.answer(seconds + 60)
    value = p99(both) / p99(solo)
    return line(f"high priority beside a low one that never stops ({context.engine()}): p99 / solo", "≤ 1.1", f"{value:.2f}",
                context.judge(value <= 1.1), f"solo {p99(solo):.0f} µs", {"solo": solo, "both": both, "low": rows})


ROWS = {
    "ratio": (ratio, 90),
    "share": (share(None), 80),
    "cap": (cap, 60),
    "priority": (priority, 70),
    "share-driver": (share("ptx"), 60),
}
