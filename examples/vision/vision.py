#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Computer vision: a blur and the edges of a photograph.

    fastgpu run NAME -- examples/vision/vision.py --picture vision.png

The blur is Gauss's, in two passes; the edges are Sobel's, of the blurred brightness. The photograph is matplotlib's sample, a portrait of
Grace Hopper by James S. Davis, US Navy, in the public domain; --photo takes any other."""
import math
import os
import sys

import numpy as np

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import gpu  # noqa: E402


def read_photo(file):
    file = file or gpu.sample("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "/usr/share/matplotlib")
    if not file:
        sys.exit("no photograph: apt install python-matplotlib-data for its sample, or --photo FILE")
    try:
        with gpu.images().open(file) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as e:
        sys.exit(f"{file}: {e.strerror or 'not a picture that Pillow can read'}")


class Filters:
    def __init__(self, device, photo, sigma):
        self.device, self.shape = device, photo.shape
        self.height, self.width = photo.shape[:2]
        self.radius = max(1, math.ceil(4 * sigma))
        weight = np.exp(-np.arange(-self.radius, self.radius + 1) ** 2 / (2 * sigma**2))
        self.weight = device.buffer((weight / weight.sum()).astype(np.float32))
        self.photo = device.buffer(photo.astype(np.float32))
        self.passed, self.blurred = (device.empty(photo.shape, np.float32) for _ in range(2))
        self.grey, self.right, self.below, self.strength = (device.empty(photo.shape[:2], np.float32) for _ in range(4))

    def queue(self):
        """All of it, without waiting."""
        size = (self.width, self.height)
        self.device.run("across", (*size, 3), self.photo, self.passed, self.weight, np.int32(self.radius))
        self.device.run("down", (*size, 3), self.passed, self.blurred, self.weight, np.int32(self.radius))
        self.device.run("grey", self.width * self.height, self.blurred, self.grey)
        self.device.run("edges", size, self.grey, self.right, self.below, self.strength)

    def results(self):
        flat = {name: self.device.read(getattr(self, name), self.shape[:2], np.float32) for name in ("grey", "right", "below", "strength")}
        return {"blurred": self.device.read(self.blurred, self.shape, np.float32), **flat}


def draw(file, photo, found):
    """The photograph, blurred, and its edges, side by side."""
    edges = 255 - found["strength"] * (255 / max(np.percentile(found["strength"], 99.5), 1))
    panels = [photo, found["blurred"], np.repeat(edges[:, :, None], 3, axis=2)]
    gpu.images().fromarray(np.rint(np.concatenate(panels, axis=1)).clip(0, 255).astype(np.uint8)).save(file)


def main():
    parser = gpu.options(__doc__)
    parser.add_argument("--photo", metavar="FILE", help="any picture that Pillow reads")
    parser.add_argument("--sigma", type=float, default=2, metavar="PIXELS", help="how far the blur reaches; default 2")
    option = parser.parse_args()
    if not 0.1 <= option.sigma <= 100:
        parser.error("--sigma wants 0.1 to 100 pixels")
    photo = read_photo(option.photo)
    device = gpu.Gpu(__file__, "vision.cl")
    filters = Filters(device, photo, option.sigma)
    filters.queue()
    found = filters.results()
    strong = (found["strength"] > 100).mean()
    print(f"{filters.width} × {filters.height} pixels, blurred over {2 * filters.radius + 1} × {2 * filters.radius + 1}: "
          f"{100 * strong:.1f} % of them are on an edge")
    if option.picture:
        draw(option.picture, photo, found)
    if option.results:
        np.savez(option.results, photo=photo, sigma=option.sigma, **found)
    device.repeat(option.seconds, filters.queue)


if __name__ == "__main__":
    main()
