#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The example without FastGPU: it learns, it agrees with plain C, it says what is wrong."""
import re
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop(1)


def train(*options):
    return subprocess.run([PROGRAM, *options], capture_output=True, text=True, timeout=120)


def epochs(done):
    """(loss, accuracy) of every printed epoch."""
    return [(float(loss), float(accuracy)) for loss, accuracy in
            re.findall(r"^epoch \d+/\d+  loss ([\d.]+)  accuracy ([\d.]+)$", done.stdout, re.M)]


class TrainMlp(unittest.TestCase):
    def test_agrees_with_plain_c(self):
        for options in ((), ("--seed", "7"), ("--random-labels",), ("--samples", "37", "--batch", "8"), ("--batch", "1000")):
            done = train("--check", *options)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("the same", done.stdout)

    def test_learns_what_can_be_learnt(self):
        for seed in ("1", "2", "3"):
            seen = epochs(train("--epochs", "40", "--seed", seed))
            self.assertEqual(len(seen), 40)
            self.assertGreater(seen[-1][1], 0.9)
            self.assertLess(seen[-1][0], seen[0][0] / 2)

    def test_does_not_learn_coin_throws(self):
        seen = epochs(train("--random-labels"))
        self.assertEqual(len(seen), 10)
        self.assertLess(seen[-1][1], 0.65)
        self.assertGreater(seen[-1][0], 0.6)

    def test_a_seed_repeats(self):
        self.assertEqual(train("--epochs", "3").stdout, train("--epochs", "3").stdout)
        self.assertNotEqual(train("--epochs", "3").stdout, train("--epochs", "3", "--seed", "2").stdout)

    def test_on_each_device(self):
        done = train("--each-device", "--check")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        devices = set(re.findall(r"^device (\d+)  epoch 10/10  ", done.stdout, re.M))
        self.assertGreater(len(devices), 0)
        self.assertEqual(done.stdout.count(": the same\n"), len(devices))

    def test_says_what_is_wrong(self):
        for options, code, words in ((("--device", "99"), 1, "no OpenCL device 99"), (("--epochs", "0"), 2, "--epochs"),
                                     (("--epochs", "many"), 2, "'many'"), (("--nonsense",), 2, "nonsense"),
                                     (("surplus",), 2, "'surplus'"), (("--check", "--seconds", "1"), 2, "--check")):
            done = train(*options)
            self.assertEqual((done.returncode, done.stdout), (code, ""))
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
