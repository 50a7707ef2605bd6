#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CUDA programs in vGPUs of a simulated GPU, with the real daemon: views, quota, death, resize, the watchdog."""
import json
import os
import re
import subprocess
import sys

from e2e import MIB, NodeTest, main, wait_until
from node import FASTGPU, Node, tool

PROGRAM = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside_cuda.py")]
SIM = tool("lib", "fastgpu", "sim")
MANUAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "man")
GIB = 1 << 30
OUT_OF_MEMORY = 2
CONTEXT = 300 * MIB  # of a simulated H100


class Inside:
    """A running inside_cuda.py."""

    def __init__(self, process):
        self.process = process
        self.pid = process.pid
        self.init = json.loads(process.stdout.readline())

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Cuda(NodeTest):
    def setUp(self):
        self.node = Node(FASTGPU_SIM="1xH100:8G", FASTGPU_WATCHDOG_INTERVAL="50")
        self.node.env["FASTGPU_SIM_STATE"] = self.node.dir
        self.addCleanup(self.node.close)

    def start_cuda(self, target, **env):
        return Inside(self.node.start(target, *PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**self.node.env, **env}))

    def start_outside(self):
        return Inside(self.node.popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      env={**self.node.env, "LD_LIBRARY_PATH": SIM}))

    def findings(self):
        return self.node.get("/v1/devices")["findings"]

    def test_two_vgpus_are_two_devices(self):
        self.create("a", "--gpus", "2", "--memory", "1G,512M", "--compute", "60,40", "--device", "0")
        vgpus = self.node.get("/v1/vgpus/a")["vgpus"]
        program = self.start_cuda("a")
        self.assertEqual(program.init, 0)
        self.assertEqual(program("devices"), [{"memory": v["memory"], "uuid": v["uuid"]} for v in vgpus])
        self.assertEqual(self.start_cuda("a/1")("devices"), [{"memory": vgpus[1]["memory"], "uuid": vgpus[1]["uuid"]}])
        self.assertEqual(self.start_cuda("a", CUDA_VISIBLE_DEVICES="1")("devices"),
                         [{"memory": vgpus[1]["memory"], "uuid": vgpus[1]["uuid"]}])

    def test_quota_of_two_programs(self):
        self.create("a", "--memory", "1G", "--compute", "50", "--device", "0")
        one, two = self.start_cuda("a/0"), self.start_cuda("a/0")
        for program in (one, two):
            self.assertEqual(program("use", 0), 0)
        free, total = one("info")
        self.assertEqual(total, GIB)
        self.assertEqual(one("alloc", 400 * MIB), 0)
        self.assertEqual(two("alloc", free - 300 * MIB), OUT_OF_MEMORY)
        self.assertGreaterEqual(self.node.usage("a/0")["refusals"], 1)
        one.process.kill()
        wait_until(lambda: one.pid not in self.node.usage("a/0")["pids"], 5, "the dead is gone")
        self.assertEqual(two("alloc", 600 * MIB), 0)
        self.node.fastgpu("resize", "a", "--memory", "2G")
        self.assertEqual(two("info")[1], 2 * GIB)

    def test_contexts_are_accounted_for(self):
        """Host and tenant agree: what the driver says of the process is what the vGPU is charged."""
        self.create("a", "--memory", "2G", "--compute", "50", "--device", "0")
        program = self.start_cuda("a/0")
        self.assertEqual(program("use", 0), 0)
        self.assertEqual(program("alloc", 100 * MIB), 0)

        def agree():
            program("info")
            held = self.node.usage("a/0")["memory_used"]
            watch = self.node.get("/v1/devices")["devices"][0].get("watch", {})
            return held > 100 * MIB and watch.get("memory_used") == held

        wait_until(agree, 10, "the driver's figure and the books are the same")
        self.assertEqual(self.findings(), [])

    def test_nvml_shows_the_vgpu(self):
        """What nvidia-smi asks: the slice, its processes and no others."""
        self.create("a", "--memory", "1G", "--compute", "50", "--device", "0")
        self.create("b", "--memory", "1G", "--compute", "50", "--device", "0")
        one, other = self.start_cuda("a/0"), self.start_cuda("b/0")
        for program in (one, other):
            self.assertEqual((program("use", 0), program("alloc", 100 * MIB)), (0, 0))
        used = self.node.usage("a/0")["memory_used"]
        self.assertEqual(one("nvml"), [1, GIB, used, [[one.pid, used]]])
        self.assertEqual(self.node.usage("a/0")["pids"], [one.pid])

    def test_the_first_context_is_charged_before_it_is_made(self):
        """Nobody waits for a figure of the driver: what a context takes was found out with the GPU."""
        self.create("a", "--gpus", "2", "--memory", "1G,256M", "--compute", "50", "--device", "0")
        program = self.start_cuda("a")
        self.assertEqual(program("use", 0), 0)
        self.assertEqual(program("info"), [GIB - CONTEXT, GIB])
        self.assertEqual(program("use", 1), OUT_OF_MEMORY)
        self.assertEqual(self.node.usage("a/0")["memory_used"], CONTEXT)

    def test_launches_are_metered(self):
        self.create("a", "--gpus", "2", "--memory", "1G", "--compute", "50", "--device", "0")
        programs = [self.start_cuda("a/0"), self.start_cuda("a/1")]
        for program in programs:
            self.assertEqual(program("use", 0), 0)
        for _ in range(3):
            for program in programs:
                self.assertEqual(program("launch", 100), 0)
        for i in range(2):
            usage = self.node.usage(f"a/{i}")
            self.assertEqual(usage["launches"] >= 300, True, usage)
            self.assertGreater(usage["gpu_ns"], 30_000_000)

    def test_watchdog_reports_who_is_outside(self):
        self.create("a", "--memory", "1G", "--compute", "50", "--device", "0")
        inside, outside = self.start_cuda("a/0"), self.start_outside()
        for program in (inside, outside):
            self.assertEqual((program.init, program("use", 0), program("alloc", 200 * MIB)), (0, 0, 0))
        wait_until(self.findings, 10, "a finding")
        self.assertEqual([(f["kind"], f["pid"], f["killed"]) for f in self.findings()], [("outside", outside.pid, False)])
        with open(f"/proc/{outside.pid}/cgroup") as f:
            self.assertEqual(self.findings()[0]["cgroup"], f.readline().rstrip("\n"))
        self.assertIn("outside any vGPU", self.node.fastgpu("devices").stderr)
        self.assert_documented("fastgpu", self.node.get("/v1/devices"))
        self.assertIsNone(outside.process.poll())

    def test_watchdog_kills_when_told_to(self):
        self.node.env["FASTGPU_WATCHDOG"] = "kill"
        self.create("a", "--memory", "1G", "--compute", "50", "--device", "0")
        inside, outside = self.start_cuda("a/0"), self.start_outside()
        for program in (inside, outside):
            self.assertEqual((program("use", 0), program("alloc", 200 * MIB)), (0, 0))
        outside.process.wait(20)
        self.assertEqual(inside("alloc", MIB), 0)

    def test_watchdog_sees_a_bypass(self):
        """Inside a vGPU, beyond its quota, past the drop-in."""
        self.create("a", "--memory", "1G", "--compute", "50", "--device", "0")
        program = self.start_cuda("a/0")
        self.assertEqual(program("use", 0), 0)
        self.assertEqual(program("alloc", 2 * GIB), OUT_OF_MEMORY)
        self.assertEqual(program("bypass", 2 * GIB), 0)
        wait_until(self.findings, 10, "a finding")
        finding = self.findings()[0]
        self.assertEqual((finding["kind"], finding["pid"], finding["vgpu"]), ("over-quota", program.pid, "a/0"))
        wait_until(lambda: program("info")[0] == 0, 10, "its books follow the driver's figure")
        self.assertEqual(program("alloc", MIB), OUT_OF_MEMORY)

    def assert_documented(self, page, value):
        """Every name of a field in it is in the manual page."""
        with open(os.path.join(MANUAL, page + ".1.scd")) as f:
            words = set(re.findall(r"\*([a-z_]+)\*", f.read()))
        rest, names = [value], set()
        while rest:
            value = rest.pop()
            if isinstance(value, dict):
                names |= set(value)
            rest += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        self.assertEqual(names - words, set(), f"not in {page}(1)")

    def test_manual_pages_name_what_json_has(self):
        self.create("a", "--memory", "1G", "--compute", "50", "--device", "0")
        for verb in ("devices", "list", "inspect"):
            self.assert_documented("fastgpu", self.node.json(verb, *(["a"] if verb == "inspect" else [])))
        with open(os.path.join(MANUAL, "fastgpu-doctor.1.scd")) as f:
            page = f.read()
        for finding in json.loads(self.node.native(FASTGPU, "doctor", "--json").stdout)["findings"]:
            self.assertIn(f"*{finding['check']}*", page)

    def test_a_spec_that_makes_no_sense(self):
        self.node.env["FASTGPU_SIM"] = "1xH100:lots"
        self.assertIn("lots", self.node.fastgpu("devices").stderr)
        doctor = self.node.native(FASTGPU, "doctor", "--json")
        self.assertEqual(doctor.returncode, 1, doctor.stderr)
        finding, = (f for f in json.loads(doctor.stdout)["findings"] if f["check"] == "nvidia")
        self.assertEqual(finding["verdict"], "fail")
        self.assertIn("lots", finding["text"])
        self.assertIn("FASTGPU_SIM", finding["mend"])

    def test_doctor_says_mig_and_mps(self):
        def said():
            finding, = (f for f in json.loads(self.node.native(FASTGPU, "doctor", "--json").stdout)["findings"] if f["check"] == "nvidia")
            return finding["text"]
        pipes = self.node.env["CUDA_MPS_PIPE_DIRECTORY"] = os.path.join(self.node.dir, "mps")
        self.assertRegex(said(), r"^simulated: .*H100.*, driver \S+, MIG disabled$")
        os.mkdir(pipes)
        with open(os.path.join(pipes, "control"), "w", encoding="ascii"):
            pass
        self.assertRegex(said(), "MIG disabled, an MPS daemon runs$")

    def test_no_cuda_in_a_vgpu_of_another_device(self):
        self.create("a", "--memory", "64M", "--compute", "50", "--device", "1")
        self.assertNotEqual(self.start_cuda("a/0").init, 0)


if __name__ == "__main__":
    main()
