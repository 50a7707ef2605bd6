# SPDX-License-Identifier: Apache-2.0
"""A store of an older version becomes one of this, whole or not at all, wherever the daemon is killed meanwhile."""
import os
import shutil
import signal
import sqlite3
import subprocess

import harness
from harness import MEMORY, Daemon

VERSION_1 = """
CREATE TABLE devices(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL, api TEXT NOT NULL,
 model TEXT NOT NULL, vendor TEXT NOT NULL, driver TEXT NOT NULL, memory INTEGER NOT NULL,
 compute_units INTEGER NOT NULL, type TEXT NOT NULL);
CREATE TABLE sets(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL,
 ephemeral INTEGER NOT NULL, count INTEGER NOT NULL);
CREATE TABLE vgpus(id INTEGER PRIMARY KEY, set_id INTEGER NOT NULL, idx INTEGER NOT NULL, uuid BLOB NOT NULL,
 device INTEGER NOT NULL, memory INTEGER NOT NULL, share INTEGER NOT NULL, mode INTEGER NOT NULL,
 priority INTEGER NOT NULL, UNIQUE(set_id, idx));
CREATE TABLE usage(vgpu INTEGER PRIMARY KEY,
 base_peak INTEGER, base_gpu_ns INTEGER, base_granted_ns INTEGER, base_launches INTEGER, base_waits INTEGER,
 base_wait_ns INTEGER, base_refusals INTEGER, base_faults INTEGER,
 live_peak INTEGER, live_gpu_ns INTEGER, live_granted_ns INTEGER, live_launches INTEGER, live_waits INTEGER,
 live_wait_ns INTEGER, live_refusals INTEGER, live_faults INTEGER);
PRAGMA application_id=1179078741; PRAGMA user_version=1;
"""
SETS = 60
LATEST = 5


def make_version_4(path):
    """What the version before payers left behind: this one's, without what it has more."""
    db = sqlite3.connect(path)
    for column in ("payer", "workload"):
        db.execute(f"ALTER TABLE sets DROP COLUMN {column}")
    db.execute("PRAGMA user_version=4")
    db.commit()
    db.close()


def make_version_3(path):
    """Before budgets of jobs."""
    make_version_4(path)
    db = sqlite3.connect(path)
    db.execute("DROP TABLE job_budgets")
    db.execute("PRAGMA user_version=3")
    db.commit()
    db.close()


def make_version_2(path):
    """Before jobs."""
    make_version_3(path)
    db = sqlite3.connect(path)
    for table in ("jobs", "runs", "standings", "leases", "uptime", "perf", "calibrations"):
        db.execute(f"DROP TABLE {table}")
    for table, column in (("sets", "job"), ("sets", "element"), ("sets", "suspended"), ("projects", "idle_lease")):
        db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    db.execute("PRAGMA user_version=2")
    db.commit()
    db.close()


def make_old(path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.executescript(VERSION_1)
    db.execute("INSERT INTO devices VALUES(0,'opencl/Fake/0','00000000-0000-4000-8000-000000000000','opencl','m','v','d',?,4,'gpu')", (MEMORY,))
    for n in range(1, SETS + 1):
        db.execute("INSERT INTO sets VALUES(?,?,?,0,2)", (n, f"set{n}", 1700000000 + n))
        for i in range(2):
            row = db.execute("INSERT INTO vgpus(set_id,idx,uuid,device,memory,share,mode,priority) VALUES(?,?,randomblob(16),0,?,1,0,1)",
                             (n, i, 1 << 20))
            db.execute("INSERT INTO usage(vgpu,base_launches,live_launches,base_peak) VALUES(?,?,5,77)", (row.lastrowid, n))
    db.commit()
    db.close()


class Migration(harness.Case):
    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.__exit__)
        os.makedirs(self.d.state, 0o700)
        self.store = os.path.join(self.d.state, "store.db")
        make_old(self.store)

    def check(self):
        sets = self.d.ok("GET", "/v1/vgpus")["sets"]
        self.assertEqual([(s["name"], s["project"], s["owner"], len(s["vgpus"])) for s in sets],
                         [(f"set{n}", "default", "operator", 2) for n in range(1, SETS + 1)])
        for n, s in enumerate(sets, 1):
            self.assertEqual([(v["memory"], v["share"], v["state"], v["usage"]["launches"], v["usage"]["memory_peak"]) for v in s["vgpus"]],
                             [(1 << 20, 1, "ready", n + 5, 77)] * 2)
        self.assertEqual(sets[0]["created"], "2023-11-14T22:13:21Z")
        self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])
        self.assertEqual(self.d.ok("GET", "/v1/quotas")["quotas"][0]["used"], {"vgpus": 2 * SETS, "memory": 2 * SETS << 20, "share": 2 * SETS,
                                                                               "jobs": 0, "queued": 0})

    def version(self):
        db = sqlite3.connect(self.store)
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        db.close()
        return version, "users" in tables

    def test_all_is_there(self):
        self.d.start()
        self.check()
        self.d.create("new", memory="1M", compute="0.1")
        self.refused(self.d, "POST", "/v1/vgpus", {"name": "set1"}, 409, "exists")
        self.d.ok("POST", "/v1/projects", {"name": "red"})
        self.d.ok("POST", "/v1/vgpus", {"name": "set1", "project": "red", "memory": "1M", "compute": "0.1"})
        self.d.stop()
        self.assertEqual(self.version(), (LATEST, True))
        self.d.start()
        self.assertEqual(len(self.d.names()), SETS + 2)

    def test_from_version_2(self):
        """Users, quotas and sets stay as they were, and jobs can be submitted."""
        self.d.start()
        self.d.ok("POST", "/v1/projects", {"name": "red"})
        self.d.ok("POST", "/v1/vgpus", {"name": "x", "project": "red", "memory": "1M", "compute": "0.1"})
        self.d.ok("PUT", "/v1/quotas", {"scope": "project", "project": "red", "queued": 7})
        self.d.stop()
        make_version_2(self.store)
        self.assertEqual(self.version(), (2, True))
        self.d.start()
        self.assertEqual([s["name"] for s in self.d.ok("GET", "/v1/vgpus?project=red")["sets"]], ["x"])
        self.assertEqual(self.d.ok("GET", "/v1/quotas?project=red")["quotas"][0]["limits"], {"queued": 7})
        self.assertEqual(len(self.d.names()), SETS + 1)
        body = {"command": ["true"], "memory": "1M", "compute": "0.1", "project": "red"}
        job = self.d.ok("POST", "/v1/jobs", body)["id"]
        harness.wait_until(lambda: self.d.ok("GET", f"/v1/jobs/{job}")["state"] == "done", "it is done")
        self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])
        self.d.stop()
        self.assertEqual(self.version(), (LATEST, True))

    def test_from_version_4(self):
        """Each set is its project's to pay, and may get another payer."""
        self.d.start()
        self.d.ok("POST", "/v1/projects", {"name": "red"})
        self.d.stop()
        make_version_4(self.store)
        self.d.start()
        self.assertNotIn("payer", self.d.ok("GET", "/v1/vgpus/set1"))
        self.assertEqual(self.d.ok("PUT", "/v1/vgpus/set1/payer", {"project": "red"})["payer"], "red")
        self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])
        self.d.stop()
        self.assertEqual(self.version(), (LATEST, True))
        self.d.start()
        self.assertEqual(self.d.ok("GET", "/v1/vgpus/set1")["payer"], "red")

    def test_from_version_3(self):
        """A job that waited waits, and may get a budget."""
        self.d.start()
        job = self.d.ok("POST", "/v1/jobs", {"command": ["true"], "memory": "1M", "compute": "0.1", "not_before": "1h"})["id"]
        self.d.stop()
        make_version_3(self.store)
        self.d.start()
        self.assertEqual(self.d.ok("GET", f"/v1/jobs/{job}")["state"], "queued")
        got = self.d.ok("PATCH", f"/v1/jobs/{job}", {"budget": {"amount": "3", "currency": "EUR"}})
        self.assertEqual(got["budget"]["amount"], "3.00")
        self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])
        self.d.stop()
        self.assertEqual(self.version(), (LATEST, True))

    def killed_at_every_write(self, before, check):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True)
        if probe.returncode:
            self.skipTest("strace may not trace here")
        kept = self.store + ".kept"
        shutil.copy(self.store, kept)
        hits = 0
        for call in ("pwrite64", "fdatasync", "ftruncate"):
            for when in range(1, 200):
                for tail in ("", "-wal", "-shm", "-journal"):
                    if os.path.exists(self.store + tail):
                        os.unlink(self.store + tail)
                shutil.copy(kept, self.store)
                # Each of many starts in one minute begins a minute of billing time: they are to begin anew.
                shutil.rmtree(os.path.join(self.d.state, "money"), ignore_errors=True)
                try:
                    self.d.start(prefix=("strace", "-D", "-o", "/dev/null", "-P", self.store, "-P", self.store + "-wal", "-P", self.store + "-journal", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}"))
                    came_up = True
                except AssertionError:
                    came_up = False
                self.d.stop(signal.SIGKILL)
                with self.subTest(call=call, when=when):
                    self.assertIn(self.version(), (before, (LATEST, True)))
                    self.d.start()
                    check()
                    self.d.stop()
                if came_up:
                    break
                hits += 1
            self.assertTrue(came_up)
        self.assertGreater(hits, 5)

    def test_killed_at_every_write_from_1(self):
        self.killed_at_every_write((1, False), self.check)

    def from_later(self, make, version):
        """Sets, a project with a quota and, where there were any, a job."""
        self.d.start()
        self.d.ok("POST", "/v1/projects", {"name": "red"})
        self.d.ok("PUT", "/v1/quotas", {"scope": "project", "project": "red", "queued": 7})
        jobs = [self.d.ok("POST", "/v1/jobs", {"command": ["true"], "memory": "1M", "project": "red", "not_before": "1h"})["id"]] if version > 2 else []
        self.d.stop()
        make(self.store)

        def check():
            self.assertEqual(len(self.d.names()), SETS)
            self.assertEqual(self.d.ok("GET", "/v1/quotas?project=red")["quotas"][0]["limits"], {"queued": 7})
            self.assertEqual([(j["id"], j["state"]) for j in self.d.ok("GET", "/v1/jobs")["jobs"]], [(id, "queued") for id in jobs])
            self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])

        self.killed_at_every_write((version, True), check)

    def test_killed_at_every_write_from_2(self):
        self.from_later(make_version_2, 2)

    def test_killed_at_every_write_from_3(self):
        self.from_later(make_version_3, 3)

    def test_full_disk(self):
        """It stays of version 1, and the daemon says why it does not start."""
        if not shutil.which("strace") or subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode:
            self.skipTest("strace may not trace here")
        with self.assertRaises(AssertionError):
            self.d.start(prefix=("strace", "-D", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC:when=3+"))
        self.assertIn("store.db", self.d.logged())
        self.assertEqual(self.version(), (1, False))
        self.d.start()
        self.check()

    def test_damaged_old_store(self):
        with open(self.store, "r+b") as f:
            f.seek(8192)
            f.write(os.urandom(4096))
        self.d.start()
        self.assertIn("put aside", " ".join(self.d.ok("GET", "/v1/devices")["problems"]))


if __name__ == "__main__":
    harness.main()
