#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All six examples with half a device, and two at once at 70 to 30: what they find is the same to the last bit. What the device is divided into is
looked at coarsely here; `make bench BENCH="--only examples*"` measures."""

from example import ExampleTest, main, np
from share import Pair, field_options

SECONDS, ROOM, TRIES = 1.5, 12, 3


class Sharing(ExampleTest):
    MEMORY, SHARES, OPTIONS = "256M", "50", ("--mode", "cap")
    ENVIRONMENT = {"POCL_AFFINITY": "1"}  # as in tests/bench/bench.py

    @classmethod
    def setUpClass(cls):
        """What each finds alone, with never more than half of the device; then the device is divided anew."""
        super().setUpClass()
        cls.options = field_options(cls.node.dir)
        cls.known = {field: cls().run_example(field, field + ".py", *options)[1] for field, options in cls.options.items()}
        cls.node.fastgpu("delete", "t")
        cls.node.fastgpu("create", "--name", "t", "--gpus", "2", "--memory", cls.MEMORY, "--compute", "70,30")

    def assert_same(self, field, file):
        with np.load(file) as found:
            self.assertEqual(set(found), set(self.known[field]))
            for name in found:
                np.testing.assert_array_equal(found[name], self.known[field][name], f"{field}: {name}")

    def together(self, first, second):
        with Pair(self.node, (first, second), self.options) as pair:
            pair.wait()
            found = []
            while len(found) < TRIES and not any(abs(share - 70) <= ROOM for share in found):
                found.append(pair.share(SECONDS))
            for field, file in zip(pair.fields, pair.results):
                self.assert_same(field, file)
        self.assertLessEqual(min(abs(share - 70) for share in found), ROOM, f"{first} had {found} percent")

    def test_render_and_vision(self):
        self.together("render", "vision")

    def test_data_and_science(self):
        self.together("data", "science")

    def test_finance_and_learning(self):
        self.together("finance", "learning")


if __name__ == "__main__":
    main(samples=True)
