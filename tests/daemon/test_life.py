# SPDX-License-Identifier: Apache-2.0
"""Starting, being alone, ending."""
import os
import re
import shutil
import signal
import socket
import subprocess

import harness
from clock import Clock
from harness import Daemon, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Life(harness.Case):
    def test_second_daemon(self):
        with Daemon() as d:
            second, ready = d.popen()
            self.assertEqual(os.read(ready, 1), b"")
            os.close(ready)
            self.assertEqual(second.wait(20), 1)
            self.assertIn(f"process {d.process.pid} holds", d.logged())
            d.ok("GET", "/v1/version")

    def test_clean_stop(self):
        with Daemon() as d:
            d.create("a")
            self.assertEqual(d.stop(), 0)
            d.start()
            self.assertEqual(d.names(), ["a"])

    def test_ends_with_its_folder(self):
        with Daemon() as d:
            d.create("a")
            shutil.rmtree(d.state)
            self.assertEqual(d.process.wait(20), 0)

    def test_idle_exit(self):
        d = Daemon(idle_exit=1)
        self.addCleanup(d.__exit__)
        d.start("--idle-exit")
        self.assertEqual(d.process.wait(20), 0)
        self.assertIn("nothing to do", d.logged())

    def test_no_idle_exit_in_use(self):
        d = Daemon(idle_exit=600)
        self.addCleanup(d.__exit__)
        clock = Clock(d)
        d.start("--idle-exit")
        d.create("a")
        t = d.tenant(d.open("a")["attach"])

        def idle():
            """So long that the daemon would end. It is woken by what is no request: that would count as something to do."""
            clock.move(awake=1300)
            d.process.send_signal(signal.SIGHUP)
        idle()
        with self.assertRaises(subprocess.TimeoutExpired):
            d.process.wait(3)
        t.kill()
        wait_until(lambda: d.usage("a")["processes"] == 0, "its death is seen")
        idle()
        self.assertEqual(d.process.wait(20), 0)
        self.assertIn("nothing to do", d.logged())

    def test_hangup_rescans(self):
        with Daemon() as d:
            d.devices(3)
            d.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(d.ok("GET", "/v1/devices")["devices"]) == 3, "new devices are seen")

    def test_socket_activation(self):
        d = Daemon()
        self.addCleanup(d.__exit__)
        os.makedirs(os.path.join(d.state, "run"))
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(d.socket)
        listener.listen(16)
        fd = listener.fileno()
        code = f'exec 3<&{fd}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "{d.program}"'
        d.process = subprocess.Popen(["bash", "-c", code], env=d.env, pass_fds=[fd], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        listener.close()
        self.assertEqual(d.ok("GET", "/v1/version")["pid"], d.process.pid)

    def test_read_only_folder(self):
        d = Daemon(state="/proc/fastgpu-test")
        self.addCleanup(d.__exit__)
        process, ready = d.popen()
        os.close(ready)
        self.assertEqual(process.wait(20), 1)
        self.assertIn("cannot create the folder /proc/fastgpu-test", d.logged())

    def test_manual_page_and_help_agree(self):
        d = Daemon()
        self.addCleanup(d.__exit__)
        with open(os.path.join(ROOT, "docs/man/fastgpud.8.scd")) as f:
            page = f.read().partition("# OPTIONS")[2].partition("\n# ")[0]
        said = subprocess.run([d.program, "--help"], env=d.env, capture_output=True, text=True, timeout=20).stdout
        documented = set(re.findall(r"--([a-z][a-z-]+)", page))
        self.assertEqual(documented, set(re.findall(r"--([a-z][a-z-]+)", said)) - {"usage"})
        version = subprocess.run([d.program, "--version"], env=d.env, capture_output=True, text=True, timeout=20)
        self.assertEqual(version.returncode, 0, version.stderr)
        self.assertRegex(version.stdout, r"\Afastgpud \d+\.\d+\.\d+\n\Z")

    def test_bad_arguments(self):
        d = Daemon()
        self.addCleanup(d.__exit__)
        for args in (["--nonsense"], ["word"], ["--ready-fd", "x"]):
            got = subprocess.run([d.program, *args], env=d.env, capture_output=True, text=True, timeout=20)
            self.assertNotEqual(got.returncode, 0)
            self.assertTrue(got.stderr)
        bad = subprocess.run([d.program], env={**d.env, "FASTGPU_QUANTUM": "soon"}, capture_output=True, text=True, timeout=20)
        self.assertEqual(bad.returncode, 1)
        self.assertIn("soon", bad.stderr)
        dump = subprocess.run([d.program, "--dump-config"], env=d.env, capture_output=True, text=True, timeout=20)
        self.assertIn("idle-exit = 600", dump.stdout)


harness.main()
