#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Data science: k-means and a linear regression over a CSV file.

    fastgpu run NAME -- examples/data/data.py --picture data.png

The table is scikit-learn's sample: 30 measurements of each of 569 breast tumours (Wisconsin, from the UCI repository) and, in the last column,
whether it was benign. k-means finds two groups without being told; the regression predicts the last column from the others. --table takes any CSV
of numbers with one line of heads."""
import os
import sys

import numpy as np

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import gpu  # noqa: E402

MOST_ROUNDS = 300


def read_table(file):
    """(columns but the last, scaled to mean 0 and deviation 1; the last)"""
    file = file or gpu.sample("sklearn", "datasets/data/breast_cancer.csv")
    if not file:
        sys.exit("no table: apt install python3-sklearn for its sample, or --table FILE.csv")
    try:
        table = np.loadtxt(file, delimiter=",", skiprows=1, ndmin=2)
    except (OSError, ValueError) as e:
        sys.exit(f"{file}: {e}")
    if table.shape[1] < 2 or len(table) < 3:
        sys.exit(f"{file}: {len(table)} lines of {table.shape[1]} columns; at least 3 of 2 are needed")
    if not np.isfinite(table).all():
        sys.exit(f"{file}: line {int(np.argwhere(~np.isfinite(table))[0, 0]) + 2} has something that is no number")
    known, spread = table[:, :-1], table[:, :-1].std(0)
    if not spread.all():
        sys.exit(f"{file}: column {int(spread.argmin()) + 1} is the same everywhere")
    return (known - known.mean(0)) / spread, table[:, -1]


class Clusters:
    def __init__(self, device, samples, k):
        self.device, (self.rows, self.columns), self.k = device, samples.shape, k
        # Every so many rows one: no chance, so that others can begin in the same way.
        self.begin = samples[np.arange(k) * len(samples) // k].astype(device.real)
        self.samples, self.centres = device.buffer(samples.astype(device.real)), device.buffer(self.begin)
        self.labels, self.distances = device.empty(self.rows, np.int32), device.empty(self.rows, device.real)

    def assign(self):
        self.device.run("nearest", self.rows, self.samples, np.uint32(self.columns), self.centres, np.uint32(self.k), self.labels, self.distances)

    def move(self):
        self.device.run("move", (self.k, self.columns), self.samples, np.uint32(self.rows), self.labels, self.centres)

    def find(self):
        """(rounds, label of each row, centres, sum of the squared distances): until no row changes its group."""
        before = None
        for rounds in range(1, MOST_ROUNDS + 1):
            self.assign()
            labels = self.device.read(self.labels, self.rows, np.int32)
            if np.array_equal(labels, before):
                break
            before = labels
            self.move()
        centres = self.device.read(self.centres, (self.k, self.columns), self.device.real)
        return rounds, labels, centres, self.device.read(self.distances, self.rows, self.device.real).sum()


class Regression:
    """Least squares by the normal equations."""

    def __init__(self, device, samples, target):
        table = np.column_stack([samples, np.ones(len(samples)), target]).astype(device.real)
        self.device, (self.rows, self.n) = device, table.shape
        self.table, self.product = device.buffer(table), device.empty((self.n, self.n), device.real)

    def multiply(self):
        self.device.run("products", (self.n, self.n), self.table, np.uint32(self.rows), self.product)

    def solve(self):
        """(what each column adds for one deviation of it, what is left)"""
        self.multiply()
        sums = self.device.read(self.product, (self.n, self.n), self.device.real).astype(np.float64)
        # Of columns that say the same, each gets an equal part.
        solution = np.linalg.lstsq(sums[:-1, :-1], sums[:-1, -1], rcond=1e-12)[0]
        return solution[:-1], solution[-1]


def draw(file, samples, labels, target, predicted):
    """The groups in the plane in which the samples differ most, and the prediction against the truth."""
    plot = gpu.charts()
    figure, (groups, line) = plot.subplots(1, 2, figsize=(8, 3.4), dpi=80)
    plane = samples @ np.linalg.svd(samples, full_matrices=False)[2][:2].T
    for label in np.unique(labels):
        groups.scatter(*plane[labels == label].T, s=5, label=f"group {label}")
    groups.set(title="groups that k-means found", xlabel="first main axis", ylabel="second")
    groups.legend(fontsize=8)
    if len(np.unique(target)) == 2:
        for value, color in zip(np.unique(target), ("#d1495b", "#1f5fbf")):
            line.hist(predicted[target == value], 30, alpha=0.7, color=color, label=f"is {value:g}")
        line.set(title="predicted", xlabel="last column, by regression")
        line.legend(fontsize=8)
    else:
        line.scatter(target, predicted, s=5, color="#1f5fbf")
        line.axline((target.mean(), target.mean()), slope=1, color="#888888", lw=0.8)
        line.set(title="regression", xlabel="last column", ylabel="predicted")
    figure.tight_layout()
    figure.savefig(file)


def main():
    parser = gpu.options(__doc__)
    parser.add_argument("--table", metavar="FILE.csv", help="default: scikit-learn's sample")
    parser.add_argument("--groups", type=int, default=2, metavar="K", help="default 2")
    option = parser.parse_args()
    samples, target = read_table(option.table)
    if not 1 <= option.groups <= len(samples):
        parser.error(f"--groups wants 1 to {len(samples)}, as many as there are lines")
    device = gpu.Gpu(__file__, "data.cl")
    clusters = Clusters(device, samples, option.groups)
    rounds, labels, centres, inertia = clusters.find()
    print(f"{len(samples)} lines, {samples.shape[1]} columns and one to predict")
    print(f"k-means: {rounds} rounds, groups of {', '.join(str(n) for n in np.bincount(labels, minlength=option.groups))}, squared distances {inertia:.1f}")
    values = np.unique(target)
    if len(values) == option.groups == 2:
        same = (values[labels] == target).mean()
        print(f"  the groups and the last column agree in {100 * max(same, 1 - same):.1f} % of the lines")
    regression = Regression(device, samples, target)
    weights, rest = regression.solve()
    predicted = samples @ weights + rest
    print(f"regression: explains {100 * (1 - ((target - predicted) ** 2).sum() / ((target - target.mean()) ** 2).sum()):.1f} % of the last column")
    if option.picture:
        draw(option.picture, samples, labels, target, predicted)
    if option.results:
        np.savez(option.results, samples=samples, target=target, begin=clusters.begin, labels=labels, centres=centres, inertia=inertia, rounds=rounds,
                 weights=weights, rest=rest)

    def again():
        clusters.assign()
        clusters.move()
        regression.multiply()

    device.repeat(option.seconds, again)


if __name__ == "__main__":
    main()
