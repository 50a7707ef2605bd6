#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`nodes`, and `why` of a pod, over what fastgpu-kubelet wrote down."""
import json
import os
import time
import unittest

from bench import Case

STATUS = {
    "version": "0.1.0", "node": "node-1", "kubelet": True, "dra": True, "slice": "",
    "resources": [{"resource": "fastgpu.dev/vgpu-8g-25", "registered": True, "slots": 8, "healthy": 6, "used": 3},
                  {"resource": "fastgpu.dev/vgpu-40g-50", "registered": False, "slots": 2, "healthy": 0, "used": 0}],
    "sets": [{"set": "vgpu-8g-25-00ff00.0", "project": "kubernetes", "resource": "fastgpu.dev/vgpu-8g-25", "pod": "team/a/main", "state": "ok"},
             {"set": "vgpu-8g-25-00ff00.1", "project": "kubernetes", "resource": "fastgpu.dev/vgpu-8g-25", "pod": "", "state": "just made"}],
    "without": ["team/b/main"],
    "refusals": [{"time_s": 1, "text": "claim team/c-gpu-x7k2p: vGPU 0 of 1 does not fit onto device 0"}],
}


class Nodes(Case):
    def write(self, age=0, **changed):
        os.makedirs(f"{self.state}/run", exist_ok=True)
        path = f"{self.state}/run/kubelet.json"
        with open(path, "w") as f:
            json.dump({**STATUS, **changed}, f)
        os.utime(path, (time.time() - age,) * 2)

    def test_where_there_is_no_cluster(self):
        self.assertIn("fastgpu-kubelet", self.fastgpu("why", "pod/team/a", code=3).stderr)
        self.assertFalse(os.path.exists(f"{self.state}/run/api.sock"))  # no daemon is started to be asked
        self.assertIn("fastgpu-kubelet", self.fastgpu("nodes", code=3).stderr)

    def test_tables(self):
        self.write()
        said = self.fastgpu("nodes").stdout
        self.assertRegex(said, r"fastgpu.dev/vgpu-8g-25 +8 +3 +3 +registered\n")
        self.assertRegex(said, r"fastgpu.dev/vgpu-40g-50 +2 +0 +0 +does not know it\n")
        self.assertRegex(said, r"kubernetes:vgpu-8g-25-00ff00.0 +team/a/main +ok\n")
        self.assertRegex(said, r"kubernetes:vgpu-8g-25-00ff00.1 +- +just made\n")
        self.assertEqual([line.split(":")[0] for line in said.splitlines() if line.startswith("!")],
                         ["! team/b/main has devices to the kubelet, and no vGPU"])
        self.assertIn("does not fit onto device 0", said)

    def test_disagreements(self):
        self.write(age=60, kubelet=False, slice="it cannot be read: forbidden (403)", without=[], refusals=[])
        lines = [line for line in self.fastgpu("nodes").stdout.splitlines() if line.startswith("!")]
        self.assertEqual(len(lines), 3)
        for line, word in zip(lines, ("not been heard", "kubelet is not there", "forbidden")):
            self.assertIn(word, line)

    def test_json(self):
        self.write()
        self.assertEqual(self.json("nodes"), {**STATUS, "stale": False})
        self.write(age=60)
        self.assertEqual(self.json("nodes"), {**STATUS, "stale": True})
        with open(f"{self.state}/run/kubelet.json", "w") as f:
            f.write("{")
        self.fastgpu("nodes", code=3)

    def test_of_other_types(self):
        self.write(resources=[1], sets=[None], without=[1, {}], refusals=["x"])
        said = self.fastgpu("nodes").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in said], ["RESOURCE", "VGPUS"])  # heads without rows
        self.assertIn("kubectl describe pod", self.fastgpu("why", "pod/team/a", code=3).stderr)

    def test_why_is_asked_of_the_cluster_when_nobody_writes(self):
        self.write(age=60)
        self.fastgpu("nodes")
        done = self.fastgpu("why", "pod/team/a")
        self.assertIn("fastgpu-kubelet has not been heard", done.stderr)
        self.assertIn("kubernetes:vgpu-8g-25-00ff00.0", done.stdout)
        self.write()
        self.assertEqual(self.fastgpu("why", "pod/team/a").stderr, "")

    def test_why(self):
        self.write()
        self.fastgpu("nodes")
        self.assertEqual(self.fastgpu("why", "pod/team/a").stdout, "team/a is running: it has the vGPUs kubernetes:vgpu-8g-25-00ff00.0.\n")
        self.assertIn("no vGPU", self.fastgpu("why", "pod/team/b").stdout)
        self.assertEqual(self.json("why", "pod/team/c")["state"], "waiting")
        self.assertIn("kubectl describe pod", self.fastgpu("why", "pod/team/d", code=3).stderr)
        self.assertIn("kubectl describe pod", self.fastgpu("why", "pod/team/", code=3).stderr)
        self.fastgpu("nodes", "x", code=2)


if __name__ == "__main__":
    unittest.main()
