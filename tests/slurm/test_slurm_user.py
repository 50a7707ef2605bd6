#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rented nodes as they are installed: slurmctld and its programs run as Debian's user `slurm`, over the real slurmctld and a stand-in for
aws. What fails is where Slurm's users look."""
import json
import os
import pathlib
import pwd
import re
import shutil
import sys
import unittest

import cluster
from cluster import Cluster
from node import tool, wait_until

SITES = tool("bin", "fastgpu-sites")
CLOUD = pathlib.Path(__file__).resolve().parent.parent / "sites" / "cloud.py"
USER = "slurm"
HOST = "10.213.0.1"
FILE = """
[home]
provider = private
nodes = n[1-2]
gpus = 2
memory = 80G
[cheap]
provider = aws
nodes = g[1-4]
price = 0.98
currency = EUR
memory = 80G
region = eu-central-1
image = ami-1
type = g6.xlarge
timeout = 20
"""


class SlurmUser(unittest.TestCase):
    def setUp(self):
        self.c = c = Cluster(sim="2xH100", slurm_user=USER, address=HOST, ResumeTimeout=20, SuspendTimeout=5, SuspendTime=2, SuspendExcNodes="n[1-2]", ResumeRate=0, SuspendRate=0, TreeWidth=65533,
                             PrivateData="cloud")
        self.addCleanup(c.close)
        for name in ("cloud", "sites.state"):
            os.makedirs(c.path(name), 0o700)
            shutil.chown(c.path(name), USER)
        os.makedirs(c.path("bin"))
        # Slurm's user may not enter the folder that the tests are in.
        for name in ("aws", "cloud.py"):
            shutil.copy(CLOUD, c.path("bin", name))
            os.chmod(c.path("bin", name), 0o755)
        c.write("keys", "[default]\n", 0o600)
        shutil.chown(c.path("keys"), USER)
        c.write("sites", FILE + f"credentials = {c.path('keys')}\n")
        for name in ("resume", "suspend"):
            c.write(name, f"""#!/bin/sh
export PATH={c.path("bin")}:{os.path.dirname(sys.executable)}:{c.env["PATH"]} SLURM_CONF={c.path("slurm.conf")} FASTGPU_SITES={c.path("sites")}
export FASTGPU_SITES_STATE={c.path("sites.state")} TEST_CLOUD={c.path("cloud")} PYTHONDONTWRITEBYTECODE=1
echo "{name} $(id -un) $1" >>{c.path("cloud", "called")}
exec {c.path("installed", name)} "$1" >>{c.path("cloud", "said")} 2>&1
""", 0o755)
        # The scripts as they are shipped find the program beside themselves.
        os.makedirs(c.path("installed"))
        for name in ("resume", "suspend"):
            shutil.copy(tool("share", "fastgpu", "slurm", name), c.path("installed", name))
        shutil.copy(SITES, c.path("bin", "fastgpu-sites"))
        c.conf.update(ResumeProgram=c.path("resume"), SuspendProgram=c.path("suspend"), ResumeFailProgram=c.path("suspend"))
        c.more_nodes = next(re.sub(r"(g.(\d+)-(\d+).) ", rf"\1 NodeAddr={HOST} ", line) for line in self.lines() if "CLOUD" in line)
        c.more_gres = "NodeName=g[1-4] Name=gpu File=/dev/null\nNodeName=g[1-4] Name=shard Count=100\n"

    def lines(self):
        return self.c.slurm(SITES, "nodes", FASTGPU_SITES=self.c.path("sites")).stdout.splitlines()

    def manner(self, text):
        self.c.write("cloud/manner", text)

    def read(self, *parts):
        try:
            return pathlib.Path(self.c.path(*parts)).read_text()
        except FileNotFoundError:
            return ""

    def machines(self):
        return json.loads(self.read("cloud", "machines.json") or "{}")

    def node(self, name):
        return self.c.slurm("scontrol", "-o", "show", "node", name).stdout

    def submit(self, node):
        return self.c.slurm("sbatch", "--parsable", "-w", node, "-o", "/dev/null", "--fastgpu=1:1G:20", "--wrap=true").stdout.strip()

    def check_reason(self, node, manner, text):
        """The node is down with the reason, the job waits and says for what, and nothing is left."""
        self.manner(manner)
        job = self.submit(node)
        wait_until(lambda: "Reason=fastgpu: site cheap: " in self.node(node), 60, f"{node} has its reason")
        self.assertIn(text, self.node(node))
        self.assertIn(text, self.c.slurm("sinfo", "-R", "-h", "-o", "%E", "-n", node).stdout)
        wait_until(lambda: self.c.slurm("squeue", "-h", "-j", job, "-o", "%T").stdout.strip() == "PENDING", 60, "the job waits")
        self.assertEqual(self.machines(), {})
        self.c.slurm("scancel", job)

    def test_all(self):
        with self.c as c:
            # A node that starts, is told to Slurm, and never comes.
            job = self.submit("g1")
            wait_until(lambda: "NodeAddr=172.31.0.9" in self.node("g1"), 60, "slurmctld has its address")
            self.assertEqual(len(self.machines()), 1)
            self.assertIn(f"resume {USER} g1", self.read("cloud", "called"))
            self.assertEqual({os.stat(c.path("sites.state", "g1.json")).st_uid}, {pwd.getpwnam(USER).pw_uid})
            wait_until(lambda: self.machines() == {}, 90, "Slurm has given up on it, and it is ended")
            self.assertIn(f"suspend {USER} g1", self.read("cloud", "called"))
            wait_until(lambda: '"node":"g1","site":"cheap"' in self.read("sites.state", "log"), 30, "its cost is in the log")
            c.slurm("scancel", job)
            self.check_reason("g2", "start refuse", "InsufficientInstanceCapacity")
            self.check_reason("g3", "start garbage", "answered what is no JSON")
            # Credentials that others can read are not used.
            self.manner("")
            os.chmod(c.path("keys"), 0o644)
            job = self.submit("g4")
            wait_until(lambda: "can be read by others (mode 644): chmod 600" in self.node("g4"), 60, "g4 has its reason")
            self.assertIn("Value=g3", self.read("cloud", "calls"))
            self.assertNotIn("Value=g4", self.read("cloud", "calls"))
            c.slurm("scancel", job)


if __name__ == "__main__":
    cluster.require()
    # Of its own: the address that the stand-in tells is nobody's.
    cluster.own_world(f"ip link set lo up && ip address add {HOST}/32 dev lo", "--mount", "--net")
    unittest.main(verbosity=2)
