# SPDX-License-Identifier: Apache-2.0
"""What a job may cost. The daemon's clock is set on, so that minutes pass in no time."""
import decimal
import signal
import time

import harness
import jobs
from clock import MINUTE, Clock
from harness import wait_until

# A whole device costs a unit a minute.
PRICES = "currency,price\nEUR,60\n"


def money(text):
    return decimal.Decimal(text)


class Budget(jobs.Case):
    def setUp(self):
        self.d = harness.Daemon()
        self.addCleanup(self.d.__exit__)
        self.clock = Clock(self.d)
        self.d.start()
        self.d.ok("PUT", "/v1/prices", {"csv": PRICES})

    def minute(self):
        """One passes, and the money of it is looked at."""
        self.clock.pass_time(MINUTE)
        self.d.ok("PUT", "/v1/budgets/default", {"amount": "0", "currency": "EUR"})

    def spent(self, job):
        return money(self.job(job)["budget"]["spent"])

    def events(self, kind):
        return [e["text"] for e in self.d.ok("GET", "/v1/events?limit=1000")["events"] if e["kind"] == kind]

    def why(self, job):
        return self.d.ok("GET", f"/v1/why/{job}")

    def test_used_up(self):
        job = self.submit("sleep 1000", memory="512M", compute="50", budget={"amount": "1.2"})
        other = self.submit("sleep 1000", memory="128M", compute="10", budget={"amount": "100", "currency": "EUR"})
        self.until(job, "running")
        self.assertEqual(self.job(job)["budget"], {"amount": "1.20", "currency": "EUR", "spent": "0.00"})
        minutes = 0
        while self.spent(job) < money("1.2"):  # a minute is half a unit, the first one only what is left of it
            self.assertEqual((self.state(job), self.why(job)["reason"]), ("running", "runs"))
            self.assertLess(minutes, 4)
            self.minute()
            minutes += 1
        self.assertGreater(minutes, 1)
        self.until(job, "suspended")
        self.assertLess(self.spent(job), money("1.8"))
        self.assertEqual((self.why(job)["reason"], self.job(job)["held"]), ("budget", True))
        self.assertIn("budget of 1.20 EUR is used up", self.why(job)["text"])
        self.assertIn(f"fastgpu budget set {job} AMOUNT", self.why(job)["remedy"])
        self.assertEqual([t for t in self.events("budget") if "used up" in t], [f"the budget of job {job} (sh), 1.20 EUR, is used up; it is suspended"])
        self.assertEqual([(r["target"], r["status"]) for r in self.d.ok("GET", "/v1/audit?actor=budget")["audit"]], [(str(job), 200)])
        self.refused(self.d, "POST", f"/v1/jobs/{job}/resume", None, 409, "budget", "1.20 EUR", f"fastgpu budget set {job}")
        self.assertEqual(self.state(other), "running")

        self.d.stop(signal.SIGKILL)  # all of that is on record
        self.d.start()
        self.assertEqual((self.state(job), self.why(job)["reason"], self.job(job)["budget"]["amount"]), ("suspended", "budget", "1.20"))
        before = self.spent(job)
        self.assertGreaterEqual(before, money("1.2"))
        self.minute()  # what it holds still costs
        self.assertGreater(self.spent(job), before)

        self.d.ok("PATCH", f"/v1/jobs/{job}", {"budget": {"amount": "1.3", "currency": "EUR"}})
        self.assertEqual((self.state(job), self.why(job)["reason"]), ("suspended", "budget"))  # not enough
        self.d.ok("PATCH", f"/v1/jobs/{job}", {"budget": {"amount": "50", "currency": "EUR"}})
        self.until(job, "running")
        self.assertNotIn("held", self.job(job))
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        self.ends(job, "cancelled")
        self.minute()
        usage = sum(money(u["cost"]) for u in self.d.ok("GET", "/v1/usage")["usage"] if u["name"] == f"job-{job}/0")
        self.assertEqual(self.spent(job), usage)  # also of what it used at its end
        self.refused(self.d, "PATCH", f"/v1/jobs/{job}", {"budget": None}, 409, "ended")

    def test_arrays_and_people(self):
        """All elements have one budget; what a person suspended stays so."""
        array = self.submit("sleep 1000", array="1-4%2", memory="128M", compute="50", budget={"amount": "0.9"})
        wait_until(lambda: [e["state"] for e in self.elements(array)] == ["running"] * 2 + ["queued"] * 2, "two run")
        self.minute()
        self.minute()
        wait_until(lambda: [e["state"] for e in self.elements(array)] == ["suspended"] * 2 + ["queued"] * 2, "they are suspended")
        self.refused(self.d, "POST", f"/v1/jobs/{array}/resume?index=1", None, 409, "budget")
        self.d.ok("DELETE", f"/v1/jobs/{array}?index=1")
        time.sleep(0.3)
        self.assertEqual([e["state"] for e in self.elements(array)][1:], ["suspended", "queued", "queued"])  # nothing comes after it
        self.assertEqual(len([t for t in self.events("budget") if "used up" in t]), 1)
        self.d.ok("POST", f"/v1/jobs/{array}/suspend")
        self.d.ok("PATCH", f"/v1/jobs/{array}", {"budget": None})
        self.assertEqual(self.why(f"{array}/2")["reason"], "held")
        self.assertNotIn("budget", self.job(array))
        self.d.ok("POST", f"/v1/jobs/{array}/resume")
        wait_until(lambda: [e["state"] for e in self.elements(array)][1:3] == ["running"] * 2, "they go on")
        self.d.ok("DELETE", f"/v1/jobs/{array}")
        self.ends(array, "cancelled")

    def test_one_that_a_person_holds(self):
        """It is not let go on with the others when the budget is raised, also after a restart."""
        for restart in (False, True):
            array = self.submit("sleep 1000", array="1-2", memory="128M", compute="50", budget={"amount": "0.9"})
            wait_until(lambda: [e["state"] for e in self.elements(array)] == ["running"] * 2, "both run")
            self.d.ok("POST", f"/v1/jobs/{array}/suspend?index=2")
            self.minute()
            self.minute()
            wait_until(lambda: [e["state"] for e in self.elements(array)] == ["suspended"] * 2, "they are suspended")
            if restart:
                self.d.stop(signal.SIGKILL)
                self.d.start()
            self.d.ok("PATCH", f"/v1/jobs/{array}", {"budget": None})
            wait_until(lambda: [e["state"] for e in self.elements(array)] == ["running", "suspended"], "the other goes on")
            self.assertEqual(self.why(f"{array}/2")["reason"], "held")
            self.d.ok("DELETE", f"/v1/jobs/{array}")
            self.ends(array, "cancelled")

    def test_bad_ones(self):
        def bad(budget, *words, id=None):
            body = {"budget": budget} if id else {"command": ["true"], "memory": "1M", "budget": budget}
            self.refused(self.d, "PATCH" if id else "POST", f"/v1/jobs/{id}" if id else "/v1/jobs", body, 400, "bad-request", *words)

        bad("5", "budget", '{"amount": "10"')
        bad({}, "amount")
        bad({"amount": "-1"}, "-1")
        bad({"amount": 5}, "amount")
        bad({"amount": "5", "currency": "euro"}, "euro")
        bad({"amount": "5", "on_limit": "stop"}, "on_limit")
        job = self.submit("true", not_before="1h", budget={"amount": "5"})
        bad({"amount": "x"}, "x", id=job)
        self.refused(self.d, "PATCH", f"/v1/jobs/{job}", {}, 400, "bad-request", "budget")
        self.refused(self.d, "PATCH", "/v1/jobs/99", {"budget": None}, 404, "not-found")
        self.assertEqual(self.job(job)["budget"]["amount"], "5.00")
        self.d.ok("PATCH", f"/v1/jobs/{job}", {"budget": {"amount": "0"}})
        self.assertNotIn("budget", self.job(job))
        self.d.ok("DELETE", f"/v1/jobs/{job}")


class WithoutPrices(jobs.Case):
    def test_no_currency(self):
        self.refused(self.d, "POST", "/v1/jobs", {"command": ["true"], "memory": "1M", "budget": {"amount": "5"}}, 404, "not-found", "price list")
        self.assertNotIn("budget", self.job(self.submit("true", budget={"amount": "0"})))
        job = self.submit("true", budget={"amount": "5", "currency": "EUR"})
        self.assertEqual(self.ends(job)["budget"], {"amount": "5.00", "currency": "EUR", "spent": "0.00"})


harness.main()
