#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The article's main.py as it stands there, started by `fastgpu run`: it trains, holds two vGPUs meanwhile, and nothing is left of them
however it ends."""
import os
import re
import signal
import subprocess

import common
from common import FASTGPU, wait_until

MAIN = common.article()
PATIENCE = 280  # s; TensorFlow takes its time on a busy machine
EPOCH = re.compile(r"^Epoch (\d+)/10", re.MULTILINE)


class Article(common.Case):
    def start(self, *run):
        return self.node.popen([FASTGPU, "run", *run, "--", self.python, MAIN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.node.dir)

    def held(self, pid):
        """The vGPUs that the process is seen in, as `fastgpu list` has them."""
        return [v for s in self.sets() for v in s["vgpus"] if pid in v["usage"]["pids"]]

    def test_trains_in_two_vgpus_of_its_own(self):
        with open(MAIN, "rb") as f:
            before = f.read()
        process = self.start("--gpus", "2", "--memory", "32M", "--compute", "20")
        wait_until(lambda: process.poll() is not None or len(self.held(process.pid)) == 2, PATIENCE, "main.py holds two vGPUs")
        self.assertIsNone(process.poll())
        self.assertEqual([v["name"] for v in self.held(process.pid)], [f"{self.sets()[0]['name']}/{i}" for i in (0, 1)])
        table = self.node.fastgpu("list").stdout.splitlines()
        self.assertEqual([line.split("normal")[1].split()[0] for line in table[1:]], ["1", "1"])
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, out + err)
        self.assertEqual(EPOCH.findall(out), [str(i) for i in range(1, 11)])
        self.assertNotIn("FastGPU", err)
        wait_until(lambda: not self.sets(), 5, "no vGPU is left")
        with open(MAIN, "rb") as f:
            self.assertEqual(f.read(), before)

    def test_gives_back_when_it_is_killed_or_crashes(self):
        """While it trains."""
        self.node.env["PYTHONUNBUFFERED"] = "1"
        self.node.json("create", "--name", "my-vgpu", "--gpus", "2", "--memory", "32M", "--compute", "10")
        for run, end in ((("my-vgpu",), signal.SIGSEGV), (("--gpus", "2", "--memory", "32M", "--compute", "10"), signal.SIGKILL)):
            process = self.start(*run)
            common.in_epoch(process, 2)
            self.assertEqual(len(self.held(process.pid)), 2)
            os.kill(process.pid, end)
            out, err = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, -end, out + err)
            self.assertNotIn("Epoch 10/10", out)
            wait_until(lambda p=process: not self.held(p.pid) and [s["name"] for s in self.sets()] == ["my-vgpu"], 5, "nothing is held, and no vGPU of a run is left")
        self.node.fastgpu("delete", "my-vgpu")  # in use it would be refused
        self.assertEqual(self.sets(), [])

    def test_as_the_articles_dockerfile_has_it(self):
        """Python 3.8, and so TensorFlow 2.13 with Keras 2."""
        try:
            self.python = common.frameworks.of_the_dockerfile()
        except SystemExit:  # it has said why
            self.python = None
        if not self.python:
            self.skipTest("no Python 3.8 with TensorFlow 2.13: NOT TESTED")
        process = self.start("--gpus", "2", "--memory", "32M", "--compute", "20")
        wait_until(lambda: process.poll() is not None or len(self.held(process.pid)) == 2, PATIENCE, "main.py holds two vGPUs")
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, out + err)
        self.assertEqual(EPOCH.findall(out), [str(i) for i in range(1, 11)])
        self.assertNotIn("FastGPU", err)
        wait_until(lambda: not self.sets(), 5, "no vGPU is left")

    def test_asks_for_what_it_lacks(self):
        process = self.start("--memory", "32M", "--compute", "20")
        out, err = process.communicate(timeout=PATIENCE)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn(f"ValueError: VirtualGPU(2): 2 vGPUs wanted, and this program is in 1 vGPU. Start it with `fastgpu run --gpus 2 -- python3 {MAIN}`", err)
        self.assertNotIn("Epoch", out)
        wait_until(lambda: not self.sets(), 5, "no vGPU is left")


if __name__ == "__main__":
    common.main()
