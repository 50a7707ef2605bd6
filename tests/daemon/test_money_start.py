# SPDX-License-Identifier: Apache-2.0
"""A daemon with a long money log goes on from what it kept of it, and reads the whole log behind everybody's back: what somebody changed
is named, and nothing is billed from then on."""
import os
import re
import signal
import subprocess
import tempfile

import harness
from clock import MINUTE, Clock, check_ledger, problems_of, records
from harness import Daemon, wait_until

CLI = os.environ["FASTGPU_CLI"]
SOON = 12  # s, after a start: when the log is read again


class Start(harness.Case):
    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.__exit__)
        self.clock = Clock(self.d)
        self.d.start()
        self.d.ok("PUT", "/v1/prices", {"csv": "currency,price\nEUR,2\n"})
        self.d.create("a", gpus=12, memory="1M", compute="1")
        for _ in range(90):
            self.clock.pass_time(MINUTE)
        self.d.stop()
        self.log = os.path.join(self.d.state, "money", "records.log")
        self.count = len(records(self.d))
        self.assertGreater(self.count, 1000)

    def start(self):
        """(records, of them not read)."""
        self.d.start()
        return [int(n) for n in re.findall(r"money log: (\d+) records, (\d+) of them", self.d.logged())[-1]]

    def edit(self, number, old, new):
        with open(self.log, encoding="utf-8") as f:
            lines = f.read().split("\n")
        self.assertIn(old, lines[number])
        lines[number] = lines[number].replace(old, new)
        with open(self.log, "w", encoding="utf-8") as f:
            f.write("\n".join(lines))

    def cli(self, *args):
        with tempfile.TemporaryDirectory() as home:
            env = {k: v for k, v in self.d.env.items() if k != "LD_PRELOAD"}
            done = subprocess.run([CLI, *args], env={**env, "XDG_STATE_HOME": home}, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def test_goes_on(self):
        self.assertEqual(self.start(), [self.count, self.count])
        for _ in range(2):
            self.clock.pass_time(MINUTE)
        wait_until(lambda: "was read again" in self.d.logged(), "the log is read behind")
        self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])
        month = self.d.ok("GET", "/v1/invoices")["invoices"][0]["from"][:7]
        self.clock.sleep(32 * 86400)
        for _ in range(6):
            self.clock.pass_time(MINUTE)
        code, said = self.cli("invoice", month, "--verify")
        self.assertEqual((code, "all is well" in said), (0, True), said)
        self.d.stop(signal.SIGKILL)
        count = len(records(self.d))
        self.assertEqual(self.start(), [count, self.count])  # killed: from what the one before it kept
        code, said = self.cli("invoice", month, "--verify")
        self.assertEqual((code, "all is well" in said), (0, True), said)
        self.clock.pass_time(MINUTE)
        self.assertEqual(problems_of(records(self.d)), [])
        self.assertEqual(check_ledger(self.d)[0], 0)

    def test_changed_meanwhile(self):
        """In the part that the start does not read: found a moment later."""
        at = next(r["seq"] for r in records(self.d) if r["type"] == "usage" and r["seq"] > 500)
        self.edit(at, '"project":"default"', '"project":"defau1t"')
        self.assertEqual(self.start(), [self.count, self.count])
        self.clock.pass_time(SOON)
        self.clock.look()
        wait_until(lambda: self.d.ok("GET", "/v1/devices")["problems"], "it was found")
        problems = " ".join(self.d.ok("GET", "/v1/devices")["problems"])
        self.assertIn(f"nothing is billed: record {at} (usage): it was changed", problems)
        size = os.path.getsize(self.log)
        for _ in range(3):
            self.clock.pass_time(MINUTE)
        self.refused(self.d, "PUT", "/v1/prices", {"csv": "currency,price\nEUR,3\n"}, 507, "storage", f"record {at}")
        self.assertEqual(os.path.getsize(self.log), size)
        code, said = check_ledger(self.d)
        self.assertEqual(code, 1)
        self.assertIn(f"record {at} (usage): it was changed", said)

    def test_changed_while_it_runs(self):
        """Once a day."""
        self.start()
        self.clock.pass_time(SOON)
        wait_until(lambda: "was read again" in self.d.logged(), "the log is read behind")
        self.edit(700, '"seq":700', '"seq":701')
        self.clock.sleep(86400)
        self.clock.look()
        wait_until(lambda: self.d.ok("GET", "/v1/devices")["problems"], "it was found")
        self.assertIn("nothing is billed: record 700", " ".join(self.d.ok("GET", "/v1/devices")["problems"]))

    def test_cut(self):
        """Shorter than what was kept: the start reads all of it and says what is missing."""
        os.truncate(self.log, os.path.getsize(self.log) // 2)
        count = len(records(self.d))
        self.assertEqual(self.start()[1], 0)
        self.assertRegex(" ".join(self.d.ok("GET", "/v1/devices")["problems"]), f"nothing is billed: record {count}\\b")


harness.main()
