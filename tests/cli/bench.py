# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line stand on: a prefix of its own with the real `fastgpu`, a fake daemon and a fake layer.

FASTGPU_CLI, FASTGPU_LAYER, FASTGPU_ICD and FASTGPU_REMOTE name what was built.
"""
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)


class Prefix:
    """…/bin/fastgpu, …/bin/fastgpud, …/lib/fastgpu/*.so in a folder that goes away."""

    def __init__(self):
        built = [os.environ[name] for name in ("FASTGPU_CLI", "FASTGPU_LAYER", "FASTGPU_ICD", "FASTGPU_REMOTE", "FASTGPU_CURSES")]
        self.root = tempfile.mkdtemp(prefix="fg-cli-")
        self.lib = f"{self.root}/lib/fastgpu"
        os.makedirs(f"{self.root}/bin")
        os.makedirs(self.lib)
        self.program = f"{self.root}/bin/fastgpu"
        self.layer = f"{self.lib}/libfastgpu-opencl.so"
        shutil.copy(built[0], self.program)
        shutil.copy(built[1], self.layer)
        shutil.copy(built[2], f"{self.lib}/libfastgpu-prove-icd.so")
        shutil.copy(built[3], f"{self.lib}/libfastgpu-remote.so")
        shutil.copy(built[4], f"{self.lib}/libfastgpu-curses.so")
        daemon = f"{self.root}/bin/fastgpud"
        with open(daemon, "w") as f:
            f.write(f'#!/bin/sh\nexec "{sys.executable}" "{HERE}/fake_daemon.py" "$@"\n')
        os.chmod(daemon, 0o755)

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)


class Case(unittest.TestCase):
    """One prefix for a class, one state folder for each test."""

    @classmethod
    def setUpClass(cls):
        cls.prefix = Prefix()

    @classmethod
    def tearDownClass(cls):
        cls.prefix.remove()

    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="fg-state-")
        self.addCleanup(self.end)

    def end(self):
        for fact in self.started():
            try:
                os.kill(fact["pid"], signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.state, ignore_errors=True)

    def started(self):
        """What each daemon that was started said of itself."""
        try:
            with open(f"{self.state}/started") as f:
                return [json.loads(line) for line in f]
        except FileNotFoundError:
            return []

    def manners(self, text):
        with open(f"{self.state}/manners", "w") as f:
            f.write(text)

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("FASTGPU_", "OPENCL_", "OCL_"))}
        env["FASTGPU_STATE_DIR"] = self.state
        env.update(more)
        return {k: v for k, v in env.items() if v is not None}

    def fastgpu(self, *args, code=0, env=None, **more):
        """Runs the command and checks its exit code; the output."""
        done = subprocess.run([self.prefix.program, *args], capture_output=True, text=True, timeout=60,
                              env=self.environment(**(env or {})), **more)
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        return done

    def refused(self, *args, code=2, **more):
        """One line on standard error, nothing on standard output; the line."""
        done = self.fastgpu(*args, code=code, **more)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Afastgpu: [^\n]+\n\Z")
        return done.stderr

    def json(self, *args, **more):
        return json.loads(self.fastgpu(*args, "--json", **more).stdout)


def make_program(path, text):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path
