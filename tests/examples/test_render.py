#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/render against what light must do: scenes whose every pixel is known; and two tenants at one frame."""
import os
import sys
import unittest

from example import EXAMPLES, FASTGPU, ExampleTest, example, main, np

sys.path[:0] = [EXAMPLES, os.path.join(EXAMPLES, "render")]
import gpu  # noqa: E402
import render  # noqa: E402
from render import GLASS, LAMP, MATT, MIRROR  # noqa: E402

WHITE = ((1, 1, 1), (1, 1, 1))
BLACK = ((0, 0, 0), (0, 0, 0))


class Light(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.device = gpu.Gpu(render.__file__, "render.cl")

    def light(self, passes, **scene):
        size = scene.get("size", (render.WIDTH, render.HEIGHT))
        return list(render.Render(self.device, 0, size[0], **scene).develop(passes))[-1][1]

    def test_nothing_is_lost_or_made_in_a_furnace(self):
        """Things that swallow nothing cannot be seen in a world that is equally bright everywhere."""
        spheres = [(*sphere[:4], 1, 1, 1, MATT if sphere[7] == LAMP else sphere[7]) for sphere in render.SPHERES]
        seen = self.light(4, spheres=spheres, floor=WHITE, sky=WHITE, depth=1000, size=(64, 48))
        np.testing.assert_allclose(seen, 1, rtol=1e-4)

    def test_a_matt_ball_in_a_bright_world_shows_its_colour_and_size(self):
        """A ball sees only sky, so it is as bright as its colour; how many of the pixels it fills is geometry."""
        colour, distance, radius = (0.8, 0.5, 0.2), 5.0, 1.0
        seen = self.light(32, spheres=[(0, 100, 0, radius, *colour, MATT)], floor=WHITE, sky=WHITE, view=((0, 100, distance), (0, 100, 0), 1.0),
                          size=(100, 100))
        centre = seen[45:55, 45:55].reshape(-1, 3)
        np.testing.assert_allclose(centre, np.broadcast_to(colour, centre.shape), rtol=1e-3)
        disc = np.pi * (radius / np.sqrt(distance**2 - radius**2)) ** 2 / 4  # of the square from -1 to 1 at distance 1
        self.assertAlmostEqual(((1 - seen[:, :, 1]) / (1 - colour[1])).mean(), disc, delta=0.001)

    def test_the_floor_under_a_lamp_is_as_bright_as_the_law_says(self):
        """Right below a ball of radius r at height h, a matt floor gets colour × lamp × (r / h)²."""
        lamp, radius, height, colour = 2.0, 1.0, 2.5, 0.6
        floor = ((colour,) * 3,) * 2
        seen = self.light(256, spheres=[(0, height, 0, radius, lamp, lamp, lamp, LAMP)], floor=floor, sky=BLACK,
                          view=((0, 0.5, 0.02), (0, 0, 0), 40.0), size=(64, 64))
        self.assertAlmostEqual(seen.mean(), colour * lamp * (radius / height) ** 2, delta=0.005)

    def test_a_mirror_shows_what_is_behind_the_eye(self):
        spheres = [(0, 100, 0, 1, 1, 1, 1, MIRROR), (0, 100, 20, 8, 3, 2, 1, LAMP)]
        seen = self.light(8, spheres=spheres, floor=BLACK, sky=BLACK, view=((0, 100, 5), (0, 100, 0), 4.0), size=(40, 40))
        np.testing.assert_allclose(seen[20, 20], (3, 2, 1), rtol=1e-5)

    def test_glass_turns_the_world_upside_down(self):
        spheres = [(0, 100, 0, 1, 1, 1, 1, GLASS)]
        seen = self.light(64, spheres=spheres, floor=BLACK, sky=((0, 0, 0), (4, 4, 4)), view=((0, 100, 5), (0, 100, 0), 6.0), size=(60, 60))
        above, below = seen[18, 30, 0], seen[42, 30, 0]
        self.assertGreater(below, 2 * above)

    def test_noise_shrinks_with_the_root_of_the_passes(self):
        scene = {"spheres": render.SPHERES, "size": (40, 30)}
        best = self.light(2048, **scene)
        off = [np.sqrt(((self.light(passes, **scene) - best) ** 2).mean()) for passes in (16, 256)]
        self.assertAlmostEqual(off[0] / off[1], 4, delta=1)


class Halves(ExampleTest):
    SHARES = "70,30"

    def test_two_tenants_render_what_one_renders(self):
        self.node.env["PATH"] = os.path.dirname(FASTGPU) + os.pathsep + self.node.env["PATH"]
        results = self.path("two.npz")
        done = self.node.native(sys.executable, example("render", "two.py"), "t", "--passes", "200", "--results", results, "--picture",
                                self.path("frame.png"), "--progress", self.path("progress.png"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        whole = self.run_example("render", "render.py", "--passes", 200)[1]["light"]
        with np.load(results) as found:
            np.testing.assert_array_equal(found["light"], whole)
            self.assertEqual(found["done"].max(), 200)
            self.assertGreater(found["times"].min(), 0)
        np.testing.assert_array_equal(self.picture("frame.png"), render.pixels(whole))
        progress = self.picture("progress.png")
        self.assertEqual(progress.shape, (2 * (render.HEIGHT + 6), 2 * render.WIDTH, 3))
        self.assertTrue((progress[-4, : render.WIDTH] == 255).all(1).any(), "at first the bars are not full")

    def test_says_what_is_wrong(self):
        for options, words in ((("--columns", "5"), "--columns 5"), (("--columns", "9:3"), "--columns"), (("--passes", 0), "--passes")):
            self.assertIn(words, self.refused("render", "render.py", *options))
        self.node.env["PATH"] = os.path.dirname(FASTGPU) + os.pathsep + self.node.env["PATH"]
        self.assertIn("did not start", self.refused("render", "two.py", "nobody"))


if __name__ == "__main__":
    main()
