#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon killed with -9 under load: what runs goes on within its limits, what comes finds the old vGPUs."""
import json
import signal
import subprocess

from e2e import BURN, MIB, NodeTest, main, wait_until


class DaemonDies(NodeTest):
    def setUp(self):
        super().setUp()
        self.create("x", "--gpus", "2", "--memory", "64M", "--compute", "60,40")

    def load(self, target, seconds):
        return self.node.start(target, BURN, "--iterations", "500", "--depth", "4", "--seconds", str(seconds),
                               stdout=subprocess.PIPE)

    def test_programs_finish_and_are_adopted(self):
        loads = [self.load("x/0", 5), self.load("x/1", 5)]
        holder, said = self.start_inside("x/0", "hold", 50 * MIB)
        self.assertEqual(said, "ok")
        wait_until(lambda: all(self.node.usage(v)["launches"] for v in ("x/0", "x/1")), 20, "both launch")
        killed = self.node.stop_daemon(signal.SIGKILL)
        names = [s["name"] for s in self.node.json("list")["sets"]]  # starts a new daemon
        self.assertEqual(names, ["x"])
        self.assertNotEqual(self.node.daemon_pid(), killed)
        usage = self.node.usage("x/0")
        self.assertGreaterEqual(usage["memory_used"], 50 * MIB)
        self.assertIn(holder.pid, usage["pids"])
        self.assertNotEqual(self.inside("x/0", "ask", 20 * MIB), "ok")
        for load in loads:
            out, _ = load.communicate(timeout=60)
            self.assertEqual(load.returncode, 0)
            self.assertGreater(json.loads(out)["done"], 0)
        holder.kill()
        wait_until(lambda: self.node.usage("x/0")["memory_used"] == 0, 5, "memory of an adopted process is back")

    def test_the_quota_holds_without_a_daemon(self):
        process, said = self.start_inside("x/0", "after", 65 * MIB)
        self.assertEqual(said, "ready")
        self.node.stop_daemon(signal.SIGKILL)
        out, _ = process.communicate("\n", timeout=30)
        self.assertNotIn("ok", out)
        self.assertEqual(process.returncode, 0)

    def test_who_died_meanwhile_is_reaped(self):
        holder, _ = self.start_inside("x/0", "hold", 50 * MIB)
        self.node.stop_daemon(signal.SIGKILL)
        holder.kill()
        holder.wait()
        self.node.fastgpu("list")
        wait_until(lambda: self.node.usage("x/0")["memory_used"] == 0, 5, "memory of who died without a daemon is back")
        self.assertEqual(self.inside("x/0", "ask", 64 * MIB), "ok")

    def test_what_was_acknowledged_is_there(self):
        self.node.fastgpu("resize", "x/1", "--memory", "80M", "--compute", "25")
        self.create("y", "--memory", "32M", "--compute", "5", "--mode", "cap", "--priority", "high")
        before = self.node.json("list")["sets"]
        self.node.stop_daemon(signal.SIGKILL)
        after = self.node.json("list")["sets"]
        keep = ("name", "uuid", "memory", "share", "mode", "priority", "device_key")
        self.assertEqual([[{k: v[k] for k in keep} for v in s["vgpus"]] for s in after],
                         [[{k: v[k] for k in keep} for v in s["vgpus"]] for s in before])


if __name__ == "__main__":
    main()
