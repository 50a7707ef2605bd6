#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`fastgpu run`: a program is run as a shell would run it, or not at all."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

from e2e import FASTGPU, INSIDE, MIB, NOT_ENFORCED, PYTHON, NodeTest, main, wait_until
from node import prefix


class Run(NodeTest):
    def setUp(self):
        super().setUp()
        self.create("x", "--memory", "64M", "--compute", "50")

    def test_exit_codes_pass(self):
        for code in (0, 1, 3, 7, 42, 255):
            self.assertEqual(self.node.run("x", "sh", "-c", f"exit {code}").returncode, code)

    def test_shell_codes_for_what_cannot_run(self):
        self.assertEqual(self.node.run("x", "/nonexistent/program").returncode, 127)
        self.assertEqual(self.node.run("x", "no-such-program-anywhere").returncode, 127)
        self.assertEqual(self.node.run("x", "/etc/passwd").returncode, 126)

    def test_signals_pass(self):
        self.assertEqual(self.node.run("x", "sh", "-c", "kill -TERM $$").returncode, -signal.SIGTERM)
        process = self.node.start("x", "sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done",
                                  stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), "up\n")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(timeout=10), 9)

    def test_arguments_and_streams_pass(self):
        done = subprocess.run([FASTGPU, "run", "x", "--", "cat"], env=self.node.env, input="in\n", text=True,
                              capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "in\n", ""))
        self.assertEqual(self.node.run("x", "printf", "%s|", "a b", "--json", "--").stdout, "a b|--json|--|")

    def test_a_vgpu_for_one_run(self):
        before = self.node.json("list")["sets"]
        done = self.node.fastgpu("run", "--memory", "32M", "--compute", "30", "--", PYTHON, INSIDE, "devices")
        self.assertIn(str(32 * MIB), done.stdout)
        wait_until(lambda: self.node.json("list")["sets"] == before, 10, "the vGPU of the run is gone")
        free = self.node.json("devices")["devices"][0]["share_free"]
        self.assertEqual(free, 500)

    def test_a_vgpu_for_one_run_of_a_kind(self):
        device = self.node.json("devices")["devices"][0]["uuid"]
        show = (FASTGPU, "list", "--json")
        done = self.node.fastgpu("run", "--memory", "32M", "--compute", "30", "--mode", "cap", "--priority", "high",
                                 "--device", device, "--", *show)
        made = [s for s in json.loads(done.stdout)["sets"] if s["name"] != "x"]
        self.assertEqual([(v["mode"], v["priority"]) for v in made[0]["vgpus"]], [("cap", "high")])
        for wrong in (("--mode", "caps"), ("--priority", "urgent"), ("--device", "no-such-device")):
            with self.subTest(wrong=wrong):
                done = self.node.fastgpu("run", *wrong, "--", "echo", "ran", check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertNotIn("ran", done.stdout)
                self.assertIn(wrong[1], done.stderr)

    def test_the_callers_environment_cannot_widen_it(self):
        for name, value in (("FASTGPU_ATTACH", "/nonexistent"), ("OPENCL_LAYERS", "/nonexistent.so"), ("OPENCL_LAYERS", "")):
            with self.subTest(name=name, value=value):
                env = {**self.node.env, name: value}
                done = subprocess.run([FASTGPU, "run", "x", "--", PYTHON, INSIDE, "ask", str(65 * MIB)], env=env,
                                      capture_output=True, text=True, timeout=60)
                self.assertNotIn('"ok"', done.stdout)

    def test_without_its_daemon_a_program_gets_nothing(self):
        done = self.node.run("x", "env", "FASTGPU_ATTACH=/nonexistent", PYTHON, INSIDE, "ask", "1024")
        self.assertNotIn('"ok"', done.stdout)

    def test_no_layer_no_run(self):
        with tempfile.TemporaryDirectory(prefix="fastgpu-") as folder:
            tree = shutil.copytree(prefix(), os.path.join(folder, "out"), symlinks=True)
            os.unlink(os.path.join(tree, "lib", "fastgpu", "libfastgpu-opencl.so"))
            done = subprocess.run([os.path.join(tree, "bin", "fastgpu"), "run", "x", "--", "echo", "ran"],
                                  env=self.node.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, NOT_ENFORCED, done.stderr)
        self.assertNotIn("ran", done.stdout)

    def test_the_low_class_runs_in_the_background_of_a_processor(self):
        if self.node.json("devices")["devices"][0]["type"] != "cpu":
            self.skipTest("the device is no processor")
        self.create("low", "--memory", "64M", "--compute", "10", "--priority", "low")
        self.create("high", "--memory", "64M", "--compute", "10", "--priority", "high")
        print_class = (PYTHON, "-c", "import os; print(os.sched_getscheduler(0))")
        for target, expected in (("low", os.SCHED_IDLE), ("low/0", os.SCHED_IDLE), ("x", os.sched_getscheduler(0)),
                                 ("high", os.sched_getscheduler(0))):
            with self.subTest(target=target):
                done = self.node.run(target, *print_class)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"{expected}\n", ""))
        self.node.fastgpu("resize", "low", "--priority", "normal")
        self.assertEqual(self.node.run("low", *print_class).stdout, f"{os.sched_getscheduler(0)}\n")


if __name__ == "__main__":
    main()
