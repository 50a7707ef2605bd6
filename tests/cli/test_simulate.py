#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu simulate: the published figures where the traces are there, the same bytes twice, bad traces refused."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

CLI = os.environ["FASTGPU_CLI"]
TRACES = pathlib.Path(os.environ.get("FASTGPU_TRACES") or pathlib.Path(__file__).resolve().parents[3] / "shared/data") / "openb"
NODES = "sn,cpu_milli,memory_mib,gpu,model\n" + "".join(f"n{i},32000,65536,4,T4\n" for i in range(10))
HEAD = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
PODS = HEAD + "".join(f"p{i},4000,1024,1,{(i * 37 % 10 + 1) * 100}\n" for i in range(60))


def simulate(nodes, trace, *args):
    return subprocess.run([CLI, "simulate", "--nodes", nodes, "--trace", trace, *args], capture_output=True, text=True, timeout=150)


class Simulate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.nodes, self.pods = pathlib.Path(folder.name, "nodes.csv"), pathlib.Path(folder.name, "pods.csv")
        self.nodes.write_text(NODES)
        self.pods.write_text(PODS)

    def test_same_bytes(self):
        one, two = (simulate(self.nodes, self.pods, "--policy", "fastgpu,fgd,random", "--seeds", "1-3", "--json") for _ in "12")
        self.assertEqual((one.returncode, one.stdout), (0, two.stdout))
        self.assertEqual([row["policy"] for row in json.loads(one.stdout)], ["fastgpu", "fgd", "random"])

    def test_churn(self):
        one, two = (simulate(self.nodes, self.pods, "--policy", "fastgpu", "--seeds", "1", "--churn", "20,150", "--ties", "random", "--json")
                    for _ in "12")
        self.assertEqual((one.returncode, one.stdout), (0, two.stdout), one.stderr)
        low, high = json.loads(one.stdout)[0]["churn"]
        self.assertEqual((low["load"], high["load"]), (20, 150))
        self.assertLess(low["refused"], 1)
        self.assertGreater(high["refused"], 100 / 3)  # of 150 at most 100 find a place
        self.assertAlmostEqual(low["allocated"], 20, delta=2)
        table = simulate(self.nodes, self.pods, "--policy", "fastgpu", "--seeds", "1", "--churn", "20")
        self.assertIn("REFUSED AT  20 %", table.stdout)
        for bad in (["--churn", "0"], ["--churn", "50,x"], ["--churn", "201"], ["--churn", "1,2,3,4,5,6,7,8,9"], ["--ties", "last"]):
            got = simulate(self.nodes, self.pods, *bad)
            self.assertEqual((got.returncode, got.stdout), (2, ""))
            self.assertIn(bad[0], got.stderr)

    def test_repack(self):
        few = ("--policy", "fastgpu", "--seeds", "1", "--churn", "90")
        without, with_it = (json.loads(simulate(self.nodes, self.pods, *few, *more, "--json").stdout)[0]["churn"][0] for more in ((), ("--repack", "3")))
        self.assertEqual((without["moves"], without["lost"]), (0, 0))
        self.assertGreater(with_it["moves"], 0)
        self.assertLessEqual(with_it["moves"], 3)
        self.assertGreater(with_it["lost"], 0)
        self.assertIn("MOVES", simulate(self.nodes, self.pods, *few, "--repack", "3").stdout)
        self.assertNotIn("MOVES", simulate(self.nodes, self.pods, *few).stdout)
        for bad in (("--repack", "3"), ("--churn", "90", "--repack", "101"), ("--churn", "90", "--repack", "x")):
            got = simulate(self.nodes, self.pods, *bad)
            self.assertEqual((got.returncode, got.stdout), (2, ""))
            self.assertIn("--repack", got.stderr)

    def test_bad_traces(self):
        for text, said in ((HEAD + "p,1,1,-1,0\n", ':2: column 4 (num_gpu): "-1"'), (HEAD + "p,1,1,2,500\n", "column 5"),
                           (HEAD + "p,1,1\n", "is missing"), (HEAD, "no pods"), ("", "empty"), ("a,b\n1,2\n", 'no column "cpu_milli"'),
                           (HEAD + "p,1,99999999999999999999,1,1\n", "allowed is a whole number")):
            self.pods.write_text(text)
            got = simulate(self.nodes, self.pods)
            self.assertEqual((got.returncode, got.stdout), (1, ""))
            self.assertIn(said, got.stderr)
        self.assertIn("did you mean fgd", simulate(self.nodes, self.pods, "--policy", "fdg").stderr)

    @unittest.skipUnless(TRACES.is_dir(), f"no traces in {TRACES}; FASTGPU_TRACES names the folder that has openb/")
    def test_published(self):
        got = simulate(TRACES / "openb_node_list_gpu_node.csv", TRACES / "openb_pod_list_default.csv", "--json")
        at = {row["policy"]: (row["allocated_at_100"], row["allocated_at_130"]) for row in json.loads(got.stdout)}
        for policy, published in (("fgd", (95.23, 95.39)), ("best-fit", (92.86, 93.08))):
            for ours, theirs in zip(at[policy], published):
                self.assertAlmostEqual(ours, theirs, delta=0.3)
        self.assertGreaterEqual(at["fastgpu"], (96.1, 96.2))
        for trace in TRACES.glob("openb_pod_list_*.csv"):
            got = simulate(TRACES / "openb_node_list_gpu_node.csv", trace, "--policy", "fastgpu,fgd", "--seeds", "42-43", "--json")
            ours, theirs = json.loads(got.stdout)
            for at in ("allocated_at_100", "allocated_at_130"):
                self.assertGreater(ours[at], theirs[at], trace.name)


if __name__ == "__main__":
    if not TRACES.is_dir():
        print(f"test_published is left out: no traces in {TRACES}; FASTGPU_TRACES names the folder that has openb/", file=sys.stderr)
    unittest.main(verbosity=1)
