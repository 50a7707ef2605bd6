#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic behind the table, on counts whose answer is known; and that the load generator counts what it does."""
import json
import os
import random
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]
import load  # noqa: E402

PROGRAM = sys.argv.pop(1)


def burn(*options):
    return subprocess.run([PROGRAM, *map(str, options)], capture_output=True, text=True, timeout=60)


class Shares(unittest.TestCase):
    def test_exact(self):
        self.assertEqual(load.share_errors([[7] * 300, [3] * 300], (70, 30)), (70.0, 0.0, 0.0))

    def test_right_in_the_mean_and_wrong_in_between(self):
        a, b = [10] * 100 + [4] * 100, [0] * 100 + [6] * 100
        share, mean, worst = load.share_errors([a, b], (70, 30))
        self.assertEqual((share, mean), (70.0, 0.0))
        self.assertEqual(worst, 30.0)

    def test_the_worst_window_slides(self):
        # A whole second of nothing for the first, across the border of two seconds.
        a, b = [1] * 50 + [0] * 100 + [1] * 150, [1] * 300
        self.assertEqual(load.share_errors([a, b], (50, 50))[2], 50.0)

    def test_a_standstill_is_no_success(self):
        self.assertEqual(load.share_errors([[1] * 100 + [0] * 200, [1] * 100 + [0] * 200], (50, 50))[2], 100.0)

    def test_third_tenant_counts(self):
        self.assertAlmostEqual(load.share_errors([[50] * 200, [20] * 200, [30] * 200], (50, 30, 20))[1], 10)


class Median(unittest.TestCase):
    def test_few_say_little(self):
        self.assertEqual(load.median_between([3, 1, 2]), (2, 1, 3))
        self.assertEqual(load.median_between([5]), (5, 5, 5))

    def test_holds_the_true_median_nineteen_times_of_twenty(self):
        chance = random.Random(1)
        held = 0
        for _ in range(400):  # times of steps: most as ever, some interrupted for long
            _, low, high = load.median_between([chance.gauss(0, 1) + (chance.random() < 0.1) * chance.choice((-50, 50)) for _ in range(200)])
            held += low <= 0 <= high
        self.assertGreater(held, 365)
        self.assertLess(held, 397)


class Burn(unittest.TestCase):
    def test_every_pattern_counts_its_completions(self):
        for pattern in (("--depth", 5), ("--batch", 7), ("--sync",), ("--batch", 3, "--batch-every-ms", 20), ("--churn", 4096)):
            with self.subTest(pattern=pattern):
                done = burn("--iterations", 10, "--seconds", 0.3, "--report-ms", 10, *pattern)
                self.assertEqual(done.returncode, 0, done.stderr)
                result = json.loads(done.stdout)
                self.assertGreater(result["done"], 0)
                self.assertLessEqual(sum(result["bins"]), result["done"])
                if pattern[0] == "--batch":
                    self.assertEqual(result["done"] % pattern[1], 0)

    def test_more_iterations_fewer_kernels(self):
        short, long = (json.loads(burn("--iterations", n, "--seconds", 0.5).stdout)["done"] for n in (200, 20000))
        self.assertGreater(short, 5 * long)

    def test_bad_options(self):
        for options in ((), ("--iterations", "x"), ("--iterations", 5, "surplus"), ("--iterations", 5, "--depth", 0)):
            done = burn(*options)
            self.assertEqual((done.returncode, done.stdout), (2, ""), options)
            self.assertNotEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
