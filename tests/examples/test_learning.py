#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/learning against the same training in numpy. Against scikit-learn's: test_frameworks.py."""
import os
import sys

from example import EXAMPLES, ExampleTest, main, np
from share import made_up_digits

sys.path[:0] = [os.path.join(EXAMPLES, "learning")]
import learning  # noqa: E402


def forward(x, first, second):
    hidden = np.maximum(np.column_stack([x, np.ones(len(x))]) @ first.T, 0)
    hidden = np.column_stack([hidden, np.ones(len(x))])
    out = hidden @ second.T
    odds = np.exp(out - out.max(1, keepdims=True))
    return hidden, odds / odds.sum(1, keepdims=True)


def train(pixels, digits, seen, epochs):
    """(layers, losses) in double precision, whole matrices at a time."""
    layers = [layer.astype(float) for layer in learning.beginning(pixels.shape[1], seed=1)]
    speeds, losses = [np.zeros_like(layer) for layer in layers], []
    for _ in range(epochs):
        loss = []
        for at in range(0, seen, learning.BATCH):
            x, truth = pixels[at:at + learning.BATCH], digits[at:at + learning.BATCH]
            hidden, odds = forward(x, *layers)
            loss.append(-np.log(odds[np.arange(len(x)), truth]).mean())
            wrong = odds - np.eye(10)[truth]
            back = (wrong @ layers[1])[:, :-1] * (hidden[:, :-1] > 0)
            slopes = back.T @ np.column_stack([x, np.ones(len(x))]) / len(x), wrong.T @ hidden / len(x)
            for layer, speed, slope in zip(layers, speeds, slopes):
                speed *= learning.MOMENTUM
                speed -= learning.RATE * slope
                layer += speed
        losses.append(np.mean(loss))
    return layers, losses


def assert_learnt(found, layers, losses, tolerance):
    np.testing.assert_allclose(found["losses"], losses, rtol=tolerance)
    for name, layer in zip(("first", "second"), layers):
        np.testing.assert_allclose(found[name], layer, atol=tolerance)


class Learning(ExampleTest):
    def test_learns_what_numpy_learns(self):
        file = self.path("digits.csv")
        made_up_digits(file, 640)
        found = self.run_example("learning", "learning.py", "--digits", file, "--epochs", 6)[1]
        rows, seen = np.loadtxt(file, delimiter=","), int(found["seen"])
        pixels, digits = rows[:, :-1] / 16, rows[:, -1].astype(int)
        layers, losses = train(pixels, digits, seen, 6)
        assert_learnt(found, layers, losses, 1e-4)
        self.assertLess(losses[-1], losses[0] / 4)
        answers = forward(pixels[seen:], *layers)[1].argmax(1)
        self.assertGreaterEqual((found["answers"] == answers).mean(), 0.99)
        self.assertGreater((found["answers"] == digits[seen:]).mean(), 0.9)

    def test_says_what_is_wrong(self):
        file = self.path("eleven.csv")
        made_up_digits(file, 100)
        self.assertIn("100 lines", self.refused("learning", "learning.py", "--digits", file))
        with open(file, "w") as text:
            text.write("one,two\n")
        self.assertIn(file, self.refused("learning", "learning.py", "--digits", file))
        self.assertIn("/nowhere", self.refused("learning", "learning.py", "--digits", "/nowhere.csv"))
        self.assertIn("--epochs", self.refused("learning", "learning.py", "--epochs", 0))


if __name__ == "__main__":
    main()
