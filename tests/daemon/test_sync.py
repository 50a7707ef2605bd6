# SPDX-License-Identifier: Apache-2.0
"""Who changes something waits for the disk, and nobody else does. The disk is made slow or bad by strace."""
import concurrent.futures
import os
import signal
import subprocess
import tempfile
import time

import harness
import jobs
from harness import wait_until
from strace import require_strace, trace

MIB = 1 << 20
SLOW = 4000000  # us that each sync takes


class Case(jobs.Case):
    def setUp(self):
        super().setUp()
        self.pool = concurrent.futures.ThreadPoolExecutor(24)
        self.addCleanup(self.pool.shutdown)

    def trace(self, *options):
        tracer = trace(self.d.process.pid, "-e", "trace=fdatasync", *options)
        self.assertIsNotNone(tracer)

        def end():
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=20)

        return end

    def slow(self, *options):
        return self.trace("-e", f"inject=fdatasync:delay_enter={SLOW}", *options)

    def asked(self, method, path, body=None):
        """The answer, some day. Returns when the daemon has done it, as everybody sees."""
        return self.pool.submit(self.d.request, method, path, body)

    def events(self):
        return [e["target"] for e in self.d.ok("GET", "/v1/events")["events"]]

    def lose(self):
        """The disk does not take what the thread syncs next; what the loop syncs goes well."""
        tasks = f"/proc/{self.d.process.pid}/task"
        thread = next(t for t in os.listdir(tasks) if open(f"{tasks}/{t}/comm").read() == "store\n")
        tracer = subprocess.Popen(["strace", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1", "-p", thread],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(tracer.communicate)
        self.addCleanup(tracer.kill)
        self.assertIn("attached", tracer.stderr.readline())

    def is_new(self):
        """It has begun anew, and says why."""
        try:
            return any("until fastgpud is restarted" in p for p in self.d.request("GET", "/v1/devices")[1].get("problems", []))
        except (OSError, harness.http.client.HTTPException):
            return False


class Waiting(Case):
    def test_others_are_served(self):
        end = self.slow()
        creating = self.asked("POST", "/v1/vgpus", {"name": "a", "memory": "1M", "compute": "0.1"})
        wait_until(lambda: self.d.names() == ["a"], "it is done")
        for _ in range(5):
            self.assertEqual(self.d.ok("GET", "/v1/vgpus/a")["name"], "a")
        reading = self.asked("GET", "/v1/events")  # an event has a number, which would be another's after a power cut
        time.sleep(0.2)
        self.assertFalse(creating.done() or reading.done())
        self.assertEqual(creating.result(30)[0], 201)
        self.assertEqual([e["target"] for e in reading.result(30)[1]["events"]], ["a"])
        end()

    def test_what_follows_from_it_waits_too(self):
        """That there is one already, or none any more, is said when it is certain."""
        end = self.slow()
        creating = self.asked("POST", "/v1/vgpus", {"name": "a", "memory": "1M", "compute": "0.1"})
        wait_until(lambda: self.d.names() == ["a"], "it is done")
        again = self.asked("POST", "/v1/vgpus", {"name": "a", "memory": "1M", "compute": "0.1"})
        unknown = self.asked("GET", "/v1/vgpus/b")
        self.assertEqual(unknown.result(30)[0], 404)
        self.assertFalse(creating.done() or again.done())
        self.assertEqual((creating.result(30)[0], again.result(30)[0]), (201, 409))
        self.assertTrue(creating.done())
        end()

    def test_those_who_come_meanwhile_wait_together(self):
        with tempfile.NamedTemporaryFile("r") as log:
            end = self.slow("-y", "-o", log.name)
            creating = [self.asked("POST", "/v1/vgpus", {"name": f"s{i}", "memory": "1M", "compute": "0.1"}) for i in range(20)]
            self.assertEqual([c.result(60)[0] for c in creating], [201] * 20)
            end()
            synced = sum("store.db-wal" in line and "fdatasync(" in line for line in log)
        self.assertIn(synced, (2, 3, 4))
        self.assertEqual(sorted(self.events()), sorted(f"s{i}" for i in range(20)))

    def test_killed_while_they_wait(self):
        """What was done is done, though nobody was told; and it is on the disk before the next one says anything."""
        end = self.slow()
        creating = self.asked("POST", "/v1/vgpus", {"name": "a", "memory": "1M", "compute": "0.1"})
        wait_until(lambda: self.d.names() == ["a"], "it is done")
        self.d.stop(signal.SIGKILL)
        self.assertIsNotNone(creating.exception(30))
        end()
        with tempfile.NamedTemporaryFile("r") as log:
            self.d.start(prefix=("strace", "-f", "-y", "-e", "trace=fdatasync,accept4", "-o", log.name))
            self.assertEqual(self.d.names(), ["a"])
            with open(self.d.state + "/run/daemon.lock") as lock:
                os.kill(int(lock.read()), signal.SIGTERM)
            self.d.process.wait(30)
            calls = [line for line in log if "store.db-wal" in line or "accept4(" in line]
        self.assertIn("fdatasync(", calls[0])

    def test_ends_while_they_wait(self):
        """A daemon that is told to end waits for the disk, and says how it went."""
        end = self.slow()
        creating = self.asked("POST", "/v1/vgpus", {"name": "a", "memory": "1M", "compute": "0.1"})
        wait_until(lambda: self.d.names() == ["a"], "it is done")
        sanitized = harness.is_sanitized(self.d.process.pid)  # it cannot look for leaks in a process that is traced
        self.d.process.send_signal(signal.SIGTERM)
        self.assertEqual(creating.result(30)[0], 201)
        status = self.d.process.wait(30)
        self.assertIn(status, (0, -signal.SIGABRT) if sanitized else (0,))
        end()
        self.d.start()
        self.assertEqual(self.d.names(), ["a"])


class Anew(Case):
    def test_begins_anew(self):
        """The disk did not take it: it did not happen, the same process goes on with what is there, programs keep their limits."""
        self.d.create("old", memory="8M", compute="0.1")
        tenant = self.d.tenant(self.d.open("old")["attach"])
        self.assertEqual(tenant("reserve", 0, 2 * MIB), 0)
        pid, sock = self.d.process.pid, os.stat(self.d.socket).st_ino
        self.lose()
        status, reply = self.d.request("POST", "/v1/vgpus", {"name": "new", "memory": "1M", "compute": "0.1"})
        self.assertEqual((status, reply["type"]), (507, "storage"))
        self.assertIn("nothing was changed", reply["detail"])
        wait_until(self.is_new, "it has begun anew")
        self.assertEqual((self.d.process.poll(), os.stat(self.d.socket).st_ino), (None, sock))
        self.assertEqual(os.readlink(f"/proc/{pid}/exe"), self.d.program)
        self.assertNotIn("all the same", self.d.logged())
        self.assertEqual(self.d.names(), ["old"])
        self.assertEqual(self.d.usage("old")["memory_used"], 2 * MIB)
        self.assertNotEqual(tenant("reserve", 0, 7 * MIB), 0)
        # From now on each waits by itself, and is refused by itself.
        end = self.trace("-e", "inject=fdatasync:error=EIO:when=1")
        self.assertEqual(self.d.request("POST", "/v1/vgpus", {"name": "new", "memory": "1M", "compute": "0.1"})[0], 507)
        self.assertEqual(self.d.names(), ["old"])
        self.assertEqual(self.d.request("POST", "/v1/vgpus", {"name": "new", "memory": "1M", "compute": "0.1"})[0], 201)
        end()
        self.assertEqual(self.d.logged().count("begins anew"), 1)

    def test_with_a_job(self):
        """Its runner goes on, is taken over, and is buried when it ends; no child is left."""
        job = self.submit("sleep", "300")
        self.until(job, "running")
        self.lose()
        self.assertEqual(self.d.request("POST", "/v1/vgpus", {"name": "new", "memory": "1M", "compute": "0.1"})[0], 507)
        wait_until(self.is_new, "it has begun anew")
        self.assertEqual(self.until(job, "running")["state"], "running")
        self.assertEqual(len(self.d.runners()), 1)
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        self.ends(job, "cancelled")

        def zombies():
            found = []
            for child in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{child}/stat") as f:
                        state, parent = f.read().rsplit(")", 1)[1].split()[:2]
                except OSError:
                    continue
                if int(parent) == self.d.process.pid and state == "Z":
                    found.append(child)
            return found

        wait_until(lambda: not zombies(), "its children are buried")

    def test_nobody_is_ended_for_what_was_refused(self):
        """A job whose cancelling the disk does not take goes on."""
        job = self.submit("sleep", "300")
        self.until(job, "running")
        end = self.trace("-e", "inject=fdatasync:error=EIO:when=1")
        self.assertEqual(self.d.request("DELETE", f"/v1/jobs/{job}")[0], 507)
        end()
        time.sleep(0.5)
        self.assertEqual((self.state(job), len(self.d.runners())), ("running", 1))

    def test_after_an_upgrade(self):
        """The program that runs is there no more."""
        os.rename(self.d.program, self.d.program + ".old")
        os.unlink(self.d.program + ".old")
        self.lose()
        self.assertEqual(self.d.request("POST", "/v1/vgpus", {"name": "new", "memory": "1M", "compute": "0.1"})[0], 507)
        wait_until(self.is_new, "it has begun anew")
        self.assertEqual(self.d.names(), [])

    def test_the_log_cannot_be_cut(self):
        """What was refused may be there then, and that is what is said."""
        end = self.trace("-e", "trace=fdatasync,ftruncate", "-e", "inject=fdatasync:error=EIO:when=1", "-e", "inject=ftruncate:error=EROFS:when=1")
        status, reply = self.d.request("POST", "/v1/vgpus", {"name": "new", "memory": "1M", "compute": "0.1"})
        self.assertEqual((status, reply["type"]), (507, "storage"))
        self.assertIn("not known", reply["detail"])
        wait_until(self.is_new, "it has begun anew")
        end()
        self.assertIn("all the same", self.d.logged())

    def test_nothing_is_said_of_what_is_taken_back(self):
        """Between the disk's refusal and the new beginning memory knows what is not so."""
        self.lose()
        self.assertEqual(self.d.request("POST", "/v1/vgpus", {"name": "new", "memory": "1M", "compute": "0.1"})[0], 507)
        seen = set()
        until = time.monotonic() + 5
        while time.monotonic() < until and (200, ()) not in seen:
            try:
                status, reply = self.d.request("GET", "/v1/vgpus")
                seen.add((status, tuple(s["name"] for s in reply["sets"]) if status == 200 else reply["type"]))
            except (OSError, harness.http.client.HTTPException):
                pass
        self.assertLessEqual(seen, {(503, "busy"), (200, ())})
        self.assertIn((200, ()), seen)


require_strace()
harness.main()
