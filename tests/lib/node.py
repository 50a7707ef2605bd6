# SPDX-License-Identifier: Apache-2.0
"""One private FastGPU node for a test or a measurement: its own state folder, its own daemon, nothing left behind."""
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


def prefix():
    """The tree `make` leaves in out/, or where FASTGPU_PREFIX says."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.environ.get("FASTGPU_PREFIX") or os.path.join(here, "out")


def tool(*parts):
    return os.path.join(prefix(), *parts)


FASTGPU = tool("bin", "fastgpu")
TRAIN_MLP = tool("lib", "fastgpu", "examples", "train_mlp")
BURN = tool("lib", "fastgpu", "bench", "burn")


def wait_until(condition, seconds, what):
    """Polls until condition() is true and returns its value; a test that waits in vain fails, with `what` or what that says then."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.005)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Node:
    """with Node() as node: node.fastgpu("create", ...)"""

    def __init__(self, **env):
        self.dir = tempfile.mkdtemp(prefix="fastgpu-")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGPU_", "OPENCL_LAYERS"))}
        self.env["FASTGPU_STATE_DIR"] = self.dir
        self.env.update(env)
        self.started = []
        self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        for process in self.started:
            if process.poll() is None:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
            for pipe in (process.stdout, process.stderr, process.stdin):
                if pipe:
                    pipe.close()
        self.disconnect()
        self.stop_daemon(signal.SIGTERM)
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- the command line ---

    def popen(self, argv, **kwargs):
        """Starts a program of the test in a process group of its own; close() ends it."""
        kwargs.setdefault("env", self.env)
        process = subprocess.Popen(argv, start_new_session=True, text=True, **kwargs)
        self.started.append(process)
        return process

    def native(self, *argv, timeout=120):
        return subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=timeout)

    def fastgpu(self, *argv, timeout=120, check=True):
        """Runs `fastgpu argv…` to its end. check: anything but exit code 0 is a failure, with what it said."""
        done = self.native(FASTGPU, *argv, timeout=timeout)
        if check and done.returncode:
            raise AssertionError(f"fastgpu {' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *argv):
        return json.loads(self.fastgpu(*argv, "--json").stdout)

    def run(self, target, *argv, **kwargs):
        return self.fastgpu("run", target, "--", *argv, check=False, **kwargs)

    def start(self, target, *argv, **kwargs):
        return self.popen([FASTGPU, "run", target, "--", *argv], **kwargs)

    # --- the API ---

    def socket_path(self):
        return os.path.join(self.dir, "run", "api.sock")

    def disconnect(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def request(self, method, path, body=None):
        """(status, decoded body). One connection, kept open; reopened when the daemon closed it."""
        text = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if text else {}
        for attempt in (0, 1):
            if not self.connection:
                self.connection = UnixConnection(self.socket_path())
            try:
                self.connection.request(method, path, text, headers)
                reply = self.connection.getresponse()
                data = reply.read()
                return reply.status, json.loads(data) if data else None
            except (http.client.HTTPException, ConnectionError):
                self.disconnect()
                if attempt:
                    raise
        raise AssertionError("unreachable")

    def get(self, path):
        status, body = self.request("GET", path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {body}")
        return body

    def usage(self, target):
        """The usage object of NAME/I."""
        name, index = target.split("/")
        return self.get(f"/v1/vgpus/{name}")["vgpus"][int(index)]["usage"]

    # --- the daemon ---

    def daemon_pid(self):
        try:
            return self.get("/v1/version")["pid"]
        except OSError:
            return None

    def stop_daemon(self, sig):
        """Ends this node's daemon and waits until it is gone."""
        pid = self.daemon_pid()
        self.disconnect()
        if not pid:
            return None
        os.kill(pid, sig)
        end = time.monotonic() + 10
        while alive(pid):
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        return pid


def alive(pid):
    """Whether the process exists and is not just waiting to be buried. While threads of it are still ending, its sockets accept."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def require_tree():
    """Tests of the whole tree need it installed: `make` does that."""
    if not os.access(FASTGPU, os.X_OK):
        print(f"no {FASTGPU}: run make first", file=sys.stderr)
        sys.exit(77)
