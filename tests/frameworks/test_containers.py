#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The article's main.py in podman and docker: the image has TensorFlow and knows nothing of FastGPU."""
import os
import shutil
import signal
import subprocess
import sys
import unittest

import common
from common import wait_until

sys.path.append(os.path.join(common.ROOT, "tests", "e2e"))
import room as rooms  # noqa: E402
import test_oci  # noqa: E402

MAIN = common.article()
# main.py as it is, but the first word of its third epoch is a fault of the processor's.
CRASH = """
import ctypes, runpy, sys
class Out:
    def __init__(self, to): self.to = to
    def __getattr__(self, name): return getattr(self.to, name)
    def write(self, text): return ctypes.string_at(0) if "Epoch 3/" in text else self.to.write(text)
sys.stdout = Out(sys.stdout)
runpy.run_path("/opt/main.py", run_name="__main__")
"""


def image():
    """Folders of the interpreter, which lie where they lie here."""
    python = common.frameworks.python()
    base = subprocess.run([python, "-c", "import sys; print(sys.prefix); print(sys.base_prefix)"], capture_output=True, text=True, check=True).stdout.split()
    return python, [f"--volume={path}:{path}:ro" for path in dict.fromkeys(base) if not path.startswith("/usr/") and path != "/usr"]


class Article:
    """`container(options, words)`, of those that have it, starts a container with the two vGPUs of q and returns its process."""

    def run_in_one(self, *words):
        python, volumes = image()
        env = [f"--env={name}={value}" for name, value in {**common.QUIET, "PYTHONPATH": "/opt/mine", "PYTHONUNBUFFERED": "1"}.items()]
        return self.container([*volumes, *env, f"--volume={MAIN}:/opt/main.py:ro"], [python, *words])

    def usages(self):
        return [v["usage"] for v in self.node.json("list")["sets"][0]["vgpus"]]

    def given_back(self):
        wait_until(lambda: not any(usage["processes"] or usage["memory_used"] for usage in self.usages()), 5, "nobody holds them")
        self.node.fastgpu("delete", "q")  # in use it would be refused
        self.assertEqual(self.node.json("list")["sets"], [])

    def test_trains(self):
        process = self.run_in_one("/opt/main.py")
        held = []
        while process.poll() is None and not held:
            seen = [usage["processes"] for usage in self.usages()]
            held = seen if all(seen) else []
        out, err = process.communicate(timeout=280)
        self.assertEqual(process.returncode, 0, out + err)
        self.assertEqual(held, [1, 1])
        self.assertIn("Epoch 10/10", out)
        self.given_back()

    def test_killed_while_it_trains(self):
        process = self.run_in_one("/opt/main.py")
        common.in_epoch(process, 2)
        first, second = (usage["pids"] for usage in self.usages())
        self.assertEqual((len(first), first), (1, second))
        os.kill(first[0], signal.SIGKILL)
        out, err = process.communicate(timeout=280)
        self.assertEqual(process.returncode, 128 + signal.SIGKILL, out + err)
        self.assertNotIn("Epoch 10/10", out)
        self.given_back()

    def test_crashes_while_it_trains(self):
        process = self.run_in_one("-c", CRASH)
        common.in_epoch(process, 2)
        self.assertEqual([usage["processes"] for usage in self.usages()], [1, 1])
        out, err = process.communicate(timeout=280)
        self.assertEqual(process.returncode, 128 + signal.SIGSEGV, out + err)
        self.given_back()


@unittest.skipUnless(shutil.which("podman"), "podman is not installed: NOT TESTED")
class Podman(Article, unittest.TestCase):
    def setUp(self):
        self.room = rooms.Room()
        self.addCleanup(self.room.close)
        self.node = common.Node(FASTGPU_CDI_DIR="/run/cdi")
        self.addCleanup(self.node.close)
        self.node.json("create", "--name", "q", "--gpus", "2", "--memory", "32M", "--compute", "20")

    def container(self, options, words):
        return self.node.popen(self.room.podman_run(*words, options=["--device=fastgpu.dev/vgpu=q", *options]), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@test_oci.needs("dockerd", "docker", "runc", "containerd")
class Docker(Article, test_oci.WithDocker):
    def setUp(self):
        super().setUp()
        self.allow("gpus = q\n")

    def container(self, options, words):
        return self.node.popen(["docker", f"--host={self.host}", "run", "--rm", "--network=none", f"--volume={self.room.root}/usr:/usr", "--runtime=fastgpu",
                                "--gpus=2", *options, "tiny:1", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


if __name__ == "__main__":
    rooms.enter()
    common.main()
