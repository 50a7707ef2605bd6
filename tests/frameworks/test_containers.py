#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The article's main.py in podman and docker: the image has TensorFlow and knows nothing of FastGPU."""
import os
import shutil
import subprocess
import sys
import unittest

import common
from common import wait_until

sys.path.append(os.path.join(common.ROOT, "tests", "e2e"))
import room as rooms  # noqa: E402
import test_oci  # noqa: E402

MAIN = common.article()


def image():
    """Folders of the interpreter, which lie where they lie here."""
    python = common.frameworks.python()
    base = subprocess.run([python, "-c", "import sys; print(sys.prefix); print(sys.base_prefix)"], capture_output=True, text=True, check=True).stdout.split()
    return python, [f"--volume={path}:{path}:ro" for path in dict.fromkeys(base) if not path.startswith("/usr/") and path != "/usr"]


class Article:
    def trains(self, start):
        """`start` begins a container with the vGPUs of q and returns its process."""
        python, volumes = image()
        env = [f"--env={name}={value}" for name, value in common.QUIET.items()] + ["--env=PYTHONPATH=/opt/mine"]
        process = start([*volumes, *env, f"--volume={MAIN}:/opt/main.py:ro"], [python, "/opt/main.py"])
        held = []
        while process.poll() is None:
            seen = {v["name"]: v["usage"]["processes"] for v in self.node.json("list")["sets"][0]["vgpus"]}
            if all(seen.values()):
                held.append(seen)
                break
        out, err = process.communicate(timeout=280)
        self.assertEqual(process.returncode, 0, out + err)
        self.assertEqual(held, [{"q/0": 1, "q/1": 1}])
        self.assertIn("Epoch 10/10", out)
        wait_until(lambda: not any(v["usage"]["processes"] for v in self.node.json("list")["sets"][0]["vgpus"]), 5, "nobody holds them")
        self.node.fastgpu("delete", "q")


@unittest.skipUnless(shutil.which("podman"), "podman is not installed: NOT TESTED")
class Podman(unittest.TestCase, Article):
    def test_article(self):
        room = rooms.Room()
        self.addCleanup(room.close)
        self.node = common.Node(FASTGPU_CDI_DIR="/run/cdi")
        self.addCleanup(self.node.close)
        self.node.json("create", "--name", "q", "--gpus", "2", "--memory", "32M", "--compute", "20")
        store = [f"--root={room.dir}/store", f"--runroot={room.dir}/runroot", "--storage-driver=vfs", "--cgroup-manager=cgroupfs",
                 "--events-backend=none", f"--tmpdir={room.dir}/tmp"]
        self.trains(lambda options, words: self.node.popen(
            ["podman", *store, "run", "--rm", "--network=none", *rooms.ULIMITS, "--device=fastgpu.dev/vgpu=q", *options, "--rootfs", room.root, *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE))


@test_oci.needs("dockerd", "docker", "runc", "containerd")
class Docker(test_oci.Docker, Article):
    test_every_way_to_ask = None

    def test_article(self):
        self.allow("gpus = q\n")
        self.trains(lambda options, words: self.node.popen(
            ["docker", f"--host={self.host}", "run", "--rm", "--network=none", f"--volume={self.room.root}/usr:/usr", "--runtime=fastgpu", "--gpus=2",
             *options, "tiny:1", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE))


if __name__ == "__main__":
    rooms.enter()
    common.main()
