# SPDX-License-Identifier: Apache-2.0
"""Suspension and idle leases: what nobody uses goes, what programs hold is suspended, and neither a restart nor a long time without
a daemon makes a difference. Leases are short here; what is checked is what happened and in which order, not when."""
import datetime
import os
import signal
import sqlite3

import harness
from harness import Daemon, Runner, wait_until


class Case(harness.Case):
    def start(self, **options):
        self.d = Daemon(**options)
        self.addCleanup(self.d.__exit__)
        self.d.start()

    def events(self, target=None):
        return [(e["kind"], e["actor"]) for e in self.d.ok("GET", "/v1/events?limit=1000")["events"] if target in (None, e["target"])]

    def set(self, name):
        return self.d.ok("GET", f"/v1/vgpus/{name}")

    def state(self, name):
        return self.set(name)["vgpus"][0]["state"]

    def lease(self, value, project="default"):
        return self.d.ok("PATCH", f"/v1/projects/{project}", {"idle_lease": value})


class Suspend(Case):
    def setUp(self):
        self.start(devices=2)

    def test_events_audit_and_repetition(self):
        self.d.create("a", memory="1M", compute="60")
        for verb, state in (("suspend", "suspended"), ("suspend", "suspended"), ("resume", "ready"), ("resume", "ready")):
            self.assertEqual(self.d.ok("POST", f"/v1/vgpus/a/{verb}")["vgpus"][0]["state"], state)
        self.assertEqual([kind for kind, _ in self.events("a")], ["vgpu.created", "vgpu.suspended", "vgpu.resumed"])
        wait_until(lambda: len(self.d.ok("GET", "/v1/audit")["audit"]) == 5, "all rows")
        rows = [(r["action"], r["target"], r["status"]) for r in self.d.ok("GET", "/v1/audit")["audit"]]
        self.assertEqual(rows.count(("POST /v1/vgpus/*/suspend", "a", 200)), 2)

    def test_refusals(self):
        self.d.create("a", memory="1M", compute="60", gpus=2)
        self.refused(self.d, "POST", "/v1/vgpus/b/suspend", None, 404, "not-found", "b")
        self.refused(self.d, "POST", "/v1/vgpus/a%2f0/suspend", None, 400, "bad-request", "as a whole")
        self.refused(self.d, "GET", "/v1/vgpus/a/suspend?x=1", None, 405, "method-not-allowed")
        self.refused(self.d, "POST", "/v1/vgpus/a/suspend", {"now": True}, 400, "bad-request", "now")
        self.refused(self.d, "POST", "/v1/vgpus/a/suspend?x=1", None, 400, "bad-request", "x")

    def test_share_and_quota(self):
        self.d.ok("PUT", "/v1/quotas", {"scope": "project", "project": "default", "share": 1000})
        self.d.create("a", memory="1M", compute="60", device="0")
        self.d.ok("POST", "/v1/vgpus/a/suspend")
        self.d.create("b", memory="1M", compute="60", device="1")
        self.refused(self.d, "POST", "/v1/vgpus/a/resume", None, 409, "quota")
        self.d.ok("DELETE", "/v1/vgpus/b")
        self.d.create("b", memory="1M", compute="60", device="0")
        reply = self.refused(self.d, "POST", "/v1/vgpus/a/resume", None, 409, "no-capacity")
        self.assertEqual(reply["available_share"], 400)
        self.assertEqual(self.state("a"), "suspended")
        self.d.ok("DELETE", "/v1/vgpus/b")
        self.d.ok("POST", "/v1/vgpus/a/resume")
        self.assertEqual(self.d.ok("GET", "/v1/devices")["devices"][0]["share_free"], 400)

    def test_restarts(self):
        self.d.create("a", memory="1M", compute="60", device="0")
        tenant = self.d.tenant(self.d.open("a")["attach"])
        self.assertEqual(tenant("held", 0), 0)
        self.d.ok("POST", "/v1/vgpus/a/suspend")
        self.assertEqual(tenant("held", 0), 1)
        for how in (signal.SIGKILL, signal.SIGTERM):
            self.d.stop(how)
            self.assertEqual(tenant("held", 0), 1)
            self.d.start()
            self.assertEqual((self.state("a"), tenant("held", 0)), ("suspended", 1))
            self.assertEqual(self.d.ok("GET", "/v1/devices")["devices"][0]["share_free"], 1000)
        late = self.d.tenant(self.d.open("a")["attach"])
        self.assertEqual(late("held", 0), 1)
        self.d.ok("POST", "/v1/vgpus/a/resume")
        self.assertEqual((tenant("held", 0), late("held", 0)), (0, 0))
        self.d.stop(signal.SIGKILL)
        self.d.start()
        self.assertEqual((self.state("a"), tenant("held", 0)), ("ready", 0))


class Lease(Case):
    def test_unused_is_deleted(self):
        self.start(idle_lease=2)
        self.d.create("a", memory="1M", compute="10")
        self.assertEqual({k: self.set("a")["idle_lease"][k] for k in ("seconds", "then")}, {"seconds": 2, "then": "deleted"})
        wait_until(lambda: "a" not in self.d.names(), "the end of a lease")
        self.assertEqual(self.events("a"), [("vgpu.created", "operator"), ("lease.warning", "system"), ("lease.ended", "lease"), ("vgpu.deleted", "lease")])
        rows = [r for r in self.d.ok("GET", "/v1/audit?actor=lease")["audit"]]
        self.assertEqual([(r["action"], r["target"], r["status"], r["project"]) for r in rows], [("DELETE /v1/vgpus/*", "a", 204, "default")])

    def test_held_is_suspended_and_goes_on(self):
        self.start(idle_lease=1)
        self.d.create("a", memory="1M", compute="10")
        tenant = self.d.tenant(self.d.open("a")["attach"])
        wait_until(lambda: self.state("a") == "suspended", "the end of a lease")
        self.assertEqual(tenant("held", 0), 1)
        self.assertNotIn("idle_lease", self.set("a"))
        self.assertEqual(tenant.process.poll(), None)
        self.assertIn(("vgpu.suspended", "lease"), self.events("a"))
        self.d.ok("POST", "/v1/vgpus/a/resume")
        self.assertEqual(tenant("held", 0), 0)
        wait_until(lambda: self.state("a") == "suspended", "the end of the next lease")
        tenant.kill()
        wait_until(lambda: "a" not in self.d.names(), "the end of what nobody holds any more")

    def test_device_time_counts_as_use(self):
        self.start(idle_lease=2)
        self.d.create("used", memory="1M", compute="10")
        self.d.create("idle", memory="1M", compute="10")
        tenant = self.d.tenant(self.d.open("used")["attach"])
        other = self.d.tenant(self.d.open("idle")["attach"])

        def work():
            tenant("busy", 0, 1000000)
            other("launches", 0, 1)  # launches alone prove nothing
            return self.state("idle") == "suspended"

        wait_until(work, "the end of a lease")
        self.assertEqual(self.state("used"), "ready")
        self.assertGreater(self.d.usage("used")["gpu_ns"], 0)
        self.assertEqual([k for k, _ in self.events("used")], ["vgpu.created"])

    def test_runner_alone_holds_it(self):
        self.start(idle_lease=1)
        self.d.create("a", memory="1M", compute="10")
        runner = Runner(self.d, {"target": "a"})
        self.addCleanup(runner.kill)
        wait_until(lambda: self.state("a") == "suspended", "the end of a lease")

    def test_jobs_are_suspended_and_go_on(self):
        self.start(idle_lease=1)
        job = self.d.ok("POST", "/v1/jobs", {"command": ["sleep", "1000"], "memory": "1M", "compute": "10"})["id"]
        self.addCleanup(lambda: self.d.request("DELETE", f"/v1/jobs/{job}"))

        def state():
            return self.d.ok("GET", f"/v1/jobs/{job}")["state"]

        wait_until(lambda: state() == "suspended", "the end of a lease")
        rows = self.d.ok("GET", "/v1/audit?actor=lease")["audit"]
        self.assertEqual([(r["action"], r["status"]) for r in rows], [("POST /v1/jobs/*/suspend", 200)])
        self.lease(0)
        self.d.ok("POST", f"/v1/jobs/{job}/resume")
        wait_until(lambda: state() == "running", "it goes on")
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        wait_until(lambda: state() == "cancelled", "its end")

    def test_projects_have_their_own(self):
        self.start(idle_lease=0)
        self.d.ok("POST", "/v1/projects", {"name": "red"}, 201)
        self.assertEqual(self.d.ok("GET", "/v1/projects/red")["idle_lease"], 0)
        self.d.create("keep", memory="1M", compute="10")
        self.d.create("a", memory="1M", compute="10", project="red")
        self.assertNotIn("idle_lease", self.set("keep"))
        reply = self.lease("1s", "red")
        self.assertEqual((reply["idle_lease"], reply["idle_lease_default"]), (1, False))
        wait_until(lambda: self.d.names() == ["keep"], "the end of red's")
        self.assertTrue(self.lease(None, "red")["idle_lease_default"])
        for bad in ("1x", -1, 10**12, "", True, [], 1.5, "99999999999d"):
            self.refused(self.d, "PATCH", "/v1/projects/red", {"idle_lease": bad}, 400, "bad-request")
        self.refused(self.d, "PATCH", "/v1/projects/red", {}, 400, "bad-request", "idle_lease")
        self.lease(3600, "red")
        self.refused(self.d, "POST", "/v1/projects", {"name": "green", "idle_lease": "1x"}, 400, "bad-request")
        made = self.d.ok("POST", "/v1/projects", {"name": "blue", "idle_lease": "2h"}, 201)
        self.assertEqual((made["idle_lease"], made["idle_lease_default"]), (7200, False))
        self.assertFalse(self.d.ok("POST", "/v1/projects", {"name": "green", "idle_lease": 0}, 201)["idle_lease_default"])
        self.d.stop(signal.SIGKILL)
        self.d.start()
        for name, seconds in (("red", 3600), ("blue", 7200), ("green", 0)):
            reply = self.d.ok("GET", f"/v1/projects/{name}")
            self.assertEqual((reply["idle_lease"], reply["idle_lease_default"]), (seconds, False))

    def left(self, name="a"):
        ends = datetime.datetime.fromisoformat(self.set(name)["idle_lease"]["ends"].replace("Z", "+00:00"))
        return (ends - datetime.datetime.now(datetime.timezone.utc)).total_seconds()

    def test_restart_neither_resets_nor_fires(self):
        """What was idle for a while is so after a restart; the years in between do not count."""
        self.start(idle_lease=1000)
        self.d.create("a", memory="1M", compute="10")
        self.d.stop()
        with sqlite3.connect(os.path.join(self.d.state, "store.db")) as db:
            up = db.execute("SELECT ms FROM uptime").fetchone()[0]
            self.assertEqual(db.execute("SELECT count(*) FROM leases").fetchone()[0], 1)
            # As if it had been idle for 600 s when the daemon ended.
            db.execute("UPDATE uptime SET ms=?", (up + 700000,))
            db.execute("UPDATE leases SET active_at=?", (up + 100000,))
        db.close()
        for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            self.d.start()
            self.assertGreater(self.left(), 250)
            self.assertLessEqual(self.left(), 400)
            self.d.stop(how)
        with sqlite3.connect(os.path.join(self.d.state, "store.db")) as db:
            db.execute("UPDATE uptime SET ms=ms+500000")
        db.close()
        self.d.start()
        wait_until(lambda: "a" not in self.d.names(), "a lease that is over long since")

    def test_used_while_no_daemon_looked(self):
        self.start(idle_lease=1000)
        self.d.create("a", memory="1M", compute="10")
        tenant = self.d.tenant(self.d.open("a")["attach"])
        self.d.stop()
        with sqlite3.connect(os.path.join(self.d.state, "store.db")) as db:
            db.execute("UPDATE uptime SET ms=ms+5000000")
        db.close()
        tenant("busy", 0, 1000000)
        self.d.start()
        wait_until(lambda: self.d.usage("a")["gpu_ns"] > 0, "what it used")
        wait_until(lambda: self.left() > 900, "a look at it")
        self.assertEqual(self.state("a"), "ready")
        self.assertNotIn("vgpu.suspended", [k for k, _ in self.events("a")])

    def test_nonsense_in_the_store(self):
        self.start(idle_lease=1000)
        self.d.create("a", memory="1M", compute="10")
        self.d.stop()
        with sqlite3.connect(os.path.join(self.d.state, "store.db")) as db:
            db.execute("UPDATE leases SET active_at=?, gpu_ns=-5, warned=7", (1 << 62,))
            db.execute("UPDATE uptime SET ms=-9")
            db.execute("UPDATE projects SET idle_lease=?", (1 << 60,))
            db.execute("INSERT INTO leases VALUES(999,0,0,0)")
        db.close()
        self.d.start()
        self.assertGreater(self.left(), 900)
        self.assertEqual(self.d.ok("GET", "/v1/projects/default")["idle_lease"], 1000)

    def test_default_is_on(self):
        self.start()
        self.d.create("a", memory="1M", compute="10")
        self.assertEqual(self.set("a")["idle_lease"]["seconds"], 12 * 3600)


if __name__ == "__main__":
    harness.main()
