#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/data against numpy over a real table, and where it is installed against scikit-learn over its own."""
import os
import unittest

from example import SAMPLES, ExampleTest, has, main, np

WOMEN = os.path.join(SAMPLES, "percent_bachelors_degrees_women_usa.csv")  # 42 years, 17 fields of study


def lloyd(samples, centres):
    """(labels, centres): all distances at once, until nothing changes."""
    while True:
        labels = ((samples[:, None] - centres[None]) ** 2).sum(2).argmin(1)
        moved = np.array([samples[labels == c].mean(0) if (labels == c).any() else centres[c] for c in range(len(centres))])
        if np.array_equal(moved, centres):
            return labels, centres
        centres = moved


class Data(ExampleTest):
    @unittest.skipUnless(os.path.exists(WOMEN), "python-matplotlib-data is not installed: no table")
    def test_a_real_table_as_numpy_has_it(self):
        table = np.loadtxt(WOMEN, delimiter=",", skiprows=1)
        samples, target = (table[:, :-1] - table[:, :-1].mean(0)) / table[:, :-1].std(0), table[:, -1]
        for k in (1, 3, 7, 42):
            said, found = self.run_example("data", "data.py", "--table", WOMEN, "--groups", k)
            self.assertIn("42 lines, 17 columns", said)
            np.testing.assert_allclose(found["samples"], samples, atol=1e-12)
            labels, centres = lloyd(samples, samples[np.arange(k) * 42 // k])
            np.testing.assert_array_equal(found["labels"], labels)
            np.testing.assert_allclose(found["centres"], centres, atol=1e-12)
            self.assertAlmostEqual(float(found["inertia"]), ((samples - centres[labels]) ** 2).sum(), 9)
        solution = np.linalg.lstsq(np.column_stack([samples, np.ones(42)]), target, rcond=None)[0]
        np.testing.assert_allclose(found["weights"], solution[:-1], rtol=1e-6)
        self.assertAlmostEqual(float(found["rest"]), solution[-1], 9)

    @unittest.skipUnless(has("sklearn"), "python3-sklearn is not installed: nothing to compare with")
    def test_its_own_table_as_scikit_learn_has_it(self):
        from sklearn.cluster import KMeans
        from sklearn.datasets import load_breast_cancer
        from sklearn.linear_model import LinearRegression
        from sklearn.preprocessing import StandardScaler
        samples, target = load_breast_cancer(return_X_y=True)
        samples = StandardScaler().fit_transform(samples)
        for k in (2, 5):
            found = self.run_example("data", "data.py", "--groups", k)[1]
            np.testing.assert_allclose(found["samples"], samples, atol=1e-9)
            known = KMeans(k, init=samples[np.arange(k) * len(samples) // k], n_init=1, tol=0, algorithm="lloyd").fit(samples)
            np.testing.assert_array_equal(found["labels"], known.labels_)
            np.testing.assert_allclose(found["centres"], known.cluster_centers_, atol=1e-9)
            self.assertAlmostEqual(float(found["inertia"]), known.inertia_, 6)
        line = LinearRegression().fit(samples, target)
        np.testing.assert_allclose(found["weights"], line.coef_, rtol=1e-7)
        self.assertAlmostEqual(float(found["rest"]), line.intercept_, 9)

    @unittest.skipUnless(has("matplotlib") and os.path.exists(WOMEN), "python3-matplotlib is not installed")
    def test_draws(self):
        self.run_example("data", "data.py", "--table", WOMEN, "--picture", self.path("data.png"))
        self.assertGreater(len(np.unique(self.picture("data.png").reshape(-1, 3), axis=0)), 50)

    def test_says_what_is_wrong(self):
        for text, words in (("a,b\n1,2\n", "1 lines"), ("a,b\n1,2\n1,3\n1,4\n", "column 1 is the same"), ("a,b\n1,x\n", "could not convert")):
            with open(self.path("table.csv"), "w") as table:
                table.write(text)
            self.assertIn(words, self.refused("data", "data.py", "--table", self.path("table.csv")))
        self.assertIn("/nowhere", self.refused("data", "data.py", "--table", "/nowhere.csv"))
        with open(self.path("table.csv"), "w") as table:
            table.write("a,b\n1,2\n2,3\n5,4\n")
        for k in (0, 4):
            self.assertIn("--groups wants 1 to 3", self.refused("data", "data.py", "--table", self.path("table.csv"), "--groups", k))


if __name__ == "__main__":
    main()
