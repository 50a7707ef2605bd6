#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`fastgpu run` becomes the program or says why not; `fastgpu top` gives the terminal back."""
import ctypes.util
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
import unittest

from bench import Case, make_program
from fake_daemon import Server

HAVE_LOADER = ctypes.util.find_library("OpenCL") is not None


class Served(Case):
    def setUp(self):
        super().setUp()
        self.server = Server(f"{self.state}/run")
        self.addCleanup(self.server.close)
        self.server.fake.create({"name": "a"})

    def opened(self):
        return [body for method, path, body in self.server.fake.requests if path == "/v1/open"]


class Refused(Served):
    """No program runs."""

    def test_typing(self):
        for args, word in ((["a"], "fastgpu run a -- PROGRAM"), ([], "run what?"), (["a", "--"], "No program"),
                           (["a", "b", "--", "true"], "fastgpu run a -- b"), (["a/x", "--", "true"], "a/x"),
                           (["a", "--memory", "1G", "--", "true"], "a has its limits already"),
                           (["--memory", "0", "--", "true"], "--memory"), (["--name", "x", "--", "true"], "no option --name"),
                           (["--jsno", "--", "true"], "did you mean --json?")):
            self.assertIn(word, self.refused("run", *args))
        self.assertEqual(self.opened(), [])

    def test_no_program(self):
        self.assertIn("nosuch", self.refused("run", "a", "--", "nosuch", code=127))
        self.assertIn("/no/such", self.refused("run", "a", "--", "/no/such", code=127))
        self.refused("run", "a", "--", "", code=127)
        self.assertEqual(self.opened(), [])

    def test_not_executable(self):
        plain = f"{self.state}/plain"
        open(plain, "w").close()
        self.assertIn("folder", self.refused("run", "a", "--", self.state, code=126))
        self.assertIn(plain, self.refused("run", "a", "--", plain, code=126))

    def test_wrong_format(self):
        bad = make_program(f"{self.state}/bad", "#!/no/such/interpreter\n")
        self.assertIn("bad", self.refused("run", "a", "--", bad, code=127) if HAVE_LOADER else bad)

    @unittest.skipUnless(os.geteuid() == 0, "needs another user's file")
    def test_set_user_id(self):
        program = make_program(f"{self.state}/raised", "#!/bin/sh\n")
        os.chown(program, 1, 1)
        os.chmod(program, 0o4755)
        self.assertIn("more rights", self.refused("run", "a", "--", program, code=7))
        self.assertEqual(self.opened(), [])

    def test_unknown_vgpu(self):
        self.assertIn('no vGPU "b"', self.refused("run", "b", "--", "true", code=3))

    def test_told_why(self):
        """--refused: the other program has the same words, the reason, and no vGPU; a program that is started has not."""
        told = make_program(f"{self.state}/told", '#!/bin/sh\necho "$FASTGPU_REFUSED|${FASTGPU_ATTACH:-none}|$*"\nexit 9\n')
        done = self.fastgpu("run", "--refused", told, "nosuch", "--", "echo", "a", "b", code=9)
        self.assertIn("nosuch", done.stdout)
        self.assertTrue(done.stdout.endswith("|none|a b\n"), done.stdout)
        self.assertEqual(f"fastgpu: {done.stdout.split('|')[0]}\n", done.stderr)
        self.assertIn("--refused /no/such cannot be executed", self.fastgpu("run", "--refused", "/no/such", "nosuch", "--", "true", code=127).stderr)

    def test_told_of_wrong_options(self):
        told = make_program(f"{self.state}/told", '#!/bin/sh\necho "$FASTGPU_REFUSED|$*"\nexit 9\n')
        for options, says in ((["--memmory", "1G"], "has no option --memmory"), (["a", "b"], "takes one name"), (["--memory", "0"], "--memory")):
            for refused in (["--refused", told], [f"--refused={told}"]):
                done = self.fastgpu("run", *refused, *options, "--", "echo", "c", code=9)
                self.assertIn(says, done.stdout)
                self.assertTrue(done.stdout.endswith("|c\n"), done.stdout)

    def test_in_a_project(self):
        for args, env, target in ((["red:a"], {}, "red:a"), (["red:a/1"], {"FASTGPU_PROJECT": "blue"}, "red:a/1"), (["a", "--project", "red"], {}, "red:a"),
                                  (["a/0"], {"FASTGPU_PROJECT": "red"}, "red:a/0")):
            self.refused("run", *args, "--", "true", code=3, env=env)
            self.assertEqual(self.opened()[-1], {"target": target})
        self.assertIn("project", self.refused("run", ":a", "--", "true"))

    def test_layer_missing(self):
        os.rename(self.prefix.layer, self.prefix.layer + ".away")
        self.addCleanup(os.rename, self.prefix.layer + ".away", self.prefix.layer)
        self.assertIn(self.prefix.layer, self.refused("run", "a", "--", "true", code=7))

    @unittest.skipUnless(HAVE_LOADER, "no OpenCL loader")
    def test_layer_broken(self):
        os.rename(self.prefix.layer, self.prefix.layer + ".away")
        self.addCleanup(os.rename, self.prefix.layer + ".away", self.prefix.layer)
        make_program(self.prefix.layer, "not a library")
        line = self.refused("run", "a", "--", "touch", f"{self.state}/ran", code=7)
        self.assertIn("cannot be loaded", line)
        self.assertFalse(os.path.exists(f"{self.state}/ran"))

    def loader(self, source):
        folder = f"{self.state}/ld"
        os.makedirs(folder)
        subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", f"{folder}/libOpenCL.so.1"], input=source, text=True,
                       check=True)
        return {"LD_LIBRARY_PATH": folder}

    def test_loader_without_layers(self):
        env = self.loader("int clGetPlatformIDs(unsigned n, void *p, unsigned *c) { return -1001; }")
        line = self.refused("run", "a", "--", "true", code=7, env=env)
        self.assertIn("does not load layers", line)
        self.assertIn(env["LD_LIBRARY_PATH"], line)

    def test_loader_broken(self):
        env = self.loader("int nothing;")
        self.assertIn("no OpenCL loader", self.refused("run", "a", "--", "true", code=7, env=env))

    def test_loader_crashes(self):
        env = self.loader("int clGetPlatformIDs(unsigned n, void *p, unsigned *c) { __builtin_trap(); }")
        self.assertIn("died", self.refused("run", "a", "--", "true", code=7, env=env))

    def test_loader_hangs(self):
        env = self.loader("int pause(void); int clGetPlatformIDs(unsigned n, void *p, unsigned *c) { for (;;) pause(); }")
        self.assertIn("5 s", self.refused("run", "a", "--", "true", code=7, env=env))


@unittest.skipUnless(HAVE_LOADER, "no OpenCL loader")
class Becomes(Served):
    def run_in(self, *program, code=0, **more):
        return self.fastgpu("run", "a", "--", *program, code=code, **more)

    def test_exit_codes(self):
        for code in (0, 1, 2, 7, 42, 126, 127, 255):
            self.run_in("sh", "-c", f"exit {code}", code=code)

    def test_signals(self):
        for signo in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
            self.run_in("sh", "-c", f"ulimit -c 0; kill -{int(signo)} $$", code=-signo)

    def test_same_process(self):
        p = subprocess.Popen([self.prefix.program, "run", "a", "--", "sh", "-c", "echo $$; exec sleep 60"],
                             env=self.environment(), stdout=subprocess.PIPE, text=True)
        self.assertEqual(int(p.stdout.readline()), p.pid)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(timeout=30), -signal.SIGINT)
        p.stdout.close()

    def test_arguments_and_streams(self):
        done = self.run_in("sh", "-c", 'cat; printf "<%s>" "$@"; echo err >&2', "x", "--json", "--", "-h", "a b", "", input="in")
        self.assertEqual(done.stdout, "in<--json><--><-h><a b><>")
        self.assertEqual(done.stderr, "err\n")

    def test_environment(self):
        for before in (None, "/another/layer.so"):
            done = self.run_in("env", env={"OPENCL_LAYERS": before, "FASTGPU_ATTACH": "/old", "FASTGPU_PROVE": "5", "MINE": "1"})
            env = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
            self.assertEqual(env["OPENCL_LAYERS"], self.prefix.layer)
            self.assertEqual(env["FASTGPU_ATTACH"], f"{self.state}/run/attach/a")
            self.assertEqual(env["MINE"], "1")
            self.assertNotIn("FASTGPU_PROVE", env)
            self.assertNotIn("OCL_ICD_VENDORS", env)
            self.assertNotIn("PYTHONPATH", env)  # the prefix has no package
            self.assertEqual("/another/layer.so" in done.stderr, before is not None)

    def test_python_finds_the_package(self):
        folder = os.path.join(os.path.realpath(self.prefix.root), "lib", "fastgpu", "python", "enter")
        os.makedirs(folder)
        self.addCleanup(shutil.rmtree, os.path.dirname(folder))
        for before, after in ((None, folder), ("/mine:", f"{folder}:/mine:"), (folder, folder), (folder + "x", f"{folder}:{folder}x")):
            self.assertEqual(self.run_in("printenv", "PYTHONPATH", env={"PYTHONPATH": before}).stdout.rstrip("\n"), after)

    def test_no_descriptors(self):
        plain = subprocess.run(["sh", "-c", "ls /proc/self/fd"], capture_output=True, text=True).stdout.split()
        self.assertEqual(self.run_in("sh", "-c", "ls /proc/self/fd").stdout.split(), plain)

    def test_closed_descriptors(self):
        """What the caller closed stays closed for the program, and nothing of ours takes its place."""
        seen = f"{self.state}/seen"
        script = f'exec "{self.prefix.program}" run -- sh -c "for i in 0 1 2; do [ -e /proc/self/fd/\\$i ] && echo \\$i; done >{seen}; true" <&- >&- 2>&-'
        plain = subprocess.run(["sh", "-c", script.replace(f'"{self.prefix.program}" run -- ', "")], timeout=60)
        self.assertEqual(plain.returncode, 0)
        with open(seen) as f:
            before = f.read()
        self.assertEqual(subprocess.run(["sh", "-c", script], env=self.environment(), timeout=60).returncode, 0)
        with open(seen) as f:
            self.assertEqual(f.read(), before)
        self.assertEqual(self.opened(), [{}])

    def test_no_children(self):
        """The proof's child and the daemon must not be children of the program."""
        self.server.close()
        os.unlink(f"{self.state}/run/api.sock")
        self.fastgpu("create", "--name", "a")
        done = self.run_in("sh", "-c", "cat /proc/$$/task/$$/children; wait; echo done")
        self.assertRegex(done.stdout, r"\A\d* ?done\n\Z")

    def test_ignored_children(self):
        """A caller that ignores SIGCHLD, as some shells and cron do."""
        self.run_in("true", preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))

    def test_own_vgpu(self):
        done = self.fastgpu("run", "--memory", "256M", "--compute", "30", "--gpus", "2", "--", "true")
        self.assertEqual(self.opened(), [{"memory": "256M", "compute": "30", "gpus": 2}])
        self.assertEqual(done.stderr, "fastgpu: note: memory: all that was left\n")
        self.assertEqual(self.fastgpu("run", "--quiet", "--", "true").stderr, "")

    def test_json(self):
        done = self.fastgpu("run", "--json", "a/0", "--", "echo", "out")
        self.assertEqual(done.stdout, "out\n")
        self.assertEqual(json.loads(done.stderr)["name"], "a")
        self.assertEqual(self.opened(), [{"target": "a/0"}])

    def test_refused_at_the_last_moment(self):
        """What the program would have had of its vGPU is not the other one's: the environment is the caller's, and so is the class."""
        folder = os.path.join(os.path.realpath(self.prefix.root), "lib", "fastgpu", "python", "enter")
        os.makedirs(folder)
        self.addCleanup(shutil.rmtree, os.path.dirname(folder))
        bad = make_program(f"{self.state}/bad", "#!/no/such/interpreter\n")
        told = make_program(f"{self.state}/told", f"#!{sys.executable}\nimport json, os\nprint(json.dumps([dict(os.environ), os.sched_getscheduler(0)]))\n")
        self.server.fake.create({"name": "low"})
        for name in ("a", "low") if os.geteuid() == 0 else ("a",):
            env = self.environment(OPENCL_LAYERS="/mine.so", PYTHONPATH="/mine")
            done = self.fastgpu("run", "--refused", told, name, "--", bad, env={"OPENCL_LAYERS": "/mine.so", "PYTHONPATH": "/mine"})
            found, policy = json.loads(done.stdout)
            self.assertIn("cannot be executed", found.pop("FASTGPU_REFUSED"))
            for ours in ("_", "LC_CTYPE"):  # the shell's, Python's
                found.pop(ours, None)
                env.pop(ours, None)
            self.assertEqual(found, env)
            self.assertEqual(policy, os.sched_getscheduler(0))
            self.assertEqual(self.opened()[-1], {"target": name})

    def test_found_in_path(self):
        os.makedirs(f"{self.state}/p1/tool")
        os.makedirs(f"{self.state}/p2")
        make_program(f"{self.state}/p2/tool", "#!/bin/sh\necho tool\n")
        path = f"{self.state}/p1:{self.state}/p2:{os.environ['PATH']}"
        self.assertEqual(self.run_in("tool", env={"PATH": path}).stdout, "tool\n")


class Screen(Served):
    def start(self, *args):
        pid, fd = pty.fork()
        if pid == 0:
            for signo in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):  # ignored by what a shell starts in the background, and by nohup
                signal.signal(signo, signal.SIG_DFL)
            os.execve(self.prefix.program, [self.prefix.program, "top", "--interval", "0.2", *args],
                      self.environment(TERM="xterm"))
        self.addCleanup(os.close, fd)
        return pid, fd

    def read_until(self, fd, *words, seconds=30):
        """What was written until all words were seen."""
        text, end = b"", time.monotonic() + seconds
        while not all(w in text for w in words) and time.monotonic() < end:
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    text += os.read(fd, 65536)
                except OSError:
                    break
        for w in words:
            self.assertIn(w, text)
        return text

    def finish(self, pid):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return status
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.fail("top did not end")

    def test_quit(self):
        pid, fd = self.start()
        self.read_until(fd, b"\033[?1049h", b"\033[?25l", b"device 0", b"a/0", b"50.0%")
        os.write(fd, b"xq")
        self.read_until(fd, b"\033[?25h", b"\033[?1049l")
        self.assertEqual(os.waitstatus_to_exitcode(self.finish(pid)), 0)

    def test_signals_restore_the_terminal(self):
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            pid, fd = self.start()
            self.read_until(fd, b"device 0")
            os.kill(pid, signo)
            self.read_until(fd, b"\033[?25h", b"\033[?1049l")
            self.assertEqual(os.waitstatus_to_exitcode(self.finish(pid)), -signo)

    def lead_session(self):
        """What a shell with job control does: `top` in a group of its own, continued once it has stopped. A group whose
        parent is of another session could not be stopped at all."""
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.execve(self.prefix.program, [self.prefix.program, "top", "--interval", "0.2"], self.environment(TERM="xterm"))
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                os._exit(os.waitstatus_to_exitcode(status) & 0xff)
            os.write(1, b"<stopped>")
            os.kill(pid, signal.SIGCONT)

    def test_stop_and_continue(self):
        pid, fd = pty.fork()
        if pid == 0:
            self.lead_session()
        self.addCleanup(os.close, fd)
        self.read_until(fd, b"device 0")
        os.write(fd, b"\x1a")
        text = self.read_until(fd, b"<stopped>", b"\033[?1049h", b"device 0")
        self.assertLess(text.index(b"\033[?1049l"), text.index(b"<stopped>"))
        os.write(fd, b"q")
        self.assertEqual(os.waitstatus_to_exitcode(self.finish(pid)), 0)

    def test_daemon_goes_and_comes_back(self):
        pid, fd = self.start()
        self.read_until(fd, b"a/0")
        self.server.close()
        os.unlink(f"{self.state}/run/api.sock")
        self.server.hang_up()
        self.read_until(fd, b"hung up")
        server = Server(f"{self.state}/run")
        self.addCleanup(server.close)
        server.fake.create({"name": "back"})
        self.read_until(fd, b"back/0")
        os.write(fd, b"q")
        self.finish(pid)


if __name__ == "__main__":
    unittest.main(verbosity=1)
