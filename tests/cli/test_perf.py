#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`perf` and `bench` against a fake daemon and a fake load."""
import ctypes.util
import os
import unittest

from bench import Case, make_program
from fake_daemon import Server

# Of the article on the product P = alpha U S V: 1.1, 0.8, 0.2 and 0.9 make 0.1584.
ARTICLE = {"kind": "device", "name": "0", "p": 0.1584, "alpha": 1.1, "u": 0.8, "s": 0.2, "v": 0.9, "why_not": {},
           "counters_ns": {"n0": 10 ** 13, "n1": 2 * 10 ** 12, "n2": 16 * 10 ** 11, "n3": 144 * 10 ** 10, "n4": 1584 * 10 ** 9}}
UNKNOWN = {"kind": "project", "name": "red", "u": 0.5, "s": 1.0, "counters_ns": {"n0": 4, "n1": 4, "n2": 2},
           "why_not": {"v": "the device is not calibrated (fastgpu bench)", "alpha": "V is not known", "p": "a factor is not known"}}

# In a vGPU there is a layer; it takes a tenth.
BURN = """#!/bin/sh
echo "$OPENCL_LAYERS|$*" >>"$FAKE_BURN.log"
[ -z "$FAKE_BURN_FAILS" ] || exit 3
case "$*" in
*--calibrate*) echo '{"iterations": 777, "calibrated_us": 999.5}' ;;
*) if [ -n "$OPENCL_LAYERS" ]; then echo '{"rate": 900.0}'; else echo '{"rate": 1000.0}'; fi ;;
esac
"""


class Served(Case):
    def setUp(self):
        super().setUp()
        self.server = Server(f"{self.state}/run")
        self.addCleanup(self.server.close)


class Perf(Served):
    def setUp(self):
        super().setUp()
        self.server.fake.perf = [ARTICLE, UNKNOWN]

    def asked(self):
        return self.server.fake.requests[-1][:2]

    def test_table(self):
        lines = self.fastgpu("perf").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["OF", "NAME", "P", "ALPHA", "U", "S", "V", "WHY-NOT"])
        self.assertEqual(lines[1].split(), ["device", "0", "0.1584", "1.1000", "0.8000", "0.2000", "0.9000"])
        self.assertEqual(lines[2].split()[:7], ["project", "red", "-", "-", "0.5000", "1.0000", "-"])
        self.assertIn("not calibrated", lines[2])
        self.assertEqual(self.asked(), ("GET", "/v1/perf?window=hour"))

    def test_what_is_asked(self):
        for args, path in ((["--window", "life"], "/v1/perf?window=life"), (["x"], "/v1/perf/x?window=hour"),
                           (["red:x/1", "-w", "day"], "/v1/perf/red:x/1?window=day"),
                           (["--project", "red"], "/v1/perf?window=hour&project=red")):
            self.fastgpu("perf", *args)
            self.assertEqual(self.asked(), ("GET", path))

    def test_explain(self):
        text = self.fastgpu("perf", "--explain").stdout
        for name, amount in (("N0", "10000.000"), ("N1", "2000.000"), ("N2", "1600.000"), ("N3", "1440.000"), ("N4", "1584.000")):
            self.assertRegex(text, rf"(?m)^{name} +{amount} +\w")
        self.assertRegex(text, r"(?m)^N3 +- ")
        self.assertIn("waited for: 8000.000 GPU-seconds", text)
        self.assertIn("thrown away: 0.000 GPU-seconds", text)  # the article kept more than there was
        self.assertIn("P = N4/N0", text)

    def test_json(self):
        self.assertEqual(self.json("perf")["perf"], [ARTICLE, UNKNOWN])

    def test_typing(self):
        self.assertIn("minute, hour, day or life", self.refused("perf", "--window", "week"))
        self.assertIn("one name", self.refused("perf", "a", "b"))
        self.refused("perf", "a b")


class Bench(Served):
    def setUp(self):
        super().setUp()
        self.server.fake.more = {"vgpus": 0}
        os.makedirs(f"{self.prefix.lib}/bench", exist_ok=True)
        make_program(f"{self.prefix.lib}/bench/burn", BURN)
        self.env = {"FAKE_BURN": f"{self.state}/burn"}

    def runs(self):
        with open(f"{self.state}/burn.log") as f:
            return [(bool(layers), words) for layers, _, words in (line.partition("|") for line in f)]

    def calibrations(self):
        return [body for method, path, body in self.server.fake.requests if (method, path) == ("PUT", "/v1/devices/0/calibration")]

    @unittest.skipUnless(ctypes.util.find_library("OpenCL"), "no OpenCL loader: nothing runs in a vGPU")
    def test_ratio_is_kept(self):
        done = self.fastgpu("bench", "--rounds", "3", "--seconds", "1", env=self.env)
        self.assertIn("V = 0.9000", done.stdout)
        self.assertIn("3 of 3", done.stderr)
        self.assertEqual(self.calibrations(), [{"native_ppm": 900000}])
        runs = self.runs()
        self.assertEqual([layer for layer, _ in runs], [False, False, True, True, False, False, True])  # the first one in turns
        self.assertTrue(all("--iterations 777" in words for _, words in runs[1:]))

    @unittest.skipUnless(ctypes.util.find_library("OpenCL"), "no OpenCL loader: nothing runs in a vGPU")
    def test_json_and_dry_run(self):
        self.assertEqual(self.json("bench", "--rounds", "2", "--dry-run", env=self.env), {"device": 0, "native_ppm": 900000, "kept": False})
        self.assertEqual(self.calibrations(), [])

    def test_busy(self):
        self.server.fake.more = {"vgpus": 2}
        self.assertIn("2 vGPUs are on it", self.refused("bench", code=4, env=self.env))
        self.assertFalse(os.path.exists(f"{self.state}/burn.log"))

    def test_refused(self):
        self.assertIn("no device 7", self.refused("bench", "--device", "7", code=3, env=self.env))
        self.server.fake.more = {"vgpus": 0, "state": "lost"}
        self.assertIn("is lost", self.refused("bench", code=1, env=self.env))
        self.server.fake.more = {"vgpus": 0, "api": "cuda"}
        self.assertIn("cannot be measured", self.refused("bench", code=1, env=self.env))
        self.refused("bench", "--rounds", "0")
        self.refused("bench", "x")

    def test_a_load_that_fails_keeps_nothing(self):
        self.assertIn("nothing is kept", self.refused("bench", code=1, env={**self.env, "FAKE_BURN_FAILS": "1"}))
        os.unlink(f"{self.prefix.lib}/bench/burn")
        self.assertIn("is missing", self.refused("bench", code=1, env=self.env))
        self.assertEqual(self.calibrations(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
