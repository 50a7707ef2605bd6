#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a rented node costs goes to the projects whose jobs run on it: the site's price, the daemon's bill on that node, the project's usage,
invoice and budget."""
import decimal
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "daemon"))
from clock import MINUTE, Clock  # noqa: E402
from harness import Daemon, wait_until  # noqa: E402

SITES = os.environ["FASTGPU_SITES_PROGRAM"]
FILE = """
[cheap]
provider = aws
nodes = g[1-9]
price = 0.98
currency = EUR
memory = 24G
region = eu-central-1
image = ami-1
type = g6.xlarge
"""
SHARES = {"red": 75, "blue": 25}


class Cost(unittest.TestCase):
    def sites(self, daemon, *words, code=0):
        with tempfile.NamedTemporaryFile("w") as f:
            f.write(FILE)
            f.flush()
            done = subprocess.run([SITES, "--file", f.name, *words], env={**os.environ, "FASTGPU_STATE_DIR": daemon.state}, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout + done.stderr

    def test_a_burst_job_s_project_pays(self):
        d = Daemon()
        clock = Clock(d)
        with d:
            d.ok("PUT", "/v1/prices", {"csv": self.sites(d, "prices", "cheap")})
            jobs = []
            for project, share in SHARES.items():
                d.ok("POST", "/v1/projects", {"name": project})
                jobs.append(d.ok("POST", "/v1/jobs", {"command": ["sleep", "1000"], "memory": "1M", "compute": str(share), "project": project})["id"])
            wait_until(lambda: all(d.ok("GET", f"/v1/jobs/{job}")["state"] == "running" for job in jobs), "both run")
            for _ in range(62):  # the first and the last minute are not whole
                clock.pass_time(MINUTE)
            cost = {}
            for project, share in SHARES.items():
                [row] = d.ok("GET", f"/v1/usage?project={project}&group_by=project")["usage"]
                self.assertEqual(row["currency"], "EUR")
                cost[project] = decimal.Decimal(row["cost"])
                self.assertAlmostEqual(float(cost[project]), 0.98 * share / 100, delta=0.98 * share / 100 * 2 / 60)
                draft = d.ok("GET", f"/v1/invoices?project={project}")["invoices"][0]
                self.assertAlmostEqual(decimal.Decimal(draft["payable"]), cost[project], delta=decimal.Decimal("0.01"))
            self.assertAlmostEqual(float(sum(cost.values())), 0.98, delta=0.98 * 2 / 60)

            # What is left of its budget decides about the next node.
            d.ok("PUT", "/v1/budgets/red", {"amount": "1.00", "currency": "EUR", "on_limit": "notify"})
            self.assertIn("it would cost 0.98 EUR, and 0.2", self.sites(d, "choose", "--project", "red", "--hours", "1", code=5))
            self.assertIn("cheap", self.sites(d, "choose", "--project", "blue", "--hours", "1"))


if __name__ == "__main__":
    unittest.main()
