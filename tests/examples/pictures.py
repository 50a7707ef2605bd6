#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of examples/README.md anew, each by its example in a vGPU, small enough to be kept: docs/pictures/examples/."""
import os
import sys

from example import EXAMPLES, FASTGPU, Image, Node, example

PICTURES = os.path.join(os.path.dirname(EXAMPLES), "docs", "pictures", "examples")


def keep(file, name, width=None):
    """Charts as PNG of few colours, chosen so that rare ones stay; what is like a photograph (with a width) as JPEG."""
    with Image.open(file) as image:
        image = image.convert("RGB")
        if width:
            image = image.resize((width, image.height * width // image.width), Image.Resampling.LANCZOS)
            image.save(os.path.join(PICTURES, name + ".jpg"), quality=85, optimize=True)
        else:
            image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(os.path.join(PICTURES, name + ".png"), optimize=True)


def main():
    os.makedirs(PICTURES, exist_ok=True)
    with Node() as node:
        node.env["PATH"] = os.path.dirname(FASTGPU) + os.pathsep + node.env["PATH"]
        node.fastgpu("create", "--name", "pair", "--gpus", "2", "--memory", "256M", "--compute", "70,30")
        file, progress = os.path.join(node.dir, "picture.png"), os.path.join(node.dir, "progress.png")
        for field in ("learning", "data", "vision", "finance", "science"):
            done = node.run("pair/0", sys.executable, example(field, field + ".py"), "--picture", file)
            if done.returncode:
                sys.exit(done.stderr)
            keep(file, field, 720 if field == "vision" else None)
        done = node.native(sys.executable, example("render", "two.py"), "pair", "--picture", file, "--progress", progress)
        if done.returncode:
            sys.exit(done.stderr)
        print(done.stdout, end="")
        keep(file, "frame", 320)
        keep(progress, "progress", 560)


if __name__ == "__main__":
    main()
