# SPDX-License-Identifier: Apache-2.0
"""Two examples at once on one device: what each gets of it, by the daemon's books."""
import mmap
import os
import random
import struct
import subprocess
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")]
from node import wait_until  # noqa: E402

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "examples")
PYTHON = "/usr/bin/python3"


def program(field):
    return os.path.join(EXAMPLES, field, field + ".py")


def made_up_table(file):
    chance = random.Random(3)
    with open(file, "w") as table:
        table.write(",".join(f"c{i}" for i in range(31)) + "\n")
        for _ in range(600):
            table.write(",".join(f"{chance.gauss(0, 1):.3f}" for _ in range(31)) + "\n")


def made_up_digits(file, lines=1200):
    """Lines as scikit-learn's: ten made-up letters with noise, so that there is something to learn."""
    chance = random.Random(5)
    letters = [[chance.randint(0, 16) for _ in range(64)] for _ in range(10)]
    with open(file, "w") as out:
        for _ in range(lines):
            digit = chance.randrange(10)
            pixels = [min(16, max(0, pixel + round(chance.gauss(0, 5)))) for pixel in letters[digit]]
            out.write(",".join(map(str, (*pixels, digit))) + "\n")


def field_options(folder):
    """Options with which each example is short, and needs nobody's samples but the photograph and the prices."""
    table, digits = os.path.join(folder, "table.csv"), os.path.join(folder, "digits.csv")
    made_up_table(table)
    made_up_digits(digits)
    return {"data": ("--table", table), "finance": (), "learning": ("--digits", digits, "--epochs", "3"), "render": ("--passes", "8"),
            "science": ("--bodies", "512", "--steps", "16"), "vision": ()}


class Demand:
    """Whether a vGPU has anything for its device, by its usage page (include/fastgpu/page.h): launches that wait for a grant or are under way.
    Of its first process, which is the only one here."""
    HEAD, SLOT, WAITING, INFLIGHT = 192, 384, 256, 260

    def __init__(self, node, vgpu):
        with open(os.path.join(node.dir, "run", "vgpu", vgpu["uuid"], "usage"), "rb") as page:
            self.page = mmap.mmap(page.fileno(), 0, access=mmap.ACCESS_READ)
        size, slots = struct.unpack_from("<2I", self.page, 8)
        assert size == self.HEAD + slots * self.SLOT, "the page's layout has changed: see page.h"

    def __bool__(self):
        return any(struct.unpack_from("<2I", self.page, self.HEAD + self.WAITING))


class Pair:
    """Two examples (or one) that keep the device busy, the first in t/0, the second in t/1, until the end of the `with` block."""

    def __init__(self, node, fields, options):
        self.node, self.fields = node, fields
        self.results = [os.path.join(node.dir, f"results-{i}.npz") for i in range(len(fields))]
        self.programs = []
        for i, field in enumerate(fields):
            if os.path.exists(self.results[i]):
                os.unlink(self.results[i])
            command = [PYTHON, program(field), *options[field], "--results", self.results[i], "--seconds", "300"]
            self.programs.append(node.start(f"t/{i}", *command, stdout=subprocess.DEVNULL))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for running in self.programs:
            running.terminate()
            running.wait(timeout=60)

    def wait(self):
        """Until all have their results and are at it again and again."""
        def at_it():
            for running, field in zip(self.programs, self.fields):
                if running.poll() is not None:
                    raise AssertionError(f"{field} ended with {running.returncode}")
            return all(map(os.path.exists, self.results))

        wait_until(at_it, 200, "all have results")
        before = self.gpu_ns()
        wait_until(lambda: all(now > then + 10**8 for now, then in zip(self.gpu_ns(), before)), 60, "all go on")

    def gpu_ns(self):
        return [vgpu["usage"]["gpu_ns"] for vgpu in self.node.get("/v1/vgpus/t")["vgpus"]][: len(self.fields)]

    def busy(self, seconds):
        """Percent of the next so many seconds that each has the device."""
        start, before = time.monotonic(), self.gpu_ns()
        time.sleep(seconds)
        after, passed = self.gpu_ns(), time.monotonic() - start
        return [(now - then) / 1e7 / passed for now, then in zip(after, before)]

    def share(self, seconds):
        """Percent of their device time that the first has in the next so many seconds."""
        first, second = self.busy(seconds)
        return 100 * first / (first + second)

    def share_and_demand(self, seconds):
        """The same, and percent of the time in which each had something for the device, looked at every few milliseconds."""
        wants = [Demand(self.node, vgpu) for vgpu in self.node.get("/v1/vgpus/t")["vgpus"]]
        before, end, looks, wanted = self.gpu_ns(), time.monotonic() + seconds, 0, [0, 0]
        while time.monotonic() < end:
            time.sleep(0.002)
            looks += 1
            for i, one in enumerate(wants):
                wanted[i] += bool(one)
        first, second = (now - then for now, then in zip(self.gpu_ns(), before))
        return 100 * first / (first + second), [100 * count / looks for count in wanted]
