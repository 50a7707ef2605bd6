#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A story of jobs with real programs: the device is full, one waits and says why, the daemon dies, all of it goes on."""
import fcntl
import os
import pty
import signal
import subprocess
import tempfile
import termios

from e2e import BURN, NodeTest, main
from node import FASTGPU, TRAIN_MLP, wait_until

SMALL = ("--memory", "256M", "--compute", "40")


class Jobs(NodeTest):
    def submit(self, *argv):
        return self.node.fastgpu("submit", "-y", "-d", *argv).stdout.strip()

    def job(self, id):
        return self.node.json("jobs", id)

    def until(self, id, *states):
        wait_until(lambda: self.job(id)["state"] in states, 120, f"job {id}: {self.job(id)}")
        return self.job(id)

    def test_trains_within_its_limits(self):
        """Attached: what the program writes and how it ends come through; its device time is the job's."""
        done = self.node.fastgpu("submit", "-y", *SMALL, "--", TRAIN_MLP, timeout=300)
        self.assertIn("accuracy", done.stdout)
        (job,) = self.node.json("jobs", "--all")
        self.assertEqual((job["state"], job["exit_code"]), ("done", 0))
        self.assertGreater(job["gpu_ns"], 0)
        self.assertEqual(self.node.json("list")["sets"], [])
        failed = self.node.fastgpu("submit", "-y", *SMALL, "--", "sh", "-c", "echo out; exit 9", check=False)
        self.assertEqual((failed.returncode, failed.stdout), (9, "out\n"))
        missing = self.node.fastgpu("submit", "-y", *SMALL, "--", "no-such-program", check=False)
        self.assertEqual(missing.returncode, 127)

    def test_asks_with_its_price(self):
        """On a terminal, before anything is submitted."""
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as prices:
            prices.write("currency,price\nEUR,2.00\n")
            prices.flush()
            self.node.fastgpu("price", "set", prices.name)
        for answer, submitted in (("n", 0), ("y", 1)):
            with self.subTest(answer=answer):
                ours, theirs = pty.openpty()
                process = subprocess.Popen([FASTGPU, "submit", *SMALL, "--", "true"], env=self.node.env, stdin=theirs, stdout=subprocess.PIPE,
                                           stderr=theirs, start_new_session=True,
                                           preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
                os.close(theirs)
                said = b""
                while b"Submit?" not in said:
                    said += os.read(ours, 4096)
                self.assertIn(b"0.80 EUR an hour", said)
                self.assertEqual(self.node.json("jobs", "--all"), [])
                os.write(ours, answer.encode() + b"\n")
                process.communicate(timeout=120)
                os.close(ours)
                self.assertEqual(len(self.node.json("jobs", "--all")), submitted)

    def test_quota_is_kept(self):
        """More memory than the job has is refused inside it."""
        job = self.submit("--memory", "64M", "--compute", "30", "--", BURN, "--memory", str(256 << 20), "--seconds", "2")
        self.assertEqual(self.until(job, "done", "failed")["state"], "failed")

    def test_full_device(self):
        long = self.submit("--memory", "256M", "--compute", "100", "--name", "long", "--time-limit", "1h", "--", BURN, "--iterations", "600", "--seconds", "600",
                           "--memory", str(8 << 20))
        self.until(long, "running")
        wait_until(lambda: self.job(long)["gpu_ns"] > 0, 120, "it uses the device")
        waits = self.submit(*SMALL, "--name", "waits", "--", TRAIN_MLP)
        array = self.submit("--memory", "16M", "--compute", "5", "--array", "1-6%2", "--", "sh", "-c", "echo element $FASTGPU_ARRAY_INDEX")
        why = self.node.fastgpu("why", waits).stdout
        self.assertIn("40 %", why)
        self.assertIn("expected to start", why)
        self.assertEqual([j["name"] for j in self.node.json("jobs")], ["sh", "waits", "long"])
        self.assertNotIn("job-" + long, self.node.fastgpu("list").stdout)
        self.assertIn("job-" + long, self.node.fastgpu("list", "--all").stdout)

        used = self.job(long)["gpu_ns"]
        self.node.stop_daemon(signal.SIGKILL)
        wait_until(lambda: self.job(long)["state"] == "running" and self.job(long)["gpu_ns"] > used, 120, "it runs on under the next daemon")
        self.node.fastgpu("suspend", long)
        self.until(long, "suspended")
        self.assertEqual(self.until(waits, "done", "failed")["state"], "done")
        self.until(array, "done", "failed")
        self.assertEqual(self.node.fastgpu("logs", f"{array}/4").stdout, "element 4\n")
        self.node.fastgpu("resume", long)
        self.until(long, "running")
        mark = self.job(long)["gpu_ns"]
        wait_until(lambda: self.job(long)["gpu_ns"] > mark, 120, "it uses the device again")
        self.node.fastgpu("cancel", long)
        self.until(long, "cancelled")
        self.assertEqual(self.node.json("list")["sets"], [])

    def test_detach(self):
        """Ctrl-C leaves the job; its number leads back."""
        stop = os.path.join(self.node.dir, "stop")
        shown = self.node.popen([FASTGPU, "submit", "-y", *SMALL, "--", "sh", "-c", f"echo begun; while ! [ -e {stop} ]; do sleep 0.1; done; echo ended"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(shown.stdout.readline(), "begun\n")
        shown.send_signal(signal.SIGINT)
        self.assertEqual(shown.wait(60), 0)
        self.assertIn("fastgpu logs -f 1", shown.stderr.read())
        self.assertEqual(self.job("1")["state"], "running")
        follow = self.node.popen([FASTGPU, "logs", "-f", "1"], stdout=subprocess.PIPE)
        self.assertEqual(follow.stdout.readline(), "begun\n")
        open(stop, "w").close()
        self.assertEqual(follow.communicate(timeout=60)[0], "ended\n")
        self.until("1", "done")


if __name__ == "__main__":
    main()
