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

    def test_cancelled(self):
        """slurmctld takes nothing more of such a job, Slurm's database does."""
        with Cluster(sim="2xH100", accounting=True) as c:
            job = c.slurm("sbatch", "--parsable", "-o", "/dev/null", "--fastgpu=1:8G:25", "--wrap", f"{VECTORS}; echo >{c.path('worked')}; sleep 100").stdout.strip()
            wait_until(lambda: os.path.exists(c.path("worked")), 20, "it has worked")
            c.slurm("scancel", job)
            def said():
                return entries(c.slurm("sacct", "-X", "-n", "-P", "-j", job, "--format=AdminComment").stdout)
            wait_until(said, 60, "its use is told")
            for name, us in said().items():
                self.assertGreater(us, 0)
                self.assertEqual(us, Ledger(c.daemons[name]).us[f"slurm-{job}"])


if __name__ == "__main__":
    cluster.require(*cluster.ACCOUNTING)
    unittest.main(verbosity=2)
