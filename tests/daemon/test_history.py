#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""History of a running daemon: what programs did is in it when its minute was settled (as it is when the daemon ends), and each sees his
own. Days of it are in tests/unit/test_history.c."""
import os
import signal

import people
from harness import MEMORY, Case, Daemon, main


class OfOthers(people.Case):
    def setUp(self):
        people.require_root()
        super().setUp()
        self.populate()

    def rows(self, person, query=""):
        return sorted(v["name"] for v in person.ok("GET", "/v1/history" + query)["vgpus"])

    def test_each_sees_his_own(self):
        uuid = {}
        for person, name in ((self.bob, "reds"), (self.carol, "blues")):
            uuid[name] = person.create(name)["vgpus"][0]["uuid"]
        token = self.token("bob", role="viewer", project="red")
        self.restart()
        self.assertEqual(self.rows(self.operator, "?project=red"), ["reds/0"])
        self.assertEqual(self.rows(self.operator, "?project=blue"), ["blues/0"])
        for person in (self.alice, self.bob, token):
            self.assertEqual(self.rows(person), ["reds/0"])
            for path in ("/v1/projects/red/history", "/v1/vgpus/reds/history", "/v1/vgpus/reds/0/history", "/v1/history/" + uuid["reds"]):
                self.assertEqual(person.ok("GET", path)["project"], "red")
            for path in ("/v1/projects/blue/history", "/v1/vgpus/blue:blues/history", "/v1/history/" + uuid["blues"], "/v1/history?project=blue"):
                unknown = path.replace(uuid["blues"], uuid["blues"][:-1] + ("0" if uuid["blues"][-1] != "0" else "1")).replace("blue", "none")
                said = self.denied(person, "GET", path, None, 404, "not-found")["detail"]
                other = self.denied(person, "GET", unknown, None, 404, "not-found")["detail"]
                self.assertEqual(said.replace("blue", "none").replace(uuid["blues"], ""), other.replace(unknown.rsplit("/", 1)[1], ""), path)
            self.denied(person, "GET", "/v1/devices/0/history", None, 403, "forbidden")
        self.assertEqual(self.operator.ok("GET", "/v1/devices/0/history")["kind"], "device")
        # Gone with its project, it is an admin's to see.
        self.operator.ok("DELETE", "/v1/vgpus/blue:blues")
        self.assertEqual(self.carol.ok("GET", "/v1/history/" + uuid["blues"])["name"], "blues/0")
        self.operator.ok("DELETE", "/v1/projects/blue")
        self.denied(self.carol, "GET", "/v1/history/" + uuid["blues"], None, 404, "not-found")
        self.assertEqual(self.operator.ok("GET", "/v1/history/" + uuid["blues"])["project"], "blue")


class History(Case):
    def known(self, reply, series):
        return [v for v in reply["series"][series] if v is not None]

    def test_what_programs_did(self):
        with Daemon(persist_interval=1) as d:
            uuid = d.create("a", memory=MEMORY // 4, compute=50)["vgpus"][0]["uuid"]
            empty = d.ok("GET", "/v1/vgpus/a/history")
            self.assertEqual(self.known(empty, "gpu_seconds"), [])
            self.assertEqual(len(empty["series"]["gpu_seconds"]), empty["points"])
            tenant = d.tenant(d.open("a")["attach"])
            self.assertEqual(tenant("reserve", 0, 5 << 20), 0)
            self.assertEqual(tenant("reserve", 0, 2 << 20), 0)
            tenant("refund", 0, 6 << 20)
            self.assertNotEqual(tenant("reserve", 0, MEMORY), 0)  # refused
            d.ok("GET", "/v1/vgpus/a")
            d.stop()  # in good order: the open minute is settled
            self.assertTrue(os.path.exists(os.path.join(d.state, "history.db")))
            d.start()
            reply = d.ok("GET", "/v1/vgpus/a/0/history?step=60")
            self.assertEqual((reply["kind"], reply["name"], reply["project"], reply["uuid"]), ("vgpu", "a/0", "default", uuid))
            self.assertEqual(max(self.known(reply, "memory_used_bytes")), 7 << 20)  # its peak, though it was for a moment
            self.assertEqual(sum(self.known(reply, "refusals")), 1)
            self.assertEqual(set(self.known(reply, "memory_quota_bytes")), {MEMORY // 4})
            self.assertEqual(set(self.known(reply, "share")), {500})
            self.assertEqual(set(self.known(reply, "state")), {"run"})
            metered = sum(self.known(reply, "metered_seconds"))
            self.assertGreater(metered, 0)
            self.assertAlmostEqual(sum(self.known(reply, "reserved_gpu_seconds")), metered / 2, delta=0.002)
            self.assertNotIn("temperature_c", reply["series"])  # a processor has no sensor: not known is not 0
            row, = d.ok("GET", "/v1/history")["vgpus"]
            self.assertEqual((row["vgpu"], row["exists"], row["memory_peak_bytes"], row["refusals"]), (uuid, True, 7 << 20, 1))
            d.ok("DELETE", "/v1/vgpus/a?force=1")
            d.stop()
            d.start()
            row, = d.ok("GET", "/v1/history")["vgpus"]
            self.assertEqual((row["vgpu"], row["exists"]), (uuid, False))
            self.refused(d, "GET", "/v1/vgpus/a/history", None, 404, "not-found")
            self.assertEqual(sum(self.known(d.ok("GET", f"/v1/history/{uuid}?step=60"), "refusals")), 1)

    def test_damage_stops_nothing(self):
        with Daemon() as d:
            d.create("a", memory=MEMORY // 4, compute=50)
            d.stop(signal.SIGTERM)
            with open(os.path.join(d.state, "history.db"), "r+b") as f:
                f.write(b"x" * 8192)
            d.start()
            self.assertEqual(d.names(), ["a"])
            self.assertEqual(d.ok("GET", "/v1/history")["vgpus"], [])
            self.assertTrue(any("history" in p for p in d.ok("GET", "/v1/devices")["problems"]))
            self.assertTrue(any(n.startswith("history.db.corrupt-") for n in os.listdir(d.state)))
            d.stop()
            # Nor does a file that cannot be opened at all.
            os.unlink(os.path.join(d.state, "history.db"))
            os.mkdir(os.path.join(d.state, "history.db"))
            d.start()
            self.refused(d, "GET", "/v1/vgpus/a/history", None, 507, "storage", "history")
            self.assertEqual(d.names(), ["a"])
            d.ok("GET", "/v1/usage")


if __name__ == "__main__":
    main()
