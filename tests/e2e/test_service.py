#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The units of systemd, as they are installed: systemd understands every line, and finds the service well shut in."""
import os
import shutil
import subprocess
import sys
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")]
from node import prefix, require_tree  # noqa: E402

UNITS = os.path.join(prefix(), "lib", "systemd", "system")
NAMES = ("fastgpud.service", "fastgpud.socket")
EXPOSURE = "45"  # of 100; more than half of it is the right to mount, to look into processes and to end them


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


if __name__ == "__main__":
    require_tree()
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is not installed", file=sys.stderr)
        sys.exit(77)
    unittest.main(verbosity=2)
