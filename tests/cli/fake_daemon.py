#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for fastgpud: the API over a unix socket, in memory, with manners that can be spoilt.

As a program it takes fastgpud's arguments and serves the FASTGPU_STATE_DIR it is called with; the files `manners` and
`start` in that folder say how it misbehaves. Tests of the client use `Raw`, which answers with given bytes.
"""
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time

GIB = 1 << 30


def vgpu(name, index, memory, share, mode="share", priority="normal"):
    return {
        "name": f"{name}/{index}", "index": index, "uuid": f"uuid-{name}-{index}", "device": 0, "device_key": "opencl/Fake/0",
        "device_model": "Fake GPU", "memory": memory, "share": share, "mode": mode, "priority": priority, "tier": "soft",
        "state": "ready",
        "usage": {"memory_used": 1 << 20, "memory_peak": 2 << 20, "processes": 0, "pids": [], "gpu_ns": 0, "granted_ns": 0,
                  "launches": 0, "waits": 0, "wait_ns": 0, "refusals": 0, "faults": 0, "active": False}}


class Fake:
    """The API's behaviour."""

    def __init__(self, run):
        self.run = run
        self.sets = {}
        self.requests = []
        self.keys = []  # Idempotency-Keys, of each request that creates something
        self.kept = {}  # answers by key
        self.ticks = 0
        self.more = {}  # of the device
        self.perf = []
        self.lock = threading.Lock()

    def problem(self, status, kind, detail):
        return status, {"type": kind, "title": kind, "status": status, "detail": detail}

    def not_found(self, name):
        return self.problem(404, "not-found", f'there is no vGPU "{name}"')

    def create(self, body):
        name = body.get("name", "vgpu-1")
        count = body.get("gpus", 1)
        if name in self.sets:
            return self.problem(409, "exists", f'"{name}" exists already')
        if body.get("memory") == "900T":
            return self.problem(409, "no-capacity", "900T does not fit: 3 GiB are free on device 0")
        share = body.get("compute", "50")
        shares = share if isinstance(share, list) else [share] * count
        vgpus = [vgpu(name, i, 256 << 20, int(float(s.rstrip("%")) * 10), body.get("mode", "share"),
                      body.get("priority", "normal")) for i, s in enumerate(shares)]
        self.sets[name] = {"name": name, "created": "2026-01-01T00:00:00Z", "ephemeral": False, "vgpus": vgpus}
        if name == "leased":
            self.sets[name]["idle_lease"] = {"seconds": 7200, "ends": "2026-01-01T02:00:00Z", "then": "deleted"}
        return 201, dict(self.sets[name], **({} if "memory" in body else {"note": "memory: an equal part"}))

    def open(self, body):
        name = body.get("target", "run-1").split("/")[0]
        if "target" in body and name not in self.sets:
            return self.not_found(name)
        answer = {"name": name, "attach": f"{self.run}/attach/{name}", "vgpus": 1}
        if "target" not in body:
            answer["note"] = "memory: all that was left"
        if name == "low":
            answer["background"] = True
        return 200, answer

    def one(self, method, path, body):
        name, _, index = path[len("/v1/vgpus/"):].partition("/")
        name = name.rpartition(":")[2]
        if name not in self.sets:
            return self.not_found(name)
        found = self.sets[name]
        if method == "GET":
            return 200, found
        if method == "POST" and index in ("suspend", "resume"):
            if name == "full" and index == "resume":
                return self.problem(409, "no-capacity", '"full" cannot go on yet: its share is not free')
            for v in found["vgpus"]:
                v["state"] = "suspended" if index == "suspend" else "ready"
            return 200, found
        if method == "PATCH":
            for v in found["vgpus"]:
                if index == "" or v["index"] == int(index):
                    v.update({k: body[k] for k in ("mode", "priority") if k in body})
                    if "compute" in body:
                        v["share"] = int(body["compute"]) * 10
            return 200, found
        if method == "DELETE":
            if name == "busy":
                return self.problem(409, "in-use", "busy is used by the processes 1, 2; add --force to end them")
            del self.sets[name]
            return 204, None
        return self.problem(405, "method-not-allowed", method)

    def devices(self):
        return 200, {"devices": [{
            "id": 0, "key": "opencl/Fake/0", "uuid": "u", "api": "opencl", "model": "Fake GPU \x1b[31m", "vendor": "Fake",
            "driver": "1.0", "memory": 4 * GIB, "memory_reserved": 64 << 20, "memory_free": 3 * GIB, "share_free": 125,
            "compute_units": 2, "vgpus": 1, "state": "ok", "tier": "soft", **self.more}], "problems": ["one driver is broken"]}

    def vgpus(self):
        """Every look finds 0.5 s of a second used, so that `top` has something to divide."""
        self.ticks += 1
        for s in self.sets.values():
            for v in s["vgpus"]:
                v["usage"].update(gpu_ns=self.ticks * 500_000_000, waits=self.ticks * 10)
        return 200, {"sets": list(self.sets.values()), "now_ns": self.ticks * 1_000_000_000}

    def jobs(self, method, path):
        """Job 7 has failed, array 8 waits."""
        one = {"id": 7, "name": "j", "project": "red", "owner": "bob", "state": "failed", "gpus": 1, "submitted": "2026-01-01T00:00:00.000Z",
               "started": "2026-01-01T00:00:01.000Z", "ended": "2026-01-01T00:01:01.000Z", "exit_code": 3, "reason": "exit code 3"}
        array = {"id": 8, "name": "a", "project": "red", "owner": "bob", "state": "queued", "gpus": 1, "submitted": "2026-01-01T00:00:00.000Z",
                 "array": "1-3", "counts": {"queued": 3, "running": 0, "done": 0, "failed": 0, "cancelled": 0}}
        words = path.split("/")[3:]
        if path.startswith("/v1/why/"):
            return 200, {"name": words[0], "state": "queued", "reason": "no-share", "text": "no room", "remedy": "wait"}
        if not words:
            return (201, one) if method == "POST" else (200, {"jobs": [array, one]})
        if words[0] not in ("7", "8"):
            return self.problem(404, "not-found", f'there is no job "{words[0]}"')
        if words[1:] == ["log"]:
            return 200, {"from": 0, "next": 6, "size": 6, "end": True, "state": "failed", "data": "aGVsbG8K"}
        return 200, one if words[0] == "7" else {**array, "elements": []}

    def answer(self, method, target, body, key=None):
        """What was asked for with a key before is not done again."""
        if method == "POST":
            self.keys.append(key)
        if not key or key not in self.kept:
            answer = self.carry_out(method, target, body)
            if not key or answer[0] >= 300:
                return answer
            self.kept[key] = answer[0], {k: v for k, v in answer[1].items() if k != "secret"}
            return answer
        return self.kept[key]

    def carry_out(self, method, target, body):
        with self.lock:
            self.requests.append((method, target, body))
            path, _, query = target.partition("?")
            if path == "/v1/version":
                return 200, {"version": "9.9.9", "api": 1, "pid": os.getpid(), "run_dir": self.run, "state_dir": "", "uptime_ns": 1}
            if path == "/v1/devices":
                return self.devices()
            if method == "PUT" and path.endswith("/calibration"):
                return 200, {"device": 0, **body}
            if path.startswith("/v1/perf"):
                return 200, {"window": "hour", "perf": self.perf}
            if (method, path) == ("GET", "/v1/vgpus"):
                return self.vgpus()
            if (method, path) == ("POST", "/v1/vgpus"):
                return self.create(body)
            if (method, path) == ("POST", "/v1/open"):
                return self.open(body)
            if method == "POST" and path in ("/v1/projects", "/v1/users"):
                return 201, body
            if (method, path) == ("POST", "/v1/tokens"):
                return 201, {"id": "ab12", "user": "bob", "expires": "2026-01-01T00:00:00Z", "secret": "fgt_ab12_x"}
            if path.startswith(("/v1/jobs", "/v1/why/")):
                return self.jobs(method, path)
            if path.startswith("/v1/vgpus/"):
                if "force=1" in query:
                    self.sets.pop(path.split("/")[3].rpartition(":")[2], None)
                    return 204, None
                return self.one(method, path, body)
            return self.problem(404, "not-found", f"no path {path}")


def listen(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        os.unlink(path)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind(path)
    s.listen(16)
    return s


def stop(s, thread):
    """Ends the accepting thread before its descriptor is free for the next server: it must not accept for that one."""
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    thread.join()
    s.close()


def read_request(f):
    line = f.readline().decode()
    if not line:
        return None
    method, target, _ = line.split()
    headers = {}
    while (header := f.readline().strip()):
        key, _, value = header.decode().partition(":")
        headers[key.lower()] = value.strip()
    text = f.read(int(headers.get("content-length", 0)))
    return method, target, json.loads(text) if text else None, headers.get("idempotency-key")


class Server:
    """Serves a Fake on run/api.sock in threads. drop: so many changes are carried out, and the connection ends before the answer."""

    def __init__(self, run, chunked=False, drop=0):
        self.drop = drop
        self.fake = Fake(run)
        self.chunked = chunked
        self.connections = 0
        self.kept = []
        self.socket = listen(f"{run}/api.sock")
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            self.kept.append(c)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        with c, c.makefile("rb") as f:
            while (request := read_request(f)):
                status, value = self.fake.answer(*request)
                body = b"" if value is None else json.dumps(value).encode()
                if self.drop and request[0] != "GET":
                    self.drop -= 1
                    return
                try:
                    c.sendall(self.encode(status, body))
                except OSError:
                    return

    def encode(self, status, body):
        head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n"
        if status == 204:
            return (head + "\r\n").encode()
        if not self.chunked:
            return (head + f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        pieces = [body[i:i + 7] for i in range(0, len(body), 7)]
        chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in pieces)
        return (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunks + b"0\r\nTrailer: x\r\n\r\n"

    def hang_up(self):
        """Ends the connections that are kept, as a daemon that dies does."""
        for c in self.kept:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        stop(self.socket, self.thread)


class Raw:
    """Answers every connection with the same bytes, in pieces, then closes."""

    def __init__(self, run, data, piece=1 << 20, pause=0.0, read=True):
        self.data, self.piece, self.pause, self.read = data, piece, pause, read
        self.connections = 0
        self.socket = listen(f"{run}/api.sock")
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            with c:
                try:
                    if self.read:
                        with c.makefile("rb") as f:
                            read_request(f)
                    for i in range(0, len(self.data), self.piece):
                        c.sendall(self.data[i:i + self.piece])
                        time.sleep(self.pause)
                except OSError:
                    pass

    def close(self):
        stop(self.socket, self.thread)


def read_manners(state):
    try:
        with open(f"{state}/manners") as f:
            return f.read().strip()
    except FileNotFoundError:
        return ""


def main():
    state = os.environ["FASTGPU_STATE_DIR"]
    manners = read_manners(state)
    ready = int(sys.argv[sys.argv.index("--ready-fd") + 1])
    facts = {"argv": sys.argv[1:], "cwd": os.getcwd(), "sid": os.getsid(0), "pid": os.getpid(), "ppid": os.getppid(),
             "fds": sorted(int(f) for f in os.listdir("/proc/self/fd")), "env": dict(os.environ)}
    if manners == "refuse":
        print("fastgpud: the store is broken beyond words", file=sys.stderr, flush=True)
        return 1
    lock = os.open(f"{state}/run/daemon.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 1
    with open(f"{state}/started", "a") as f:
        f.write(json.dumps(facts) + "\n")
    if manners == "slow":
        time.sleep(0.5)
    Server(f"{state}/run")
    os.write(ready, b"R")
    os.close(ready)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while os.path.isdir(state):
        time.sleep(0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
