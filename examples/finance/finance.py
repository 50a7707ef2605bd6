#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Finance: options priced by chance against Black and Scholes' formula, and a trading rule tried on real prices.

    fastgpu run NAME -- examples/finance/finance.py --picture finance.png

The price of a European option is known in closed form, so chance can be held against it: the error bar shrinks as one over the root of the
number of paths. The rule (hold while the short mean is above the long one) is tried in all its forms on the first half of the prices; the best
of them then has to show on the second half whether it was more than luck."""
import csv
import math
import os
import sys

import numpy as np

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import gpu  # noqa: E402

SPOT, STRIKE, RATE, VOLATILITY, YEARS = 100.0, 105.0, 0.03, 0.2, 1.0
ITEMS, LONGEST, FEE = 4096, 24, 0.001


def black_scholes():
    """(call, put)"""
    spread = VOLATILITY * math.sqrt(YEARS)
    d1 = (math.log(SPOT / STRIKE) + (RATE + VOLATILITY**2 / 2) * YEARS) / spread

    def below(x):
        return (1 + math.erf(x / math.sqrt(2))) / 2

    later = STRIKE * math.exp(-RATE * YEARS)
    return (SPOT * below(d1) - later * below(d1 - spread), later * below(spread - d1) - SPOT * below(-d1))


class Chance:
    """Prices by chance; the paths of different seeds have nothing to do with each other."""

    def __init__(self, device):
        self.device = device
        self.sums = None

    def draw(self, rounds, seed):
        """In short kernels: one that runs is not interrupted, and others want the device too."""
        real = self.device.real
        drift, spread = (RATE - VOLATILITY**2 / 2) * YEARS, VOLATILITY * math.sqrt(YEARS)
        self.sums = self.device.zeros((ITEMS, 4), real)
        for first in range(0, rounds, 4):
            self.device.run("paths", ITEMS, self.sums, np.uint32(first), np.uint32(min(first + 4, rounds)), np.array([seed, 0x5EED], np.uint32),
                            real(SPOT), real(STRIKE), real(drift), real(spread))

    def prices(self, rounds, seed):
        """(number of paths, (call, its standard error), (put, its standard error))"""
        self.draw(rounds, seed)
        call, call2, put, put2 = self.device.read(self.sums, (ITEMS, 4), self.device.real).sum(0, dtype=np.float64)
        n, today = ITEMS * rounds * 4, math.exp(-RATE * YEARS)

        def price(total, squares):
            mean = total / n
            return today * mean, today * math.sqrt((squares / n - mean**2) / (n - 1))

        return n, price(call, call2), price(put, put2)


def read_prices(file, column):
    """Prices of a column, in order; lines without one are left out."""
    file = file or gpu.sample("matplotlib", "mpl-data/sample_data/Stocks.csv", "/usr/share/matplotlib")
    if not file:
        sys.exit("no prices: apt install python-matplotlib-data for its sample of them, or --prices FILE.csv")
    try:
        with open(file, newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
        prices = [float(row[column]) for row in rows if row[column]]
    except OSError as e:
        sys.exit(f"{file}: {e.strerror}")
    except (KeyError, ValueError, TypeError) as e:
        sys.exit(f"{file}: no prices in a column {column!r} ({e}); name one with --column")
    if len(prices) < 4 * LONGEST or not all(0 < price < math.inf for price in prices):
        sys.exit(f"{file}: {len(prices)} prices in {column!r}; at least {4 * LONGEST} above 0 are needed")
    return np.array(prices)


def try_rules(device, prices, first, last):
    """Worth of every rule, [slow - 1, fast - 1], from month `first` to the one before `last`."""
    before = np.concatenate([[0], np.cumsum(prices)]).astype(device.real)
    worth = device.empty((LONGEST, LONGEST), device.real)
    device.run("rules", (LONGEST, LONGEST), device.buffer(prices.astype(device.real)), device.buffer(before), np.uint32(first), np.uint32(last),
               device.real(FEE), worth)
    return device.read(worth, (LONGEST, LONGEST), device.real)


def draw(file, runs, exact, worth, best):
    plot = gpu.charts()
    figure, (chance, rules) = plot.subplots(1, 2, figsize=(8, 3.4), dpi=80)
    n = np.array([run[0] for run in runs])
    for name, column, color in (("call", 1, "#1f5fbf"), ("put", 2, "#d1495b")):
        off = [run[column][0] - exact[column - 1] for run in runs]
        chance.errorbar(n * (0.93 if column == 1 else 1.07), off, [2 * run[column][1] for run in runs], fmt="o", ms=3, capsize=3, color=color, label=name)
    bars = 2 * runs[0][1][1] * np.sqrt(n[0] / n)
    chance.fill_between(n, -bars, bars, color="#1f5fbf", alpha=0.1, label="1 / √paths")
    chance.axhline(0, color="#888888", lw=0.8)
    chance.set(xscale="log", title="price − Black–Scholes, ± 2 errors", xlabel="paths")
    chance.legend(fontsize=8)
    shown = np.where(np.triu(np.ones_like(worth)) > 0, np.nan, worth)
    image = rules.imshow(shown, origin="lower", cmap="viridis", extent=(0.5, LONGEST + 0.5, 0.5, LONGEST + 0.5))
    rules.plot(best[0], best[1], "o", mfc="none", mec="#d1495b", ms=9)
    rules.set(title="what each rule makes of 1", xlabel="short mean, months", ylabel="long mean, months")
    figure.colorbar(image, ax=rules)
    figure.tight_layout()
    figure.savefig(file)


def main():
    parser = gpu.options(__doc__)
    parser.add_argument("--prices", metavar="FILE.csv", help="default: matplotlib's sample, months of several shares")
    parser.add_argument("--column", default="^GSPC", metavar="NAME", help="default ^GSPC, an index of 500 shares")
    option = parser.parse_args()
    prices = read_prices(option.prices, option.column)
    device = gpu.Gpu(__file__, "finance.cl")

    exact, chance = black_scholes(), Chance(device)
    print(f"Black and Scholes: call {exact[0]:.4f}, put {exact[1]:.4f}")
    runs = [chance.prices(rounds, seed) for seed, rounds in enumerate((1, 4, 16, 64, 256))]
    for n, call, put in runs:
        print(f"{n:9} paths: call {call[0]:.4f} ± {call[1]:.4f}, put {put[0]:.4f} ± {put[1]:.4f}")

    middle, end = (len(prices) + LONGEST) // 2, len(prices)
    past, future = try_rules(device, prices, LONGEST, middle), try_rules(device, prices, middle - 1, end)
    crossings = np.where(np.triu(np.ones_like(past)) > 0, -np.inf, past)  # a short mean is shorter than the long one
    slow, fast = (int(i) + 1 for i in np.unravel_index(crossings.argmax(), crossings.shape))
    print(f"{option.column}, {end} months: best of {LONGEST * (LONGEST - 1) // 2} rules on the first half: mean of {fast} above mean of {slow}")
    for half, worth, (a, b) in (("first half", past, (LONGEST, middle - 1)), ("second half", future, (middle - 1, end - 1))):
        print(f"  {half}: 1 became {worth[slow - 1, fast - 1]:.2f}; held all the time {prices[b] / prices[a]:.2f}")

    if option.picture:
        draw(option.picture, runs, exact, past, (fast, slow))
    if option.results:
        np.savez(option.results, paths=[n for n, _, _ in runs], call=[call for _, call, _ in runs], put=[put for _, _, put in runs], prices=prices,
                 past=past, future=future, first=LONGEST, middle=middle, best=(fast, slow))
    device.repeat(option.seconds, lambda: chance.draw(16, 1))


if __name__ == "__main__":
    main()
