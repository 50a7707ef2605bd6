#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/science against the same steps in numpy, and against what is known without any."""

from example import ExampleTest, main, np


def pull(places, masses, softening):
    to = places[None, :, :] - places[:, None, :]
    square = (to**2).sum(2) + softening**2
    return (to * (masses[None, :, None] / square[:, :, None] ** 1.5)).sum(1)


def leapfrog(places, speeds, masses, softening, steps, time):
    """Where the bodies end, by the other order of the same method: half a kick first, whole kicks between drifts."""
    speeds = speeds + pull(places, masses, softening) * time / 2
    for _ in range(steps):
        places = places + speeds * time
        speeds = speeds + pull(places, masses, softening) * time
    return places


def total_energy(places, speeds, masses, softening):
    distance = np.sqrt(((places[None] - places[:, None]) ** 2).sum(2) + softening**2)
    pairs = np.triu(masses[None] * masses[:, None] / distance, 1).sum()
    return (masses * (speeds**2).sum(1)).sum() / 2 - pairs


class Science(ExampleTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.found = cls().run_example("science", "science.py", "--bodies", 128, "--steps", 64)[1]

    def test_bodies_end_where_numpy_says(self):
        f = self.found
        masses, softening = f["bodies"][:, 3], float(f["softening"])
        end = leapfrog(f["bodies"][:, :3], f["velocities"][:, :3], masses, softening, int(f["steps"]), float(f["time"]))
        self.assertGreater(abs(end - f["bodies"][:, :3]).max(), 0.5)
        np.testing.assert_allclose(f["end"][:, :3], end, atol=1e-8)
        np.testing.assert_allclose(f["end"][:, 3], masses)

    def test_energy_is_what_it_should_be_and_stays(self):
        f = self.found
        known = total_energy(f["bodies"][:, :3], f["velocities"][:, :3], f["bodies"][:, 3], float(f["softening"]))
        self.assertAlmostEqual(f["energy"][0], known, 10)
        coarse, fine = (abs(f[name] / known - 1).max() for name in ("energy", "energy_finer"))
        self.assertLess(coarse, 1e-3)
        self.assertLess(fine, coarse / 2)

    def test_heat_follows_the_formula_of_its_own_steps_and_of_nature(self):
        """Each wave shrinks by a known factor a step, whatever the grid: exact but for rounding. And towards nature's: by the square."""
        f = self.found
        n, ratio = int(f["grids"][-1]), float(f["ratio"])
        steps = round((n - 1) ** 2 / 64 / ratio)
        x, expected = np.linspace(0, 1, n), 0
        for a, b, height in ((1, 1, 1.0), (3, 2, 0.5)):
            factor = 1 - 4 * ratio * (np.sin(a * np.pi / 2 / (n - 1)) ** 2 + np.sin(b * np.pi / 2 / (n - 1)) ** 2)
            expected = expected + height * factor**steps * np.outer(np.sin(b * np.pi * x), np.sin(a * np.pi * x))
        np.testing.assert_allclose(f["field"], expected, atol=1e-12)
        for coarse, fine in zip(f["errors"], f["errors"][1:]):
            self.assertAlmostEqual(coarse / fine, 4, delta=0.2)

    def test_says_what_is_wrong(self):
        self.assertIn("--bodies", self.refused("science", "science.py", "--bodies", 1))
        self.assertIn("no folder /nowhere", self.refused("science", "science.py", "--picture", "/nowhere/a.png"))
        self.assertIn("ends in .png", self.refused("science", "science.py", "--picture", "science.txt"))
        self.assertIn("'many'", self.refused("science", "science.py", "--steps", "many"))


if __name__ == "__main__":
    main()
