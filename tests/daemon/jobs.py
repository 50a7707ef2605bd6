# SPDX-License-Identifier: Apache-2.0
"""What the tests of jobs share."""
import base64
import os

import harness
from harness import wait_until

OVER = ("done", "failed", "cancelled")


class Case(harness.Case):
    """A daemon with devices of 1 GiB, whose jobs' commands are run as they are."""
    options = {}
    devices = 1

    def setUp(self):
        self.d = harness.Daemon(devices=self.devices, **self.options)
        self.addCleanup(self.d.__exit__)
        self.d.start()

    def submit(self, *command, **fields):
        """`command` as a shell's words if it is one; 64 MiB and 10 % unless said. Returns the job's id."""
        words = ["sh", "-c", command[0]] if len(command) == 1 else list(command)
        return self.d.ok("POST", "/v1/jobs", {"command": words, "memory": "64M", "compute": "10", **fields}, 201)["id"]

    def job(self, id, query=""):
        return self.d.ok("GET", f"/v1/jobs/{id}{query}")

    def state(self, id):
        return self.job(id)["state"]

    def until(self, id, *states, seconds=60):
        try:
            wait_until(lambda: self.state(id) in states, f"job {id} is {' or '.join(states)}", seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.job(id)}, {self.d.ok('GET', f'/v1/why/{id}')}, {self.d.logged()}") from None
        return self.job(id)

    def ends(self, id, state="done"):
        job = self.until(id, *OVER)
        self.assertEqual(job["state"], state, job)
        return job

    def log(self, id, query=""):
        text, at, end = b"", 0, False
        while not end:
            piece = self.d.ok("GET", f"/v1/jobs/{id}/log?from={at}&wait=20{query}")
            text += base64.b64decode(piece["data"])
            at, end = piece["next"], piece["end"]
        return text.decode()

    def elements(self, id):
        found, after = [], "0"
        while after:
            page = self.job(id, f"?elements=1&limit=1000&after={after}")
            found += page["elements"]
            after = page.get("next")
        return found

    def nothing_left(self):
        """No vGPU, no quota, no process, no folder of a job that has written nothing."""
        self.assertEqual(self.d.names(), [])
        used = self.d.ok("GET", "/v1/quotas")["quotas"][0]["used"]
        self.assertEqual(used, dict.fromkeys(("vgpus", "memory", "share", "jobs", "queued"), 0))
        self.assertEqual(self.d.ok("GET", "/v1/devices")["devices"][0]["share_free"], 1000)

    def blocker(self, seconds=300, **fields):
        """A job that has the whole device. Returns its id."""
        id = self.submit("sleep", str(seconds), memory="1G", compute="100", **fields)
        self.until(id, "running")
        return id

    def folder(self, name):
        return os.path.join(self.d.state, "jobs", str(name))
