# SPDX-License-Identifier: Apache-2.0
"""A budget that is used up in the middle of a run: what is done is what was asked for, in its own project alone, and nothing is lost.
The spend is looked at each minute; the daemon's clock is set on meanwhile."""
import decimal
import time

import harness
from clock import MINUTE, Clock
from harness import Daemon

ACTIONS = ("notify", "suspend", "stop")
PATIENCE = 10  # minutes of the daemon's
LOOKS = 40     # in each


class Budget(harness.Case):
    def test_used_up(self):
        d = Daemon(devices=2)
        clock = Clock(d)

        def wait_until(condition, what):
            for _ in range(PATIENCE):
                for _ in range(LOOKS):
                    if condition():
                        return
                    time.sleep(0.05)
                clock.pass_time(MINUTE)
            raise AssertionError(f"not within {PATIENCE} minutes: {what}")

        with d:
            d.ok("PUT", "/v1/prices", {"csv": "currency,price\nEUR,1000000\n"})
            programs = {}
            for project in ACTIONS + ("rich",):
                d.ok("POST", "/v1/projects", {"name": project})
                d.create("a", project=project, memory="1M", compute="10")
                programs[project] = harness.Runner(d, {"target": f"{project}:a"})
                self.addCleanup(programs[project].kill)
            d.create("paid", project="rich", memory="1M", compute="10")
            d.ok("PUT", "/v1/vgpus/rich:paid/payer", {"project": "suspend"})
            job = d.ok("POST", "/v1/jobs", {"command": ["sleep", "1000"], "memory": "1M", "compute": "10", "project": "suspend"})["id"]
            for project in ACTIONS:
                d.ok("PUT", f"/v1/budgets/{project}", {"amount": "0.01", "currency": "EUR", "on_limit": project})
            def lives(p):
                return programs[p].process.poll() is None

            state = {p: lambda p=p: d.ok("GET", f"/v1/vgpus/{p}:a")["vgpus"][0]["state"] for p in programs}

            wait_until(lambda: {e["project"] for e in d.ok("GET", "/v1/events?limit=1000")["events"] if e["kind"] == "budget"} == set(ACTIONS),
                       "each project was told")
            wait_until(lambda: state["suspend"]() == "suspended", "its vGPUs are suspended")
            wait_until(lambda: d.ok("GET", f"/v1/jobs/{job}")["state"] == "suspended", "its job is suspended")
            wait_until(lambda: d.ok("GET", "/v1/vgpus/rich:paid")["vgpus"][0]["state"] == "suspended", "what it pays for is suspended")
            said = {e["project"]: e["text"] for e in d.ok("GET", "/v1/events?limit=1000")["events"] if e["kind"] == "vgpu.suspended"}
            self.assertIn("the budget of its project is used up", said["suspend"])
            self.assertIn('the budget of "suspend", which pays for it, is used up', said["rich"])
            wait_until(lambda: not lives("stop"), "its program was ended")
            self.assertEqual({p: state[p]() for p in ("notify", "stop", "rich")}, dict.fromkeys(("notify", "stop", "rich"), "ready"))
            self.assertEqual({p: lives(p) for p in ("notify", "suspend", "rich")}, dict.fromkeys(("notify", "suspend", "rich"), True))
            rows = {(r["actor"], r["target"], r["status"]) for r in d.ok("GET", "/v1/audit?actor=budget")["audit"]}
            self.assertEqual(rows, {("budget", "a", 200), ("budget", "paid", 200), ("budget", f"job-{job}", 200)})

            for project in ACTIONS:
                spent = decimal.Decimal(next(b["spent"] for b in d.ok("GET", "/v1/budgets")["budgets"] if b["project"] == project))
                self.assertGreater(spent, decimal.Decimal("0.01"))
            draft = d.ok("GET", "/v1/invoices?project=suspend")["invoices"][0]
            self.assertEqual(sum(decimal.Decimal(line["amount"]) for line in draft["lines"]), decimal.Decimal(draft["payable"]))

            d.ok("PUT", "/v1/budgets/suspend", {"amount": "0", "currency": "EUR"})
            d.ok("POST", "/v1/vgpus/suspend:a/resume")
            d.ok("POST", f"/v1/jobs/{job}/resume")
            wait_until(lambda: d.ok("GET", f"/v1/jobs/{job}")["state"] == "running", "the job goes on")
            self.assertEqual(state["suspend"](), "ready")
            d.ok("DELETE", f"/v1/jobs/{job}")
            wait_until(lambda: d.ok("GET", f"/v1/jobs/{job}")["state"] == "cancelled", "the job is over")


harness.main()
