#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The units of systemd, as they are installed: systemd understands every line, the service is shut in as far as jobs allow, and a job
runs as its user with the capabilities that the unit leaves."""
import os
import shutil
import subprocess
import sys
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "lib"), os.path.join(TESTS, "runner")]
from job import Job  # noqa: E402
from node import prefix, require_tree  # noqa: E402

UNITS = os.path.join(prefix(), "lib", "systemd", "system")
NAMES = ("fastgpud.service", "fastgpud.socket")
# Of 100; more than half of it is the right to mount, to look into processes, to end them and to become a job's user. Jobs inherit the
# rest: shutting them out of homes, /tmp and namespaces would take 13 off.
EXPOSURE = "58"


def analyze(*argv):
    return subprocess.run(["systemd-analyze", *argv], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "SYSTEMD_UNIT_PATH": UNITS + ":"})


class Service(unittest.TestCase):
    def test_units_are_understood(self):
        done = analyze("verify", "--man=no", *(os.path.join(UNITS, name) for name in NAMES))
        # What it says of the machine's other units is none of ours.
        self.assertEqual([line for line in done.stderr.splitlines() if "fastgpud" in line], [])

    def test_the_service_is_shut_in(self):
        done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", os.path.join(UNITS, NAMES[0]))
        if "unrecognized option" in done.stderr:
            self.skipTest("systemd-analyze is too old")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def settings(self):
        with open(os.path.join(UNITS, NAMES[0])) as f:
            return dict(line.strip().split("=", 1) for line in f if "=" in line and not line.startswith("#"))

    def test_jobs_outlive_the_daemon(self):
        settings = self.settings()
        self.assertEqual((settings["KillMode"], settings["Delegate"]), ("process", "yes"))

    @unittest.skipUnless(os.getuid() == 0 and shutil.which("setpriv"), "only root takes capabilities away")
    def test_a_job_becomes_its_user_with_what_the_unit_leaves(self):
        kept = [name.removeprefix("CAP_").lower() for name in self.settings()["CapabilityBoundingSet"].split()]
        limits = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=" + ",".join(["-all"] + [f"+{name}" for name in kept])]
        with Job(["sh", "-c", "id -u; grep CapBnd /proc/self/status"], uid=65534) as job:
            job.start(*limits)
            status = job.end()
            self.assertEqual((status["why"], status["code"]), ("exit", 0), status)
            self.assertEqual(job.log().split()[0], b"65534")
            self.assertEqual(bin(int(job.log().split()[2], 16)).count("1"), len(kept))


if __name__ == "__main__":
    require_tree()
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is not installed", file=sys.stderr)
        sys.exit(77)
    unittest.main(verbosity=2)
