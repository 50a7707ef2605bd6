#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/finance: chance against the closed form, its random words against the published ones, the rules against plain Python."""
import math
import os
import sys
import unittest

from example import EXAMPLES, ExampleTest, example, main, np

sys.path[:0] = [EXAMPLES]
import gpu  # noqa: E402

# Philox 4x32-10, the authors' known answers: counter, key, words.
KNOWN = (("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
         ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
         ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"))


def words(text):
    return np.array([int(word, 16) for word in text.split()], np.uint32)


def price_by_integral():
    """(call, put) as the mean over the density of the price at the end, summed finely: no formula of theirs."""
    spot, strike, rate, volatility, years = 100.0, 105.0, 0.03, 0.2, 1.0
    z, step = np.linspace(-10, 10, 400001, retstep=True)
    end = spot * np.exp((rate - volatility**2 / 2) * years + volatility * math.sqrt(years) * z)
    weight = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * step * math.exp(-rate * years)
    return (np.maximum(end - strike, 0) * weight).sum(), (np.maximum(strike - end, 0) * weight).sum()


def worth(prices, fast, slow, first, last):
    mine, held = 1.0, False
    for month in range(first, last - 1):
        seen = prices[: month + 1]
        hold = seen[-fast:].mean() > seen[-slow:].mean()
        mine *= (0.999 if hold != held else 1) * (prices[month + 1] / prices[month] if hold else 1)
        held = hold
    return mine


class Words(unittest.TestCase):
    def test_are_the_published_ones(self):
        device = gpu.Gpu(example("finance", "finance.py"), "finance.cl")
        for counter, key, known in KNOWN:
            out = device.empty(4, np.uint32)
            device.run("words", 1, out, device.buffer(words(counter)), words(key))
            np.testing.assert_array_equal(device.read(out, 4, np.uint32), words(known))


class Finance(ExampleTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.said, cls.found = cls().run_example("finance", "finance.py")

    def test_chance_agrees_with_the_closed_form(self):
        """The words are always the same, so this can not fail by bad luck."""
        for name, known in zip(("call", "put"), price_by_integral()):
            self.assertIn(f"{name} {known:.4f}", self.said)
            for price, error in self.found[name]:
                self.assertLess(abs(price - known), 3 * error)

    def test_error_bars_shrink_with_the_root(self):
        for name in ("call", "put"):
            paths, errors = self.found["paths"], self.found[name][:, 1]
            slope = np.polyfit(np.log(paths), np.log(errors), 1)[0]
            self.assertAlmostEqual(slope, -0.5, delta=0.02)
            self.assertLess(abs(self.found[name][-1, 0] - self.found[name][0, 0]), 4 * errors[0])

    def test_rules_earn_what_plain_python_says(self):
        f = self.found
        prices, first, middle = f["prices"], int(f["first"]), int(f["middle"])
        self.assertGreater(len(prices), 300)
        for fast, slow in ((1, 2), (5, 23), (3, 10), (24, 24), (12, 24), (1, 24)):
            self.assertAlmostEqual(f["past"][slow - 1, fast - 1], worth(prices, fast, slow, first, middle), 9)
            self.assertAlmostEqual(f["future"][slow - 1, fast - 1], worth(prices, fast, slow, middle - 1, len(prices)), 9)

    def test_picks_the_best_of_the_past(self):
        fast, slow = self.found["best"]
        self.assertLess(fast, slow)
        rules = [(i, j) for i in range(24) for j in range(i)]
        self.assertEqual(self.found["past"][slow - 1, fast - 1], max(self.found["past"][i, j] for i, j in rules))

    def test_says_what_is_wrong(self):
        self.assertIn("No such file", self.refused("finance", "finance.py", "--prices", "/nowhere.csv"))
        self.assertIn("'GOLD'", self.refused("finance", "finance.py", "--column", "GOLD"))
        with open(self.path("few.csv"), "w") as few:
            few.write("Date,^GSPC\n2020-01-01,100\n")
        self.assertIn("1 prices", self.refused("finance", "finance.py", "--prices", self.path("few.csv")))


if __name__ == "__main__":
    main(samples=True)
