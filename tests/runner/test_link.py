#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon's end: starting, adopting, and what is true after either side was killed at any moment. A command is executed at most
once, and one whose start was acknowledged is not lost."""
import collections
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from job import Job, RUNNER, have_group, marked, parse_status, unique
from node import wait_until

DRIVE = os.environ.get("TEST_JOB_DRIVE", "")
if not os.access(DRIVE, os.X_OK) or not os.access(RUNNER, os.X_OK):
    print("run this by meson test", file=sys.stderr)
    sys.exit(77)


class Driver:
    """One life of the daemon's end."""

    def __init__(self, place, *before, group=0):
        self.process = subprocess.Popen([*before, place.program, place.jobs, "j1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1, env={**os.environ, "DRIVE_GROUP": str(group)})
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.kill()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise EOFError
        what, *rest = line.rstrip("\n").split(" ", 6)
        if what == "event":
            self.events.append(dict(zip(("state", "why", "code", "signal", "pid", "text"), rest)))
        return what, rest

    def __call__(self, command):
        """(answer, what adopt found)"""
        found = None
        try:
            self.process.stdin.write(command + "\n")
            while True:
                what, rest = self.read()
                if what == "answer":
                    return int(rest[0]), found
                if what not in ("event", "refused"):
                    found = what
        except BrokenPipeError:
            raise EOFError from None

    def until(self, state):
        while not self.events or self.events[-1]["state"] != state:
            self.read()
        return self.events[-1]

    def kill(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


class Place:
    """A tree with the driver and the runner, and a folder of jobs."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="fastgpu-link-")
        for folder in ("bin", "lib/fastgpu", "jobs"):
            os.makedirs(os.path.join(self.root, folder))
        self.program = shutil.copy(DRIVE, os.path.join(self.root, "bin"))
        self.runner = shutil.copy(RUNNER, os.path.join(self.root, "lib/fastgpu"))
        self.jobs = os.path.join(self.root, "jobs")
        self.dir = os.path.join(self.jobs, "j1")
        self.ran = os.path.join(self.root, "ran")
        self.script = f"echo x >>{self.ran}"

    def count(self):
        return pathlib.Path(self.ran).read_text().count("x") if os.path.exists(self.ran) else 0

    def status(self):
        return parse_status(pathlib.Path(self.dir, "status").read_bytes())

    def clear(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        if os.path.exists(self.ran):
            os.unlink(self.ran)

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)


class Case(unittest.TestCase):
    def setUp(self):
        self.place = Place()
        self.addCleanup(self.place.close)

    def finish(self, driver):
        """Adopts and goes on as a daemon does, to the end. (what was found, how it ended)"""
        answer, found = driver("adopt")
        if answer == -2:
            self.assertEqual(driver("remove")[0], 0)
            return "nothing", None
        self.assertEqual(answer, 0)
        if found == "ended":
            return found, self.place.status()["why"]
        if found == "never-began":
            self.assertEqual(driver("start")[0], 0)
        return found, driver.until("ended")["why"]


class Life(Case):
    def test_to_the_end(self):
        with Driver(self.place) as d:
            self.assertEqual(d("make " + self.place.script)[0], 0)
            self.assertEqual(d("start")[0], 0)
            end = d.until("ended")
            self.assertEqual((end["why"], end["code"], self.place.count()), ("exit", "0", 1))
            self.assertEqual(d("start")[0], -114)
            self.assertEqual(d("make true")[0], -17)
            self.assertEqual(d("adopt"), (0, "ended"))
            self.assertEqual(d("remove")[0], 0)
            self.assertFalse(os.path.exists(self.place.dir))
            self.assertEqual(d("remove")[0], 0)

    def test_suspend_resume_stop(self):
        with Driver(self.place) as d:
            d("make sleep 1000")
            d("start")
            self.assertEqual(d("runner")[0] > 0, True)
            d("suspend")  # before it has begun
            d.until("suspended")
            self.assertEqual(d("remove")[0], -16)
            d("resume")
            d.until("running")
            d("stop 60000")
            end = d.until("ended")
            self.assertEqual((end["why"], end["signal"]), ("stopped", str(int(signal.SIGTERM))))

    def test_stop_at_once(self):
        with Driver(self.place) as d:
            d("make sleep 1000")
            d("start")
            d("stop 0")
            self.assertEqual(d.until("ended")["why"], "stopped")

    def test_daemon_restarts(self):
        with Driver(self.place) as d:
            d("make sleep 1000")
            d("start")
            d.until("running")
        with Driver(self.place) as d:
            self.assertEqual(d("start")[0], -16)
            self.assertEqual(d("adopt"), (0, "lives"))
            d("suspend")  # before it is connected
            d.until("suspended")
        with Driver(self.place) as d:
            self.assertEqual(d("adopt"), (0, "lives"))
            self.assertEqual(d.until("suspended")["why"], "none")
            d("stop 0")
            d.until("ended")

    def test_ends_while_nobody_looks(self):
        with Driver(self.place) as d:
            d("make sleep 0.3; exit 9")
            d("start")
            d.until("running")
        wait_until(lambda: self.place.status()["state"] == "ended", 30, "its end")
        with Driver(self.place) as d:
            self.assertEqual(self.finish(d), ("ended", "exit"))
            self.assertEqual(self.place.status()["code"], 9)

    def test_no_runner_installed(self):
        os.unlink(self.place.runner)
        with Driver(self.place) as d:
            d("make true")
            self.assertEqual(d("start")[0], -2)
            self.assertEqual(d("adopt"), (0, "never-began"))

    def test_half_made(self):
        os.mkdir(self.place.dir)
        pathlib.Path(self.place.dir, "begun").touch()
        with Driver(self.place) as d:
            self.assertEqual(d("adopt")[0], -2)
            self.assertEqual(d("make " + self.place.script)[0], 0)
            d("start")
            self.assertEqual(d.until("ended")["why"], "exit")


class RunnerDies(Case):
    def kill_runner(self, group, adopt_later):
        mark = unique()
        sleeper = f"{sys.executable} -c 'import time; time.sleep(1000)' {mark}"
        with Driver(self.place, group=group) as d:
            d(f"make setsid {sleeper} & {sleeper}")
            d("start")
            d.until("running")
            wait_until(lambda: len(marked(mark)) >= 2, 30, "both")
            runner = d("runner")[0]
            if adopt_later:
                d.kill()
            os.kill(runner, signal.SIGKILL)
            if not adopt_later:
                self.assertEqual(d.until("ended")["why"], "lost")
        if adopt_later:
            with Driver(self.place) as d:
                self.assertEqual(self.finish(d), ("lives", "lost"))
        self.assertEqual(marked(mark), [])
        with Driver(self.place) as d:
            self.assertEqual(self.finish(d), ("ended", "lost"))
            self.assertEqual(d("start")[0], -114)

    def test_v2(self):
        if not have_group("v2"):
            self.skipTest("no cgroup v2")
        self.kill_runner(1, False)

    def test_v1(self):
        if not have_group("v1"):
            self.skipTest("no cgroup v1")
        self.kill_runner(2, False)

    def test_without(self):
        self.kill_runner(3, False)

    def test_v2_later(self):
        if not have_group("v2"):
            self.skipTest("no cgroup v2")
        self.kill_runner(1, True)

    def test_without_later(self):
        self.kill_runner(3, True)

    def test_of_another_boot(self):
        """Its pids and folders mean nothing now."""
        with Driver(self.place) as d:
            d("make sleep 1000")
            d("start")
            d.until("running")
            runner = d("runner")[0]
            d.kill()
            os.kill(runner, signal.SIGSTOP)
            file = pathlib.Path(self.place.dir, "status")
            text = file.read_bytes()
            file.write_bytes(re.sub(rb"boot [^\n]*", b"boot 00000000-0000-0000-0000-000000000000", text))
            os.kill(runner, signal.SIGKILL)
        with Driver(self.place) as d:
            self.assertEqual(self.finish(d), ("lives", "lost"))
        Job.sweep(parse_status(text)["cgroup"]) if parse_status(text)["cgroup"] else None


def count_calls(argv, feed=None):
    """How often a program, without its children, makes each system call."""
    with tempfile.NamedTemporaryFile("r") as out:
        subprocess.run(["strace", "-o", out.name, *argv], input=feed, text=True, capture_output=True, timeout=60)
        return collections.Counter(re.match(r"(\w+)\(", line)[1] for line in out if re.match(r"\w+\(", line))


@unittest.skipUnless(shutil.which("strace"), "strace is not installed")
class EveryCall(Case):
    # Of each call the first so many: later ones repeat what the first did.
    MOST = 12

    def points(self, calls):
        for call, count in sorted(calls.items()):
            if call not in ("exit_group", "execve"):
                yield from ((call, when) for when in range(1, min(count, self.MOST) + 1))

    def make(self):
        self.place.clear()
        with Driver(self.place) as d:
            self.assertEqual(d("make " + self.place.script)[0], 0)

    def check_once(self, found, why, point):
        if why == "exit":
            self.assertEqual(self.place.count(), 1, point)
        else:
            self.assertIn(why, ("lost", "setup-failed"), point)
            self.assertLessEqual(self.place.count(), 1, point)
            self.assertNotEqual(found, "never-began", point)

    def test_runner(self):
        self.make()
        calls = count_calls([self.place.runner, self.place.dir])
        self.assertGreater(calls["fsync"], 2)
        begun = 0
        for point in self.points(calls):
            self.make()
            subprocess.run(["strace", "-o", "/dev/null", "-e", f"trace={point[0]}", "-e", f"inject={point[0]}:signal=KILL:when={point[1]}",
                            self.place.runner, self.place.dir], capture_output=True, timeout=60)
            with Driver(self.place) as d:
                found, why = self.finish(d)
            self.check_once(found, why, point)
            begun += found != "never-began"
        self.assertGreater(begun, 5)
        self.assertGreater(len(list(self.points(calls))), 50)

    def test_daemon(self):
        self.make()
        feed = f"make {self.place.script}\nstart\n"
        self.place.clear()
        calls = count_calls([self.place.program, self.place.jobs, "j1"], feed)
        for point in self.points(calls):
            self.place.clear()
            made = started = False
            with Driver(self.place, "strace", "-o", "/dev/null", "-e", f"trace={point[0]}", "-e",
                        f"inject={point[0]}:signal=KILL:when={point[1]}") as d:
                try:
                    made = d("make " + self.place.script)[0] == 0
                    started = d("start")[0] == 0
                    d.until("ended")
                except EOFError:
                    pass
                d.process.wait(60) if not started else None
            with Driver(self.place) as d:
                found, why = self.finish(d)
                if found == "nothing":
                    self.assertFalse(made, point)
                    continue
            if started:
                self.assertNotEqual(found, "never-began", point)
            self.assertEqual((why, self.place.count()), ("exit", 1), point)


if __name__ == "__main__":
    unittest.main(verbosity=2)
