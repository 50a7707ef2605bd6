#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The runner of a job, alone: what it starts, how it ends, what it leaves, in each kind of group that the machine has."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from job import Job, RUNNER, have_group, marked, parse_status, unique
from node import wait_until

if not os.access(RUNNER, os.X_OK):
    print(f"no {RUNNER}: run make first", file=sys.stderr)
    sys.exit(77)

KINDS = [kind for kind in ("v2", "v1", "none") if have_group(kind)]
CAN_TRACE = shutil.which("strace") is not None and subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0
# Forks away from its parent, session and group, and holds none of the job's descriptors.
DAEMON = """import os, sys, time
for _ in range(2):
    if os.fork():
        os._exit(0) if _ else os.wait()
        break
    os.setsid()
else:
    os.closerange(0, 64)
    time.sleep(1000)
"""


def session(pid):
    """0: it is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


class Ends(unittest.TestCase):
    def run_job(self, argv, **fields):
        with Job(argv, **fields) as job:
            job.start()
            return job.end(), job.log()

    def test_exit_code_and_output(self):
        status, log = self.run_job(["sh", "-c", "echo out; echo err >&2; exit 7"])
        self.assertEqual((status["why"], status["code"], status["signal"]), ("exit", 7, -1))
        self.assertEqual(sorted(log.split()), [b"err", b"out"])
        self.assertEqual(status["log"], len(log))
        self.assertGreater(status["pid"], 0)
        self.assertGreaterEqual(status["ended"], status["started"])

    def test_signal(self):
        status, _ = self.run_job(["sh", "-c", "kill -SEGV $$"])
        self.assertEqual((status["why"], status["code"], status["signal"]), ("signal", -1, signal.SIGSEGV))

    def test_no_such_command(self):
        status, _ = self.run_job(["no-such-program-here"])
        self.assertEqual((status["why"], status["code"], status["error"]), ("exec-failed", 127, 2))
        self.assertIn("no-such-program-here", status["text"])

    def test_not_executable(self):
        with tempfile.NamedTemporaryFile() as f:
            status, _ = self.run_job([f.name])
        self.assertEqual((status["why"], status["code"], status["error"]), ("exec-failed", 126, 13))
        self.assertIn(f.name, status["text"])

    def test_no_such_folder(self):
        status, log = self.run_job(["echo", "ran"], cwd="/no/such/folder")
        self.assertEqual((status["why"], status["error"], log), ("setup-failed", 2, b""))
        self.assertIn("/no/such/folder", status["text"])

    def test_damaged_spec(self):
        with Job(["true"]) as job:
            job.put("spec", b"fastgpu-job 1\nid 999999\nx\n")
            job.start()
            self.assertEqual(job.end()["why"], "setup-failed")
            self.assertFalse(os.path.exists(job.path("begun")))

    def test_never_twice(self):
        with Job(["sh", "-c", "echo ran"]) as job:
            job.start()
            job.end()
            job.process.stderr.close()
            job.start()
            self.assertEqual(job.process.wait(30), 3)
            self.assertEqual(job.log(), b"ran\n")

    def test_folder_removed(self):
        with Job(["sleep", "1000"]) as job:
            job.start()
            cgroup = job.wait_for("running")["cgroup"]
            shutil.rmtree(job.dir)
            job.process.send_signal(signal.SIGTERM)
            self.assertEqual(job.process.wait(30), 0)
            self.assertFalse(cgroup and os.path.exists(cgroup))

    def test_full_disk(self):
        if os.getuid() != 0 or not shutil.which("unshare"):
            self.skipTest("only root mounts a small disk")
        with Job(["sh", "-c", "head -c 300000 /dev/zero; exit 6"], log_max=1 << 30) as job:
            script = f"""set -e; spec=$(mktemp); cp {job.dir}/spec $spec; mount -t tmpfs -o size=128k none {job.dir}; cp $spec {job.dir}/spec; rm $spec
                set +e; {RUNNER} {job.dir}; echo $?; cat {job.dir}/status"""
            done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, timeout=60)
            if b"mount" in done.stderr:
                self.skipTest(done.stderr.decode())
            code, _, text = done.stdout.partition(b"\n")
            status = parse_status(text)
            self.assertEqual((code, status["why"], status["code"]), (b"0", "exit", 6), done.stderr)
            self.assertGreater(status["dropped"], 100000)
            self.assertEqual(status["log"] + status["dropped"], 300000)

    def test_one_runner(self):
        with Job(["sleep", "1000"]) as job:
            job.start()
            job.wait_for("running")
            first = job.process
            job.start()
            self.assertEqual(job.process.wait(30), 3)
            job.process.stderr.close()
            job.process = first
            job.ask("kill")
            self.assertEqual(job.end()["why"], "stopped")


class Given(unittest.TestCase):
    """What the command finds around it."""

    def test_environment_and_files(self):
        code = "import os,sys; print(sorted(os.listdir('/proc/self/fd'))[:-1], os.getsid(0) == os.getpid(), os.environ.get('A'), os.environ.get('SECRET'), os.environ['FASTGPU_JOB'], os.getcwd())"
        with Job([sys.executable, "-c", code], env=["A=b\nc"], cwd="/usr") as job:
            job.start(env={"SECRET": "x", "PATH": os.environ["PATH"]}, pass_fds=[os.dup(0)])
            job.end()
            self.assertEqual(job.log().decode().strip(), "['0', '1', '2'] True b\nc None 7 /usr")

    def test_no_new_privileges_and_no_core(self):
        with Job(["sh", "-c", "grep NoNewPrivs /proc/self/status; ulimit -c; umask"]) as job:
            job.start()
            job.end()
            self.assertEqual(job.log().split(), [b"NoNewPrivs:", b"1", b"0", b"0022"])

    @unittest.skipUnless(os.getuid() == 0, "only root becomes somebody else")
    def test_becomes_the_user(self):
        user = pwd.getpwnam("nobody")
        with Job(["sh", "-c", "id -u; id -g; grep CapEff /proc/self/status; id -G; echo $USER"], uid=user.pw_uid, gid=4242) as job:
            job.start()
            status = job.end()
            self.assertEqual(status["why"], "exit", status)
            lines = job.log().decode().split("\n")
            self.assertEqual(lines[:2], [str(user.pw_uid), str(user.pw_gid)])
            self.assertEqual(int(lines[2].split()[1], 16), 0)
            self.assertEqual(set(map(int, lines[3].split())) - set(os.getgrouplist("nobody", user.pw_gid)), {4242})
            self.assertEqual(lines[4], "nobody")

    @unittest.skipUnless(os.getuid() == 0, "only root becomes somebody else")
    def test_no_account(self):
        with Job(["true"], uid=3999999) as job:
            job.start()
            status = job.end()
            self.assertEqual(status["why"], "setup-failed")
            self.assertIn("3999999", status["text"])
            self.assertFalse(os.path.exists(job.path("begun")))


class Log(unittest.TestCase):
    def test_limit(self):
        with Job(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo done >&2"], log_max=1000) as job:
            job.start()
            status = job.end()
            self.assertEqual((status["why"], status["code"]), ("exit", 0))
            self.assertEqual(status["dropped"], 3000000 + 5 - 1000)
            self.assertTrue(job.log().startswith(b"x" * 1000 + b"\n[fastgpu: the log is full"), job.log()[990:])
            self.assertIn(str(status["dropped"]).encode(), job.log())
            self.assertEqual(status["log"], len(job.log()))

    def test_all_of_it_without_a_newline(self):
        with Job(["sh", "-c", "head -c 20000000 /dev/zero"], log_max=1 << 30) as job:
            job.start()
            status = job.end()
            self.assertEqual((status["log"], status["dropped"]), (20000000, 0))

    def test_closed_descriptors(self):
        with Job(["sh", "-c", "exec >&- 2>&- <&-; sleep 0.2; exit 3"]) as job:
            job.start()
            self.assertEqual(job.end()["code"], 3)


class EachKind:
    kind = None

    def setUp(self):
        if self.kind not in KINDS:
            self.skipTest(f"no cgroup ({self.kind}) can be made here")

    def test_nothing_lives_on(self):
        mark = unique()
        with Job(["sh", "-c", f"{sys.executable} -c \"$DAEMON\" {mark}; {sys.executable} -c 'import time; time.sleep(1000)' {mark} & exit 0"],
                 group=self.kind, env=[f"DAEMON={DAEMON}"]) as job:
            job.start()
            status = job.end()
            self.assertEqual((status["why"], status["code"], status["group"]), ("exit", 0, self.kind))
            self.assertEqual(marked(mark), [])
            self.assertFalse(status["cgroup"] and os.path.exists(status["cgroup"]))
            self.assertFalse(os.path.exists(job.path("control")))

    def test_daemonised_lives_until_then(self):
        """The test above would pass if the daemon never came to life."""
        mark = unique()
        with Job(["sh", "-c", f"{sys.executable} -c \"$DAEMON\" {mark}; sleep 1000"], group=self.kind, env=[f"DAEMON={DAEMON}"]) as job:
            job.start()
            wait_until(lambda: any(session(p) not in (0, job.status()["pid"]) for p in marked(mark)), 30, "a daemon")
            job.ask("kill")
            self.assertEqual(job.end()["why"], "stopped")
            self.assertEqual(marked(mark), [])

    def test_term_then_kill(self):
        with Job(["sh", "-c", "trap 'echo told' TERM; echo ready; while :; do sleep 0.05; done"], group=self.kind) as job:
            job.start()
            wait_until(lambda: b"ready" in job.log(), 30, "ready")
            self.assertEqual(job.ask("stop 300"), "ok stop 300")
            status = job.end()
            self.assertEqual((status["why"], status["signal"]), ("stopped", signal.SIGKILL))
            self.assertIn(b"told", job.log())

    def test_term_is_enough(self):
        with Job(["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"], group=self.kind) as job:
            job.start()
            wait_until(lambda: b"ready" in job.log(), 30, "ready")
            job.ask("stop 1000000")
            status = job.end()
            self.assertEqual((status["why"], status["code"]), ("stopped", 5))

    def test_suspend_and_resume(self):
        with Job(["sh", "-c", "(setsid sh -c 'while :; do echo b; sleep 0.01; done') & while :; do echo a; sleep 0.01; done"],
                 group=self.kind, log_max=1 << 30) as job:
            job.start()
            wait_until(lambda: b"a" in job.log() and b"b" in job.log(), 30, "both")
            self.assertEqual(job.ask("suspend"), "ok suspend")
            job.wait_for("suspended")
            job.ask("status")
            size = len(job.log())
            ran = job.status()["ran"]
            # As long as an unrelated loop of the same kind takes for 50 rounds, it has written nothing.
            with Job(["sh", "-c", "for i in $(seq 50); do echo c; sleep 0.01; done"]) as other:
                other.start()
                other.end()
            self.assertLessEqual(len(job.log()) - size, 65536 if self.kind == "none" else 0)
            size = len(job.log())
            self.assertEqual(job.ask("suspend"), "ok suspend")
            self.assertEqual(job.ask("resume"), "ok resume")
            wait_until(lambda: job.log()[size:].count(b"a") and job.log()[size:].count(b"b"), 30, "both go on")
            self.assertEqual(job.wait_for("running")["ran"], ran)
            job.ask("kill")
            job.end()

    def test_stopped_while_suspended(self):
        with Job(["sh", "-c", "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.05; done"], group=self.kind) as job:
            job.start()
            wait_until(lambda: b"ready" in job.log(), 30, "ready")
            job.ask("suspend")
            job.wait_for("suspended")
            job.ask("stop 60000")
            status = job.end()
            self.assertEqual((status["why"], status["code"]), ("stopped", 0))
            self.assertIn(b"told", job.log())

    def test_time_limit_counts_running_time(self):
        with Job(["sleep", "1000"], group=self.kind, time_limit=1500) as job:
            job.start()
            job.ask("suspend")
            suspended = job.wait_for("suspended")
            if suspended["ran"] >= 1500:
                self.skipTest("a busy machine")
            with Job(["sleep", "2"]) as other:
                other.start()
                other.end()
            self.assertEqual(job.status()["state"], "suspended")
            job.ask("resume")
            status = job.end()
            self.assertEqual((status["why"], status["signal"]), ("time-limit", signal.SIGTERM))
            self.assertGreaterEqual(status["ran"], 1500)

    def test_fork_bomb(self):
        mark = unique()
        bomb = "import os, time\nn = 0\nwhile True:\n  try: os.fork()\n  except OSError: time.sleep(0.001)\n"
        with Job([sys.executable, "-c", bomb, mark], group=self.kind, pids_max=200) as job:
            job.start()
            if job.wait_for("running")["pids"] == "" and self.kind == "none":
                job.ask("kill")
                job.end()
                return
            wait_until(lambda: len(marked(mark)) >= 150, 60, "a bomb")
            self.assertLessEqual(len(marked(mark)), 200)
            job.ask("kill")
            self.assertEqual(job.end(120)["why"], "stopped")
            self.assertEqual(marked(mark), [])

    def slow_child(self, **fields):
        """A job whose child takes a second before it enters its group: it is slowed down where it resets its signals."""
        if not CAN_TRACE:
            self.skipTest("strace may not trace here")
        job = Job(["sleep", "1000"], group=self.kind, **fields)
        job.start("strace", "-f", "-o", "/dev/null", "-e", "trace=rt_sigaction", "-e", "inject=rt_sigaction:delay_enter=20000:when=10+")
        wait_until(lambda: os.path.exists(job.path("begun")), 30, "the beginning")
        return job

    def test_told_to_end_before_it_is_in_its_group(self):
        with self.slow_child() as job:
            job.ask("stop 60000")
            status = job.end(40)
            self.assertEqual((status["why"], status["signal"]), ("stopped", signal.SIGTERM))

    def test_suspended_before_it_is_in_its_group(self):
        with self.slow_child() as job:
            job.ask("suspend")
            suspended = job.wait_for("suspended")
            command = pathlib.Path("/proc", str(suspended["pid"]), "cmdline").read_bytes()
            self.assertEqual(command, b"sleep\0001000\0")
            job.ask("stop 60000")
            status = job.end(40)
            self.assertEqual((status["why"], status["signal"]), ("stopped", signal.SIGTERM))

    def test_stops_itself(self):
        with Job(["sh", "-c", "kill -STOP $$; kill -STOP 0"], group=self.kind, time_limit=300, grace=100) as job:
            job.start()
            self.assertEqual(job.end()["why"], "time-limit")


class V2(EachKind, unittest.TestCase):
    kind = "v2"


class V1(EachKind, unittest.TestCase):
    kind = "v1"


class Without(EachKind, unittest.TestCase):
    kind = "none"


class Control(unittest.TestCase):
    def test_nonsense(self):
        with Job(["sleep", "1000"]) as job:
            job.start()
            for text in ("nonsense", "stop", "stop x", "stop -1", "stop 1 2", "x" * 5000, "stop 99999999999999999999999"):
                self.assertTrue(job.ask(text).startswith("error"), text[:20])
            self.assertEqual(job.wait_for("running")["state"], "running")
            job.ask("kill")
            job.end()

    def test_many_connections_and_silent_ones(self):
        with Job(["sleep", "1000"]) as job:
            job.start()
            silent = []
            for _ in range(20):
                silent.append(job.connect())
                self.addCleanup(silent[-1].close)
            for _ in range(300):
                self.assertEqual(job.ask("suspend"), "ok suspend")
                self.assertEqual(job.ask("resume"), "ok resume")
            job.ask("kill")
            self.assertEqual(job.end()["why"], "stopped")

    @unittest.skipUnless(os.getuid() == 0, "only root becomes somebody else")
    def test_strangers(self):
        with Job(["sleep", "1000"]) as job:
            os.chmod(job.dir, 0o755)
            job.start()
            job.wait_for("running")
            os.chmod(job.path("control"), 0o666)
            pid = os.fork()
            if pid == 0:
                try:
                    os.setresuid(65534, 65534, 65534)
                    s = job.connect()
                    s.send(b"kill")
                    os._exit(0 if s.recv(10) == b"" else 1)
                except OSError:
                    os._exit(0)
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
            self.assertEqual(job.status()["state"], "running")
            job.ask("kill")
            job.end()

    def test_told_to_end(self):
        with Job(["sleep", "1000"]) as job:
            job.start()
            job.wait_for("running")
            job.process.send_signal(signal.SIGTERM)
            self.assertEqual(job.end()["signal"], signal.SIGTERM)

    def test_command_dies_with_its_runner(self):
        mark = unique()
        with Job([sys.executable, "-c", "import time; time.sleep(1000)", mark]) as job:
            job.start()
            job.wait_for("running")
            wait_until(lambda: marked(mark), 30, "the command")
            job.process.kill()
            wait_until(lambda: not marked(mark), 30, "its end")
            self.assertEqual(job.status()["state"], "running")
            self.assertTrue(pathlib.Path(job.path("begun")).exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
