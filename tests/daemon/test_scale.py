# SPDX-License-Identifier: Apache-2.0
"""10 000 vGPUs. Counts and sizes are asserted, times are printed."""
import os
import time

import harness
from harness import Daemon, is_sanitized

MANY = 10000
FULL = {"memory": "64K", "compute": "0.1"}


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def switches(pid):
    with open(f"/proc/{pid}/status") as f:
        return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)


class Scale(harness.Case):
    def said(self, what, seconds, pid):
        print(f"  {what}: {seconds:.2f} s, {resident_kib(pid)} KiB resident", flush=True)

    def takes_at_most(self, mib, pid):
        if not is_sanitized(pid):
            self.assertLessEqual(resident_kib(pid), mib * 1024)

    def restart(self, d):
        d.stop()
        begin = time.monotonic()
        d.start()
        self.said("restart", time.monotonic() - begin, d.process.pid)
        # 20 MiB, the books of the minute that was put on record at the stop, and the figures of use: some 700 bytes for each vGPU.
        self.takes_at_most(32, d.process.pid)

    def switches_in(self, seconds, pid):
        before = switches(pid)
        time.sleep(seconds)
        return switches(pid) - before

    def test_idle(self):
        with Daemon() as d:
            time.sleep(0.2)
            self.takes_at_most(15, d.process.pid)
            least = min(self.switches_in(2, d.process.pid) for _ in range(3))  # a start may last longer, and a minute end meanwhile
            self.assertLessEqual(least, 2)  # nothing to do: it sleeps

    def test_one_set(self):
        with Daemon(devices=10) as d:
            begin = time.monotonic()
            made = d.create("big", gpus=MANY, **FULL)
            self.said("one set", time.monotonic() - begin, d.process.pid)
            self.assertEqual(len(made["vgpus"]), MANY)
            self.assertEqual({v["index"] for v in made["vgpus"]}, set(range(MANY)))
            self.refused(d, "POST", "/v1/vgpus", {"compute": "0.1"}, 409, "no-capacity")
            self.restart(d)
            self.assertEqual(len(d.ok("GET", "/v1/vgpus/big")["vgpus"]), MANY)
            self.takes_at_most(32, d.process.pid)
            self.assertEqual(d.request("DELETE", "/v1/vgpus/big")[0], 204)
            self.assertEqual([x["share_free"] for x in d.ok("GET", "/v1/devices")["devices"]], [1000] * 10)

    def test_many_sets(self):
        with Daemon(devices=10) as d:
            c = d.connect()
            begin = time.monotonic()
            for n in range(MANY):
                status, reply = d.request("POST", "/v1/vgpus", {"name": f"v{n}", **FULL}, c)
                self.assertEqual(status, 201, reply)
            self.said("single creates", time.monotonic() - begin, d.process.pid)
            self.restart(d)
            self.assertEqual(d.names(), [f"v{n}" for n in range(MANY)])
            self.takes_at_most(32, d.process.pid)


harness.main()
