#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""As it is installed: the system's daemon with users, projects and quotas, jobs of people without privileges. The daemon's folders and the
group `fastgpu` are this test's own, in a mount namespace."""
import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import unittest

import cluster
from cluster import Cluster, PLUGIN
from node import tool, wait_until

VECTORS = tool("lib", "fastgpu", "examples", "cuda_vectors")
FASTGPU = tool("bin", "fastgpu")
# Debian's: neither has a group in common with the other.
INSIDER, OUTSIDER = "daemon", "bin"
WORLD = f"""mount -t tmpfs none /run && mount -t tmpfs none /var/lib && mkdir -m 0755 /run/lock && mkdir -m 0700 /var/lib/fastgpu && mkdir -m 0750 /run/fastgpu &&
mount -t tmpfs none /mnt && cp /etc/group /mnt/group && echo fastgpu:x:64242:{INSIDER} >>/mnt/group && mount --bind /mnt/group /etc/group"""


class Users(unittest.TestCase):
    def setUp(self):
        # What the command line remembers of the money log it saw is not to outlive this daemon.
        self.home = tempfile.mkdtemp(prefix="fastgpu-slurm-")
        self.addCleanup(shutil.rmtree, self.home)

    def fastgpu(self, *words, code=0):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGPU_", "XDG_"))}
        env["HOME"] = self.home
        done = subprocess.run([FASTGPU, *words], env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def start_daemon(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGPU_", "XDG_"))}
        daemon = subprocess.Popen([tool("bin", "fastgpud"), "--foreground"], env={**env, "FASTGPU_SIM": "2xH100"}, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)
        wait_until(lambda: os.path.exists("/run/fastgpu/api.sock"), 20, "the system's daemon listens")

    def run_as(self, c, user, *words, code=0):
        done = c.slurm("srun", "-w", "n1", *words, user=user, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_people(self):
        self.start_daemon()
        with Cluster(sim="2xH100", plugstack=f"optional {PLUGIN} project=red\n", lua=False) as c:
            self.check_people(c)
            # As shipped: no project is named, so the set is in the user's own.
            c.write("plugstack.conf", f"optional {PLUGIN}\n")
            self.check_own_project(c)
            self.check_sweep(c)

    def check_own_project(self, c):
        """Root, who accounts and tidies up, finds it there; another user's of that name stays."""
        self.fastgpu("user", "create", "mallory", "--uid", "9")
        job = c.slurm("sbatch", "--parsable", "--hold", "-w", "n1", "-o", "/dev/null", "--fastgpu=1:1G:20", "--wrap", VECTORS, user=INSIDER).stdout.strip()
        self.fastgpu("project", "create", "black")
        self.fastgpu("project", "add", "black", "mallory", "--role", "member")
        self.curl_as("news", "POST", "/v1/vgpus", f'{{"name": "slurm-{job}", "project": "black", "memory": "1G", "gpus": 1}}')
        c.slurm("scontrol", "release", job)
        wait_until(lambda: c.job(job)["JobState"] == "COMPLETED", 30, "the job is over")
        said = re.search(r"fastgpu=n1:vgpus=(\d+),gpu_us=(\d+)", c.slurm("scontrol", "show", "job", job).stdout)
        self.assertTrue(said, "the comment has its use")
        self.assertEqual(said[1], "1")
        self.assertGreater(int(said[2]), 0)
        wait_until(lambda: self.owners() == ["mallory"], 20, "the job's set is gone, the other's is not")

    def check_sweep(self, c):
        """slurmd starts while a job runs: another user's set of that name says nothing of it."""
        job = c.slurm("sbatch", "--parsable", "-w", "n1", "-o", "/dev/null", "--fastgpu=1:1G:20", "--wrap", "sleep 300", user=INSIDER).stdout.strip()
        wait_until(lambda: "alice" in self.owners(), 20, "the job's set is there")
        self.curl_as("news", "POST", "/v1/vgpus", f'{{"name": "slurm-{job}", "project": "black", "memory": "1G", "gpus": 2}}')
        c.restart_slurmd("n1")
        c.wait_for_log("n1", f"job {job}: its use (n1:vgpus=2,gpu_us=0) is in FastGPU's ledger alone, Slurm did not take it: the vGPUs were not of the job's user")
        wait_until(lambda: not os.listdir("/var/lib/fastgpu/slurm-untold"), 20, "nothing is left to tell")
        self.assertNotIn("vgpus=2", c.slurm("scontrol", "show", "job", job).stdout)
        c.slurm("scancel", job)
        wait_until(lambda: "alice" not in self.owners(), 20, "the job's set is gone")

    def owners(self):
        return [s["owner"] for s in json.loads(self.curl_as("root", "GET", "/v1/vgpus"))["sets"]]

    @staticmethod
    def curl_as(user, method, path, body=None):
        account = pwd.getpwnam(user)
        words = ["-d", body, "-H", "Content-Type: application/json"] if body else []
        return subprocess.run(["curl", "-sf", "-X", method, *words, "--unix-socket", "/run/fastgpu/api.sock", f"http://localhost{path}"], stdout=subprocess.PIPE, text=True,
                              check=True, user=account.pw_uid, group=account.pw_gid, extra_groups=[64242]).stdout

    def check_people(self, c):
        # Whom the socket does not let in.
        self.assertIn("does not answer at /run/fastgpu/api.sock: Permission denied", self.run_as(c, OUTSIDER, "--fastgpu=1:1G:20", "true", code=6))
        self.fastgpu("user", "create", "boss", "--uid", "12", "--admin", "yes")
        self.assertIn("no user has the uid 1;", self.run_as(c, INSIDER, "--fastgpu=1:1G:20", "true", code=6))
        self.fastgpu("user", "create", "alice", "--uid", "1")
        self.fastgpu("project", "create", "red")
        self.assertIn("red", self.run_as(c, INSIDER, "--fastgpu=1:1G:20", "true", code=3))
        self.fastgpu("project", "add", "red", "alice", "--role", "member")
        self.assertIn("0 wrong", self.run_as(c, INSIDER, "--fastgpu=1:1G:20", VECTORS))
        self.assertIn("alice", self.fastgpu("usage", "--group-by", "user", "--json") + self.now())
        self.fastgpu("project", "quota", "red", "--vgpus", "1")
        self.assertIn("0 wrong", self.run_as(c, INSIDER, "--fastgpu=1:1G:20", VECTORS))
        self.assertIn("quota", self.run_as(c, INSIDER, "--fastgpu=2:1G:20", "true", code=5))
        wait_until(lambda: "slurm-" not in self.fastgpu("list", "--json"), 20, "nothing is left")

    @staticmethod
    def now():
        return subprocess.run(["curl", "-s", "--unix-socket", "/run/fastgpu/api.sock", "http://localhost/v1/usage/now?project=red"], stdout=subprocess.PIPE,
                              text=True, check=True).stdout


if __name__ == "__main__":
    cluster.require()
    cluster.own_world(WORLD, "--mount")
    unittest.main(verbosity=2)
