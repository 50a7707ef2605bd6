# SPDX-License-Identifier: Apache-2.0
"""A real daemon in a folder of its own, with as many devices as the test wants."""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

DAEMON, PROBE, FAKE, TENANT = (os.environ[k] for k in ("TEST_FASTGPUD", "TEST_PROBE", "TEST_FAKE_OPENCL", "TEST_TENANT"))
RUNNER = os.environ.get("TEST_JOB_RUNNER")
# What `fastgpu __job JSON -- COMMAND` does, without a layer: it says where to attach and becomes the command.
WRAPPER = """#!/bin/sh
[ "$1" = __job ] && [ "$3" = -- ] || exit 2
FASTGPU_TEST_OPENED=$2; export FASTGPU_TEST_OPENED
shift 3
exec "$@"
"""
MEMORY = 1 << 30  # of each fake device


def wait_until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def is_sanitized(pid):
    """Its memory is the sanitizer's as well, so that its size says nothing."""
    with open(f"/proc/{pid}/maps") as f:
        return "/libasan" in f.read()


def state_is_alive(pid):
    """Whether it exists and does not only wait to be buried."""
    try:
        return state(pid) not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Connection(http.client.HTTPConnection):
    """uid: who connects, for the kernel; only root may say so."""

    def __init__(self, path, timeout=30, uid=None):
        super().__init__("localhost", timeout=timeout)
        self.path = path
        self.uid = uid

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        own = os.geteuid()
        try:
            if self.uid is not None:
                os.seteuid(self.uid)
            self.sock.connect(self.path)
        finally:
            if self.uid is not None:
                os.seteuid(own)


class Tenant:
    """A process inside vGPUs; call it with a command, it answers with a number."""

    def __init__(self, path=None):
        self.process = subprocess.Popen([TENANT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.pid = int(self.process.stdout.readline())
        self.attached = self("attach", path) if path else None

    def __call__(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Runner:
    """A process that opens a set and then only lives: what `fastgpu run` is before it becomes the program. reply is None when
    the daemon died before it answered."""
    CODE = ("import sys,socket,time\n"
            "s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);b=sys.argv[2].encode()\n"
            "try:\n"
            " s.sendall(b'POST /v1/open HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n\\r\\n'%len(b)+b);r=s.recv(65536)\n"
            "except OSError:\n"
            " r=b''\n"
            "print(r.decode().partition('\\r\\n\\r\\n')[2].strip() or 'null',flush=True);s.close();time.sleep(300)")

    def __init__(self, daemon, body):
        self.process = subprocess.Popen([sys.executable, "-c", self.CODE, daemon.socket, json.dumps(body)], stdout=subprocess.PIPE, text=True)
        self.reply = json.loads(self.process.stdout.readline())

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Daemon:
    def __init__(self, devices=1, memory=MEMORY, state=None, **options):
        self.root = tempfile.mkdtemp(prefix="fastgpud-test-")
        self.state = state or os.path.join(self.root, "state")
        for folder in ("bin", "lib/fastgpu", "fake"):
            os.makedirs(os.path.join(self.root, folder))
        self.program = shutil.copy(DAEMON, os.path.join(self.root, "bin"))
        for probe in (PROBE, PROBE.replace("opencl", "nvml"), PROBE.replace("probe-opencl", "otlp")):
            shutil.copy(probe, os.path.join(self.root, "lib/fastgpu"))
        for library in ("libfastgpu-opencl.so", "libfastgpu-enter.so"):  # for containers, which get them as they are
            with open(os.path.join(self.root, "lib/fastgpu", library), "w"):
                pass
        if RUNNER:
            shutil.copy(RUNNER, os.path.join(self.root, "lib/fastgpu"))
        with open(os.path.join(self.root, "bin", "fastgpu"), "w") as f:
            f.write(WRAPPER)
        os.chmod(f.name, 0o755)
        os.chmod(self.root, 0o755)
        shutil.copy(FAKE, os.path.join(self.root, "fake", "libOpenCL.so.1"))
        self.devices(devices, memory)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("FASTGPU_")}
        self.env.update(FASTGPU_STATE_DIR=self.state, LD_LIBRARY_PATH=os.path.join(self.root, "fake"),
                        FAKE_OPENCL=os.path.join(self.root, "fake", "devices"), FASTGPU_MEMORY_RESERVE="0")
        self.env.update({"FASTGPU_" + k.upper(): str(v) for k, v in options.items()})
        self.process = None
        self.log = os.path.join(self.root, "log")
        self.tenants = []

    def devices(self, count, memory=MEMORY, how=""):
        with open(os.path.join(self.root, "fake", "devices"), "w") as f:
            f.write(f"{count} {memory} {how}\n")

    def popen(self, *args, prefix=()):
        r, w = os.pipe()
        with open(self.log, "ab") as log:
            process = subprocess.Popen([*prefix, self.program, "--foreground", "--ready-fd", str(w), *args], env=self.env, stderr=log,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[w])
        os.close(w)
        return process, r

    def start(self, *args, prefix=()):
        self.process, ready = self.popen(*args, prefix=prefix)
        byte = os.read(ready, 1)
        os.close(ready)
        if byte != b"1":
            raise AssertionError(f"the daemon did not start: exit {self.process.wait(30)}\n{self.logged()}")
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)
        return self.process and self.process.returncode

    def logged(self):
        with open(self.log) as f:
            return f.read()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        for tenant in self.tenants:
            tenant.kill()
        self.stop(signal.SIGKILL)
        self.end_jobs()
        shutil.rmtree(self.root, ignore_errors=True)

    def runners(self):
        """Living runners of jobs of this daemon's."""
        found, program = [], os.path.join(self.root, "lib/fastgpu/fastgpu-job").encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if f.read().split(b"\0")[0] == program:
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def end_jobs(self):
        """They outlive a daemon, but not the test."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.runners():
                try:
                    os.kill(pid, sent)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + 15
            while self.runners() and time.monotonic() < end:
                time.sleep(0.02)

    @property
    def socket(self):
        return os.path.join(self.state, "run", "api.sock")

    def connect(self, timeout=30):
        return Connection(self.socket, timeout)

    def request(self, method, path, body=None, connection=None, headers=None):
        c = connection or self.connect()
        try:
            c.request(method, path, body if body is None or isinstance(body, (bytes, str)) else json.dumps(body), headers or {})
            reply = c.getresponse()
            text = reply.read()
            return reply.status, json.loads(text) if text else None
        finally:
            if not connection:
                c.close()

    def ok(self, method, path, body=None, status=None):
        got, reply = self.request(method, path, body)
        if got >= 400 or (status and got != status):
            raise AssertionError(f"{method} {path}: {got} {reply}")
        return reply

    def create(self, name, **fields):
        return self.ok("POST", "/v1/vgpus", {"name": name, **fields}, 201)

    def usage(self, name, index=0):
        return self.ok("GET", f"/v1/vgpus/{name}")["vgpus"][index]["usage"]

    def names(self):
        return [s["name"] for s in self.ok("GET", "/v1/vgpus")["sets"]]

    def open(self, target):
        """Opens as a process that ends at once, so that the test itself is no user of the set."""
        runner = Runner(self, {"target": target})
        runner.kill()
        if "attach" not in runner.reply:
            raise AssertionError(f"open {target}: {runner.reply}")
        return runner.reply

    def tenant(self, path=None):
        tenant = Tenant(path)
        self.tenants.append(tenant)
        return tenant


class Case(unittest.TestCase):
    def refused(self, daemon, method, path, body, status, kind, *words):
        got, reply = daemon.request(method, path, body)
        self.assertEqual((got, reply and reply.get("type")), (status, kind), reply)
        for word in words:
            self.assertIn(word, reply["detail"])
        return reply


def main():
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]], module="__main__", warnings="ignore")
