#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Graphics: a small path tracer; one tenant renders a frame, or some of its columns.

    fastgpu run NAME -- examples/render/render.py --picture frame.png

Two tenants at a frame of their own halves: two.py."""
import os
import sys

import numpy as np

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import gpu  # noqa: E402

WIDTH, HEIGHT = 320, 240
MATT, MIRROR, GLASS, LAMP = range(4)
# x, y, z, radius; red, green, blue, what it is made of.
SPHERES = ((-1.1, 1.0, 0.0, 1.0, 0.85, 0.25, 0.2, MATT), (1.1, 0.9, 0.3, 0.9, 0.95, 0.95, 0.95, MIRROR), (0.1, 0.5, 1.7, 0.5, 0.97, 1.0, 0.97, GLASS),
           (-0.9, 0.3, 1.8, 0.3, 0.95, 0.75, 0.2, MATT), (1.0, 0.25, 2.0, 0.25, 0.2, 0.45, 0.9, MATT), (-2.6, 3.4, 1.5, 0.9, 9.0, 7.5, 5.0, LAMP))
FLOOR = ((0.12, 0.14, 0.2), (0.75, 0.75, 0.72))
SKY = ((0.55, 0.62, 0.7), (0.12, 0.25, 0.5))
EYE, AT, ZOOM = (0.0, 1.5, 5.2), (0.0, 0.8, 0.0), 2.0


def look(eye, at, zoom):
    """Eye, right, up and forward."""
    forward = np.subtract(at, eye) / np.linalg.norm(np.subtract(at, eye))
    right = np.cross(forward, (0, 1, 0))
    right /= np.linalg.norm(right)
    return np.array([eye, right, np.cross(right, forward), forward * zoom])


def four(rows):
    """As OpenCL's float4s."""
    rows = np.atleast_2d(np.asarray(rows, np.float32))
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, 4 - rows.shape[1]))))


class Render:
    """Columns `first` to `last` of a frame of that size; each pass adds a path to each pixel."""

    def __init__(self, device, first=0, last=WIDTH, size=(WIDTH, HEIGHT), spheres=SPHERES, floor=FLOOR, sky=SKY, view=(EYE, AT, ZOOM), depth=8):
        self.device, self.first, self.width, self.shape, self.passes = device, first, size[0], (size[1], last - first), 0
        self.sum = device.zeros((*self.shape, 4), np.float32)
        self.spheres = [device.buffer(four(np.array(spheres)[:, part])) for part in (slice(0, 4), slice(4, 8))] + [np.uint32(len(spheres))]
        self.rest = [np.uint32(depth), *[four(colour)[0] for colour in (*floor, *sky)], device.buffer(four(look(*view)))]

    def add(self):
        # Always the same groups where they fit: then a compiler has no reason to round a part of the frame differently from the whole.
        rows, columns = self.shape
        group = (16, 4) if columns % 16 == 0 and rows % 4 == 0 else None
        self.device.run("trace", (columns, rows), self.sum, *self.spheres, np.uint32(self.first), np.uint32(self.width), np.uint32(self.passes),
                        *self.rest, group=group)
        self.passes += 1

    def develop(self, passes):
        """Adds so many passes; (number done, mean light) after every fourth and the last, always four more queued by then."""
        earlier = None
        while self.passes < passes:
            for _ in range(min(4, passes - self.passes)):
                self.add()
            later = (self.passes, *self.device.read_later(self.sum, (*self.shape, 4), np.float32))
            if earlier:
                yield self.finished(*earlier)
            earlier = later
        yield self.finished(*earlier)

    @staticmethod
    def finished(done, array, event):
        event.wait()
        return done, array[:, :, :3] / done


def pixels(light):
    """Light as bytes, as screens show them."""
    return np.rint(255 * np.clip(light, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def main():
    parser = gpu.options(__doc__)
    parser.add_argument("--passes", type=int, default=64, metavar="N", help="paths for each pixel; default 64")
    parser.add_argument("--columns", default=f"0:{WIDTH}", metavar="FIRST:LAST", help=f"part of the {WIDTH} columns")
    parser.add_argument("--frame", metavar="FILE.npy", help="put the columns into this frame, [HEIGHT, WIDTH, 4]: light and the number of passes, after every fourth")
    option = parser.parse_args()
    try:
        first, last = map(int, option.columns.split(":"))
    except ValueError:
        parser.error(f"--columns {option.columns}: give the first column and the one after the last, such as 0:{WIDTH // 2}")
    if not 0 <= first < last <= WIDTH or option.passes < 1:
        parser.error(f"--columns wants a part of 0:{WIDTH}, --passes at least 1")
    render = Render(gpu.Gpu(__file__, "render.cl"), first, last)
    if option.frame:
        frame = np.lib.format.open_memmap(option.frame, "r+")
        # Built and ready; who starts several wants them to begin together.
        print("ready", flush=True)
        sys.stdin.readline()
    for done, light in render.develop(option.passes):
        if option.frame:
            frame[:, first:last, :3], frame[:, first:last, 3] = light, done
    print(f"columns {first} to {last}: {option.passes} paths for each of {light.shape[0] * light.shape[1]} pixels, mean light {light.mean():.4f}")
    if option.picture:
        gpu.images().fromarray(pixels(light)).save(option.picture)
    if option.results:
        np.savez(option.results, light=light)
    render.device.repeat(option.seconds, render.add)


if __name__ == "__main__":
    main()
