# SPDX-License-Identifier: Apache-2.0
"""What the tests of frameworks share: their interpreter, the article, a node, programs in vGPUs."""
import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "lib"), HERE]

from node import FASTGPU, Node, alive, require_tree, tool, wait_until  # noqa: E402,F401
import frameworks_venv as frameworks  # noqa: E402

MIB = 1 << 20
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "JAX_PLATFORMS": "cpu", "PYTHONDONTWRITEBYTECODE": "1", "KERAS_HOME": "/dev/null/keras",
         "OMP_NUM_THREADS": "1"}


def article():
    """The FastGPU article's main.py, an input that is not ours to carry: $FASTGPU_ARTICLE is its folder."""
    path = os.path.join(os.environ.get("FASTGPU_ARTICLE") or os.path.join(os.path.dirname(ROOT), "shared", "article"), "main.py")
    if not os.path.exists(path):
        print(f"skipped: no {path}; FASTGPU_ARTICLE is the folder of the article's main.py: NOT TESTED", file=sys.stderr)
        sys.exit(77)
    return path


def in_epoch(process, number):
    """Reads what the article's main.py prints, to the beginning of that epoch: it is training. Wants PYTHONUNBUFFERED."""
    read = []
    for line in process.stdout:
        read.append(line)
        if line.startswith(f"Epoch {number}/10"):
            return
    raise AssertionError(f"ended before epoch {number}: {''.join(read)}")


class Case(unittest.TestCase):
    """A node, and programs of the frameworks' interpreter in its vGPUs."""
    environment = {}

    @classmethod
    def setUpClass(cls):
        cls.python = frameworks.python()

    def setUp(self):
        self.node = Node(**QUIET, **self.environment)
        self.node.env.pop("PYTHONPATH", None)
        self.addCleanup(self.node.close)

    def sets(self):
        return self.node.json("list")["sets"]

    def program(self, code, *words, backend=None, run=("--gpus", "2", "--memory", "32M", "--compute", "20"), code_file="p.py", **env):
        """Runs a program to its end: `fastgpu run RUN -- python p.py WORDS`, with run=None without FastGPU."""
        path = os.path.join(self.node.dir, code_file)
        with open(path, "w", encoding="utf-8") as f:
            f.write(code)
        prefix = [] if run is None else [FASTGPU, "run", *run, "--"]
        env = {**self.node.env, **({"KERAS_BACKEND": backend} if backend else {}), **env}
        return subprocess.run([*prefix, self.python, path, *words], env=env, cwd=self.node.dir, capture_output=True, text=True, timeout=280)

    def said(self, done):
        """The last line of a program that has to have ended well, as JSON."""
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    require_tree()
    frameworks.python()
    unittest.main(verbosity=2)
