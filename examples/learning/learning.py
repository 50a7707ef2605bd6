#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Deep learning from scratch: handwritten digits.

    fastgpu run NAME -- examples/learning/learning.py --picture learning.png

A network of two layers learns to read 8 × 8 pixels: every sum of its forward and backward pass is in learning.cl. The digits are
scikit-learn's (1797, written by 43 people; from the UCI repository); --digits takes any file of such lines: pixels from 0 to 16, then the digit."""
import os
import sys

import numpy as np

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import gpu  # noqa: E402

HIDDEN, DIGITS, BATCH, RATE, MOMENTUM = 128, 10, 64, 0.03, 0.9


def read_digits(file):
    """(pixels from 0 to 1, digits)"""
    file = file or gpu.sample("sklearn", "datasets/data/digits.csv.gz")
    if not file:
        sys.exit("no digits: apt install python3-sklearn for its sample of them, or --digits FILE.csv")
    try:
        rows = np.loadtxt(file, delimiter=",", ndmin=2)
    except (OSError, ValueError) as e:
        sys.exit(f"{file}: {e}")
    pixels, digits = rows[:, :-1], rows[:, -1].astype(np.int32)
    if len(rows) < 4 * BATCH or digits.min() < 0 or digits.max() >= DIGITS:
        sys.exit(f"{file}: {len(rows)} lines with digits from {digits.min()} to {digits.max()}; at least {4 * BATCH} with digits from 0 to 9 are needed")
    return (pixels / 16).astype(np.float32), digits


def beginning(inputs, seed):
    """Weights of both layers, the last column for the bias."""
    random = np.random.RandomState(seed)
    layers = [random.normal(0, np.sqrt(2 / ins), (outs, ins + 1)).astype(np.float32) for ins, outs in ((inputs, HIDDEN), (HIDDEN, DIGITS))]
    for layer in layers:
        layer[:, -1] = 0
    return layers


class Network:
    def __init__(self, device, layers, most):
        """most: samples that are looked at together."""
        self.device, self.shapes = device, [layer.shape for layer in layers]
        self.inputs = self.shapes[0][1] - 1
        self.weights = [device.buffer(layer) for layer in layers]
        self.speeds = [device.zeros(shape, np.float32) for shape in self.shapes]
        self.hidden, self.share = (device.empty((most, HIDDEN), np.float32) for _ in range(2))
        self.out, self.wrong = (device.empty((most, DIGITS), np.float32) for _ in range(2))

    def forward(self, pixels, first, count):
        self.device.run("layer", (count, HIDDEN), pixels, np.uint32(self.inputs), np.uint32(first), self.weights[0], self.hidden, np.uint32(1))
        self.device.run("layer", (count, DIGITS), self.hidden, np.uint32(HIDDEN), np.uint32(0), self.weights[1], self.out, np.uint32(0))

    def train(self, pixels, truth, loss, first):
        """One batch."""
        run, rate, momentum = self.device.run, np.float32(RATE), np.float32(MOMENTUM)
        self.forward(pixels, first, BATCH)
        run("judge", BATCH, self.out, np.uint32(DIGITS), np.uint32(first), truth, self.wrong, loss)
        run("blame", (BATCH, HIDDEN), self.wrong, np.uint32(DIGITS), self.weights[1], self.hidden, self.share)
        run("learn", self.shapes[1], self.hidden, np.uint32(0), self.wrong, np.uint32(BATCH), rate, momentum, self.speeds[1], self.weights[1])
        run("learn", self.shapes[0], pixels, np.uint32(first), self.share, np.uint32(BATCH), rate, momentum, self.speeds[0], self.weights[0])

    def answers(self, pixels, count):
        self.forward(pixels, 0, count)
        return self.device.read(self.out, (count, DIGITS), np.float32).argmax(1)

    def layers(self):
        return [self.device.read(weight, shape, np.float32) for weight, shape in zip(self.weights, self.shapes)]


def draw(file, pixels, digits, answers):
    """Digits that it had never seen, with what it read; those read wrong come first, in red."""
    wrong_first = np.argsort(answers == digits, kind="stable")[:40]
    side = round(pixels.shape[1] ** 0.5)
    plot = gpu.charts()
    figure, places = plot.subplots(4, 10, figsize=(8, 3.9), dpi=80)
    for place, i in zip(places.ravel(), wrong_first):
        right = answers[i] == digits[i]
        place.imshow(pixels[i].reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
        place.set_title(f"{answers[i]}" if right else f"{answers[i]}, is {digits[i]}", color="#1f5fbf" if right else "#d1495b", fontsize=9)
        place.axis("off")
    figure.tight_layout()
    figure.savefig(file)


def main():
    parser = gpu.options(__doc__)
    parser.add_argument("--digits", metavar="FILE.csv", help="default: scikit-learn's sample")
    parser.add_argument("--epochs", type=int, default=30, metavar="N", help="times that it sees them all; default 30")
    option = parser.parse_args()
    if option.epochs < 1:
        parser.error("--epochs wants at least 1")
    pixels, digits = read_digits(option.digits)
    if option.picture and round(pixels.shape[1] ** 0.5) ** 2 != pixels.shape[1]:
        parser.error(f"--picture: {pixels.shape[1]} pixels are no square")
    batches = len(digits) * 4 // 5 // BATCH
    seen = batches * BATCH  # what it learns from; the others are for the examination
    device = gpu.Gpu(__file__, "learning.cl")
    network = Network(device, beginning(pixels.shape[1], seed=1), max(BATCH, len(digits) - seen))
    inputs, truth, rest = device.buffer(pixels[:seen]), device.buffer(digits[:seen]), device.buffer(pixels[seen:])
    loss = device.empty(seen, np.float32)

    def epoch():
        for batch in range(batches):
            network.train(inputs, truth, loss, batch * BATCH)

    losses = []
    for number in range(1, option.epochs + 1):
        epoch()
        losses.append(device.read(loss, seen, np.float32).mean())
        if number % 5 == 0 or number == option.epochs:
            answers = network.answers(rest, len(digits) - seen)
            print(f"epoch {number}/{option.epochs}  loss {losses[-1]:.4f}  read right of {len(answers)} never seen: {100 * (answers == digits[seen:]).mean():.1f} %")
    if option.picture:
        draw(option.picture, pixels[seen:], digits[seen:], answers)
    if option.results:
        first, second = network.layers()
        np.savez(option.results, first=first, second=second, losses=losses, answers=answers, seen=seen)
    device.repeat(option.seconds, epoch)


if __name__ == "__main__":
    main()
