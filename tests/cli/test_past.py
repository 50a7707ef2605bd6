#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`fastgpu simulate --from-history` against the real daemon: what a node did is replayed, of each person what he may see."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "daemon"))

import people  # noqa: E402
from harness import wait_until  # noqa: E402

CLI = os.environ["FASTGPU_CLI"]
# Jobs run as accounts that the machine knows; these are Debian's, the same on every machine.
people.ALICE, people.BOB, people.CAROL = 5, 6, 7
HEAD = ["# fastgpu jobs 1", "submit_s,duration_s,num_gpus,gpu_milli,busy_permille,project,user,name"]


class Past(people.Case):
    options = {"MIN_RUN": 0, "devices": 2}

    def setUp(self):
        super().setUp()
        self.populate()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o777)

    def submit(self, person, script, **fields):
        return person.ok("POST", "/v1/jobs", {"command": ["sh", "-c", script], "memory": "1M", "compute": "25", **fields})["id"]

    def simulate(self, *args, uid=None, code=0):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGPU_", "OPENCL_"))}
        prefix = ["setpriv", "--reuid", str(uid), "--clear-groups"] if uid else []
        done = subprocess.run([*prefix, CLI, "simulate", *args], capture_output=True, text=True, timeout=60, env=env | {"FASTGPU_STATE_DIR": self.d.state})
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        return done

    def past(self, name, *args, **more):
        """The jobs that are saved, without their times."""
        file = self.folder / name
        self.simulate("--from-history", "--policy", "fifo", "--save-jobs", file, *args, **more)
        lines = file.read_text().splitlines()
        self.assertEqual(lines[:2], HEAD)
        return file, sorted(tuple(line.split(",")[i] for i in (2, 3, 5, 6, 7)) for line in lines[2:])

    def test_past(self):
        self.assertIn("nothing to replay", self.simulate("--from-history", code=3).stderr)
        ids = [self.submit(self.bob, "sleep 1", name="train-17"), self.submit(self.bob, "exit 3", name="train-18", gpus=2),
               self.submit(self.alice, "true", name="many", array="1-3", compute="50"), self.submit(self.carol, "true", name="other", memory="90%")]
        wait_until(lambda: all(self.operator.ok("GET", f"/v1/jobs/{id}")["state"] in ("done", "failed") for id in ids), "all jobs are over", 60)
        runs = self.submit(self.bob, "sleep 300", name="runs")
        wait_until(lambda: self.operator.ok("GET", f"/v1/jobs/{runs}")["state"] == "running", "the last one runs", 60)
        red = [("1", "250", "red", "bob", "train"), ("2", "250", "red", "bob", "train")] + 3 * [("1", "500", "red", "alice", "many")]
        blue = [("1", "900", "blue", "carol", "other")]
        file, all_jobs = self.past("all.csv")
        self.assertEqual(all_jobs, sorted(red + blue))
        self.assertEqual(self.past("red.csv", uid=people.BOB)[1], sorted(red))
        self.assertEqual(self.past("blue.csv", uid=people.CAROL)[1], blue)
        self.assertEqual(self.past("of-red.csv", "--project", "red")[1], sorted(red))
        self.simulate("--from-history", "--project", "red", uid=people.CAROL, code=3)
        self.simulate("--from-history", uid=people.NOBODY, code=6)
        # What was saved replays as the past itself does: two GPUs of one node.
        here, there = (json.loads(self.simulate(*how, "--policy", "fifo,mean,gittins", "--json").stdout)
                       for how in (("--from-history",), ("--jobs", file, "--gpus", "2", "--node-gpus", "2")))
        self.assertEqual(here, there)
        self.assertEqual([row["jobs"] for row in here], [6, 6, 6])
        self.assertIn("u", here[0])
        whole, = json.loads(self.simulate("--from-history", "--slices", "1", "--policy", "fifo", "--json").stdout)
        self.assertGreaterEqual(whole["mean_jct_s"], here[0]["mean_jct_s"])


if __name__ == "__main__":
    people.require_root()
    unittest.main(verbosity=1)
