#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The package can be built, holds what it should, and what is typed checks. 77 without setuptools."""
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

    def build(self, what):
        done = subprocess.run([sys.executable, "-c", BUILD, what, self.out], cwd=self.source, capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        return os.path.join(self.out, done.stdout.splitlines()[-1])

    def sources(self):
        return sorted("fastgpu/" + f for f in os.listdir(os.path.join(ROOT, "python", "fastgpu")) if f.endswith((".py", ".typed")))

    def test_wheel(self):
        try:
            import wheel  # noqa: F401
        except ImportError:
            try:
                from setuptools.command import bdist_wheel  # noqa: F401
            except ImportError:
                self.skipTest("no wheel")
        with zipfile.ZipFile(self.build("wheel")) as z:
            self.assertTrue(z.filename.endswith("-py3-none-any.whl"))
            names = z.namelist()
            self.assertEqual(sorted(n for n in names if n.startswith("fastgpu/")), self.sources())
            meta = z.read(next(n for n in names if n.endswith("/METADATA"))).decode()
        self.assertIn("Requires-Python: >=3.9", meta)
        self.assertNotIn("Requires-Dist", meta)

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
