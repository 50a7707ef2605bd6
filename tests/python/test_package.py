#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The package can be built and holds what it should. 77 without setuptools."""
import glob
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = "import sys; from setuptools import build_meta as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"


class Package(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = folder.name
        self.source = shutil.copytree(os.path.join(ROOT, "python"), os.path.join(folder.name, "python"),
                                      ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))

    def builder(self, what):
        """An interpreter that can build it: this one, or the one of the frameworks."""
        venv = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "frameworks", "frameworks_venv.py"), "where"], capture_output=True, text=True, check=True)
        for python in (sys.executable, os.path.join(venv.stdout.strip(), "bin", "python3")):
            for module in ("setuptools",) if what == "sdist" else ("wheel", "setuptools.command.bdist_wheel"):
                if os.path.exists(python) and subprocess.run([python, "-c", f"import setuptools, {module}"], capture_output=True, check=False).returncode == 0:
                    return python
        self.skipTest("no wheel")

    def build(self, what):
        done = subprocess.run([self.builder(what), "-c", BUILD, what, self.out], cwd=self.source, capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        return os.path.join(self.out, done.stdout.splitlines()[-1])

    def sources(self):
        return sorted("fastgpu/" + f for f in os.listdir(os.path.join(ROOT, "python", "fastgpu")) if f.endswith((".py", ".typed")))

    def test_wheel(self):
        with zipfile.ZipFile(self.build("wheel")) as z:
            self.assertTrue(z.filename.endswith("-py3-none-any.whl"))
            names = z.namelist()
            self.assertEqual(sorted(n for n in names if n.startswith("fastgpu/")), self.sources())
            meta = z.read(next(n for n in names if n.endswith("/METADATA"))).decode()
        self.assertIn("Requires-Python: >=3.9", meta)
        self.assertNotIn("Requires-Dist", meta)

    def pythons(self):
        """Every one of this machine's that the package is for."""
        for python in sorted({sys.executable, "/usr/bin/python3", *glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))}):
            ask = [python, "-S", "-c", "import sys; sys.exit(sys.version_info < (3, 9))"]
            if os.path.exists(python) and subprocess.run(ask, capture_output=True, check=False).returncode == 0:
                yield python

    def installed(self, what, *options):
        """By pip into a folder, from which every module that needs no framework can be imported."""
        where = tempfile.mkdtemp(dir=self.out)
        done = subprocess.run([self.builder("wheel"), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check",
                               *options, "--target", where, what], capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(os.path.exists(os.path.join(where, "fastgpu", "py.typed")))
        self.assertFalse(os.path.exists(os.path.join(where, "sitecustomize.py")))
        return where

    def imported(self, python, where):
        names = {s.partition("/")[2][:-3] for s in self.sources() if s.endswith(".py")} - {"keras", "torch", "jax", "__main__", "__init__"}
        code = ("import importlib, pathlib, fastgpu; [importlib.import_module('fastgpu.' + n) for n in %r]; home = pathlib.Path(fastgpu.__file__).parent;"
                "[compile((home / n).read_text('utf-8'), n, 'exec') for n in ('keras.py', 'torch.py', 'jax.py')]; print(fastgpu.__file__)" % sorted(names))
        done = subprocess.run([python, "-B", "-W", "error", "-c", code], env={"PYTHONPATH": where, "PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=100)
        self.assertEqual(done.stdout.strip(), os.path.join(where, "fastgpu", "__init__.py"), f"{python}: {done.stderr}")

    def test_pip_install(self):
        where = self.installed(self.build("wheel"))
        for python in self.pythons():
            self.imported(python, where)
        self.imported(sys.executable, self.installed(self.build("sdist"), "--no-build-isolation"))

    def test_sdist(self):
        with tarfile.open(self.build("sdist")) as t:
            names = [n.partition("/")[2] for n in t.getnames()]
        for name in [*self.sources(), "pyproject.toml", "README.md"]:
            self.assertIn(name, names)


if __name__ == "__main__":
    try:
        import setuptools
        assert int(setuptools.__version__.split(".")[0]) >= 61
    except (ImportError, AssertionError):
        print("skipped: no setuptools 61", file=sys.stderr)
        sys.exit(77)
    unittest.main(verbosity=2)
