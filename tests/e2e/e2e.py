# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a node for each test, the programs they run inside."""
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")]
from node import BURN, FASTGPU, TRAIN_MLP, Node, alive, require_tree, wait_until  # noqa: E402,F401


def find_python():
    """An interpreter that has pyopencl: the distribution's package belongs to /usr/bin/python3, which may not be ours."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import numpy, pyopencl"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return python
    return None


PYTHON = find_python()
INSIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside.py")
MIB = 1 << 20

# Exit codes of fastgpu.
FAILED, USAGE, UNKNOWN, CONFLICT, NO_ROOM, NO_DAEMON, NOT_ENFORCED = 1, 2, 3, 4, 5, 6, 7


class NodeTest(unittest.TestCase):
    """Each test method has a node of its own in self.node."""

    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)

    def create(self, name, *options):
        return self.node.json("create", "--name", name, *options)

    def refused(self, code, *argv):
        """The command fails with that code and one sentence; returns the sentence."""
        done = self.node.fastgpu(*argv, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertNotEqual(done.stderr.strip(), "")
        return done.stderr

    def inside(self, target, *argv):
        """Runs inside.py to its end in the vGPU (target None: without) and returns what it printed last."""
        command = [PYTHON, INSIDE, *map(str, argv)]
        done = self.node.run(target, *command) if target else self.node.native(*command)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout.strip().splitlines()[-1])

    def start_inside(self, target, *argv):
        """Starts inside.py and returns (process, its first line)."""
        process = self.node.start(target, PYTHON, INSIDE, *map(str, argv), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        return process, json.loads(process.stdout.readline())


def needs(program):
    """Skips a test when a program of the distribution is not installed."""
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


def main():
    require_tree()
    if not PYTHON:
        print("python3-pyopencl is not installed", file=sys.stderr)
        sys.exit(77)
    unittest.main(verbosity=2)
