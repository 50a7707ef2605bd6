# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, have no inode left, or are read-only: what cannot be kept is refused (`storage`) and nothing of it is half done;
minutes wait and are put on record once there is room; a daemon that starts on such a disk says why it does less."""
import os
import shutil
import signal
import subprocess
import sys

import harness
from clock import MINUTE, Clock, check_ledger, problems_of, records
from harness import MEMORY, Daemon, Runner, wait_until
from strace import trace

CLI = os.environ["FASTGPU_CLI"]
MARK = "FASTGPU_TEST_MOUNTS"


def need_mounts():
    """The tests mount disks of their own, where nobody else sees them."""
    if os.environ.get(MARK):
        return
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode:
        print("skipped: only root may mount a small disk, and only where that is allowed", file=sys.stderr)
        sys.exit(77)
    os.execvpe("unshare", ["unshare", "-m", sys.executable, *sys.argv], {**os.environ, MARK: "1"})


def mount(folder, options):
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)


class Disk(harness.Case):
    def begin(self, options, run=None):
        """A daemon whose folder is a disk of its own; run: the options of another one for its sockets."""
        self.d = Daemon()
        self.addCleanup(self.end, self.d)
        self.clock = Clock(self.d)
        mount(self.d.state, options)
        if run:
            mount(os.path.join(self.d.state, "run"), run)
        self.d.start()
        self.d.ok("PUT", "/v1/prices", {"csv": "currency,price\nEUR,2\n"})
        self.d.create("a", memory="64M", compute="20")
        self.clock.pass_time(MINUTE)
        self.clock.pass_time(MINUTE)

    @staticmethod
    def end(d):
        d.stop(signal.SIGKILL)
        d.end_jobs()
        for folder in ("run", ""):
            subprocess.run(["umount", "-l", os.path.join(d.state, folder)], capture_output=True)
        d.__exit__()

    def picture(self):
        found = [self.d.ok("GET", path) for path in ("/v1/vgpus", "/v1/jobs", "/v1/quotas", "/v1/prices", "/v1/budgets", "/v1/projects")]
        found[0] = [(s["name"], s["project"], [(v["uuid"], v["memory"], v["share"], v["state"]) for v in s["vgpus"]]) for s in found[0]["sets"]]
        return found

    def cli(self, *args):
        env = {k: v for k, v in self.d.env.items() if k != "LD_PRELOAD"}
        done = subprocess.run([CLI, *args], env=env, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def refuses(self, *but):
        """All that would have to be kept is refused, and leaves nothing behind."""
        before = self.picture()
        for method, path, body in (("POST", "/v1/vgpus", {"name": "b", "gpus": 300, "memory": "64K", "compute": "0.1"}),
                                   ("POST", "/v1/jobs", {"command": ["true"], "memory": "1M", "compute": "1"}),
                                   ("POST", "/v1/projects", {"name": "p"}),
                                   ("PUT", "/v1/prices", {"csv": "currency,price\n" + "EUR,3\n"}),
                                   ("PUT", "/v1/budgets/default", {"amount": "5", "currency": "EUR"}),
                                   ("DELETE", "/v1/vgpus/a", None)):
            if (method, path) not in but:
                with self.subTest(request=f"{method} {path}"):
                    self.refused(self.d, method, path, body, 507, "storage")
        self.assertEqual(self.picture(), before)

    def is_well(self, minutes):
        """There is room again: all works, and each minute that passed meanwhile is on record, once."""
        self.clock.pass_time(MINUTE)
        self.d.create("later", memory="1M", compute="1")
        job = self.d.ok("POST", "/v1/jobs", {"command": ["true"], "memory": "1M", "compute": "1"})["id"]
        wait_until(lambda: self.d.ok("GET", f"/v1/jobs/{job}")["state"] == "done", "a job runs")
        self.d.ok("PUT", "/v1/prices", {"csv": "currency,price\nEUR,4\n"})
        self.sound(minutes)
        self.assertEqual(self.d.ok("GET", "/v1/log/checkpoint")["size"], len(records(self.d)))
        self.d.stop(signal.SIGKILL)
        self.d.start()
        self.assertEqual(self.d.names(), ["a", "later"])
        self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])

    def sound(self, minutes):
        log = records(self.d)
        self.assertEqual(problems_of(log), [])
        code, said = check_ledger(self.d)
        self.assertEqual(code, 0, said)
        starts = [r["start"] for r in log if r["type"] == "window"]
        self.assertGreaterEqual(len(starts), minutes)
        self.assertEqual(starts, list(range(starts[0], starts[0] + MINUTE * len(starts), MINUTE)))

    def fill(self):
        with open(os.path.join(self.d.state, "filler"), "wb", buffering=0) as f:
            for size in (65536, 4096):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def use_up_the_store(self):
        """Its log has room of its own, until a change is larger."""
        for n in range(300):
            status, reply = self.d.request("POST", "/v1/vgpus", {"name": "b", "gpus": 200, "memory": "64K", "compute": "0.1"})
            if status != 201:
                return
            if self.d.request("DELETE", "/v1/vgpus/b")[0] != 204:
                return
        self.fail("the disk does not fill up")

    def test_full(self):
        self.begin("size=3m")
        self.fill()
        self.use_up_the_store()
        self.d.request("DELETE", "/v1/vgpus/b")
        # What takes a small place may still have one.
        small = [("POST", "/v1/projects"), ("PUT", "/v1/budgets/default"), ("DELETE", "/v1/vgpus/a"), ("POST", "/v1/jobs"), ("PUT", "/v1/prices")]
        self.refuses(*small)
        for _ in range(23):  # the page in which the money log ends has room for some
            self.clock.pass_time(MINUTE)
        self.assertIn("No space left", " ".join(self.d.ok("GET", "/v1/devices")["problems"]))
        self.assertIn("No space left", self.cli("doctor")[1])
        # Minutes wait: a price that came before them in the log would be theirs.
        self.refused(self.d, "PUT", "/v1/prices", {"csv": "currency,price\nEUR,3\n"}, 507, "storage", "wait")
        os.unlink(os.path.join(self.d.state, "filler"))
        if "b" in self.d.names():
            self.d.ok("DELETE", "/v1/vgpus/b")
        self.is_well(25)

    def test_changes_do_not_fill_a_small_one(self):
        """The store's log is kept short where there is no room for a long one."""
        self.begin("size=12m")
        c = self.d.connect()
        for _ in range(400):
            self.assertEqual(self.d.request("POST", "/v1/vgpus", {"name": "b", "memory": "64K", "compute": "0.1"}, connection=c)[0], 201)
            self.assertEqual(self.d.request("DELETE", "/v1/vgpus/b", connection=c)[0], 204)
        self.assertLess(os.path.getsize(os.path.join(self.d.state, "store.db-wal")), 5 << 20)

    def test_no_inode(self):
        self.begin("size=64m,nr_inodes=200")
        fillers = []
        try:
            while True:
                path = os.path.join(self.d.state, f"filler{len(fillers)}")
                open(path, "w").close()
                fillers.append(path)
        except OSError:
            pass
        before = self.picture()
        self.refused(self.d, "POST", "/v1/open", {"memory": "1M", "compute": "1"}, 507, "storage")
        self.assertEqual(self.picture(), before)
        # A job is a row, which has room. It has no folder to begin in, and is not lost.
        job = self.d.ok("POST", "/v1/jobs", {"command": ["true"], "memory": "1M", "compute": "1"})["id"]
        for _ in range(3):
            self.clock.pass_time(MINUTE)
        self.assertIn("cannot write the checkpoint of the money log: No space left", self.d.logged())
        code, said = check_ledger(self.d)
        self.assertEqual(code, 0, said)
        for path in fillers:
            os.unlink(path)
        wait_until(lambda: self.d.ok("GET", f"/v1/jobs/{job}")["state"] == "done", "it ran")
        self.is_well(6)

    def test_start_without_room(self):
        """On a full disk, or one without inodes, the daemon starts or says why not; nothing is lost by trying."""
        for options, filler in (("size=3m", self.fill), ("size=64m,nr_inodes=200", self.fill_inodes)):
            with self.subTest(disk=options):
                self.begin(options)
                kept = self.picture()
                log = records(self.d)
                filler()
                for how in (signal.SIGKILL, signal.SIGTERM):
                    self.d.stop(how)
                    try:
                        self.d.start()
                        self.assertEqual(self.d.names(), ["a"])
                    except AssertionError:
                        self.assertIn("No space left", self.d.logged())
                self.d.stop(signal.SIGKILL)
                for name in os.listdir(self.d.state):
                    if name.startswith("filler"):
                        os.unlink(os.path.join(self.d.state, name))
                self.d.start()
                self.assertEqual(self.picture(), kept)
                self.assertEqual(records(self.d)[:len(log)], log)
                self.clock.pass_time(MINUTE)
                self.assertEqual(check_ledger(self.d)[0], 0)
                self.assertEqual(problems_of(records(self.d)), [])

    def fill_inodes(self):
        try:
            for n in range(100000):
                open(os.path.join(self.d.state, f"filler{n}"), "w").close()
        except OSError:
            pass

    def test_start_on_a_read_only_disk(self):
        """Safe mode: what is there is shown and enforced, nothing changes, and everybody is told why."""
        self.begin("size=64m", run="size=64m")
        self.d.create("c", memory="1M", compute="1")
        tenant = self.d.tenant(self.d.open("a")["attach"])
        self.assertEqual(tenant("reserve", 0, 1 << 20), 0)
        before, log = self.picture(), records(self.d)
        for how in (signal.SIGKILL, signal.SIGTERM):
            self.d.stop(how)
            log = records(self.d)
            subprocess.run(["mount", "-o", "remount,ro", self.d.state], check=True)
            self.d.start()
            self.assertEqual([s["name"] for s in self.d.ok("GET", "/v1/vgpus")["sets"]], ["a", "c"])
            problems = self.d.ok("GET", "/v1/devices")["problems"]
            for words in ("safe mode", "nothing is billed"):
                self.assertTrue([p for p in problems if words in p and "Read-only file system" in p], problems)
                self.assertIn(words, self.d.logged())
                for verb in ("doctor", "devices"):
                    self.assertIn(words, self.cli(verb)[1])
            self.refuses_in_safe_mode()
            self.assertEqual(tenant("quota", 0), 64 << 20)
            self.assertNotEqual(tenant("reserve", 0, 64 << 20), 0)  # the limits hold
            self.clock.pass_time(MINUTE)
            self.d.stop()
            self.assertEqual(records(self.d), log)
            subprocess.run(["mount", "-o", "remount,rw", self.d.state], check=True)
            self.d.start()
            self.assertEqual(self.picture()[2:], before[2:])
            self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])
            self.clock.pass_time(MINUTE)
        self.assertEqual(check_ledger(self.d)[0], 0)
        self.assertEqual(problems_of(records(self.d)), [])
        self.d.create("later", memory="1M", compute="1")

    def refuses_in_safe_mode(self):
        before = self.picture()
        for method, path, body in (("POST", "/v1/vgpus", {"name": "b", "memory": "64K", "compute": "0.1"}),
                                   ("POST", "/v1/jobs", {"command": ["true"], "memory": "1M", "compute": "1"}),
                                   ("POST", "/v1/projects", {"name": "p"}), ("DELETE", "/v1/vgpus/c", None),
                                   ("PATCH", "/v1/vgpus/a", {"compute": "30"}), ("PUT", "/v1/prices", {"csv": "currency,price\nEUR,3\n"})):
            self.refused(self.d, method, path, body, 507, "storage")
        self.assertEqual(self.picture(), before)

    def test_read_only_with_the_sockets(self):
        """A user's own daemon has its sockets there too: it cannot serve, and says why."""
        self.begin("size=64m")
        self.d.stop()
        subprocess.run(["mount", "-o", "remount,ro", self.d.state], check=True)
        with self.assertRaises(AssertionError) as refused:
            self.d.start()
        self.assertIn("Read-only file system", str(refused.exception))
        code, said = self.cli("devices")
        self.assertNotEqual(code, 0)
        self.assertIn("Read-only file system", said)
        subprocess.run(["mount", "-o", "remount,rw", self.d.state], check=True)
        self.d.start()
        self.assertEqual(self.d.names(), ["a"])

    @harness.unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_becomes_read_only(self):
        """As a file system does at an error of its disk, while the daemon runs."""
        self.begin("size=64m")
        calls = "pwrite64,ftruncate,fallocate,?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir"
        tracer = trace(self.d.process.pid, "-e", f"trace={calls}", "-e", f"inject={calls}:error=EROFS")
        if not tracer:
            self.skipTest("strace may not trace here")
        try:
            self.refuses()
            for _ in range(3):
                self.clock.pass_time(MINUTE)
            self.assertIn("Read-only file system", " ".join(self.d.ok("GET", "/v1/devices")["problems"]))
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=20)
        self.is_well(5)


need_mounts()
harness.main()
