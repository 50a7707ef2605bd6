#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpu-check itself, on a simulated GPU: its rows, what becomes of rows that fail or hang, the skips, the bundle."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest

import gpu_check
from context import HERE, Context, Skip, line
from node import prefix, require_tree
from rows_measure import p99, seconds_of, share_error

ROOT = os.path.dirname(os.path.dirname(HERE))
NO_TORCH = "skipped: PyTorch with CUDA is not installed here"


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fastgpu-")
        self.addCleanup(shutil.rmtree, self.folder)

    def results(self):
        """(results by name, the table) of the one run that wrote here."""
        files = {os.path.splitext(name)[1]: os.path.join(self.folder, name) for name in os.listdir(self.folder)}
        self.assertEqual(sorted(files), [".json", ".md"])
        with open(files[".json"]) as data, open(files[".md"]) as table:
            return {r["name"]: r for r in json.load(data)["results"]}, table.read()


class Rows(Folder):
    def test_all_on_a_simulated_gpu(self):
        command = [sys.executable, os.path.join(HERE, "gpu_check.py"), "--simulated", "--scale", "0.12", "--results", self.folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        results, table = self.results()
        self.assertEqual(list(results), gpu_check.ORDER)
        for name, result in results.items():
            skipped = name.startswith("torch-") or name == "nvidia-smi"
            self.assertEqual(result["measured"].startswith("skipped"), skipped, result)
            self.assertEqual(result["ok"], True if name in ("inventory", "view", "two-views", "quota") else None, result)
            self.assertIn(result["measured"].replace("|", "/"), table)
        self.assertEqual(results["torch-train"]["measured"], NO_TORCH)
        self.assertGreater(results["launch"]["data"]["inside"][0], 0)
        first, second = (sum(row) for row in results["share"]["data"]["rows"])
        self.assertTrue(second < first < 9 * second, (first, second))
        data = results["cap"]["data"]
        self.assertLess(sum(data["rows"]) / len(data["rows"]), 0.7 * max(data["before"]))
        self.assertEqual(results["quota"]["data"]["full"]["nvml"] <= 4 << 30, True)

    def test_every_row_has_a_place(self):
        self.assertEqual(sorted(gpu_check.ORDER), sorted(gpu_check.ROWS))

    def test_a_gpu_that_fastgpu_does_not_list(self):
        context = Context("[gpu]\nmodel = NoSuchThing\n", 0.1, None)
        result = gpu_check.measure("inventory", context, 60)
        self.assertEqual(result["ok"], False)
        self.assertIn("lists no NVIDIA GPU", result["measured"])

    def test_what_fails_without_fastgpu_as_well_is_skipped(self):
        context = Context(gpu_check.SIMULATED, 0.1, None)
        context.torch = os.path.join(self.folder, "python")
        with open(context.torch, "w") as f:
            f.write("#!/bin/sh\nexit 3\n")
        os.chmod(context.torch, 0o755)
        result = gpu_check.measure("torch-train", context, 60)
        self.assertEqual((result["ok"], result["measured"]), (None, "skipped: does not work here without FastGPU either (train)"))

    def test_what_fails_inside_alone_is_a_failure(self):
        context = Context(gpu_check.SIMULATED, 0.1, None)
        context.torch = os.path.join(self.folder, "python")
        with open(context.torch, "w") as f:
            f.write('#!/bin/sh\ntest -z "$FASTGPU_ATTACH"\n')
        os.chmod(context.torch, 0o755)
        result = gpu_check.measure("torch-train", context, 60)
        self.assertEqual(result["ok"], False)
        self.assertIn("exit 1", result["measured"])


class Broken(Folder):
    """Rows of the test's own in the place of the real ones."""

    def run_rows(self, rows, seconds=60):
        before = gpu_check.ROWS, gpu_check.ORDER
        gpu_check.ROWS, gpu_check.ORDER = rows, list(rows)
        try:
            options = types.SimpleNamespace(seconds=seconds, only=None, results=self.folder)
            head = {"date": "2000-01-01", "gpu": "none", "driver": "none", "torch": None, "simulated": True}
            gpu_check.run(options, Context("", 1, None), head, time.monotonic())
        finally:
            gpu_check.ROWS, gpu_check.ORDER = before
        return self.results()[0]

    def test_one_row_does_not_cost_the_others(self):
        def raises(context):
            raise ValueError("one | two\nthree")

        def hangs(context):
            with context.node() as node:
                node.native("sleep", "100")

        def skips(context):
            raise Skip("no reason")

        results = self.run_rows({"raises": (raises, 5), "hangs": (hangs, 1), "skips": (skips, 5),
                                 "works": (lambda context: line("it", "1", "1", True), 5)})
        self.assertEqual({n: r["ok"] for n, r in results.items()}, {"raises": False, "hangs": False, "skips": None, "works": True})
        self.assertEqual(results["hangs"]["measured"], "not over after 1 s")
        self.assertIn("ValueError: one", results["raises"]["measured"])

    def test_no_time_left(self):
        results = self.run_rows({"late": (lambda context: self.fail("it was run"), 5)}, seconds=5)
        self.assertEqual((results["late"]["ok"], results["late"]["measured"]), (None, "not run: no time left"))


class NoGpu(Folder):
    def gpu_check(self, *command):
        """NVML is a file that is none, whatever this machine has."""
        open(os.path.join(self.folder, "libnvidia-ml.so.1"), "w").close()
        env = {**os.environ, "LD_LIBRARY_PATH": self.folder}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, "gpu-check: no NVIDIA GPU here: not run on a GPU\n"), done.stderr)

    def test_says_so(self):
        self.gpu_check(os.path.join(ROOT, "tools", "gpu-check"))

    @unittest.skipUnless(shutil.which("patchelf"), "patchelf is not installed")
    def test_bundle(self):
        subprocess.run([os.path.join(ROOT, "tools", "gpu-bundle"), "--tree", prefix(), "--build", self.folder], check=True, timeout=120)
        subprocess.run(["tar", "-C", self.folder, "-xf", os.path.join(self.folder, "fastgpu-gpu-bundle.tar.xz")], check=True)
        bundle = os.path.join(self.folder, "fastgpu-gpu-bundle")
        self.gpu_check(os.path.join(bundle, "gpu-check"))
        for name in ("fastgpu", "fastgpud"):
            found = subprocess.run(["ldd", os.path.join(bundle, "out", "bin", name)], capture_output=True, text=True, check=True).stdout
            self.assertIn(bundle, found)
            self.assertNotIn("not found", found)
        env = {k: v for k, v in os.environ.items() if k != "FASTGPU_PREFIX"}
        out = os.path.join(self.folder, "out")
        done = subprocess.run([os.path.join(bundle, "gpu-check"), "--simulated", "--only", "inventory,view", "--results", out], env=env,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Figures(unittest.TestCase):
    def test_share(self):
        self.assertEqual(seconds_of([1] * 12), [10, 10, 10])
        self.assertEqual(share_error([[7] * 20, [3] * 20], 70), (0, 0))
        mean, worst = share_error([[7] * 10 + [10] * 10, [3] * 10 + [0] * 10], 70)
        self.assertEqual((round(mean, 6), round(worst, 6)), (15, 30))
        self.assertEqual(share_error([[1] + [0] * 20, [0] * 21], 70)[1], 100)

    def test_p99(self):
        self.assertEqual(p99([5]), 5)
        self.assertEqual(p99(list(range(1000, 0, -1))), 991)


if __name__ == "__main__":
    require_tree()
    signal.signal(signal.SIGALRM, gpu_check.ring)
    unittest.main(verbosity=2)
