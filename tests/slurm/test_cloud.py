#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Burst and back: private nodes full, Slurm has nodes started at the cheapest site, one of which fails half-way; then all of it goes again.
The nodes are network namespaces of this machine; the test itself is in one, and its mounts are its own."""
import json
import os
import re
import subprocess

import tempfile
import unittest

import cluster
from cluster import Cluster
from node import tool, wait_until

VECTORS = tool("lib", "fastgpu", "examples", "cuda_vectors")
SITES = tool("bin", "fastgpu-sites")
HOST = "10.213.0.1"
FILE = """
[dear]
provider = local
nodes = c[21-22]
price = 2.00
memory = 80G
[near]
provider = local
nodes = c[1-2]
price = 0.40
memory = 40G
[middle]
provider = local
nodes = c[11-12]
price = 0.90
memory = 80G
[home]
provider = private
nodes = n[1-2]
gpus = 2
memory = 80G
"""


class Cloud(unittest.TestCase):
    def setUp(self):
        # The configuration wants names that are known when the cluster's folder is.
        self.c = Cluster(sim="2xH100", address=HOST, ReturnToService=2, ResumeTimeout=60, SuspendTimeout=15, SuspendTime=2, ResumeRate=0, SuspendRate=0,
                         SuspendExcNodes="n[1-2]", PrivateData="cloud", TreeWidth=65533, SlurmdTimeout=30)
        c = self.c
        self.addCleanup(self.end_nodes)
        c.write("sites", FILE.replace("provider = local", f"provider = local\nprogram = {c.path('provider')}\ncurrency = EUR\ncpus = 8\ntimeout = 30"))
        # c2 fails when it is half there.
        c.write("provider", f'''#!/bin/sh
{tool("share", "fastgpu", "sites", "local-node")} "$@" || exit
if [ "$1 $2" = "start c2" ]; then echo "out of luck" >&2; exit 1; fi
''', 0o755)
        for name in ("resume", "suspend"):
            c.write(name, f'''#!/bin/sh
export PATH={c.env["PATH"]} SLURM_CONF={c.path("slurm.conf")} FASTGPU_SITES={c.path("sites")} FASTGPU_SITES_STATE={c.path("sites.state")}
export FASTGPU_LOCAL_DIR={c.path("state")} FASTGPU_SIM=1xH100
echo "{name} $1" >>{c.path("calls")}
exec {tool("share", "fastgpu", "slurm", name)} "$1" >>{c.path("sites.out")} 2>&1
''', 0o755)
        c.conf.update(ResumeProgram=c.path("resume"), SuspendProgram=c.path("suspend"), ResumeFailProgram=c.path("suspend"))
        # The daemon that knows the budgets is the controller's own; here it is n1's.
        c.write("choose", f"#!/bin/sh\nexport FASTGPU_SITES={c.path('sites')} FASTGPU_STATE_DIR={c.path('state', 'n1')}\nexec {SITES} \"$@\"\n", 0o755)
        c.lua_edits = {'local SITES = ""': f'local SITES = "{c.path("choose")}"', 'local BUDGET_OF = ""': 'local BUDGET_OF = "default"'}
        # Addresses are told again when a node is there; these keep slurmctld from asking name servers for those that are not.
        c.more_nodes = "\n".join(re.sub(r"(c.(\d+)-(\d+).) ", r"\1 NodeAddr=10.213.\2.2,10.213.\3.2 ", line) for line in self.sites("nodes").splitlines() if "CLOUD" in line)
        c.more_gres = "NodeName=c[1-2,11-12,21-22] Name=gpu File=/dev/null\nNodeName=c[1-2,11-12,21-22] Name=shard Count=100\n"

    def end_nodes(self):
        """Those that a test that failed has left."""
        with tempfile.TemporaryDirectory() as folder:
            for space in self.spaces():
                subprocess.run([tool("share", "fastgpu", "sites", "local-node"), "stop", space.removeprefix("fg-")], stdout=subprocess.DEVNULL,
                               env={**self.c.env, "FASTGPU_LOCAL_DIR": folder}, check=False)

    def sites(self, *words):
        env = {**self.c.env, "FASTGPU_SITES": self.c.path("sites"), "FASTGPU_SITES_STATE": self.c.path("sites.state")}
        return subprocess.run([SITES, *words], env=env, stdout=subprocess.PIPE, text=True, check=True).stdout

    def spaces(self):
        return sorted(line.split()[0] for line in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.splitlines())

    def let_wait_no_more(self):
        # Slurm forgets a node's reason when it powers the node down.
        self.reasons |= set(re.findall(r"Reason=(fastgpu: .*?) \[", self.c.slurm("scontrol", "-o", "show", "node", "c2", check=False).stdout))
        for job in self.c.slurm("squeue", "-h", "-t", "CONFIGURING", "-o", "%A").stdout.split():
            said = self.c.daemons["n1"].fastgpu("why", f"slurm-{job}", check=False)
            self.starting |= {said.stdout.split(" is ")[-1]} if said.returncode == 0 else set()
        for line in self.c.slurm("squeue", "-h", "-t", "PENDING", "-o", "%A %r").stdout.splitlines():
            if line.endswith("BeginTime"):
                self.c.slurm("scontrol", "update", f"JobId={line.split()[0]}", "StartTime=now")
        return not self.c.slurm("squeue", "-h").stdout

    def check_constraints(self, c):
        """A job goes to sites that fit it and that its project can pay."""
        def sites_of(*words):
            job = c.slurm("sbatch", "--parsable", "--hold", "-t", "1:00:00", "-o", "/dev/null", *words, "--wrap=true").stdout.strip()
            features = c.job(job)["Features"]
            c.slurm("scancel", job)
            return features
        self.assertEqual(sites_of("--fastgpu=1:40G:100"), "home|near|middle|dear")
        self.assertEqual(sites_of("--fastgpu=1:60G:100"), "home|middle|dear")
        self.assertEqual(sites_of("--fastgpu=1:60G:100", "-C", "dear"), "dear")
        c.daemons["n1"].fastgpu("budget", "set", "default", "9", "--currency", "EUR")
        self.assertEqual(sites_of("--fastgpu=1:40G:100", "-t", "10:00:00"), "home|near|middle")
        self.assertEqual(sites_of("--fastgpu=1:40G:100", "-t", "11:00:00"), "home|near")
        self.assertEqual(sites_of("--fastgpu=1:40G:100", "-t", "30:00:00"), "home")
        self.assertEqual(sites_of("--fastgpu=1:40G:100", "-t", "6:00:00", "-N2"), "home|near")
        # Past the budget leads no way.
        def refused(*words):
            done = c.slurm("sbatch", "--hold", "-o", "/dev/null", "--fastgpu=1:40G:100", *words, "--wrap=true", check=False)
            self.assertNotEqual(done.returncode, 0, done.stdout)
            return done.stderr
        for constraint in ("dear", "home|dear", "[dear]", "near&home", "nowhere"):
            self.assertIn("is not one of the sites that fit it and can be paid: home|near", refused("-t", "11:00:00", "-C", constraint))
        self.assertEqual(sites_of("--fastgpu=1:40G:100", "-t", "11:00:00", "-C", "near"), "near")
        self.assertIn("the job needs a time limit (--time)", refused())

    def test_there_and_back(self):
        self.reasons, self.starting = set(), set()
        with self.c as c:
            c.daemons["n1"].env["SLURM_CONF"] = c.env["SLURM_CONF"]
            self.check_constraints(c)
            # The private nodes are full until both others are done, however long they take to come.
            script = (f"touch {c.path('where')}; {VECTORS} 65536 1 || exit; case $SLURMD_NODENAME in n*) until [ $(grep -c ^c {c.path('where')}) = 2 ]; do sleep 0.2; done;; esac; "
                      f"echo $SLURMD_NODENAME >>{c.path('where')}")
            for _ in range(6):
                c.slurm("sbatch", "--requeue", "-t", "1:00:00", "-o", c.path("job-%j.out"), "--fastgpu=1:40G:100", "--wrap", script)
            wait_until(self.let_wait_no_more, 100, "all jobs are over")
            with open(c.path("where")) as f:
                where = sorted(f.read().split())
            # Four private GPUs, then the cheapest site's two nodes, of which one failed: the next site's first.
            self.assertEqual(where, ["c1", "c11", "n1", "n1", "n2", "n2"])
            self.assertRegex(" ".join(self.reasons), r"^fastgpu: site near: .*ended with 1: out of luck$")
            self.assertIn("its nodes are being started (Slurm: CONFIGURING).\n", {text.partition(": ")[2] for text in self.starting})
            self.assertNotIn("fg-c2", self.spaces())
            wait_until(lambda: not self.spaces(), 60, "rented nodes are given back")
            wait_until(lambda: json.loads(self.sites("list", "--json")) == [], 30, "nothing is remembered of them")
            with open(c.path("sites.state", "log")) as f:
                bills = [json.loads(line) for line in f]
            self.assertEqual(sorted((b["node"], b["site"]) for b in bills), [("c1", "near"), ("c11", "middle")])
            for bill in bills:
                price = {"near": 0.40, "middle": 0.90}[bill["site"]]
                self.assertAlmostEqual(float(bill["cost"]), price * (bill["until"] - bill["from"]) / 3600, places=5)
            with open(c.path("calls")) as f:
                self.assertNotRegex(f.read(), r"resume .*c2[12]", "the dear ones were not needed")


if __name__ == "__main__":
    cluster.require()
    cluster.own_world(f"mkdir -p /run/netns && mount -t tmpfs none /run/netns && ip link set lo up && ip address add {HOST}/32 dev lo", "--mount", "--net")
    unittest.main(verbosity=2)
