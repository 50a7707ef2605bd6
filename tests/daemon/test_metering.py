#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What vGPUs cost, as a running daemon says it: the minute so far, and one that really ended. Clocks that misbehave are in
tests/unit/test_metering.c and test_billing_clock.c."""
import random
import signal
import time

import people
from harness import MEMORY, Case, Daemon, main, wait_until

PPM = 1000000
MINUTE = 60 * PPM


def boot():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class OfOthers(people.Case):
    def setUp(self):
        people.require_root()
        super().setUp()
        self.populate()

    def lines(self, person, query=""):
        return sorted(v["name"] for d in person.ok("GET", "/v1/usage/now" + query)["devices"] for v in d["vgpus"])

    def test_each_sees_his_own(self):
        self.bob.create("reds")
        self.carol.create("blues")
        self.assertEqual(self.lines(self.operator), ["blues/0", "reds/0"])
        self.assertEqual(self.lines(self.operator, "?project=red"), ["reds/0"])
        self.assertEqual(self.lines(self.alice), ["reds/0"])
        self.assertEqual(self.lines(self.carol), ["blues/0"])
        self.denied(self.carol, "GET", "/v1/usage/now?project=red", None, 404, "not-found")
        for device in self.bob.ok("GET", "/v1/usage/now")["devices"]:
            self.assertNotIn("idle", device)
            self.assertNotIn("day", device)


    def test_another_project_pays(self):
        """What the open minute has so far and what comes is the payer's; who may say so is a member of both; the set stays where it is."""
        self.bob.create("reds")
        path = "/v1/vgpus/reds/payer"
        self.denied(self.bob, "PUT", path, {"project": "blue"}, 404, "not-found", "blue")
        self.operator.ok("PUT", "/v1/projects/blue/members/bob", {"role": "viewer"})
        self.denied(self.bob, "PUT", path + "?project=red", {"project": "blue"}, 403, "forbidden", "viewer")
        self.operator.ok("PUT", "/v1/projects/blue/members/bob", {"role": "member"})
        for workload in ("a/b", "a/b/c/d", "a//c", "a/b c/d", "", "x" * 64 + "/b/c", 7):
            self.denied(self.bob, "PUT", path + "?project=red", {"project": "blue", "workload": workload}, 400, "bad-request", "workload")
        self.denied(self.bob, "PUT", "/v1/vgpus/reds/0/payer?project=red", {"project": "blue"}, 404, "not-found")
        got = self.bob.ok("PUT", path + "?project=red", {"project": "blue", "workload": "a/b.1/c"})
        self.assertEqual((got["project"], got["payer"], got["workload"]), ("red", "blue", "a/b.1/c"))
        self.denied(self.operator, "DELETE", "/v1/projects/blue", None, 409, "in-use", "reds")
        for how in (None, signal.SIGKILL, signal.SIGTERM):
            if how:
                self.restart(how)
            self.assertEqual(self.lines(self.carol), ["reds/0"])
            self.assertEqual(self.lines(self.alice), [])
            self.assertEqual([s["name"] for s in self.bob.ok("GET", "/v1/vgpus?project=red")["sets"]], ["reds"])
        got = self.bob.ok("PUT", path + "?project=red", {})
        self.assertEqual((got.get("payer"), got["workload"]), (None, "a/b.1/c"))  # whom it runs for nobody has said anew
        self.assertEqual(self.bob.ok("PUT", path + "?project=red", {"workload": "a/b.2/c"})["workload"], "a/b.2/c")
        self.assertEqual(self.lines(self.alice), ["reds/0"])
        self.bob.ok("PUT", path + "?project=red", {"project": "blue"})
        self.bob.ok("DELETE", "/v1/vgpus/reds?project=red")
        self.assertEqual({v["project"] for d in self.operator.ok("GET", "/v1/usage/now")["devices"] for v in d["vgpus"]}, {"blue"})


class Metering(Case):
    def now(self, daemon, query=""):
        return daemon.ok("GET", "/v1/usage/now" + query)

    def conserved(self, reply):
        """Of each device: what all pay, and what is idle, is its time."""
        for d in reply["devices"]:
            self.assertEqual(sum(v["paid"] for v in d["vgpus"]) + d["idle"], d["wall_us"] * PPM)
            self.assertGreaterEqual(d["idle"], 0)
            self.assertLessEqual(sum(v["busy_us"] for v in d["vgpus"]), d["wall_us"])
            for v in d["vgpus"]:
                self.assertGreaterEqual(v["paid"], 0)
                self.assertLessEqual(v["burst"], d["wall_us"] * PPM)
            day = {k: int(v) for k, v in d["day"].items()}
            self.assertEqual(day["paid"] + day["idle"], day["wall_us"] * PPM)
        return reply

    def only(self, daemon, name):
        return next(v for d in self.now(daemon)["devices"] for v in d["vgpus"] if v["name"] == name and v["state"] != "gone")

    def storm(self, daemon, seed, count):
        rng = random.Random(seed)
        names = set()
        for i in range(count):
            name = f"s{rng.randrange(8)}"
            what = rng.randrange(4)
            if what == 0 and name in names:
                daemon.ok("DELETE", f"/v1/vgpus/{name}")
                names.discard(name)
            elif what == 1 and name in names:
                daemon.request("PATCH", f"/v1/vgpus/{name}", {"compute": rng.choice([1, 10, 20]), "mode": rng.choice(["cap", "share"])})
            elif name not in names:
                got, _ = daemon.request("POST", "/v1/vgpus", {"name": name, "gpus": rng.choice([1, 2]), "memory": rng.randrange(1, MEMORY // 8),
                                                              "compute": rng.choice([1, 10, 20])})
                if got == 201:
                    names.add(name)
            if i % 10 == 0:
                self.conserved(self.now(daemon))

    def attack(self, daemon, liar):
        """In flight for ever, and then all of it at once."""
        liar("inflight", 0, 1)
        for amount in (1 << 62, 1 << 63, 10 ** 12):
            liar("busy", 0, amount)
            self.conserved(self.now(daemon))

    def test_a_minute(self):
        with Daemon(devices=2) as busy, Daemon() as dies:
            began, dies_began = time.monotonic(), boot()
            for d in (busy, dies):
                d.create("victim", memory=MEMORY // 4, compute=25)
            first = {d: self.now(d)["window"] for d in (busy, dies)}
            busy.tenant(busy.open("victim")["attach"])
            busy.create("liar", memory=MEMORY // 4, compute=25, device=self.device_of(busy, "victim"))
            liar = busy.tenant(busy.open("liar")["attach"])
            self.storm(busy, 5, 120)
            self.attack(busy, liar)
            self.assertEqual(self.only(busy, "victim/0")["burst"], 0)  # it did nothing, whatever others wrote
            self.assertEqual(self.only(busy, "victim/0")["surcharge"], 0)
            dies.stop(signal.SIGKILL)
            dies.start()
            self.conserved(self.now(dies))

            wait_until(lambda: all(self.now(d)["window"] != first[d] for d in first), "the minute is over", 90)
            took = int((time.monotonic() - began) * PPM) + PPM
            for d in (busy, dies):
                reply = self.conserved(self.now(d))
                for device in reply["devices"]:
                    self.assertLessEqual(int(device["day"]["wall_us"]) + device["wall_us"], took)
            self.assertGreaterEqual(max(x["day"]["windows"] for x in self.now(busy)["devices"]), 1)
            accounts = self.now(busy)["accounts"]
            paid = sum(int(a["paid"]) for a in accounts)
            self.assertEqual(paid, sum(int(x["day"]["paid"]) for x in self.now(busy)["devices"]))
            # Killed in its minute, it lost that: nothing of it is billed twice.
            walls = sum(int(x["day"]["wall_us"]) + x["wall_us"] for x in self.now(dies)["devices"])
            self.assertLessEqual(walls, int((boot() - dies_began) * PPM))

    def device_of(self, daemon, name):
        return daemon.ok("GET", f"/v1/vgpus/{name}")["vgpus"][0]["device"]

    def test_segments(self):
        with Daemon() as d:
            d.create("a", memory=MEMORY // 4, compute=50)
            d.ok("PATCH", "/v1/vgpus/a", {"mode": "cap"})
            d.ok("PATCH", "/v1/vgpus/a", {"mode": "cap"})
            line = self.only(d, "a/0")
            self.assertEqual((line["mode"], line["state"], line["project"]), ("cap", "run", "default"))
            self.assertEqual(line["segments"], 2)
            for i in range(200):
                d.ok("PATCH", "/v1/vgpus/a", {"compute": 30 + i % 2 * 20})
            line = self.only(d, "a/0")
            self.assertLessEqual(line["segments"], 64)
            lasted = line["end_us"] - line["begin_us"]
            self.assertLessEqual(line["reserved"], lasted * PPM // 2)
            self.assertGreaterEqual(line["reserved"], lasted * PPM // 4)
            d.ok("DELETE", "/v1/vgpus/a")
            d.create("a", memory=MEMORY // 4, compute=50)
            states = [v["state"] for v in self.now(d)["devices"][0]["vgpus"] if v["name"] == "a/0"]
            self.assertEqual(states.count("run"), 1)
            d.devices(0)
            d.ok("GET", "/v1/devices?rescan=1")
            self.assertEqual(self.only(d, "a/0")["state"], "down")
            self.conserved(self.now(d))
            d.devices(1)
            d.ok("GET", "/v1/devices?rescan=1")
            self.assertEqual(self.only(d, "a/0")["state"], "run")

    def test_restarts(self):
        """However often it ends and comes again, no minute of a device is longer than it was."""
        with Daemon() as d:
            began = boot()
            d.create("a", memory=MEMORY // 4, compute=50)
            for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
                d.stop(how)
                d.start()
                self.conserved(self.now(d))
                line = self.only(d, "a/0")
                self.assertLessEqual(line["end_us"] - line["begin_us"], int((boot() - began) * PPM))
                self.assertEqual(line["reserved"], (line["end_us"] - line["begin_us"]) * PPM // 2)

    def test_perf(self):
        with Daemon() as d:
            d.create("a", memory=MEMORY // 4, compute=50)
            reply = d.ok("GET", "/v1/perf?window=minute")
            self.assertEqual([(r["kind"], r["name"]) for r in reply["perf"]], [("device", "0"), ("project", "default")])
            for row in reply["perf"] + d.ok("GET", "/v1/perf/a/0")["perf"]:
                self.assertFalse({"p", "v", "alpha"} & set(row), row)  # nothing ran: absent, not 0
                self.assertIn("v", row["why_not"])
            self.assertEqual(d.ok("PUT", "/v1/devices/0/calibration", {"native_ppm": 991000}), {"device": 0, "native_ppm": 991000})
            self.refused(d, "PUT", "/v1/devices/7/calibration", {"native_ppm": 1}, 404, "not-found", "7")
            self.refused(d, "PUT", "/v1/devices/0/calibration", {"native_ppm": -1}, 400, "bad-request", "native_ppm")
            self.refused(d, "PUT", "/v1/devices/0/calibration", {}, 400, "bad-request", "native_ppm")
            self.refused(d, "GET", "/v1/perf?window=week", None, 400, "bad-request", "week", "minute, hour, day or life")
            self.refused(d, "GET", "/v1/perf/nobody", None, 404, "not-found")
            d.stop()
            d.start()
            self.assertEqual(d.ok("GET", "/v1/devices")["devices"][0]["native_ppm"], 991000)
            life = d.ok("GET", "/v1/perf?window=life")["perf"][0]["counters_ns"]
            self.assertGreater(life["n1"], 0)  # it was settled when the daemon ended

    def test_bad_queries(self):
        with Daemon() as d:
            self.refused(d, "GET", "/v1/usage/now?when=1", None, 400, "bad-request", "when")
            self.refused(d, "GET", "/v1/usage/now?project=nobody", None, 404, "not-found", "nobody")


if __name__ == "__main__":
    main()
