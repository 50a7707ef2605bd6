#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The metering rule a second time, straight from docs/design/metering.md and in fractions, against the C over random histories.

usage: test_meter_oracle.py --cli build/tests/unit/meter_cli [--histories N] [--seed S]

Every number of every window is compared, and what each vGPU pays for its history, exactly and rounded.
"""
import argparse
import collections
import random
import subprocess
import sys
from fractions import Fraction

PPM = 10**6
MINUTE = 60 * 10**6
HOUR = 3600 * 10**6 * PPM
RUN, HOLD, WAIT, PARK, DOWN = range(5)
SEGMENTS = 64
BATCH = 5000

Segment = collections.namedtuple("Segment", "at memory share cap state")
# `as_is`: the steps are segments; else they are changes.
Line = collections.namedtuple("Line", "vgpu end busy busy_cap as_is steps")
Window = collections.namedtuple("Window", "wall beta price lines")
History = collections.namedtuple("History", "decimals windows")


# The rule.

def rate(s):
    return max(s.memory, s.share) if s.state == RUN else s.memory if s.state == HOLD else 0


def merge(segments, end):
    """Makes two neighbours one, where R grows the least."""
    rates, ends = [rate(s) for s in segments], [s.at for s in segments[1:]] + [end]

    def growth(i):
        a, b, middle = segments[i].at, ends[i + 1], segments[i + 1].at
        return max(rates[i:i + 2]) * (b - a) - rates[i] * (middle - a) - rates[i + 1] * (b - middle)

    i = min(range(len(segments) - 1), key=growth)
    a, b = segments[i:i + 2]
    more = b if rates[i + 1] > rates[i] else a
    return segments[:i] + [more._replace(at=a.at, cap=a.cap and b.cap)] + segments[i + 2:]


def follow(steps):
    """Segments from changes."""
    segments = []
    for s in steps:
        if segments and segments[-1][1:] == s[1:]:
            continue
        if segments and segments[-1].at == s.at:
            segments.pop()
            if segments and segments[-1][1:] == s[1:]:
                continue
        if len(segments) == SEGMENTS:
            segments = merge(segments, s.at)
        segments.append(s)
    return segments


def apportion(total, weights):
    """`total` may be a fraction: then what is whole of it is given away."""
    whole = sum(weights)
    if total == 0 or whole == 0:
        return [0] * len(weights)
    exact = [Fraction(total) * w / whole for w in weights]
    parts = [int(e) for e in exact]
    left = int(total) - sum(parts)
    for i in sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))[:left]:
        parts[i] += 1
    return parts


def conserve(window):
    """g in share and in cap segments, of each line."""
    charged = [g for line in window.lines for g in (line.busy, line.busy_cap)]
    if sum(charged) > window.wall:
        charged = apportion(window.wall, charged)
    return list(zip(charged[0::2], charged[1::2]))


def settle(window):
    """idle, and (segments, g, g of cap, R, B, surcharge, unused, credit, rebate) of each line."""
    w = window.wall * PPM
    conserved = conserve(window)
    rows = []
    for line, (g_share, g_cap) in zip(window.lines, conserved):
        segments = list(line.steps) if line.as_is else follow(line.steps)
        ends = [s.at for s in segments[1:]] + [line.end]
        r_share = sum(rate(s) * (end - s.at) for s, end in zip(segments, ends) if not s.cap)
        r_cap = sum(rate(s) * (end - s.at) for s, end in zip(segments, ends) if s.cap)
        burst = max(0, g_share * PPM - r_share)
        unused = max(0, r_share - g_share * PPM) + max(0, r_cap - g_cap * PPM)
        rows.append((len(segments), g_share + g_cap, g_cap, r_share + r_cap, burst, window.beta * burst // PPM, unused))
    reserved = [row[3] for row in rows]
    rebates = apportion(max(0, sum(reserved) - w), reserved)
    unused = [min(row[6], row[3] - rebate) for row, rebate in zip(rows, rebates)]
    surcharge, nobodys = sum(row[5] for row in rows), max(0, w - sum(reserved))
    owners = sum(unused)
    credits = apportion(Fraction(surcharge * owners, owners + nobodys) if owners else 0, unused)
    rows = [row[:6] + rest for row, rest in zip(rows, zip(unused, credits, rebates))]
    return w - sum(pays(row) for row in rows), rows


def pays(row):
    return row[3] + row[5] - row[7] - row[8]


def rounded(ppmus_price, decimals):
    """Nano-units; Python rounds fractions half to even."""
    coin = 10**(9 - decimals)
    return round(Fraction(ppmus_price, HOUR * coin)) * coin


# Histories.

class Dice:
    def __init__(self, seed):
        self.random = random.Random(seed).random

    def below(self, n):
        return int(self.random() * n)

    def of(self, *choices):
        return choices[int(self.random() * len(choices))]

    def one_in(self, n):
        return self.random() * n < 1


def wild_ppm(d, window_us):
    return d.of(0, PPM, 1, d.below(PPM + 1), d.below(PPM + 1), d.below(PPM + 1))


def quarter_ppm(d, window_us):
    return d.below(5) * PPM // 4


def tiny_ppm(d, window_us):
    return d.below(6)


def third_ppm(d, window_us):
    return d.of(333333, 333334, 500000, 700000, 0)


def times(d, begin, end, count):
    """Ascending; some are the same."""
    if d.one_in(4):
        return [begin] * count
    return [begin] + sorted(begin + d.below(end - begin + 1) for _ in range(count - 1))


def make_line(d, vgpu, length, ppm, wall):
    end = d.of(length, length, length, d.below(length + 1))
    begin = d.of(0, 0, 0, d.below(end + 1), end)
    as_is = d.one_in(2)
    many = not as_is and d.one_in(600)
    count = 60 + d.below(90) if many else d.of(1, 1, 1, 2, 3, 5)
    mode = d.of(0, 0, 1, 2)
    steps = [Segment(at, ppm(d, length), ppm(d, length), d.one_in(2) if mode == 2 else mode == 1,
                     RUN if d.one_in(2) else d.below(5)) for at in times(d, begin, end, count)]
    busy = d.of(0, d.below(wall + 1), d.below(wall + 1), d.below(wall // 2 + 1), wall)
    if d.one_in(300):
        busy = d.of(2**63 - 1, MINUTE * 10)
    busy_cap = d.below(wall + 1) if mode and not d.one_in(3) else 0
    return Line(vgpu, end, busy if mode != 1 else 0, busy_cap, as_is, steps)


def make_window(d, vgpus):
    ppm = d.of(wild_ppm, wild_ppm, quarter_ppm, tiny_ppm, third_ppm)
    length = d.of(MINUTE, MINUTE, MINUTE, 1 + d.below(MINUTE), 12) if ppm is not tiny_ppm else 1 + d.below(20)
    wall = d.of(length, length, 1 + d.below(length), 1)
    beta = d.of(500000, 500000, PPM, 0, d.below(PPM + 1), 1)
    # A multiple of 120 nano-units makes many a half coin.
    price = d.of(2 * 10**9, 120 * d.below(10**9), 60 * d.below(10**9), d.below(10**12), 10**15, 0, 1)
    there = [v for v in range(vgpus) if not d.one_in(8)]
    return Window(wall, beta, price, [make_line(d, v, length, ppm, wall) for v in there])


def make_history(d):
    vgpus = 30 + d.below(270) if d.one_in(2000) else d.of(1, 1, 2, 2, 3, 4, 8)
    windows = 1 if vgpus > 8 or not d.one_in(8) else 2 + d.below(4)
    return History(d.of(0, 2, 2, 3, 4, 9), [make_window(d, vgpus) for _ in range(windows)])


def written(history):
    out = [f"H {history.decimals}"]
    for window in history.windows:
        out.append(f"W {window.wall} {window.beta} {window.price}")
        for line in window.lines:
            out.append(f"L {line.vgpu} {line.end} {line.busy} {line.busy_cap}")
            letter = "S" if line.as_is else "C"
            out += [f"{letter} {s.at} {s.memory} {s.share} {s.cap:d} {s.state}" for s in line.steps]
        out.append("X")
    out.append("E\n")
    return "\n".join(out)


# The comparison.

def expected(history, seen):
    """What meter_cli prints."""
    out, cost, credit, idle_cost, whole = [], collections.Counter(), collections.Counter(), 0, 0
    for window in history.windows:
        idle, rows = settle(window)
        assert idle >= 0 and all(pays(row) >= 0 for row in rows), "the rule itself is wrong"
        out.append(str(idle))
        for line, row in zip(window.lines, rows):
            out.append(" ".join(map(str, row)))
            cost[line.vgpu] += pays(row) * window.price
            credit[line.vgpu] -= row[7] * window.price
            seen["merged"] += not line.as_is and len(line.steps) > row[0] == SEGMENTS
        idle_cost += idle * window.price
        whole += window.wall * PPM * window.price
        count(seen, window, rows)
    for vgpu in sorted(cost):
        if cost[vgpu] or credit[vgpu]:
            out.append(f"{vgpu} {cost[vgpu]} {rounded(cost[vgpu], history.decimals)} {rounded(credit[vgpu], history.decimals)}")
            seen["half coins"] += 2 * cost[vgpu] % (HOUR * 10**(9 - history.decimals)) == 0 != cost[vgpu]
    assert sum(cost.values()) + idle_cost == whole, "the rule itself is wrong"
    out.append(f"{idle_cost} {whole}")
    return out


def count(seen, window, rows):
    rebated, credited = any(row[8] for row in rows), any(row[7] for row in rows)
    seen["windows"] += 1
    seen["overlapped"] += sum(line.busy + line.busy_cap for line in window.lines) > window.wall
    seen["rebated"] += rebated
    seen["credited"] += credited
    seen["rebated and credited"] += rebated and credited
    seen["above the cap"] += any(row[2] * PPM > row[3] for row in rows)
    seen["many vgpus"] += len(rows) > 20


def run_batch(cli, histories, seen):
    text = [written(h) for h in histories]
    done = subprocess.run([cli], input="".join(text), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{cli} ended with {done.returncode}: {done.stderr}")
    got, at = done.stdout.splitlines(), 0
    for history, source in zip(histories, text):
        want = expected(history, seen)
        have = got[at:at + len(want)]
        if want != have:
            differ = [f"  {w}    but C says    {h}" for w, h in zip(want, have + [""] * len(want)) if w != h]
            sys.exit(f"of this history\n{source}the rule says\n" + "\n".join(differ[:10]))
        at += len(want)
    if at != len(got):
        sys.exit("C says more than the rule")


def main():
    parser = argparse.ArgumentParser(description="Compares the metering rule in Python with the one in C.")
    parser.add_argument("--cli", required=True)
    parser.add_argument("--histories", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=20261123)
    options = parser.parse_args()
    dice, seen = Dice(options.seed), collections.Counter()
    for first in range(0, options.histories, BATCH):
        run_batch(options.cli, [make_history(dice) for _ in range(min(BATCH, options.histories - first))], seen)
    print(f"{options.histories} histories agree: " + ", ".join(f"{n} {what}" for what, n in sorted(seen.items())))
    # A comparison of what never happens says nothing.
    for what in ("overlapped", "rebated", "credited", "rebated and credited", "above the cap", "many vgpus", "merged", "half coins"):
        if seen[what] < options.histories // 5000:
            sys.exit(f"too few histories were \"{what}\": {seen[what]}")


if __name__ == "__main__":
    main()
