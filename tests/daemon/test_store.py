# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged is there, what was not is not: kill -9 at random moments, full disks, damage."""
import glob
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time

import harness
from harness import MEMORY, Daemon


class Killed(harness.Case):
    def check(self, d, acknowledged, tried):
        """Everything acknowledged exists, everything that exists was tried and is whole."""
        sets = {s["name"]: s for s in d.ok("GET", "/v1/vgpus")["sets"]}
        self.assertEqual(acknowledged - set(sets), set())
        self.assertEqual(set(sets) - tried, set())
        for s in sets.values():
            self.assertEqual([(v["index"], v["memory"], v["share"], v["state"]) for v in s["vgpus"]],
                             [(i, 1 << 20, 1, "ready") for i in range(3)])
        free = d.ok("GET", "/v1/devices")["devices"][0]["share_free"]
        self.assertEqual(free, 1000 - 3 * len(sets))

    def test_random_moments(self):
        rng = random.Random(1)
        d = Daemon()
        self.addCleanup(d.__exit__)
        acknowledged, tried = set(), set()
        for n in range(12):
            d.start()
            self.check(d, acknowledged, tried)
            killer = threading.Timer(rng.uniform(0.001, 0.05), d.process.kill)
            killer.start()
            try:
                c = d.connect()
                for i in range(25):
                    name = f"r{n}-{i}"
                    tried.add(name)
                    if d.request("POST", "/v1/vgpus", {"name": name, "gpus": 3, "memory": "1M", "compute": "0.1"}, c)[0] == 201:
                        acknowledged.add(name)
            except (OSError, harness.http.client.HTTPException):
                pass
            killer.join()
            d.process.wait()
        d.start()
        self.check(d, acknowledged, tried)


class Damaged(harness.Case):
    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.__exit__)
        self.store = os.path.join(self.d.state, "store.db")
        self.d.start()
        self.d.create("a", gpus=2, memory="10M", compute="10")
        self.d.stop()

    def damage(self, function):
        with open(self.store, "rb") as f:
            data = f.read()
        with open(self.store, "wb") as f:
            f.write(function(data))

    def test_not_a_database(self):
        for function in (lambda b: b"\0" * 4096, lambda b: b"hello", lambda b: b[:5000], lambda b: b[:4096] + os.urandom(len(b) - 4096)):
            self.damage(function)
            self.d.start()
            self.assertEqual(self.d.names(), [])
            self.assertIn("put aside", " ".join(self.d.ok("GET", "/v1/devices")["problems"]))
            self.assertIn("put aside", self.d.logged())
            self.assertTrue(glob.glob(self.store + ".corrupt-*"))
            self.d.create("a", gpus=2, memory="10M", compute="10")
            self.d.stop()

    def sql(self, *statements):
        db = sqlite3.connect(self.store)
        for statement in statements:
            db.execute(statement)
        db.commit()
        db.close()

    def test_nonsense_rows_are_quarantined(self):
        for change in (f"memory={MEMORY * 2}", "memory=-1", "memory=0", "share=0", "share=1001", "share=70000", "mode=7", "priority=-3",
                       "device=77", "uuid=x'00'"):
            self.sql("UPDATE vgpus SET memory=10485760, share=100, mode=0, priority=1, device=0, uuid=randomblob(16)",
                     f"UPDATE vgpus SET {change} WHERE idx=1")
            self.d.start()
            with self.subTest(change=change):
                first, second = self.d.ok("GET", "/v1/vgpus/a")["vgpus"]
                self.assertEqual((first["state"], second["state"]), ("ready", "quarantined"))
                self.refused(self.d, "POST", "/v1/open", {"target": "a/1"}, 409, "quarantined", "a/1")
                self.refused(self.d, "PATCH", "/v1/vgpus/a/1", {"memory": "1M"}, 409, "quarantined")
                self.assertIn("a/1", " ".join(self.d.ok("GET", "/v1/devices")["problems"]))
                # A row that makes no sense promises nothing; one that is only too large may have programs running.
                promised = 200 if change.startswith(f"memory={MEMORY * 2}") else 100
                self.assertEqual(self.d.ok("GET", "/v1/devices")["devices"][0]["share_free"], 1000 - promised)
            self.d.stop()
        self.d.start()
        self.assertEqual(self.d.request("DELETE", "/v1/vgpus/a")[0], 204)

    def test_over_committed_store(self):
        self.sql(f"UPDATE vgpus SET memory={MEMORY - 1}")
        self.d.start()
        self.assertEqual([v["state"] for v in self.d.ok("GET", "/v1/vgpus/a")["vgpus"]], ["ready", "quarantined"])
        # Programs of the quarantined one may be running: what it was promised is nobody else's.
        self.assertEqual(self.d.ok("GET", "/v1/devices")["devices"][0]["memory_free"], 0)

    def test_missing_row(self):
        self.sql("DELETE FROM vgpus WHERE idx=0")
        self.d.start()
        self.assertEqual([v["state"] for v in self.d.ok("GET", "/v1/vgpus/a")["vgpus"]], ["quarantined", "ready"])

    def test_store_of_a_later_version(self):
        self.sql("PRAGMA user_version=99")
        process, ready = self.d.popen()
        os.close(ready)
        self.assertEqual(process.wait(20), 1)
        self.assertIn("version 99", self.d.logged())
        self.assertEqual(glob.glob(self.store + ".corrupt-*"), [])


class Full(harness.Case):
    def mount(self, folder, options):
        os.makedirs(folder)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True).returncode:
            self.skipTest("cannot mount a small disk")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], capture_output=True)

    def test_disk_full(self):
        d = Daemon()
        self.addCleanup(d.__exit__)
        self.mount(d.state, "size=3m")
        d.start()
        d.create("a", memory="10M", compute="10")
        before = d.ok("GET", "/v1/vgpus"), d.ok("GET", "/v1/devices")
        filler = os.path.join(d.state, "filler")
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        for n in range(200):  # until the log of the store has no room left of its own
            status, reply = d.request("POST", "/v1/vgpus", {"name": f"b{n}", "gpus": 100, "memory": "64K", "compute": "0.1"})
            if status != 201:
                break
            d.ok("DELETE", f"/v1/vgpus/b{n}")
        self.assertEqual((status, reply["type"]), (507, "storage"))
        self.refused(d, "POST", "/v1/vgpus", {"name": "b", "gpus": 800, "memory": "64K", "compute": "0.1"}, 507, "storage", "not created")
        status, reply = d.request("POST", "/v1/open", {"memory": "1M", "compute": "1"})
        self.assertEqual(status, 507, reply)
        after = d.ok("GET", "/v1/vgpus"), d.ok("GET", "/v1/devices")
        self.assertEqual((before[0]["sets"], before[1]), (after[0]["sets"], after[1]))
        os.unlink(filler)
        d.create("b", memory="10M", compute="10")
        d.stop(signal.SIGKILL)
        d.start()
        self.assertEqual(d.names(), ["a", "b"])


harness.main()
