# SPDX-License-Identifier: Apache-2.0
"""What the tests of the examples share: an example runs inside a vGPU of a private node, its figures come back as arrays."""
import os
import subprocess
import sys
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")]
from node import FASTGPU, Node, require_tree, wait_until  # noqa: E402,F401

try:
    import numpy as np
    import pyopencl  # noqa: F401
    from PIL import Image
except ImportError as missing:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])  # Debian's packages are Debian's Python's
    print(f"{missing}: apt install python3-pyopencl python3-numpy python3-pil")
    sys.exit(77)

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "examples")
SAMPLES = "/usr/share/matplotlib/mpl-data/sample_data"  # python-matplotlib-data


def has(module):
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def example(field, program):
    return os.path.join(EXAMPLES, field, program)


class ExampleTest(unittest.TestCase):
    """One node and one vGPU, `t/0`, for all tests of the class; SHARES makes several."""

    MEMORY, SHARES, OPTIONS, ENVIRONMENT = "512M", "50", (), {}

    @classmethod
    def setUpClass(cls):
        cls.node = Node(PYTHONDONTWRITEBYTECODE="1", **cls.ENVIRONMENT)
        cls.addClassCleanup(cls.node.close)
        cls.node.fastgpu("create", "--name", "t", "--gpus", str(len(cls.SHARES.split(","))), "--memory", cls.MEMORY,
                         "--compute", cls.SHARES, *cls.OPTIONS)

    def path(self, name):
        return os.path.join(self.node.dir, name)

    def run_example(self, field, program, *options, target="t/0"):
        """Runs it to its end in the vGPU. (What it printed, its arrays)"""
        results = self.path("results.npz")
        command = [sys.executable, example(field, program), *map(str, options), "--results", results]
        done = self.node.run(target, *command, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with np.load(results) as arrays:
            return done.stdout, dict(arrays)

    def refused(self, field, program, *options):
        """It ends with one sentence and without a traceback; returns the sentence."""
        done = self.node.native(sys.executable, example(field, program), *map(str, options))
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr

    def picture(self, name):
        """The pixels of a picture that an example wrote."""
        with Image.open(self.path(name)) as image:
            return np.asarray(image.convert("RGB")).astype(int)


def main(samples=False):
    """samples: the tests need the photograph, the prices or the table of python-matplotlib-data."""
    require_tree()
    if samples and not os.path.exists(SAMPLES):
        print("skipped: python-matplotlib-data is not installed: NOT TESTED", file=sys.stderr)
        sys.exit(77)
    unittest.main(verbosity=2)
