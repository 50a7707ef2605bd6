#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory as a program inside a vGPU sees it: its quota and not a byte more, back when it dies."""
import json
import os
import signal
import subprocess

from e2e import INSIDE, MIB, PYTHON, NodeTest, main, wait_until

REFUSALS = ("CL_MEM_OBJECT_ALLOCATION_FAILURE", "CL_OUT_OF_RESOURCES", "CL_INVALID_BUFFER_SIZE")
ODD = 37 * MIB + 12345


def namespace():
    """The command in front of a program that gets a PID namespace of its own, or None without the right to make one."""
    pid = ["unshare", "--pid", "--fork", "--mount-proc"]
    for command in (pid, [*pid, "--user", "--map-root-user"]):
        try:
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
        except FileNotFoundError:
            break
    return None


def pids_in_namespaces(pid):
    """The process as each of its PID namespaces numbers it, the outermost first."""
    with open(f"/proc/{pid}/status") as f:
        return [int(n) for line in f if line.startswith("NSpid:") for n in line.split()[1:]]


class Quota(NodeTest):
    def test_exact_to_the_byte(self):
        self.create("q", "--gpus", "2", "--memory", f"{ODD},64M", "--compute", "50,50")
        self.assertEqual(self.inside("q", "fill"), [ODD, 64 * MIB])
        usage = self.node.usage("q/0")
        self.assertEqual(usage["memory_peak"], ODD)
        self.assertGreater(usage["refusals"], 0)
        wait_until(lambda: self.node.usage("q/0")["memory_used"] == 0, 5, "memory back after the end")

    def test_one_byte_more_is_refused_as_the_api_does(self):
        self.create("q", "--memory", "64M", "--compute", "50")
        self.assertEqual(self.inside("q/0", "ask", 64 * MIB), "ok")
        self.assertIn(self.inside("q/0", "ask", 64 * MIB + 1), REFUSALS)

    def test_the_devices_are_the_vgpus(self):
        native = self.inside(None, "devices")
        self.create("q", "--gpus", "2", "--memory", "48M,80M", "--compute", "60,40")
        both = self.inside("q", "devices")
        self.assertEqual([d["memory"] for d in both], [48 * MIB, 80 * MIB])
        self.assertTrue(all(d["max_alloc"] <= d["memory"] for d in both))
        self.assertEqual([d["memory"] for d in self.inside("q/1", "devices")], [80 * MIB])
        self.assertEqual(both[0]["compute_units"], native[0]["compute_units"])

    def test_both_devices_compute(self):
        self.create("q", "--gpus", "2", "--memory", "64M", "--compute", "60,40")
        self.assertEqual(self.inside("q", "add"), [True, True])
        self.assertGreater(self.node.usage("q/0")["launches"], 0)
        self.assertGreater(self.node.usage("q/1")["launches"], 0)

    def test_processes_of_one_vgpu_share_its_quota(self):
        self.create("q", "--memory", "64M", "--compute", "50")
        _, first = self.start_inside("q", "hold", 40 * MIB)
        _, second = self.start_inside("q", "hold", 40 * MIB)
        self.assertEqual(first, "ok")
        self.assertIn(second, REFUSALS)
        self.assertEqual(self.inside("q", "ask", 24 * MIB), "ok")

    def test_a_killed_holder_gives_back(self):
        self.create("q", "--memory", "64M", "--compute", "50")
        holder, said = self.start_inside("q", "hold", 60 * MIB)
        self.assertEqual(said, "ok")
        self.assertEqual(self.node.usage("q/0")["memory_used"], 60 * MIB)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        wait_until(lambda: self.node.usage("q/0")["memory_used"] == 0, 5, "memory of the killed process is back")
        self.assertEqual(self.inside("q", "ask", 64 * MIB), "ok")

    def test_a_holder_in_another_pid_namespace(self):
        command = namespace()
        if not command:
            self.skipTest("no right to make a PID namespace")
        self.create("q", "--memory", "64M", "--compute", "50")
        outside = self.node.start("q", *command, PYTHON, INSIDE, "hold", str(40 * MIB), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(json.loads(outside.stdout.readline()), "ok")
        with open(f"/proc/{outside.pid}/task/{outside.pid}/children") as f:
            holder, = map(int, f.read().split())
        self.assertEqual(pids_in_namespaces(holder)[-1], 1)
        usage = self.node.usage("q/0")
        self.assertEqual(usage["memory_used"], 40 * MIB)
        self.assertIn(holder, usage["pids"])
        self.assertNotIn(1, usage["pids"])
        self.assertNotEqual(self.inside("q", "ask", 25 * MIB), "ok")
        os.kill(holder, signal.SIGKILL)
        outside.wait(timeout=10)
        wait_until(lambda: self.node.usage("q/0")["memory_used"] == 0, 5, "memory of the killed process is back")
        self.assertEqual(self.inside("q", "ask", 64 * MIB), "ok")


if __name__ == "__main__":
    main()
