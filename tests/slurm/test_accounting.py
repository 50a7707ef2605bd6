#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Slurm's own accounting, slurmdbd over MariaDB: what it has of a job is what FastGPU's ledger has."""
import os
import re
import unittest

import cluster
from cluster import Cluster, NODES
from node import tool, wait_until
from test_slurm import Ledger, entries

VECTORS = tool("lib", "fastgpu", "examples", "cuda_vectors")


class Accounting(unittest.TestCase):
    def records(self, c, job):
        """sacct's fields of a job that it knows to be over."""
        def fields():
            text = c.slurm("sacct", "-X", "-n", "-P", "-j", job, "--format=State,AdminComment,AllocTRES,ElapsedRaw", check=False).stdout.strip()
            return text.split("|") if text else None
        wait_until(lambda: (fields() or [""])[0] == "COMPLETED", 60, f"slurmdbd has the end of job {job}")
        return fields()

    def test_equal_to_the_ledger(self):
        with Cluster(sim="2xH100", accounting=True) as c:
            jobs = {c.slurm("sbatch", "--parsable", "-W", "-o", "/dev/null", *words, "--wrap", f"srun {VECTORS}").stdout.strip(): (nodes, shards)
                    for words, nodes, shards in ((("--fastgpu=1:8G:25",), 1, 25), (("-N2", "--fastgpu=2:8G:25"), 2, 100))}
            for job, (nodes, shards) in jobs.items():
                _, comment, tres, _ = self.records(c, job)
                said = entries(comment)
                self.assertEqual(len(said), nodes, comment)
                for name, us in said.items():
                    self.assertGreater(us, 0)
                    self.assertEqual(us, Ledger(c.daemons[name]).us[f"slurm-{job}"], comment)
                # What was asked for is a resource of Slurm's, whose hours its reports have.
                self.assertEqual(re.findall(r"gres/shard=(\d+)", tres), [str(shards)], tres)
            for name in NODES:
                wait_until(lambda: not c.sets(name), 20, "nothing is left")

    def worked(self, c, *words):
        """A job that has used its vGPU and runs on, and its node."""
        done = c.path("worked")
        job = c.slurm("sbatch", "--parsable", "--no-requeue", "-o", "/dev/null", "--fastgpu=1:8G:25", *words, "--wrap", f"{VECTORS}; echo $SLURMD_NODENAME >{done}.new; mv {done}.new {done}; sleep 300").stdout.strip()
        wait_until(lambda: os.path.exists(done), 30, "it has worked")
        with open(done) as f:
            name = f.read().strip()
        os.unlink(done)
        return job, name

    @staticmethod
    def said(c, job):
        return entries(c.slurm("sacct", "-X", "-n", "-P", "-j", job, "--format=AdminComment", check=False).stdout)

    @staticmethod
    def wait_for_end(c, job):
        """slurmctld tells slurmdbd in its own time."""
        wait_until(lambda: c.slurm("sacct", "-X", "-n", "-P", "-j", job, "--format=End", check=False).stdout.strip() not in ("", "Unknown"), 180, f"slurmdbd has the end of job {job}")

    def check_told(self, c, job, name, us):
        self.assertGreater(us, 0)
        wait_until(lambda: self.said(c, job), 60, "its use is told")
        self.assertEqual(self.said(c, job), {name: us})
        wait_until(lambda: not c.untold(name), 20, "nothing is left to tell")

    def test_cancelled(self):
        """slurmctld takes nothing more of such a job, Slurm's database does, of the job's user alone."""
        with Cluster(sim="2xH100", accounting=True) as c:
            job, name = self.worked(c)
            c.slurm("scancel", job)
            wait_until(lambda: self.said(c, job), 60, "its use is told")
            us = Ledger(c.daemons[name]).us[f"slurm-{job}"]
            self.check_told(c, job, name, us)
            c.write(f"untold-{name}/{job}:12:{name}:vgpus=1,gpu_us={us + 1000}", "")
            c.restart_slurmd(name)
            c.wait_for_log(name, "Slurm did not take it: the vGPUs were not of the job's user")
            self.check_told(c, job, name, us)
            c.write(f"untold-{name}/{job}:0:{name}:vgpus=1,gpu_us={us + 1000}", "")
            c.restart_slurmd(name)
            wait_until(lambda: self.said(c, job) == {name: us + 1000}, 20, "its user's is taken")

    def test_database_away(self):
        """What slurmdbd does not take since it is not there is told when it is."""
        with Cluster(sim="2xH100", accounting=True) as c:
            job, name = self.worked(c)
            c.stop("slurmdbd")
            c.slurm("scancel", job)
            c.wait_for_log(name, "Slurm did not take it: slurmctld or slurmdbd does not answer", 120)
            us = Ledger(c.daemons[name]).us[f"slurm-{job}"]
            self.assertEqual(c.untold(name), [f"{job}:0:{name}:vgpus=1,gpu_us={us}"])
            c.start_slurmdbd()
            self.wait_for_end(c, job)
            c.restart_slurmd(name)
            self.check_told(c, job, name, us)

    def test_controller_away(self):
        """A node comes back before slurmctld does, as after a power cut; and before that it cannot keep anything."""
        with Cluster(sim="2xH100", accounting=True) as c:
            job, _ = self.worked(c, "-w", "n2")
            us = c.kill_node("n2", lambda: Ledger(c.daemons["n2"]).us[f"slurm-{job}"])
            wait_until(lambda: "down" in c.states()["n2"], 60, "n2 is missed")
            wait_until(lambda: not c.slurm("squeue", "-h", "-j", job, check=False).stdout, 60, "the job is over")
            c.stop("slurmctld")
            c.start_fastgpud("n2")
            c.write("untold-n2", "in the folder's place")
            c.start_slurmd("n2")
            c.wait_for_log("n2", f"cannot be kept in {c.path('untold-n2')} until Slurm takes it: ")
            self.assertIn(f"slurm-{job}", c.sets("n2"))
            os.unlink(c.path("untold-n2"))
            c.restart_slurmd("n2")
            wait_until(lambda: not c.sets("n2"), 20, "the set is gone")
            c.wait_for_log("n2", "Slurm did not take it: slurmctld or slurmdbd does not answer", 180)
            self.assertEqual(c.untold("n2"), [f"{job}:{2**32 - 1}:n2:vgpus=1,gpu_us={us}"])
            c.start_slurmctld()
            self.wait_for_end(c, job)
            c.restart_slurmd("n2")
            self.check_told(c, job, "n2", us)


if __name__ == "__main__":
    cluster.require(*cluster.ACCOUNTING)
    unittest.main(verbosity=2)
