#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Graphics: two tenants render the left and the right half of one frame, each in a vGPU of its own.

    fastgpu create --gpus 2 --name my-vgpu --memory 512M --compute 70,30
    examples/render/two.py my-vgpu --picture frame.png --progress progress.png

Both halves ask for the same number of passes. The one with the larger share is done first; the progress picture is what the frame looked like on
the way, with how far each half was below it."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import render
from render import HEIGHT, WIDTH

HALVES = (0, WIDTH // 2, WIDTH)
BAR = 6


def gpu_times(name):
    """Nanoseconds of the device that each vGPU has had, by the daemon's books."""
    said = subprocess.run(["fastgpu", "inspect", name, "--json"], stdout=subprocess.PIPE, check=True).stdout
    return np.array([vgpu["usage"]["gpu_ns"] for vgpu in json.loads(said)["vgpus"]], float)


def start(name, half, passes, file):
    command = ["fastgpu", "run", f"{name}/{half}", "--", sys.executable, render.__file__, "--passes", str(passes), "--frame", file,
               "--columns", f"{HALVES[half]}:{HALVES[half + 1]}"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def with_bars(frame, passes):
    """The frame as pixels, and below it a bar for each half: how many of its passes are done."""
    shown = np.concatenate([render.pixels(frame[:, :, :3]), np.full((BAR, WIDTH, 3), 255, np.uint8)])
    for half, colour in enumerate(((31, 95, 191), (209, 73, 91))):
        left, right = HALVES[half:half + 2]
        shown[HEIGHT + 1:-1, left:left + int((right - left) * min(frame[0, left, 3] / passes, 1))] = colour
    return shown


def watch(name, tenants, frame, passes):
    """Waits for both; (snapshots on the way of the first, passes done by each when the first was done, device time each had while both
    were at it)."""
    snapshots, at_first, before, running = [], None, None, True
    while running:
        running = any(tenant.poll() is None for tenant in tenants)
        done = frame[0, HALVES[:2], 3].copy()
        if before is None and done.min() > 0:
            before = gpu_times(name)
        while len(snapshots) < 4 and done.max() >= passes * (len(snapshots) + 1) / 4:
            snapshots.append(with_bars(frame, passes))
        if at_first is None and done.max() >= passes:
            at_first = done, gpu_times(name) - (0 if before is None else before)
        time.sleep(0.01)
    if any(tenant.returncode for tenant in tenants):
        sys.exit("a tenant failed")
    return snapshots, *at_first


def render_together(name, passes, file):
    """The finished frame, and what watch() saw."""
    frame = np.lib.format.open_memmap(file, "w+", np.float32, (HEIGHT, WIDTH, 4))
    tenants = []
    try:
        tenants += [start(name, half, passes, file) for half in range(2)]
        if any(tenant.stdout.readline() != "ready\n" for tenant in tenants):
            sys.exit(f"a tenant did not start; {name} has to be a set of two vGPUs: fastgpu create --gpus 2 --name {name} --compute 70,30")
        for tenant in tenants:
            tenant.stdin.write("\n")
            tenant.stdin.flush()
        seen = watch(name, tenants, frame, passes)
        return np.array(frame), *seen
    except FileNotFoundError:
        sys.exit("no fastgpu in PATH")
    finally:
        for tenant in tenants:
            tenant.terminate()
            tenant.communicate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a set of two vGPUs, as `fastgpu create --gpus 2` makes it")
    parser.add_argument("--passes", type=int, default=768, metavar="N", help="paths for each pixel; default 768")
    parser.add_argument("--picture", type=render.gpu.output(".png"), metavar="FILE.png", help="the frame")
    parser.add_argument("--progress", type=render.gpu.output(".png"), metavar="FILE.png", help="four pictures on the way")
    parser.add_argument("--results", type=render.gpu.output(".npz"), metavar="FILE.npz", help="the figures, for checking them elsewhere")
    option = parser.parse_args()
    if option.passes < 4:
        parser.error("--passes wants at least 4")
    with tempfile.TemporaryDirectory() as folder:
        frame, snapshots, done, times = render_together(option.name, option.passes, os.path.join(folder, "frame.npy"))
    print(f"when the first half was done: {done[0]:.0f} and {done[1]:.0f} of {option.passes} passes; "
          f"device time {100 * times[0] / times.sum():.1f} to {100 * times[1] / times.sum():.1f}")
    image = render.gpu.images()
    if option.picture:
        image.fromarray(render.pixels(frame[:, :, :3])).save(option.picture)
    if option.progress:
        rows = [np.concatenate(snapshots[i:i + 2], axis=1) for i in (0, 2)]
        image.fromarray(np.concatenate(rows)).save(option.progress)
    if option.results:
        np.savez(option.results, light=frame[:, :, :3], done=done, times=times)


if __name__ == "__main__":
    main()
