#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/vision against Pillow's filters and against numpy. Against scipy: test_frameworks.py."""
import os
import sys

from example import SAMPLES, ExampleTest, Image, example, main, np  # first: it finds the Python that has the others

from PIL import ImageFilter

PHOTO = os.path.join(SAMPLES, "grace_hopper.jpg")
RIGHT, BELOW = (-1, 0, 1, -2, 0, 2, -1, 0, 1), (-1, -2, -1, 0, 0, 0, 1, 2, 1)


def gauss_by_shifts(photo, sigma):
    """The blur as one sum over the whole square, the picture moved under it; not in two passes."""
    radius = int(np.ceil(4 * sigma))
    height, width = photo.shape[:2]
    weight = np.exp(-np.add.outer(*[np.arange(-radius, radius + 1.0) ** 2] * 2) / (2 * sigma**2))
    weight /= weight.sum()
    wide = np.pad(photo.astype(float), ((radius, radius), (radius, radius), (0, 0)), "edge")
    return sum(weight[y, x] * wide[y:y + height, x:x + width] for y in range(2 * radius + 1) for x in range(2 * radius + 1))


def pillow_filter(pixels, size, weights, scale, offset=0):
    """Pillow's filter in whole numbers. It counts the rows of weights from below, and leaves the border as it was: that is cut off here."""
    weights = np.reshape(weights, (size, size))[::-1].ravel().tolist()
    image = Image.fromarray(np.rint(pixels).astype(np.uint8)).filter(ImageFilter.Kernel((size, size), weights, scale, offset))
    border = size // 2
    return np.asarray(image).astype(float)[border:-border, border:-border]


class Vision(ExampleTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.found = cls().run_example("vision", "vision.py", "--picture", os.path.join(cls.node.dir, "vision.png"))[1]
        with Image.open(PHOTO) as image:
            cls.photo = np.asarray(image.convert("RGB"))

    def test_blurs_as_numpy_does(self):
        np.testing.assert_array_equal(self.found["photo"], self.photo)
        expected = gauss_by_shifts(self.photo, 2)
        np.testing.assert_allclose(self.found["blurred"], expected, atol=2e-3)
        self.assertGreater(abs(expected - self.photo).mean(), 2)

    def test_blurs_as_pillow_does_within_rounding(self):
        """Pillow's own kernels are at most 5 pixels wide: a narrow blur, whose weights further out are below one in three thousand."""
        found = self.run_example("vision", "vision.py", "--sigma", 0.5)[1]["blurred"]
        line = np.exp(-np.arange(-2, 3.0) ** 2 / 0.5)
        known = pillow_filter(self.photo, 5, np.outer(line, line), (line.sum()) ** 2)
        self.assertLess(abs(found[2:-2, 2:-2] - known).max(), 0.6)

    def test_finds_the_edges_that_pillow_finds(self):
        """Pillow gets the rounded brightness (each of eight weights half a grey off at most) and gives eighths."""
        for name, weights in (("right", RIGHT), ("below", BELOW)):
            known = (pillow_filter(self.found["grey"], 3, weights, 8, 128) - 128) * 8
            self.assertLess(abs(self.found[name][1:-1, 1:-1] - known).max(), 4 + 4.1)
            self.assertGreater(abs(known).max(), 100)
        both = np.hypot(self.found["right"], self.found["below"])
        np.testing.assert_allclose(self.found["strength"], both, rtol=1e-5, atol=1e-3)

    def test_brightness_is_pillows(self):
        blurred = Image.fromarray(np.rint(self.found["blurred"]).astype(np.uint8))
        self.assertLess(abs(np.asarray(blurred.convert("L")) - self.found["grey"]).max(), 1.6)

    def test_writes_the_picture(self):
        pixels = self.picture("vision.png")
        height, width = self.photo.shape[:2]
        self.assertEqual(pixels.shape, (height, 3 * width, 3))
        np.testing.assert_array_equal(pixels[:, :width], self.photo)
        np.testing.assert_array_equal(pixels[:, width:2 * width], np.rint(self.found["blurred"]))
        edges = pixels[:, 2 * width:, 0]
        self.assertLess(edges[self.found["strength"] > 200].mean(), edges[self.found["strength"] < 10].mean() - 100)

    def test_takes_any_picture(self):
        """One pixel is enough; a picture of one colour stays as it is and has no edges."""
        for size in ((1, 1), (3, 1), (40, 30)):
            Image.new("RGB", size, (10, 200, 90)).save(self.path("flat.png"))
            found = self.run_example("vision", "vision.py", "--photo", self.path("flat.png"))[1]
            np.testing.assert_allclose(found["blurred"], np.full((size[1], size[0], 3), (10, 200, 90)), atol=1e-3)
            self.assertLess(found["strength"].max(), 1e-2)

    def test_says_that_the_quota_is_too_small(self):
        """Three pictures of 3.7 MB and four of 1.2 MB do not fit into 8 MiB."""
        self.node.fastgpu("resize", "t", "--memory", "8M")
        done = self.node.run("t/0", sys.executable, example("vision", "vision.py"))
        self.node.fastgpu("resize", "t", "--memory", self.MEMORY)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no room for 3686400 bytes more", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_says_what_is_wrong(self):
        self.assertIn("No such file", self.refused("vision", "vision.py", "--photo", "/nowhere.jpg"))
        with open(self.path("text.jpg"), "w") as text:
            text.write("no picture")
        self.assertIn("not a picture", self.refused("vision", "vision.py", "--photo", self.path("text.jpg")))
        self.assertIn("--sigma", self.refused("vision", "vision.py", "--sigma", 0))


if __name__ == "__main__":
    main(samples=True)
