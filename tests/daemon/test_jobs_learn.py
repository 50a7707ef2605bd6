#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The queue learns how long jobs run: what should take least goes first in its project, and says from what that is known."""
import os
import signal
import time

import harness
import jobs


class Case(jobs.Case):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.d.state, "learned")

    def teach(self):
        """Two quick ones, and one that takes ten times as long."""
        for _ in range(2):
            self.ends(self.submit("true", name="quick-1"))
        self.ends(self.submit("sleep 0.6", name="slow"))

    def prediction(self, id):
        return self.d.ok("GET", f"/v1/why/{id}").get("prediction", "")

    def wide(self, name):
        """One that waits for memory, so that small ones go on beside the blocker."""
        return self.submit("true", name=name, memory="900M")

    def block(self):
        id = self.submit("sleep", "300", memory="512M", name="blocker")
        self.until(id, "running")
        return id

    def order(self, blocker, *ids):
        """In which order they began once there was room."""
        self.d.ok("DELETE", f"/v1/jobs/{blocker}")
        return sorted(ids, key=lambda id: self.ends(id)["started"])


class Learned(Case):
    def test_what_should_take_least_goes_first(self):
        self.teach()
        blocker = self.block()
        slow, other, quick = self.wide("slow-7"), self.wide("other"), self.wide("quick-3")
        self.assertRegex(self.prediction(quick), r"^predicted \d+ (s|min) from 2 earlier runs of `quick` by this project$")
        self.assertRegex(self.prediction(slow), r"^predicted \d+ (s|min) from 1 earlier run of `slow` by this project$")
        self.assertRegex(self.prediction(other), "^predicted .* from 3 earlier runs of this size by this project$")
        self.assertEqual(self.order(blocker, slow, quick)[0], quick)
        self.ends(other)
        # What was told to end says nothing of how long it would have run.
        self.assertRegex(self.prediction(self.submit("sleep", "300", name="blocker")), "of this size by this project$")

    def test_while_nothing_is_known_submission_decides(self):
        blocker = self.block()
        large, small = self.submit("true", memory="900M", compute="50"), self.wide("small")
        self.assertEqual(self.order(blocker, large, small), [large, small])

    def test_what_waits_already_is_looked_at_again(self):
        blocker = self.block()
        slow, quick = self.wide("slow"), self.wide("quick")
        self.assertEqual(self.prediction(slow), "")
        self.teach()
        time.sleep(1.1)  # keys are made anew once a second at most
        self.assertEqual(self.order(blocker, slow, quick), [quick, slow])

    def test_named_after_the_script(self):
        for words, name in ((["/usr/bin/python3", "-u", "x/train.py", "--lr", "1.sh"], "train.py"), (["torchrun", "--nproc=2", "fit.py"], "fit.py"),
                            (["sh", "-c", "echo a.sh"], "sh"), (["python3", "-c", "x"], "python3"), (["pythonic", "a.py"], "pythonic"),
                            (["bash", "/opt/run me.sh"], "bash"), (["python3"], "python3")):
            id = self.d.ok("POST", "/v1/jobs", {"command": words, "memory": "1M", "compute": "1", "not_before": "1h"}, 201)["id"]
            self.assertEqual(self.job(id)["name"], name, words)

    def test_it_is_kept(self):
        self.teach()
        self.d.stop(signal.SIGTERM)
        with open(self.path) as f:
            self.assertTrue(f.read().startswith("fastgpu-order 1 "))
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.d.start()
        blocker = self.block()
        slow, quick = self.wide("slow"), self.wide("quick")
        self.assertRegex(self.prediction(quick), r"^predicted \d+ (s|min) from 2 earlier runs of `quick` by this project$")
        self.d.stop(signal.SIGKILL)  # the queue, too, comes back in this order
        self.d.start()
        self.assertEqual(self.order(blocker, slow, quick), [quick, slow])

    def test_damage_is_said_and_done_without(self):
        self.d.stop(signal.SIGTERM)
        for text in ("fastgpu-order 9 1 1\n", "", "fastgpu-order 1 5 5\n0 0 0"):
            with open(self.path, "w") as f:
                f.write(text)
            self.d.start()
            self.assertIn("how long jobs run is learned anew", " ".join(self.d.ok("GET", "/v1/devices")["problems"]))
            id = self.submit("true")
            self.assertEqual(self.prediction(id), "")
            self.ends(id)
            self.d.stop(signal.SIGTERM)


class Fair(Case):
    options = {"QUEUE_POLICY": "fair"}

    def test_submission_decides(self):
        self.teach()
        blocker = self.block()
        slow, quick = self.wide("slow"), self.wide("quick")
        self.assertIn("of `quick`", self.prediction(quick))  # learned all the same
        self.assertEqual(self.order(blocker, slow, quick), [slow, quick])


if __name__ == "__main__":
    harness.main()
