# SPDX-License-Identifier: Apache-2.0
"""Claims of Kubernetes, prepared and unprepared 20 at once over the kubelet's own interface, and what fastgpu-kubelet and the daemon need of memory meanwhile
(the Go program of tests/kubernetes measures; make kubernetes-check builds it); and what the daemon's part of it takes, which needs none of that."""
import contextlib
import json
import os
import re
import socket
import subprocess
import threading
import time

from load import median
from node import Node
from row import Row

RUN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kubernetes", "run.py")
AT_ONCE = 20
PAGES = 8  # about what a create or a delete writes into the store's log


@contextlib.contextmanager
def ahead():
    """This process, and what it starts meanwhile, before whatever else wants a processor, if that may be said: to wait for others' programs is no work of ours.
    Gives the words for it."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        words = "real-time priority"
    except PermissionError:
        words = "no priority"
    try:
        yield words
    finally:
        os.sched_setscheduler(0, *before)


def claims(row, context):
    env = {**os.environ, **({} if context.quick else {"KUBERNETES_ROUNDS": "2000"})}
    with ahead() as priority:
        done = subprocess.run([RUN, "-test.run", "ManyClaims"], env=env, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) claims, 20 at once: ([\d.]+)(µs|ms|s) each, where the disk takes ([\d.]+(?:µs|ms|s)) .*"
                      r"prepared within (\S+) and unprepared within (\S+) on average.*resident: (\d+) KiB, the daemon (\d+) KiB", done.stdout)
    if done.returncode == 77 or not found:
        return row.result("not measured: " + ((done.stderr or done.stdout).strip().splitlines() or ["?"])[-1], None)
    ms = float(found[2]) * {"µs": 0.001, "ms": 1, "s": 1000}[found[3]]
    memory = (int(found[7]) + int(found[8])) / 1024
    return [row.result(f"{ms:.1f} ms", ms <= 5, f"time for all over their number: {found[1]} claims, 20 at once; one of the 20 waits {found[5]} to be prepared and {found[6]} "
                       f"to be unprepared; the disk alone, for two transactions, {found[4]}; {priority}",
                       data={"claims": int(found[1]), "ms": ms, "priority": priority}),
            row.result(f"{memory:.1f} MB", memory <= 30, f"fastgpu-kubelet {int(found[7]) / 1024:.1f} MB", what="fastgpu-kubelet and fastgpud, resident",
                       goal="≤ 30 MB", data={"kubelet_kib": int(found[7]), "daemon_kib": int(found[8])})]


def disk_ms(folder):
    """Twice so many pages written and made durable, and nothing else."""
    path, rounds, frame = os.path.join(folder, "disk"), 50, bytes(PAGES * 4096)
    with open(path, "wb") as f:
        f.write(frame * rounds)
        os.fsync(f.fileno())
    with open(path, "rb+", buffering=0) as f:
        start = time.perf_counter()
        for _ in range(rounds):
            f.write(frame)
            os.fdatasync(f.fileno())
        return 2 * 1000 * (time.perf_counter() - start) / rounds


class Caller(threading.Thread):
    """Makes sets and deletes them again over a connection of its own; as little of Python as can be, since it takes a processor of two."""

    def __init__(self, path, names):
        super().__init__()
        self.names, self.failure = names, None
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)

    def read(self):
        data = self.socket.recv(65536)
        if not data:
            raise RuntimeError("the daemon hung up")
        return data

    def ask(self, method, path, status, body=""):
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        head = self.read()
        while b"\r\n\r\n" not in head:
            head += self.read()
        head, text = head.split(b"\r\n\r\n", 1)
        length = re.search(rb"Content-Length: (\d+)", head)
        while length and len(text) < int(length[1]):
            text += self.read()
        if int(head.split()[1]) != status:
            raise RuntimeError(f"{method} {path}: {text.decode()}")

    def run(self):
        try:
            for name in self.names:
                self.ask("POST", "/v1/vgpus", 201, json.dumps({"name": name, "gpus": 1, "memory": [1 << 20], "compute": ["1.0"], "devices": ["0"]}))
                self.ask("DELETE", f"/v1/vgpus/{name}", 204)
        except (OSError, RuntimeError) as failure:
            self.failure = failure
        self.socket.close()


def churn_ms(path, count, at_once):
    callers = [Caller(path, [f"claim-{i}" for i in range(first, count, at_once)]) for first in range(at_once)]
    start = time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    took = 1000 * (time.perf_counter() - start) / count
    failure = next((caller.failure for caller in callers if caller.failure), None)
    if failure:
        raise failure
    return took


def churn(row, context):
    count, disk, one, many = 400 if context.quick else 2000, [], [], []
    with ahead() as priority, Node(FASTGPU_SIM="2xH100", FASTGPU_IDLE_EXIT="600") as n:
        n.env["FASTGPU_CDI_DIR"] = os.path.join(n.dir, "cdi")
        n.fastgpu("devices")  # starts the daemon
        for _ in range(max(3, context.repeats)):
            disk.append(disk_ms(n.dir))
            one.append(churn_ms(n.socket_path(), count // 4, 1))
            many.append(churn_ms(n.socket_path(), count, AT_ONCE))
        left = n.get("/v1/vgpus")["sets"]
    ms = median(many)
    return row.result(f"{ms:.2f} ms", ms <= 5 and not left, f"one after the other {median(one):.2f} ms; the disk alone, for two transactions, {median(disk):.2f} ms; {priority}",
                      data={"at_once_ms": many, "one_ms": one, "disk_ms": disk, "left": len(left), "priority": priority})


ROWS = {
    "kubernetes": Row("Claims prepared and unprepared, 20 at once, each", "≤ 5 ms", "", claims),
    "churn": Row("A set created and deleted at fastgpud, 20 at once", "≤ 5 ms", "", churn),
}
