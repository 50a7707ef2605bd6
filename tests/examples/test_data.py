#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/data against numpy over a real table. Against scikit-learn over its own: test_frameworks.py."""
import os

from example import SAMPLES, ExampleTest, main, np

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

    def test_a_group_that_nobody_belongs_to_stays(self):
        """Two groups begin with the same row: all rows go to the first, and the other waits where it is until some come nearer to it."""
        table = np.array([[1, 2, 0], [5, 1, 0], [1.5, 2, 1], [1, 2, 0], [6, 1, 1], [1, 2.5, 0]])
        np.savetxt(self.path("same.csv"), table, delimiter=",", header="x,y,z")
        found = self.run_example("data", "data.py", "--table", self.path("same.csv"), "--groups", 2)[1]
        samples = (table[:, :-1] - table[:, :-1].mean(0)) / table[:, :-1].std(0)
        labels, centres = lloyd(samples, samples[[0, 3]])
        self.assertEqual(set(labels), {0, 1})
        np.testing.assert_array_equal(found["labels"], labels)
        np.testing.assert_allclose(found["centres"], centres, atol=1e-12)

    def test_columns_that_say_the_same_share_equally(self):
        random = np.random.RandomState(2)
        x, y = random.normal(0, 1, (2, 50))
        np.savetxt(self.path("twins.csv"), np.column_stack([x, 3 * x + 1, y, 5 * x + y]), delimiter=",", header="x,x3,y,sum")
        found = self.run_example("data", "data.py", "--table", self.path("twins.csv"))[1]
        np.testing.assert_allclose(found["weights"], [2.5 * x.std(), 2.5 * x.std(), y.std()], rtol=1e-6)

    def test_says_what_is_wrong(self):
        for text, words in (("a,b\n1,2\n", "1 lines"), ("a,b\n1,2\n1,3\n1,4\n", "column 1 is the same"), ("a,b\n1,x\n", "could not convert"),
                            ("a,b\n1,2\n2,nan\n5,4\n", "line 3")):
            with open(self.path("table.csv"), "w") as table:
                table.write(text)
            self.assertIn(words, self.refused("data", "data.py", "--table", self.path("table.csv")))
        self.assertIn("/nowhere", self.refused("data", "data.py", "--table", "/nowhere.csv"))
        with open(self.path("table.csv"), "w") as table:
            table.write("a,b\n1,2\n2,3\n5,4\n")
        for k in (0, 4):
            self.assertIn("--groups wants 1 to 3", self.refused("data", "data.py", "--table", self.path("table.csv"), "--groups", k))


if __name__ == "__main__":
    main(samples=True)
