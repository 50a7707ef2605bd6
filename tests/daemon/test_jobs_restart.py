# SPDX-License-Identifier: Apache-2.0
"""The daemon dies, at any moment, and comes back: no job is lost, and none is run twice."""
import os
import random
import shutil
import signal
import subprocess
import time

import harness
import jobs
from harness import wait_until

# Each of these changes something that another sees: the store, the job's folder, its runner.
CALLS = ("pwrite64", "fdatasync", "write", "fsync", "?mkdir,?mkdirat", "?rename,?renameat,?renameat2", "?clone,?clone3,?vfork,?fork", "connect",
         "?sendmsg,?sendto", "bind", "?unlink,?unlinkat", "?rmdir")


def trace(pid, call, when):
    """strace of this process's threads, the one that makes folders and starts runners too: what it starts is not killed with it."""
    threads = [word for task in os.listdir(f"/proc/{pid}/task") for word in ("-p", task)]
    tracer = subprocess.Popen(["strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}", *threads],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if all("attached" in tracer.stderr.readline() for _ in threads[::2]):
        return tracer
    tracer.kill()
    tracer.communicate()
    return None


def may_trace():
    if not shutil.which("strace"):
        return False
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        tracer = trace(sleeper.pid, "write", 1)
        sleeper.kill()
        if tracer:
            tracer.communicate()
        return tracer is not None


class Case(jobs.Case):
    options = {"MIN_RUN": 0}

    def setUp(self):
        super().setUp()
        self.mark = os.path.join(self.d.root, "mark")

    def marks(self):
        if not os.path.exists(self.mark):
            return []
        with open(self.mark) as f:
            return f.read().split()

    def again(self, how=signal.SIGKILL):
        self.d.stop(how)
        self.d.start()


class Restart(Case):
    def test_all_of_it(self):
        """What ran runs, what was suspended is, what waited waits in its order, what ended meanwhile has ended."""
        stop = os.path.join(self.d.root, "stop")
        runs = self.submit(f"echo $$ >> {self.mark}; while ! [ -e {stop} ]; do sleep 0.05; done; echo bye", memory="512M", compute="50")
        suspended = self.submit("sleep 300", memory="128M", compute="40")
        array = self.submit("[ $FASTGPU_ARRAY_INDEX != 1 ] || exit 1; sleep 300", array="1-50%2", memory="1M", compute="1", priority="high")
        self.until(runs, "running")
        self.until(suspended, "running", "suspended")
        self.d.ok("POST", f"/v1/jobs/{suspended}/suspend")
        self.until(suspended, "suspended")
        wait_until(lambda: self.job(array)["counts"]["failed"] == 1 and self.job(array)["counts"]["running"] == 2, "the array runs")
        self.d.ok("DELETE", f"/v1/jobs/{array}?index=40")
        self.d.ok("POST", f"/v1/jobs/{array}/suspend?index=30")
        waiting = [self.submit("true", memory="1G", compute="100", name=f"w{n}") for n in range(5)]
        self.d.ok("POST", f"/v1/jobs/{waiting[2]}/suspend")

        def picture():
            device = self.d.ok("GET", "/v1/devices")["devices"][0]
            all = {j["id"]: {k: v for k, v in j.items() if k not in ("ran_ms", "cpu_us", "max_rss", "log")} for j in self.d.ok("GET", "/v1/jobs")["jobs"]}
            elements = [(e["index"], e["state"], e.get("held", False)) for e in self.elements(array)]
            return all, elements, device["memory_free"], device["share_free"], sorted(self.d.names()), self.d.ok("GET", "/v1/quotas")

        wait_until(lambda: [e["state"] for e in self.elements(array)[1:3]] == ["running"] * 2 and self.state(runs) == "running", "they run")
        before = picture()
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            self.again(how)
            self.assertEqual(picture(), before)  # at once, also what only the runners know
            self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])
        started = [e["target"] for e in self.d.ok("GET", "/v1/events?limit=1000")["events"] if e["kind"] == "job.started"]
        self.assertEqual(sorted(started), sorted(map(str, (runs, suspended))))  # which is news once
        self.assertEqual(len(self.marks()), 1)
        self.d.stop(signal.SIGKILL)
        open(stop, "w").close()
        wait_until(lambda: not harness.state_is_alive(int(self.marks()[0])), "it has ended")
        self.d.start()
        self.assertEqual(self.ends(runs)["exit_code"], 0)
        self.assertEqual(self.log(runs), "bye\n")
        self.d.ok("POST", f"/v1/jobs/{suspended}/resume")
        self.until(suspended, "running")
        for job in (suspended, array, *waiting):
            self.d.request("DELETE", f"/v1/jobs/{job}")
        for job in (suspended, array):
            self.ends(job, "cancelled" if job == suspended else "failed")
        wait_until(lambda: not self.d.names(), "all vGPUs are gone")
        self.nothing_left()

    def test_told_to_make_room(self):
        """One that ignores its SIGTERM is still being stopped after a restart, and then starts over."""
        low = self.submit(f"trap '' TERM; echo $$ >> {self.mark}; sleep 300 & wait; wait", memory="800M", compute="50", priority="low", retries=1)
        self.until(low, "running")
        wait_until(lambda: self.marks(), "it has begun")
        high = self.submit("sleep 300", memory="800M", compute="50", priority="high")
        self.until(low, "stopping")
        self.again()
        self.assertEqual((self.state(low), self.state(high)), ("stopping", "queued"))
        os.kill(int(self.marks()[0]), signal.SIGKILL)
        self.until(high, "running")
        self.assertEqual((self.state(low), self.job(low)["attempt"]), ("queued", 1))
        self.d.ok("DELETE", f"/v1/jobs/{low}")
        self.d.ok("DELETE", f"/v1/jobs/{high}")
        self.ends(high, "cancelled")

    def test_random_kills(self):
        """An array under a daemon that is killed again and again: each element is run once."""
        job = self.submit(f"echo $FASTGPU_ARRAY_INDEX >> {self.mark}; sleep 0.02", array="1-150", memory="32M", compute="5")
        seed = random.Random(4)
        for _ in range(12):
            time.sleep(seed.random() * 0.15)
            self.again()
        self.ends(job)
        self.assertEqual(sorted(map(int, self.marks())), list(range(1, 151)))
        self.nothing_left()

    def test_lost(self):
        """A job whose runner was killed has begun, and is not run again unless that was allowed."""
        for retries, ran in ((0, 1), (1, 2)):
            if os.path.exists(self.mark):
                os.unlink(self.mark)
            job = self.submit(f"echo $$ >> {self.mark}; [ $FASTGPU_JOB_ATTEMPT = 1 ] || sleep 300", retries=retries)
            self.until(job, "running")
            wait_until(self.marks, "it has begun")
            runner = next(int(pid) for pid in os.listdir("/proc") if pid.isdigit() and self.is_runner(pid, job))
            self.d.stop(signal.SIGKILL)
            os.kill(runner, signal.SIGKILL)
            self.d.start()
            got = self.ends(job, "done" if retries else "failed")
            if not retries:
                self.assertIn("lost", got["reason"])
            self.assertEqual(len(self.marks()), ran)
            self.assertFalse(harness.state_is_alive(int(self.marks()[0])))
        self.nothing_left()

    def is_runner(self, pid, job):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                words = f.read().split("\0")
            return words[0].endswith("fastgpu-job") and self.folder(job) in words
        except OSError:
            return False

    def test_what_the_projects_have_used(self):
        """It counts on after a restart."""
        db = os.path.join(self.d.state, "store.db")
        self.ends(self.submit("true"))
        self.d.stop(signal.SIGTERM)
        import sqlite3
        store = sqlite3.connect(db)
        store.execute("INSERT INTO standings VALUES(1, 123456789, 1)")
        store.execute("INSERT INTO standings VALUES(77, 5, 1)")
        store.commit()
        store.close()
        self.d.start()
        self.ends(self.submit("true"))
        self.again(signal.SIGTERM)
        self.d.stop(signal.SIGTERM)
        store = sqlite3.connect(db)
        self.assertEqual(store.execute("SELECT use FROM standings WHERE project=1").fetchone()[0], 123456789)
        store.close()

    def test_rows_that_make_no_sense(self):
        import sqlite3
        good = self.blocker()
        bad = [self.submit("true") for _ in range(8)]
        self.d.stop()
        store = sqlite3.connect(os.path.join(self.d.state, "store.db"))
        for job, change in zip(bad, ("gpus=0", "memory=-1", "share=5000", "count=0", "project=99", "uid=-5", "next=7", "device=300")):
            store.execute(f"UPDATE jobs SET {change} WHERE id={job}")
        store.execute(f"INSERT INTO runs SELECT {bad[0]},0,2,0,0,0,0,0,0,0,0,0,0,0,0,'x'")
        store.execute(f"INSERT INTO runs SELECT 12345,9,2,0,0,0,0,0,0,0,0,0,0,0,0,'x'")
        store.execute(f"INSERT INTO runs SELECT {good},99,2,0,0,0,0,0,0,0,0,0,0,0,0,'x'")
        store.commit()
        store.close()
        self.d.start()
        problems = self.d.ok("GET", "/v1/devices")["problems"]
        self.assertEqual(len([p for p in problems if "makes no sense" in p]), len(bad))
        self.until(good, "running")
        self.d.ok("DELETE", f"/v1/jobs/{good}")
        self.ends(good, "cancelled")
        self.nothing_left()


@harness.unittest.skipUnless(may_trace(), "strace is missing or may not trace here")
class EveryCall(Case):
    """kill -9 at the first, second, … of each kind of call, until what was asked for comes through without."""

    def strike(self, call, when, act):
        tracer = trace(self.d.process.pid, call, when)
        self.assertIsNotNone(tracer)
        try:
            done = act()
        except (OSError, harness.http.client.HTTPException):
            done = None
        was_killed = self.d.process.poll() is not None
        self.d.stop(signal.SIGKILL)
        tracer.communicate(timeout=20)
        self.d.start()
        return done, was_killed

    def test_from_submission_to_the_end(self):
        hits, submitted, struck = 0, [], set()
        for call in CALLS:
            for when in range(1, 80):
                name = f"{len(submitted)}"
                submitted.append(name)
                acknowledged = []

                def act():
                    acknowledged.append(self.submit(f"echo {name} >> {self.mark}", name="j" + name, compute="100", memory="1G"))
                    self.ends(acknowledged[0])
                    # The end is known: what comes behind it in the daemon counts too.
                    return self.d.ok("GET", f"/v1/jobs/{acknowledged[0]}/log?wait=1")["end"]

                done, _ = self.strike(call, when, act)
                with self.subTest(call=call, when=when):
                    known = [j for j in self.d.ok("GET", "/v1/jobs")["jobs"] if j["name"] == "j" + name]
                    self.assertEqual(len(known), 1 if acknowledged else len(known[:1]))
                    for job in known:
                        self.ends(job["id"])
                    self.assertEqual(self.marks().count(name), len(known))
                    wait_until(lambda: self.d.names() == [], "its vGPUs are gone")
                if done:
                    break
                hits += 1
                struck.add(call)
            self.assertTrue(done, f"killed at {call} {when} times")
        self.assertGreater(hits, 20)
        # What is done apart from the loop.
        self.assertLessEqual({"fsync", "?mkdir,?mkdirat", "?rename,?renameat,?renameat2", "?clone,?clone3,?vfork,?fork"}, struck)
        self.nothing_left()

    def test_cancel_suspend_resume(self):
        """What was acknowledged holds after the restart."""
        verbs = (("POST", "/suspend", ("suspended",)), ("POST", "/resume", ("running",)), ("DELETE", "", ("cancelled",)))
        hits = 0
        for call in ("pwrite64", "fdatasync", "?sendmsg,?sendto", "?unlink,?unlinkat", "?rmdir"):
            for method, tail, want in verbs:
                for when in range(1, 30):
                    job = self.submit("sleep 300")
                    self.until(job, "running")
                    if tail == "/resume":
                        self.d.ok("POST", f"/v1/jobs/{job}/suspend")
                        self.until(job, "suspended")
                    acknowledged = []

                    def act():
                        self.d.ok(method, f"/v1/jobs/{job}{tail}")
                        acknowledged.append(True)
                        return self.until(job, *want)["state"]

                    done, _ = self.strike(call, when, act)
                    with self.subTest(call=call, when=when, verb=tail or method):
                        if acknowledged:
                            self.until(job, *want)
                        else:
                            self.until(job, "running", "suspended", "cancelled")
                    if self.state(job) != "cancelled":
                        self.d.request("DELETE", f"/v1/jobs/{job}")
                    self.ends(job, "cancelled")
                    if done:
                        break
                    hits += 1
        self.assertGreater(hits, 5)
        self.nothing_left()


if __name__ == "__main__":
    harness.main()
