# SPDX-License-Identifier: Apache-2.0
"""One job's folder and its runner, without a daemon."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from node import prefix, wait_until  # noqa: E402

RUNNER = os.environ.get("FASTGPU_JOB_RUNNER") or os.path.join(prefix(), "lib", "fastgpu", "fastgpu-job")
GROUPS = {"auto": 0, "v2": 1, "v1": 2, "none": 3}


def spec_text(**fields):
    out = b"fastgpu-job 1\n"
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            value = value if isinstance(value, bytes) else str(value).encode()
            out += b"%s %d\n%s\n" % (name.replace("_", "-").encode(), len(value), value)
    return out + b"end 0\n\n"


def parse_status(text):
    lines = text.decode().split("\n")
    assert lines[0] == "fastgpu-status 1", lines
    found = {}
    for line in lines[1:]:
        if line == "end":
            return found
        name, _, value = line.partition(" ")
        found[name] = int(value) if value.lstrip("-").isdigit() else value
    raise AssertionError(f"cut: {text!r}")


class Job:
    """with Job(["sh", "-c", "…"]) as job: job.start()"""

    def __init__(self, argv, group="auto", job_id="7", **fields):
        self.dir = tempfile.mkdtemp(prefix="fastgpu-job-")
        self.process = self.connection = None
        self.uid = fields.get("uid", os.getuid())
        spec = {"id": job_id, "uid": self.uid, "gid": 2**32 - 1, "cwd": "", "time_limit": 0, "grace": 500, "log_max": 1 << 20,
                "pids_max": 0, "group": GROUPS[group], "background": 0, "arg": argv, "env": []}
        spec.update(fields)
        self.put("spec", spec_text(**spec))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        status = self.status() or {}
        if self.connection:
            self.connection.close()
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
            self.process.stderr.close()
        for folder in (status.get("cgroup"), status.get("pids")):
            if folder and os.path.isdir(folder):
                self.sweep(folder)
        shutil.rmtree(self.dir, ignore_errors=True)

    @staticmethod
    def sweep(folder):
        def gone():
            for pid in pathlib.Path(folder, "cgroup.procs").read_text().split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for file, text in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
                if os.path.exists(f"{folder}/{file}"):
                    pathlib.Path(folder, file).write_text(text)
            try:
                os.rmdir(folder)
            except OSError:
                return False
            return True
        wait_until(gone, 20, f"{folder} becomes empty")

    def put(self, name, data):
        pathlib.Path(self.dir, name).write_bytes(data)

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, *prefix_argv, **kwargs):
        self.process = subprocess.Popen([*prefix_argv, RUNNER, self.dir], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, start_new_session=True, **kwargs)
        return self

    def status(self):
        try:
            return parse_status(pathlib.Path(self.dir, "status").read_bytes())
        except FileNotFoundError:
            return None

    def wait_for(self, state, seconds=30):
        def there():
            status = self.status()
            return status if status and status["state"] == state else None
        return wait_until(there, seconds, f"state {state}; it is {self.status()}")

    def end(self, seconds=60):
        """The status after the runner has gone."""
        self.process.wait(seconds)
        status = self.status()
        assert status and status["state"] == "ended", status
        return status

    def log(self):
        file = pathlib.Path(self.dir, "log")
        return file.read_bytes() if file.exists() else b""

    def connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(30)
        wait_until(lambda: os.path.exists(self.path("control")), 20, "a control socket")
        wait_until(lambda: s.connect_ex(self.path("control")) == 0, 30, "room in the line of those who connect")
        return s

    def ask(self, text):
        """The answer to a request, past any status that comes in between."""
        if not self.connection:
            self.connection = self.connect()
        self.connection.send(text.encode())
        while True:
            answer = self.connection.recv(8192)
            assert answer, "hung up"
            if not answer.startswith(b"status\n"):
                return answer.decode()


def have_group(group):
    """Whether this machine lets us make such a group: asked of the runner itself."""
    with Job(["true"], group=group) as job:
        job.start()
        return job.end()["why"] == "exit"


def marked(mark):
    """Living processes that have the mark in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = pathlib.Path("/proc", pid, "cmdline").read_bytes()
            state = pathlib.Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if mark.encode() in line and state not in "ZX" and int(pid) != os.getpid():
            found.append(int(pid))
    return found


def unique():
    return f"mark-{os.getpid()}-{time.monotonic_ns()}"
