# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the calls that change a file while a minute is settled and signed, prices and budgets are set and a month is invoiced. The
next daemon has all that was acknowledged, its log is whole, and no minute is billed twice.

Of a month's invoices each third call is struck; FASTGPU_TEST_STRIDE=1 strikes all."""
import calendar
import os
import signal
import struct
import sys
import time

import harness
from clock import MINUTE, Clock, check_ledger, problems_of, records
from harness import Daemon
from strace import require_strace, trace

CALLS = ("pwrite64", "fdatasync", "fsync", "?rename,?renameat,?renameat2", "?ftruncate,?unlink,?unlinkat", "?open,?openat")
MANY = 200
STRIDE = int(os.environ.get("FASTGPU_TEST_STRIDE", "3"))


class Money(harness.Case):
    def setUp(self):
        self.d = Daemon(devices=2)
        self.addCleanup(self.d.__exit__)
        self.clock = Clock(self.d)
        self.boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.passed = 0
        self.d.start()
        self.d.ok("PUT", "/v1/prices", {"csv": "currency,price\nEUR,2\n"})
        for name in ("a", "b", "c"):
            self.d.create(name, memory="64M", compute="20")

    def pass_time(self, seconds):
        self.passed += seconds
        return self.clock.pass_time(seconds)

    def strike(self, call, when, act):
        """Has the daemon killed at its when-th `call` while it does `act`. What act returned; None: it died before it could say."""
        tracer = trace(self.d.process.pid, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}")
        self.assertIsNotNone(tracer)
        try:
            said = act()
        except (OSError, harness.http.client.HTTPException):
            said = None
        self.d.stop(signal.SIGKILL)
        tracer.communicate(timeout=20)
        return said

    def check(self, before):
        """The next daemon, which is started here, has all that was there, in order and once."""
        self.d.start()
        self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])
        code, said = check_ledger(self.d)
        self.assertEqual(code, 0, said)
        log = records(self.d)
        self.assertEqual(problems_of(log), [])
        self.assertEqual(log[:len(before)], before)
        wall = {}
        for r in log:
            if r["type"] == "window":
                wall[r["device"]] = wall.get(r["device"], 0) + r["wall"]
        lived = time.clock_gettime(time.CLOCK_BOOTTIME) - self.boot + self.passed
        self.assertLessEqual(max(wall.values(), default=0), lived * 1e6)
        return log

    def at_every(self, act, check, stride=1):
        """How often the daemon was killed."""
        hits = 0
        for number, call in enumerate(CALLS):
            for when in range(1 + number % stride, MANY, stride):
                before = records(self.d)
                said = self.strike(call, when, act)
                with self.subTest(call=call, when=when):
                    check(self.check(before), said)
                if said is not None:
                    break  # it takes fewer calls than that
                hits += 1
            self.assertIsNotNone(said, f"killed at {call} {MANY} times")
        print(f"killed {hits} times", file=sys.stderr)
        return hits

    def test_a_minute(self):
        """Settled, put on record, signed; in one piece, or in several turns of the daemon."""
        self.d.create("many", gpus=150, memory="64K", compute="0.1")

        def act():
            before = len(records(self.d))
            self.pass_time(MINUTE + 1)
            self.d.ok("GET", "/v1/usage/now")
            harness.wait_until(lambda: self.d.ok("GET", "/v1/log/checkpoint")["records"] > before + 150, "the minute is on record")
            return self.d.ok("GET", "/v1/log/checkpoint")

        def check(log, said):
            if said:
                self.assertEqual(said["trouble"], "")
                self.assertEqual(said["size"], said["records"])
                self.assertLessEqual(said["size"], len(log))

        self.assertGreater(self.at_every(act, check), 15)
        log = records(self.d)
        self.assertGreater(len([r for r in log if r["type"] == "window"]), 6)
        self.assertGreater(len([r for r in log if r["type"] == "usage"]), 9)

    def test_prices_and_budgets(self):
        number = 0

        def act():
            nonlocal number
            number += 1
            price = self.d.ok("PUT", "/v1/prices", {"csv": f"class,currency,price\n,EUR,{number}\ncap,EUR,{number}.5\n"})
            self.d.ok("PUT", "/v1/budgets/default", {"amount": str(1000 + number), "currency": "EUR", "on_limit": "notify"})
            return price

        def check(log, said):
            rows = [r for r in log if r["type"] == "price"]
            for r in rows:
                self.assertEqual(len([x for x in rows if x["list"] == r["list"]]), r["rows"])
            in_force = self.d.ok("GET", "/v1/prices")
            self.assertEqual([p["price"] for p in in_force["prices"]][:1], [f"{rows[-1]['price'] // 10**9}.00"] if len(rows) == 1 else
                             [f"{rows[-2]['price'] // 10**9}.00"])
            if said:
                self.assertEqual(in_force["prices"][0]["price"], f"{number}.00")
                self.assertEqual(self.d.ok("GET", "/v1/budgets")["budgets"][0]["amount"], f"{1000 + number}.00")

        self.assertGreater(self.at_every(act, check), 8)

    def test_a_month_is_invoiced(self):
        """Each month once, whatever moment the daemon dies at; the next one makes up for it."""
        def act():
            now = self.look_at_time()
            year, month = time.gmtime(now)[:2]
            edge = calendar.timegm((year + month // 12, month % 12 + 1, 1, 0, 0, 0))
            # Nobody sleeps a month: the machine does.
            self.clock.move(edge - now - 2 * MINUTE, 0, edge - now - 2 * MINUTE)
            self.clock.look()
            for seconds in (MINUTE, MINUTE, MINUTE, MINUTE, MINUTE, MINUTE + 1):
                self.pass_time(seconds)
            self.d.ok("GET", "/v1/version")
            return self.d.ok("GET", "/v1/log/checkpoint")

        def check(log, said):
            self.pass_time(MINUTE + 1)  # the next daemon has time to make what its predecessor did not
            self.pass_time(5 * MINUTE)
            self.d.ok("GET", "/v1/version")
            log = records(self.d)
            invoices = [(r["project"], r["from"]) for r in log if r["type"] == "invoice"]
            self.assertEqual(len(invoices), len(set(invoices)))
            self.assertEqual(problems_of(log), [])
            ended = [m for m in {time.gmtime(r["start"])[:2] for r in log if r["type"] == "usage"} if m < time.gmtime(self.look_at_time() - 200)[:2]]
            self.assertEqual(len(invoices), len(ended), (invoices, ended))
            for r in log:
                if r["type"] == "invoice":
                    usage = [u for u in log if u["type"] == "usage" and r["from"] <= u["start"] < r["until"]]
                    self.assertEqual((r["records"], r["first"], r["last"]), (len(usage), usage[0]["seq"], usage[-1]["seq"]))

        self.pass_time(MINUTE + 1)
        self.assertGreater(self.at_every(act, check, STRIDE), 7)

    def look_at_time(self):
        """Unix seconds as the daemon's wall clock has them."""
        return time.time() + struct.unpack("3q", self.clock.page[:])[0] / 1e9


require_strace()
harness.main()
