#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpu-check itself, on a simulated GPU: its rows, what becomes of rows that fail or hang, the skips, the frameworks' rows with
interpreters of the test's own, the bundle."""
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
import unittest.mock

import gpu_check
import on_cuda
import rows_frameworks
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
            skipped = name.startswith(("torch-", "compat-")) or name == "nvidia-smi"
            self.assertEqual(result["measured"].startswith(("skipped", "not here")), skipped, result)
            self.assertEqual(result["ok"], True if name in ("inventory", "view", "two-views", "quota") else None, result)
            self.assertIn(result["measured"].replace("|", "/"), table)
        self.assertEqual(results["torch-train"]["measured"], NO_TORCH)
        self.assertIn(f"not tried: {', '.join(rows_frameworks.ROWS)}; --frameworks fetches", done.stdout)
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


class Frameworks(Folder):
    """An interpreter of the test's own answers 9.9 when it is asked outside whether it finds a GPU, and does `inside` in the vGPUs."""

    def setUp(self):
        super().setUp()
        cache = unittest.mock.patch.dict(os.environ, XDG_CACHE_HOME=self.folder)
        cache.start()
        self.addCleanup(cache.stop)

    def row(self, name, inside, outside="echo 9.9"):
        python = os.path.join(self.folder, "python")
        with open(python, "w") as f:
            f.write(f'#!/bin/sh\nif [ "$1" = -c ]; then\ntest -z "$FASTGPU_ATTACH" || exit 9\n{outside}\nelse\n{inside}\nfi\n')
        os.chmod(python, 0o755)
        return gpu_check.measure(name, Context(gpu_check.SIMULATED, 1, None, [os.path.join(self.folder, "none"), python]), 60)

    def test_holds(self):
        for name in ("compat-tensorflow", "compat-keras-torch", "compat-cupy"):
            with self.subTest(name=name):
                backend = name.rpartition("-")[2] if "keras" in name else "tensorflow"
                result = self.row(name, 'test -n "$FASTGPU_ATTACH" || exit 9\necho "${1##*/} $2 $3 on $KERAS_BACKEND"',
                                  f"test $KERAS_BACKEND = {backend} && echo 9.9")
                self.assertEqual((result["ok"], result["measured"]), (True, f"9.9: programs.py {name[7:]} {6 << 30} on {backend}"))

    def test_fails_inside_alone(self):
        result = self.row("compat-jax", "echo one >&2; echo wrong: two >&2; exit 1")
        self.assertEqual((result["ok"], result["measured"], gpu_check.word(result)), (False, "FAILED: 9.9: wrong: two", "MISS"))
        self.assertEqual(self.row("compat-jax", "kill -9 $$")["measured"], f"FAILED: 9.9: exit {-signal.SIGKILL}")

    def test_fails_outside_too(self):
        result = self.row("compat-cupy", "exit 1", "echo it finds no GPU >&2; exit 1")
        self.assertEqual(result["ok"], None)
        self.assertRegex(result["measured"], "^not here: .*/none.*; it finds no GPU$")

    def test_each_program_is_there(self):
        with unittest.mock.patch.object(sys, "argv", ["programs.py"]):
            import programs
        self.assertEqual([rows_frameworks.PREFIX + name for name in programs.ON_CUDA], list(rows_frameworks.ROWS))

    def test_no_registry(self):
        env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
        out = os.path.join(self.folder, "out")
        done = subprocess.run([sys.executable, os.path.join(HERE, "gpu_check.py"), "--simulated", "--frameworks", "--only", "inventory,compat-keras-jax",
                               "--results", out], env=env, capture_output=True, text=True, timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"fetches jax\[cuda12\]==[\d.]+\n")
        self.assertRegex(done.stdout, r"not here: jax\[cuda12\]==[\d.]+ cannot be fetched: ERROR: No matching distribution found for jax")
        self.assertIn("not tried: compat-keras-jax\n", done.stdout)
        self.assertEqual(os.listdir(os.path.join(self.folder, "fastgpu-tests")), [])

    def test_a_kept_environment_is_taken(self):
        kept = rows_frameworks.OnCuda("cupy")
        os.makedirs(os.path.dirname(kept.python))
        self.assertFalse(kept.whole())
        with open(kept.python, "w") as f:
            f.write('#!/bin/sh\n[ "$1" != -c ] && echo held || echo 7.7\n')
        os.chmod(kept.python, 0o755)
        open(kept.mark, "w").close()
        self.assertEqual(rows_frameworks.fetch(["inventory", "compat-cupy"]), {})
        self.assertEqual(self.row("compat-cupy", "exit 1")["measured"], "7.7: held")


class Refuses:
    """A framework that has `room` and then says so."""
    refusal = MemoryError, "full"

    def __init__(self, room, word="full", devices=2, products=(27, 27)):
        self.room, self.word, self.count, self.products = room, word, devices, list(products)

    def devices(self):
        return ["gpu"] * self.count

    def told(self, quota):
        return f"total {quota}"

    def take(self, size):
        self.room -= size
        if self.room < 0:
            raise MemoryError(self.word)
        return size

    def product(self):
        return self.products.pop(0)


class OnCuda(unittest.TestCase):
    """What is asked of each framework on CUDA can fail."""

    def test_holds(self):
        self.assertEqual(on_cuda.tried(Refuses(3 << 30), 4 << 30), f"on CUDA: total {4 << 30}, refused after 3072, goes on")

    def test_each_can_fail(self):
        for framework, words in ((Refuses(5 << 30), "were given"), (Refuses(1 << 30), "refused after 1073741824 B"), (Refuses(3 << 30, "broken"), "broken"),
                                 (Refuses(3 << 30, devices=1), "gpu"), (Refuses(3 << 30, products=(26, 27)), ""),
                                 (Refuses(3 << 30, products=(27, 26)), "does not go on")):
            with self.subTest(words=words), self.assertRaisesRegex(AssertionError, words):
                on_cuda.tried(framework, 4 << 30)


class Broken(Folder):
    """Rows of the test's own in the place of the real ones."""

    def run_rows(self, rows, seconds=60):
        before = gpu_check.ROWS, gpu_check.ORDER
        gpu_check.ROWS, gpu_check.ORDER = rows, list(rows)
        try:
            options = types.SimpleNamespace(seconds=seconds, only=None, results=self.folder, frameworks=False)
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

    def test_help(self):
        def call(*words):
            return subprocess.run([os.path.join(ROOT, "tools", "gpu-check"), *words], capture_output=True, text=True, timeout=60)

        for option in ("--opencl ", "--frameworks "):
            self.assertIn(f"  {option}", call("--help").stdout)
        wrong = call("--list", "--opencl")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("--opencl goes by itself: gpu-check --opencl", wrong.stderr)

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
        done = subprocess.run([os.path.join(bundle, "gpu-check"), "--simulated", "--only", "inventory,view,compat-jax", "--results", out], env=env,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("not tried: compat-jax", done.stdout)
        for name in ("compat/programs.py", "compat/on_cuda.py", "compat/versions.txt", "api/cache.py"):
            self.assertTrue(os.path.exists(os.path.join(bundle, "tests", name)), name)


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
