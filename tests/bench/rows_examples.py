# SPDX-License-Identifier: Apache-2.0
"""The examples as people run them: two fields at once on one device, and what each gets of it by the daemon's books."""
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "examples")]
from load import median  # noqa: E402
from node import Node  # noqa: E402
from row import Row  # noqa: E402
from share import Pair, field_options  # noqa: E402

PAIRS = (("render", "vision"), ("vision", "render"), ("data", "science"), ("science", "data"), ("finance", "learning"), ("learning", "finance"))
GOAL = 2


def verdict(off, idle):
    """None: the one that has too little had nothing for the device in more of the time than it lacks. It was not kept from it."""
    return True if off <= GOAL else None if off - GOAL < idle else False


def examples(row, context):
    lines = []
    with Node() as node:
        node.fastgpu("create", "--name", "t", "--gpus", "2", "--memory", "256M", "--compute", "70,30")
        options = field_options(node.dir)
        for pair in PAIRS:
            with Pair(node, pair, options) as both:
                both.wait()
                found = [both.share_and_demand(context.seconds) for _ in range(context.repeats)]
            share, wanted = max(found, key=lambda look: abs(look[0] - 70))
            off = abs(share - 70)
            short = 0 if share < 70 else 1
            lines.append(row.result(f"{off:.2f}" + (f"; {pair[short]} wanted the device for {wanted[short]:.0f} % of the time" if off > GOAL else ""),
                                    verdict(off, 100 - wanted[short]), what=f"{row.what}: {pair[0]} 70, {pair[1]} 30", data={"looks": found}))
    return lines


def half(row, context):
    """100 % is every instant; alone, the programs have nearly that."""
    lines = []
    for field in sorted({field for pair in PAIRS for field in pair}):
        found = {"cap": [], "share": []}
        with Node() as node:
            options = field_options(node.dir)
            for _ in range(context.repeats):
                for mode, percents in found.items():
                    node.fastgpu("create", "--name", "t", "--memory", "256M", "--compute", "50", "--mode", mode)
                    with Pair(node, (field,), options) as one:
                        one.wait()
                        percents += one.busy(context.seconds / 2)
                    node.fastgpu("delete", "t")
        capped, alone = median(found["cap"]), median(found["share"])
        lines.append(row.result(f"{capped:.1f} %", abs(capped - 50) <= GOAL, f"{alone:.1f} % as a share, alone", what=f"{row.what}: {field}", data=found))
    return lines


ROWS = {"examples": Row("two examples at once, device time, worst error in points", f"≤ {GOAL}", "", examples),
        "examples-half": Row("an example capped to half: device time of each second", f"50 ± {GOAL}", "", half)}
