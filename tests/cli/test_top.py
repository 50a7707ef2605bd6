#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`fastgpu top` on a terminal: what keys do, as a person would see it, and without a terminal."""
import codecs
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import unittest

try:
    import pyte
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])  # Debian's package is Debian's Python's
    print("python3-pyte is not installed: no screen to look at")
    sys.exit(77)

from bench import Case
from fake_daemon import Server, vgpu

GIB = 1 << 30
LONGEST = float(os.environ.get("FASTGPU_TEST_WAIT", 30))  # s that a picture is waited for


class Terminal:
    """`fastgpu top` on a terminal whose picture can be looked at."""

    def __init__(self, case, *args, rows=24, columns=160, **env):
        self.case = case
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        self.decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.raw = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            time.sleep(0.05)  # the size comes first
            os.execve(case.prefix.program, [case.prefix.program, "top", *args],
                      case.environment(**{"TERM": "linux", "LC_ALL": "C.UTF-8", **env}))
        self.resize(rows, columns)
        case.addCleanup(self.close)

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait(self, pattern, gone=False):
        """Until the picture matches, or no longer does, and is whole; returns the match."""
        end = time.monotonic() + LONGEST
        while True:
            found = re.search(pattern, self.text(), re.MULTILINE)
            if bool(found) != gone and not select.select([self.fd], [], [], 0.02)[0]:
                return found
            if time.monotonic() > end:
                self.case.fail(f"{'still' if gone else 'no'} {pattern!r} in\n{self.text()}")
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    self.case.fail(f"it ended before {pattern!r} in\n{self.text()}")
                self.raw += data
                self.stream.feed(self.decode(data))

    def press(self, keys, pattern=None, **more):
        os.write(self.fd, keys.encode())
        return self.wait(pattern, **more) if pattern else None

    def names(self):
        """The first words of the table's rows."""
        lines = self.text().split("\n")
        top = next(i for i, line in enumerate(lines) if re.match(r"(VGPU|PROJECT| *PID| *ID) ", line))
        return [line.split()[0] for line in lines[top + 1:-2] if line.strip()]

    def style(self, text, attribute):
        """Of the first letter of the first place where `text` is."""
        for y, line in enumerate(self.screen.display):
            if text in line:
                return getattr(self.screen.buffer[y][line.index(text)], attribute)
        self.case.fail(f"no {text!r} in\n{self.text()}")

    def quit(self):
        os.write(self.fd, b"q")
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.02)[0]:
                try:
                    self.raw += os.read(self.fd, 65536)
                except OSError:
                    pass
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
        self.case.fail("top did not end")


class Served(Case):
    def setUp(self):
        super().setUp()
        self.serve()

    def serve(self):
        self.server = Server(f"{self.state}/run")
        self.addCleanup(self.server.close)
        self.add("alpha", "red", "ann", 700, used=GIB)
        self.add("beta", "blue", "bob", 300, used=3 * GIB, pids=[os.getpid()])
        self.add("gamma", "red", "bob", 100)

    def add(self, name, project, owner, share, used=0, pids=()):
        one = vgpu(name, 0, 4 * GIB, share)
        one["usage"].update(memory_used=used, pids=list(pids), processes=len(pids))
        self.server.fake.sets[name] = {"name": name, "project": project, "owner": owner, "created": "2026-01-01T00:00:00Z",
                                       "ephemeral": False, "vgpus": [one]}
        return one

    def top(self, *args, **more):
        t = Terminal(self, "--interval", "0.1", *args, **more)
        t.wait(r"^ *(VGPU|PROJECT|PID|ID) .*\n(?!asking fastgpud)")
        return t

    def asked(self):
        return [(method, path) for method, path, _ in self.server.fake.requests]

    def changes(self):
        return [r for r in self.asked() if r[0] != "GET"]


class Screen(Served):
    def test_views(self):
        t = self.top()
        t.wait("device 0: Fake GPU ..31m  memory 4 GiB of 4 GiB  busy 150.0%")
        t.wait(r"alpha/0 .* 50\.0% +70% .* 1 GiB +4 GiB +ready +10\.0 +0 +0 .* red +ann +0$")
        t.press("2", r"^ +PID +PROGRAM .*\n +\d+  python3?[\d.]* +beta/0 ")
        t.press("3", r"^red +ann +1 .* 50\.0% +70%")
        t.press("4", r"^ +0 +Fake GPU ..31m +.* 150\.0% +12\.5% ")
        t.press("5", r"^ +8 +a +queued ")
        t.wait("^8: no room; wait$")
        t.press("1", "^alpha/0 ")
        t.press("\t", "processes by GOT")
        t.press("\033\t", "vGPUs by GOT")
        self.assertEqual(t.quit(), 0)

    def test_sort(self):
        t = self.top("--sort", "vgpu")
        self.assertEqual(t.names(), ["alpha/0", "beta/0", "gamma/0"])
        t.press("i", "VGPU turned round")
        self.assertEqual(t.names(), ["gamma/0", "beta/0", "alpha/0"])
        t.press(">>>", "by USED")
        self.assertEqual(t.names(), ["beta/0", "alpha/0", "gamma/0"])
        t.press("<", "by SHARE")
        self.assertEqual(t.names(), ["alpha/0", "beta/0", "gamma/0"])

    def test_filter(self):
        t = self.top("--sort", "vgpu")
        t.press("/BL", "^only rows with: BL_")
        t.press("\x7f\x7fblue\n", '3 vGPUs|1 vGPUs by VGPU, only "blue"')
        t.wait('only "blue"')
        self.assertEqual(t.names(), ["beta/0"])
        t.press("/zzz\n", "none is like that; Esc shows all")
        t.press("\033", "3 vGPUs by VGPU, every")
        t.press("/gam", "1 vGPUs")
        t.press("\033", "3 vGPUs")

    def test_help_pause_and_interval(self):
        t = self.top()
        t.press("h", "Keys of fastgpu top")
        t.press("q", "vGPUs by GOT")  # closes the help, and nothing else
        t.press("?", "Any key closes this")
        t.press(" ", "every 0.1 s$")
        t.press("++", "every 0.5 s$")
        t.press("--", "every 0.1 s$")
        t.press("p", ", paused$")
        time.sleep(0.3)
        before = len(self.asked())
        time.sleep(0.5)
        self.assertEqual(len(self.asked()), before)
        t.press(" ", "every 0.1 s$")
        t.press("\x0c", "vGPUs by GOT")
        self.assertEqual(t.quit(), 0)

    def test_moving(self):
        for i in range(40):
            self.add(f"many-{i:02}", "red", "ann", 10)
        t = self.top("--sort", "vgpu", rows=14)
        self.assertTrue(t.style("alpha/0", "reverse"))
        t.press("\033[B", "alpha")
        t.press("\033[6~", "many-")
        t.press("\033[4~", "many-39/0")
        self.assertTrue(t.style("many-39/0", "reverse"))
        t.press("\033[1~", "^alpha/0")
        t.press("\033[A\033[B\033[B\033[5~", "^alpha/0")

    def test_selection_stays_with_its_row(self):
        t = self.top("--sort", "vgpu")
        t.press("\033[B\033[B", "gamma")
        t.press("i", "turned round")
        t.press("s", "suspend red:gamma, all of its vGPUs")
        t.press("n", "nothing was changed")

    def test_changes_are_confirmed(self):
        t = self.top("--sort", "vgpu")
        t.press("k", "^end the programs of red:alpha and delete it, all of its vGPUs.  y: yes, any other key: no")
        t.press("\n", "nothing was changed")
        self.assertEqual(self.changes(), [])
        t.press("s", "suspend red:alpha")
        t.press("y", "red:alpha suspended")
        t.wait("alpha/0 .* suspended")
        t.press("r", "resume red:alpha")
        t.press("y", "red:alpha resumed")
        t.wait("alpha/0 .* ready")
        t.press("k", "end the programs")
        t.press("y", "^alpha/0", gone=True)
        self.assertEqual(self.changes(), [("POST", "/v1/vgpus/red:alpha/suspend"), ("POST", "/v1/vgpus/red:alpha/resume"),
                                          ("DELETE", "/v1/vgpus/red:alpha?force=1")])

    def test_refusals_are_shown(self):
        self.add("full", "red", "ann", 10)
        t = self.top("--sort", "share")
        t.press("\033[4~", "full/0")
        t.press("r", "resume red:full")
        t.press("y", 'refused: "full" cannot go on yet')

    def test_changes_of_jobs(self):
        t = self.top("--view", "job")
        t.press("k", r"^cancel job 8 \(a\)")
        t.press("y", "job 8 cancelled")
        t.press("\033[B", "^8: no room", gone=True)
        t.press("s", r"^suspend job 7 \(j\)")
        t.press("y", "job 7 suspended")
        self.assertEqual(self.changes(), [("DELETE", "/v1/jobs/8"), ("POST", "/v1/jobs/7/suspend")])

    def test_a_jobs_vgpu_is_the_jobs(self):
        self.server.fake.sets["alpha"]["job"] = 7
        t = self.top("--sort", "vgpu")
        t.press("k", r"^cancel job 7 \(alpha/0\)")

    def test_what_cannot_be_changed(self):
        t = self.top("--view", "tenant")
        t.press("k", "press 1, 2 or 5")
        t.press("/nobody\n", "none is like that")
        t.press("s", "there is nothing to do it to")

    def test_only_what_is_shown_is_asked_for(self):
        t = self.top("--view", "job", "--project", "red", rows=20)
        t.wait("^8: no room")
        t.press("4", "devices by ID")
        jobs = [path for _, path in self.asked() if path.startswith("/v1/jobs?")]
        self.assertEqual({*jobs}, {"/v1/jobs?state=unfinished&limit=17&project=red"})
        first = next(i for i, r in enumerate(self.asked()) if r[1] == "/v1/vgpus?project=red")
        self.assertEqual({path for _, path in self.asked()[:first]} - {"/v1/devices", "/v1/version"}, {jobs[0], "/v1/why/8"})

    def test_history(self):
        t = self.top()
        t.wait("alpha/0 +▅▅▅+ +50.0% +70% +▃▃▃▃")
        ascii_only = self.top(LC_ALL="C")
        ascii_only.wait(r"alpha/0 +[+]{3,} +50.0% +70% +-{4,} ")
        ascii_only.raw.decode("ascii")

    def test_a_thousand(self):
        for i in range(1000):
            self.add(f"v{i:04}", "red", "ann", 1)
        t = self.top("--sort", "-vgpu", rows=30)
        t.wait("^fastgpu top: 1003 vGPUs")
        self.assertEqual(t.names()[0], "v0999/0")
        t.press("\033[4~", "^alpha/0")

    def test_hostile_names(self):
        self.add("a\u202eb\u200bc\u0007\x9bd", "red", "宽宽宽", 10)
        self.add("e\u0301x", "x" * 500, "\U0001f600", 10)
        self.add("z" + "\u0301" * 50, "red", "ann", 10)
        t = self.top("--sort", "vgpu")
        row = t.wait(r"^a\?b\?c\?\?d/0 .*$")[0]
        self.assertNotIn("\u202e", t.text())
        self.assertNotIn(b"\x07", t.raw)
        self.assertNotIn("\x9b", t.raw.decode())
        lines = t.text().split("\n")
        # Columns stand where they are titled, whatever is before them.
        title = next(line for line in lines if line.startswith("VGPU"))
        for line in (row, next(line for line in lines if line.startswith("alpha"))):
            self.assertEqual(line.index("ready"), title.index("STATE"), line)
        self.assertIn("é", __import__("unicodedata").normalize("NFC", t.text()))
        self.assertLessEqual(t.text().count("\u0301"), 3)

    def test_colours(self):
        self.server.fake.sets["beta"]["vgpus"][0]["state"] = "lost"
        t = self.top("--sort", "vgpu")
        self.assertEqual(t.style("beta/0", "fg"), "red")
        for env in ({"NO_COLOR": "1"}, {"TERM": "vt220"}):
            t = self.top("--sort", "vgpu", **env)
            self.assertEqual((t.style("beta/0", "fg"), t.style("beta/0", "bold")), ("default", True))
            self.assertNotRegex(t.raw, rb"\033\[[0-9;]*3[1-7]m")

    def test_sizes(self):
        t = self.top()
        for rows, columns in ((3, 10), (1, 1), (60, 300), (24, 80)):
            t.resize(rows, columns)
            t.wait("fastgp|^.$" if columns < 20 else "by GOT")
        t.wait("^VGPU +GOT-HISTORY")
        self.assertEqual(t.quit(), 0)

    def test_daemon_goes_and_comes_back(self):
        t = self.top("--sort", "vgpu")
        t.wait("alpha/0 +▅▅")
        self.server.close()
        os.unlink(f"{self.state}/run/api.sock")
        with open(f"{self.state}/manners", "w") as f:
            f.write("refuse")  # a new one does not start
        self.server.hang_up()
        t.wait(r"STALE, \d+ s old; trying again: ")
        t.press("k", "not while fastgpud does not answer|STALE")
        self.assertNotIn("y: yes", t.text())
        self.serve()
        t.wait("STALE", gone=True)
        t.wait("alpha/0 +▅+ +▅")  # a gap where nothing was known
        self.assertEqual(self.changes(), [])

    def test_daemon_that_hangs(self):
        t = self.top()
        with self.server.fake.lock:
            t.wait("STALE, .* has not answered for [3-9] s")
            t.press("h", "Keys of fastgpu top")
            t.press("x", "STALE")
            self.assertEqual(t.quit(), 0)


class Plain(Served):
    def test_no_terminal(self):
        text = self.fastgpu("top", "--once", "--interval", "0.1", "--view", "vgpu", "--sort", "-used").stdout
        self.assertEqual([line.split()[0] for line in text.splitlines()], ["VGPU", "gamma/0", "alpha/0", "beta/0"])
        for view, first in (("process", "PID"), ("tenant", "PROJECT"), ("device", "ID"), ("job", "ID")):
            lines = self.fastgpu("top", "--batch", "2", "--interval", "0.1", "--view", view).stdout.split("\n")
            self.assertEqual(sum(line.split()[:1] == [first] for line in lines), 2, view)

    def test_sort_below_devices(self):
        lines = self.fastgpu("top", "--once", "--interval", "0.1", "--sort", "used").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines[2:]], ["beta/0", "alpha/0", "gamma/0"])

    def test_json(self):
        answer = json.loads(self.fastgpu("top", "--once", "--interval", "0.1", "--view", "tenant", "--json").stdout)
        self.assertEqual((answer["view"], answer["interval_ns"]), ("tenant", 1_000_000_000))
        rows = {(r["project"], r["owner"]): r for r in answer["rows"]}
        self.assertEqual(len(rows), 3)
        self.assertEqual({k: rows["red", "ann"][k] for k in ("vgpus", "share", "got", "memory_used")},
                         {"vgpus": 1, "share": 700, "got": 500, "memory_used": GIB})
        jobs = json.loads(self.fastgpu("top", "--once", "--interval", "0.1", "--view", "job", "--json").stdout)
        self.assertEqual([r["id"] for r in jobs["rows"]], [8, 7])

    def test_refused(self):
        self.assertIn("vgpu, process, tenant, device and job", self.refused("top", "--view", "gpus"))
        self.assertIn("can be sorted by PROJECT, USER", self.refused("top", "--view", "tenant", "--sort", "pid"))
        self.refused("top", "--sort", "got-history")

    def test_poor_terminal(self):
        """One that cannot place its cursor gets tables."""
        t = Terminal(self, "--interval", "0.2", TERM="dumb", rows=60)
        t.wait("tables follow")
        t.wait(r"(?s)device 0.*device 0")


if __name__ == "__main__":
    unittest.main(verbosity=1)
