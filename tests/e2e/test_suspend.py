#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A suspended vGPU gets no device, keeps its memory and goes on when it is told to, whatever becomes of the daemon meanwhile."""
import signal
import subprocess

from e2e import BURN, NodeTest, main
from node import wait_until

FOREVER = ("--iterations", "600", "--seconds", "600", "--memory", str(8 << 20))


class Suspend(NodeTest):
    def load(self, target):
        load = self.node.start(target, BURN, *FOREVER, stdout=subprocess.PIPE)
        wait_until(lambda: self.node.usage(target)["launches"] > 20, 60, "kernels")
        return load

    def launches(self, target):
        return self.node.usage(target)["launches"]

    def assert_still(self, target, other):
        """While another vGPU launched a few hundred kernels, and for some looks of those who wait, this one launched none."""
        wait_until(lambda: self.settled(target), 30, "what was under way to end")
        before, mark = self.node.usage(target), self.launches(other)
        wait_until(lambda: self.launches(other) > mark + 300, 60, "the other's kernels")
        after = self.node.usage(target)
        self.assertEqual((after["launches"], after["gpu_ns"]), (before["launches"], before["gpu_ns"]))
        return before

    def settled(self, target):
        first = self.launches(target)
        mark = self.launches("other/0")
        wait_until(lambda: self.launches("other/0") > mark + 20, 60, "the other's kernels")
        return self.launches(target) == first

    def assert_goes_on(self, target):
        before = self.launches(target)
        wait_until(lambda: self.launches(target) > before + 50, 60, "it goes on")

    def state(self, name):
        return self.node.json("inspect", name)["vgpus"][0]["state"]

    def test_no_progress_and_then_it_goes_on(self):
        self.create("t", "--memory", "64M", "--compute", "50")
        self.create("other", "--memory", "64M", "--compute", "50")
        load = self.load("t/0")
        self.load("other/0")
        self.assertEqual(self.node.json("suspend", "t"), {"suspended": ["t"], "failed": []})
        self.assertEqual(self.state("t"), "suspended")
        self.assertIn("suspended", self.node.fastgpu("list").stdout)
        found = self.assert_still("t/0", "other/0")
        self.assertGreaterEqual(found["memory_used"], 8 << 20)
        self.assertEqual(found["processes"], 1)
        self.assertIsNone(load.poll())
        self.node.fastgpu("resume", "t")
        self.assertEqual(self.state("t"), "ready")
        self.assert_goes_on("t/0")

    def test_alone_on_the_device(self):
        """With the free grant, which nobody else's demand takes back."""
        self.create("t", "--memory", "64M", "--compute", "50")
        self.load("t/0")
        self.node.fastgpu("suspend", "t")
        self.create("other", "--memory", "64M", "--compute", "50")
        self.load("other/0")
        self.assert_still("t/0", "other/0")
        self.node.fastgpu("resume", "t")
        self.assert_goes_on("t/0")

    def test_the_daemon_dies(self):
        self.create("t", "--memory", "64M", "--compute", "50")
        self.create("other", "--memory", "64M", "--compute", "50")
        self.load("t/0")
        other = self.load("other/0")
        self.node.fastgpu("suspend", "t")
        wait_until(lambda: self.settled("t/0"), 30, "what was under way to end")
        before = self.launches("t/0")
        for _ in range(2):
            self.node.stop_daemon(signal.SIGKILL)
            # Without a daemon it stays as it was told: programs that wait are dead certain of that after 400 ms.
            done = self.node.native(BURN, "--iterations", "600", "--seconds", "2")
            self.assertEqual(done.returncode, 0)
            self.node.fastgpu("list")  # starts the next daemon
            self.assertEqual(self.state("t"), "suspended")
            self.assertEqual(self.launches("t/0"), before)
            self.assertIsNone(other.poll())
        self.assert_still("t/0", "other/0")
        self.node.fastgpu("resume", "t")
        self.assert_goes_on("t/0")

    def test_attaching_works_and_work_waits(self):
        self.create("t", "--memory", "64M", "--compute", "50")
        self.create("other", "--memory", "64M", "--compute", "50")
        self.load("other/0")
        self.node.fastgpu("suspend", "t")
        load = self.node.start("t/0", BURN, *FOREVER, stdout=subprocess.PIPE)
        wait_until(lambda: self.node.usage("t/0")["memory_used"] >= 8 << 20, 60, "its memory")
        wait_until(lambda: self.node.usage("t/0")["waits"] > 0, 60, "it waits")
        self.assertEqual(self.assert_still("t/0", "other/0")["gpu_ns"], 0)
        self.node.fastgpu("resume", "t")
        self.assert_goes_on("t/0")
        self.assertIsNone(load.poll())

    def test_waiting_costs_nothing(self):
        """What waits sleeps: while another program saturates a processor for two seconds, it takes next to none."""
        self.create("t", "--memory", "64M", "--compute", "50")
        load = self.load("t/0")
        self.node.fastgpu("suspend", "t")

        def cpu(pid):
            with open(f"/proc/{pid}/stat") as f:
                return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))

        wait_until(lambda: self.node.usage("t/0")["waits"] > 0, 60, "it waits")
        pid = self.node.usage("t/0")["pids"][0]
        before = cpu(pid)
        self.node.native(BURN, "--iterations", "600", "--seconds", "2")
        self.assertLessEqual(cpu(pid) - before, 40)  # of 200 hundredths of a second; it used them all before
        self.assertIsNone(load.poll())

    def test_delete_while_suspended(self):
        self.create("t", "--memory", "64M", "--compute", "50")
        self.node.fastgpu("suspend", "t")
        self.node.fastgpu("delete", "t")
        self.create("t", "--memory", "64M", "--compute", "50")
        load = self.load("t/0")
        self.node.fastgpu("suspend", "t")
        self.refused(4, "delete", "t")
        self.node.fastgpu("delete", "--force", "t")
        self.assertNotEqual(load.wait(30), 0)

    def test_its_share_is_free_meanwhile(self):
        self.create("t", "--memory", "64M", "--compute", "80")
        self.refused(5, "create", "--name", "more", "--memory", "64M", "--compute", "50")
        self.node.fastgpu("suspend", "t")
        self.create("more", "--memory", "64M", "--compute", "50")
        said = self.refused(5, "resume", "t")
        self.assertIn("50.0 %", said)
        self.node.fastgpu("resize", "t", "--compute", "50")
        self.node.fastgpu("resume", "t")
        self.node.fastgpu("resume", "t")  # no effect
        self.refused(5, "resize", "t", "--compute", "60")

    def test_names(self):
        self.create("t", "--memory", "64M", "--compute", "50")
        self.refused(3, "suspend", "no")
        self.refused(2, "suspend", "t/0")
        self.refused(2, "resume")


if __name__ == "__main__":
    main()
