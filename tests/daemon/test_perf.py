# SPDX-License-Identifier: Apache-2.0
"""What jobs do to the performance model: what waits is wanted, and what is done again was for nothing."""
import json
import os

import jobs
from harness import MEMORY, main, wait_until


class Perf(jobs.Case):
    def counters(self, what):
        """Of its life, once the daemon has settled all there is and come back."""
        self.d.stop()
        self.d.start()
        rows = self.d.ok("GET", "/v1/perf?window=life")["perf"]
        return next(r for r in rows if (r["kind"], r["name"]) == what)

    def work(self, command, **fields):
        """A job that says where to attach and waits for a file. Returns its id, and a function that works in it and lets it go."""
        there, go = (os.path.join(self.d.root, f) for f in ("there", "go"))
        id = self.submit(f"echo \"$FASTGPU_TEST_OPENED\" > {there}.new; mv {there}.new {there}; while [ ! -e {go} ]; do sleep 0.05; done; {command}", **fields)

        def finish():
            wait_until(lambda: os.path.exists(there), "it runs")
            with open(there) as f:
                tenant = self.d.tenant(json.load(f)["attach"])
            wait_until(lambda: (tenant("busy", 0, 3000000), self.job(id).get("gpu_ns", 0) >= 20000000)[1], "it has worked")
            used = self.job(id)["gpu_ns"]
            tenant.kill()
            os.unlink(there)
            open(go, "w").close()
            return used

        return id, finish, go

    def test_work_that_is_done_again(self):
        self.d.ok("PUT", "/v1/devices/0/calibration", {"native_ppm": 1000000})
        kept, finish, go = self.work("exit 3")  # failed, and not done again: what it did is whoever's it is
        used = finish()
        self.ends(kept, "failed")
        os.unlink(go)
        again, finish, go = self.work("[ $FASTGPU_JOB_ATTEMPT = 1 ]", retries=1)
        lost = finish()
        self.assertEqual(self.ends(again)["attempt"], 1)
        for what in (("device", "0"), ("project", "default")):
            row = self.counters(what)
            n = row["counters_ns"]
            self.assertAlmostEqual(n["n4"], used, delta=5e6, msg=row)
            self.assertAlmostEqual(n["n3"] - n["n4"], lost, delta=5e6, msg=row)
            self.assertAlmostEqual(row["alpha"], used / (used + lost), delta=0.2)

    def test_what_waits(self):
        for project in ("red", "blue"):
            self.d.ok("POST", "/v1/projects", {"name": project})
        self.d.create("large", project="blue", memory=MEMORY * 9 // 10, compute=10)
        waiting = self.submit("true", memory=MEMORY // 2, compute="50", project="red")
        later = self.submit("true", memory=MEMORY // 2, compute="50", project="blue", not_before="1h")
        wait_until(lambda: self.d.ok("GET", f"/v1/why/{waiting}")["reason"] == "no-memory", "it waits for memory")
        red = self.counters(("project", "red"))
        self.assertGreater(red["counters_ns"]["n0"], 0)
        self.assertEqual((red["counters_ns"]["n1"], red["s"]), (0, 0))
        blue = self.counters(("project", "blue"))
        self.assertEqual((blue["s"], blue["counters_ns"]["n0"]), (1, blue["counters_ns"]["n1"]))  # its job wants nothing yet
        device = self.counters(("device", "0"))
        self.assertGreaterEqual(device["s"], 0.9)  # of which the large one has that much
        self.assertLess(device["s"], 1)
        self.d.ok("DELETE", f"/v1/jobs/{waiting}")
        self.d.ok("DELETE", f"/v1/jobs/{later}")
        before = self.counters(("project", "red"))["counters_ns"]["n0"]
        self.assertEqual(self.counters(("project", "red"))["counters_ns"]["n0"], before)


main()
