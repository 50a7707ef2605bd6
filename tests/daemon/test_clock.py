# SPDX-License-Identifier: Apache-2.0
"""The wall clock of a running daemon is set a year on and back, the machine sleeps, the daemon is stopped meanwhile: minutes on record
ascend, none comes twice, all time is billed or a gap, and whoever looks is told."""
import os
import signal
import subprocess
import time

import harness
from clock import MINUTE, Clock, check_ledger, problems_of, records
from harness import MEMORY, Daemon

YEAR = 365 * 86400
CLI = os.environ["FASTGPU_CLI"]


class Clocks(harness.Case):
    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.__exit__)
        self.clock = Clock(self.d)
        self.d.start()
        self.d.create("a", memory=MEMORY // 4, compute=50)

    def minutes(self, count):
        for _ in range(count):
            self.clock.pass_time(MINUTE)

    def windows(self):
        return [r for r in records(self.d) if r["type"] == "window"]

    def went_on(self, last, minutes):
        """So many since `last`; one more or less, since billing time comes near the wall clock, and the test itself takes time."""
        self.assertLessEqual(abs(self.windows()[-1]["start"] - last - minutes * MINUTE), MINUTE)

    def gaps(self):
        return [(r["reason"], r["until"] - r["start"]) for r in records(self.d) if r["type"] == "gap"]

    def sound(self):
        """Nothing twice, nothing out of order, and from the first window on all is a window or a gap."""
        log = records(self.d)
        self.assertEqual(problems_of(log), [])
        code, said = check_ledger(self.d)
        self.assertEqual(code, 0, said)
        at = None
        for start, until in sorted([(r["start"], r["start"] + MINUTE) for r in log if r["type"] == "window"] +
                                   [(r["start"], r["until"]) for r in log if r["type"] == "gap"]):
            self.assertEqual(at or start, start)
            at = until
        times = [r["time"] for r in log if "time" in r]
        self.assertEqual(times, sorted(times))

    def told(self, word):
        """In the events, and for as long as it lasts by doctor."""
        events = [e["kind"] for e in self.d.ok("GET", "/v1/events?limit=1000")["events"] if e["kind"] == "clock"]
        problems = [p for p in self.d.ok("GET", "/v1/devices")["problems"] if "wall clock" in p]
        env = {k: v for k, v in self.d.env.items() if k != "LD_PRELOAD"}
        doctor = subprocess.run([CLI, "doctor"], env=env, capture_output=True, text=True, timeout=60).stdout
        self.assertEqual(["wall clock" in doctor, bool(problems)], [bool(word)] * 2, doctor)
        self.assertTrue(all(word in p for p in problems), problems)
        return events

    def test_a_year_back(self):
        self.minutes(2)
        last = self.windows()[-1]["start"]
        self.clock.move(wall=-YEAR)
        self.minutes(3)
        self.went_on(last, 3)  # as if nothing had been
        self.assertEqual(len(self.told("behind")), 1)
        self.d.ok("PUT", "/v1/prices", {"csv": "currency,price\nEUR,2\n"})
        for how in (signal.SIGKILL, signal.SIGTERM):  # the next daemon knows only what is on record
            last = self.windows()[-1]["start"]
            self.d.stop(how)
            self.d.start()
            self.minutes(2)
            self.assertGreater(self.windows()[-1]["start"], last)
        self.clock.move(wall=YEAR)
        self.minutes(2)
        self.assertLessEqual(len(self.told("")), 3)
        self.sound()
        self.assertEqual([g for g in self.gaps() if g[1] > 3 * MINUTE], [])

    def test_a_year_ahead(self):
        self.minutes(2)
        last = self.windows()[-1]["start"]
        self.clock.move(wall=YEAR)
        self.minutes(3)
        self.went_on(last, 3)
        self.assertEqual(len(self.told("ahead")), 1)
        self.minutes(12)  # who means it stays there: nobody is billed for the year between
        self.assertGreater(self.windows()[-1]["start"], last + YEAR)
        self.told("")
        long = [g for g in self.gaps() if g[1] > 3 * MINUTE]
        self.assertEqual([reason for reason, _ in long], ["clock"])
        self.assertLess(abs(long[0][1] - YEAR), 30 * MINUTE)
        last = self.windows()[-1]["start"]
        self.clock.move(wall=-YEAR)  # and back: the year that is on record is not billed again
        self.minutes(12)
        self.went_on(last, 12)
        self.told("behind")
        self.d.stop()
        self.d.start()
        self.minutes(2)
        self.sound()
        passed = (2 + 3 + 12 + 12 + 2) * MINUTE + 60
        self.assertLessEqual(sum(w["wall"] for w in self.windows()), passed * 1e6)

    def test_set_while_no_daemon_ran(self):
        for by, want in ((YEAR, "down"), (-YEAR, None)):
            self.minutes(2)
            last, gaps = self.windows()[-1]["start"], len(self.gaps())
            self.d.stop()
            self.clock.move(wall=by)
            self.d.start()
            self.minutes(2)
            self.assertGreater(self.windows()[-1]["start"], last)
            if want:
                self.assertEqual([reason for reason, s in self.gaps()[gaps:] if s > 60 * MINUTE], [want])
            else:
                self.assertEqual([s for _, s in self.gaps()[gaps:] if s > 3 * MINUTE], [])
                self.assertTrue(self.told("behind"))
        self.sound()

    def test_sleep(self):
        """What the machine slept through is billed to nobody."""
        self.minutes(2)
        walls = sum(w["wall"] for w in self.windows())
        for hours in (1, 24 * 365):
            gaps = len(self.gaps())
            self.clock.sleep(hours * 3600)
            self.minutes(2)
            slept = [(reason, s) for reason, s in self.gaps()[gaps:]]
            self.assertEqual([reason for reason, _ in slept], ["suspended"])
            self.assertLess(abs(slept[0][1] - hours * 3600), 3 * MINUTE)
        self.assertLessEqual(sum(w["wall"] for w in self.windows()) - walls, 5 * MINUTE * 1e6)
        self.told("")
        self.sound()

    def test_a_device_is_away(self):
        self.minutes(2)
        self.d.devices(0)
        self.d.ok("GET", "/v1/devices?rescan=1")
        self.minutes(90)
        count = len(self.windows())
        self.assertEqual(self.gaps(), [("lost", 3600)])  # a killed daemon has not forgotten the hour
        self.d.devices(1)
        self.d.ok("GET", "/v1/devices?rescan=1")
        self.minutes(2)
        self.assertIn(len(self.windows()), (count + 2, count + 3))
        self.assertEqual([reason for reason, _ in self.gaps()], ["lost", "lost"])
        self.sound()


harness.main()
