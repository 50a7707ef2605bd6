# SPDX-License-Identifier: Apache-2.0
"""The daemon's API: reads against the same bytes from nginx, many callers, and what one hostile tenant costs another."""
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from load import median
from node import Node, UnixConnection, tool, wait_until
from row import Row
from rows_daemon import MANY, MANY_DEVICES, cpu_seconds, create_many, resident_mb

LOAD = tool("lib", "fastgpu", "bench", "api-load")
READS = ("/v1/version", "/v1/devices", "/v1/vgpus/v1", "/v1/vgpus?limit=10", "/v1/vgpus")
CONFIG = """daemon off; worker_processes 1; pid {0}/pid; error_log {0}/error;
events {{ worker_connections 512; }}
http {{ access_log off; keepalive_requests 1000000000; default_type application/json; open_file_cache max=100;
client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0}; scgi_temp_path {0};
server {{ listen unix:{0}/socket; root {0}/root; }} }}
"""


@contextlib.contextmanager
def node():
    with Node(FASTGPU_IDLE_EXIT="600", POCL_DEVICES=" ".join(["pthread"] * MANY_DEVICES)) as n:
        n.fastgpu("devices")  # starts the daemon
        yield n


def load(socket, paths, seconds, token=None, **options):
    """What api-load says; started: a process whose answer is waited for later. `paths`: one or several."""
    argv = [LOAD, "--socket", socket, "--seconds", str(seconds)]
    for path in [paths] if isinstance(paths, str) else paths:
        argv += ["--get", path]
    for name, value in options.items():
        argv += ["--" + name.replace("_", "-"), str(value)]
    env = {**os.environ, **({"API_LOAD_TOKEN": token} if token else {})}
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)


def said(process):
    out, _ = process.communicate(timeout=120)
    if process.returncode:
        raise RuntimeError(f"api-load: exit {process.returncode}")
    return json.loads(out)


@contextlib.contextmanager
def nginx(bodies):
    """nginx with these texts as files; gives its socket and the process that serves."""
    folder = tempfile.mkdtemp(prefix="fastgpu-nginx-")
    os.chmod(folder, 0o755)
    os.makedirs(os.path.join(folder, "root"), mode=0o755)
    for name, text in bodies.items():
        with open(os.path.join(folder, "root", name), "w") as f:
            f.write(text)
    with open(os.path.join(folder, "conf"), "w") as f:
        f.write(CONFIG.format(folder))
    process = subprocess.Popen(["nginx", "-c", os.path.join(folder, "conf"), "-p", folder], stderr=subprocess.DEVNULL)
    try:
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        worker = wait_until(lambda: process.poll() is None and os.path.exists(os.path.join(folder, "socket")) and open(children).read().split(), 10, "nginx serves")
        yield os.path.join(folder, "socket"), int(worker[0])
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def per_core(socket, path, pid, seconds):
    """Answers for each second that the server itself computed: what others do on the machine is not in it."""
    before = cpu_seconds(pid)
    result = said(load(socket, path, seconds, connections=16))
    if result["failed"] or result["refused"]:
        raise RuntimeError(f"{path}: {result}")
    return result["answers"] / max(cpu_seconds(pid) - before, 0.01)


def static(row, context):
    if not shutil.which("nginx"):
        return row.result("skipped: nginx is not installed (Debian: nginx-light)", None)
    seconds, lines = (1 if context.quick else 5), []
    with node() as n:
        create_many(n, 100)
        bodies = {str(i): json.dumps(n.get(path)) for i, path in enumerate(READS)}
        with nginx(bodies) as (socket, worker):
            for i, path in enumerate(READS):
                ours, theirs = [], []
                for _ in range(context.repeats):
                    theirs.append(per_core(socket, f"/{i}", worker, seconds))
                    ours.append(per_core(n.socket_path(), path, n.daemon_pid(), seconds))
                ratio = median(ours) / median(theirs)
                lines.append(row.result(f"{ratio:.2f}: {median(ours):.0f}/s", ratio >= 0.3, f"nginx {median(theirs):.0f}/s",
                                        what=f"GET {path} on one core / the same JSON from nginx", data={"ours": ours, "nginx": theirs}))
    return lines


JOBS, JOB_PROJECTS = 100000, 100
UNLIKE = 10  # of so many jobs one is like no other; the rest are of nine kinds in each project and class
READ_EVERY_MS, WRITES_S = 500, 10
PER_KIND = {"a vGPU": 10, "a job": 5, "why": 1, "a page of 100 jobs": 3, "a page of 100 sets": 1}  # of twenty reads


def wanted(i):
    """What job i wants: nothing that is there, since the vGPUs have all shares but the little that jobs of the measurement run in."""
    turn, project = i // (3 * JOB_PROJECTS), i // 3 % JOB_PROJECTS
    is_unlike = turn % UNLIKE == 0
    draw = random.Random(i if is_unlike else project * UNLIKE + turn % UNLIKE)
    wish = {"gpus": draw.choice((1, 1, 1, 2, 8)), "compute": draw.choice((12.5, 25, 50, 100)), "memory": draw.randrange(1, 17) << 22,
            "time_limit": 3600 * draw.randrange(1, 5)}
    if is_unlike:
        wish.update(memory=draw.randrange(1 << 10, 1 << 14) << 12, time_limit=draw.randrange(1, 100000))
    return {**wish, "command": ["sh", "-c", f"exec train --seed {i}"], "name": f"train-{i}", "priority": ("low", "normal", "high")[i % 3],
            "project": f"p{project}"}


def queue_many(n, count):
    """So many separate jobs, each by a request of its own. Their numbers."""
    for i in range(JOB_PROJECTS):
        asked(n, "POST", "/v1/projects", {"name": f"p{i}"})
    return [asked(n, "POST", "/v1/jobs", wanted(i))["id"] for i in range(count)]


def reads(jobs, sets):
    """A hundred paths in the proportions of PER_KIND."""
    draw = random.Random(1)
    make = {"a vGPU": lambda: f"/v1/vgpus/v{draw.randrange(MANY_DEVICES, sets)}", "a job": lambda: f"/v1/jobs/{draw.choice(jobs)}",
            "why": lambda: f"/v1/why/{draw.choice(jobs)}", "a page of 100 jobs": lambda: f"/v1/jobs?limit=100&after={draw.choice(jobs[len(jobs) // 2:])}",
            "a page of 100 sets": lambda: f"/v1/vgpus?limit=100&after={draw.randrange(sets)}"}
    paths = [(kind, make[kind]()) for kind, times in PER_KIND.items() for _ in range(5 * times)]
    draw.shuffle(paths)
    return paths


class Writer(threading.Thread):
    """Ten times a second a small job that starts at once and ends, which passes of the queue follow, or instead a set of another size."""

    def __init__(self, n, seconds):
        super().__init__()
        self.end, self.took, self.failure = time.monotonic() + seconds, [], None
        self.connection = UnixConnection(n.socket_path())

    def ask(self, method, path, body=None):
        begin = time.perf_counter()
        self.connection.request(method, path, json.dumps(body) if body else None)
        answer = self.connection.getresponse()
        text = answer.read()
        self.took.append(1000 * (time.perf_counter() - begin))
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text}")

    def run(self):
        try:
            due = time.monotonic()
            for i in itertools.count():
                if due > self.end:
                    break
                time.sleep(max(0, due - time.monotonic()))
                due += 1 / WRITES_S
                if i % 5:
                    self.ask("POST", "/v1/jobs", {"command": ["true"], "name": "small", "project": f"p{i % JOB_PROJECTS}", "memory": "64K", "compute": "0.1"})
                else:
                    self.ask("PATCH", f"/v1/vgpus/v{MANY_DEVICES}", {"memory": "64K" if i % 2 else "128K"})
        except Exception as e:
            self.failure = e
        self.connection.close()


def longest_pass_ms(n):
    connection = UnixConnection(n.socket_path())
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return 1000 * float(re.search(r"^fastgpu_queue_pass_seconds (\S+)$", text, re.M)[1])


def by_kind(paths, result):
    """The worst p99 of each kind of read."""
    kind_of = {path: kind for kind, path in paths}
    return {kind: max(x["p99_ms"] for x in result["of"] if kind_of[x["get"]] == kind) for kind in PER_KIND}


def clients(row, context):
    """Each of 1000 connections asks twice a second, at its own instant, while jobs are submitted, start and end, and passes of the queue follow."""
    sets, count, seconds = (500, 2000, 5) if context.quick else (MANY, JOBS, 20)
    results = []
    with node() as n:
        create_many(n, sets, str(100 * MANY_DEVICES / sets))  # all that there is
        begin = time.monotonic()
        jobs = queue_many(n, count)
        submitted = time.monotonic() - begin
        for i in range(MANY_DEVICES):  # room for the small jobs
            asked(n, "DELETE", f"/v1/vgpus/v{i}", None)
        paths = reads(jobs, sets)
        for _ in range(context.repeats):
            writer = Writer(n, seconds)
            process = load(n.socket_path(), [path for _, path in paths], seconds, connections=1000, interval_ms=READ_EVERY_MS)
            writer.start()
            result = said(process)
            writer.join()
            if writer.failure:
                raise writer.failure
            result.update(pass_ms=longest_pass_ms(n), rss_mb=resident_mb(n.daemon_pid()), writes_ms=writer.took, kinds=by_kind(paths, result),
                          waiting=n.get("/v1/jobs?limit=1")["waiting"])
            results.append(result)
    worst, longest, rss = (max(r[what] for r in results) for what in ("p99_ms", "pass_ms", "rss_mb"))
    writes = sorted(ms for r in results for ms in r["writes_ms"])
    ok = worst <= 20 and longest <= 50 and rss <= 150 and not any(r["failed"] + r["refused"] for r in results) and all(r["waiting"] >= count for r in results)
    return row.result(f"p99 {worst:.2f} ms (of writes {writes[len(writes) * 99 // 100]:.1f} ms), {rss:.1f} MB, pass {longest:.1f} ms", ok,
                      f"{sets} vGPUs; {count} jobs, each by a request of its own, in {submitted:.0f} s", data=results)


def asked(n, method, path, body):
    status, reply = n.request(method, path, body)
    if status >= 400:
        raise RuntimeError(f"{method} {path}: {status} {reply}")
    return reply


def tenant(n, name, sets):
    """A user with a project and so many sets; his token. His jobs run as a Debian account that owns nothing."""
    asked(n, "POST", "/v1/users", {"name": name, **({"account": "games"} if os.geteuid() == 0 else {})})
    asked(n, "POST", "/v1/projects", {"name": name})
    asked(n, "PUT", f"/v1/projects/{name}/members/{name}", {"role": "manager"})
    for i in range(sets):
        asked(n, "POST", "/v1/vgpus", {"name": f"v{i}", "project": name, "memory": "64K", "compute": "0.1"})
    return asked(n, "POST", "/v1/tokens", {"user": name})["secret"]


HOSTILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostile.py")
FLOODS = {"lists": ("/v1/vgpus", {}), "bodies of 1 MB": ("/v1/vgpus", {"body": 1000000}), "small requests": ("/v1/version", {}),
          "requests that never end": "slow", "sets made and deleted": "sets",
          "jobs that end as soon as they begin": "jobs"}


def place(pid, core, priority):
    """On one core, and before whatever else wants it, if that may be said: who asks is elsewhere in life, and must not take the daemon's time here. Its
    other threads come after its first, which elsewhere in life they do not share a core with; what it starts is an ordinary program."""
    for task in map(int, os.listdir(f"/proc/{pid}/task")):
        os.sched_setaffinity(task, {core})
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(task, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority if task == pid else max(1, priority - 1)))


AWAKE = """import time
while True:
    end = time.perf_counter() + 0.0009
    while time.perf_counter() < end:
        pass
    time.sleep(0.0001)"""


@contextlib.contextmanager
def awake(cores):
    """The cores hardly rest: waking one, or its host's giving a virtual one less time because it is busy, is then the same with and without a flood. Before
    everybody's ordinary programs, and with a tenth left to these: to those that get nothing the kernel gives 50 ms now and then, before all others."""
    spinners = [subprocess.Popen([sys.executable, "-c", AWAKE]) for _ in cores]
    try:
        for spinner, core in zip(spinners, cores):
            place(spinner.pid, core, 1)
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def hostile(row, context):
    """The daemon on one core, all who ask on another, the one who is measured first. Short runs in alternation, because the machine changes."""
    seconds, pairs, lines = 1.5, 8 if context.quick else 20, []
    daemon, askers = sorted(os.sched_getaffinity(0))[0], sorted(os.sched_getaffinity(0))[-1]

    def asks(n, token, path, length, priority, **options):
        process = load(n.socket_path(), path, length, token, **options)
        place(process.pid, askers, priority)
        return process

    def floods(n, token, what, length):
        if isinstance(what, str):
            process = subprocess.Popen([sys.executable, HOSTILE, n.socket_path(), what, str(length)], env={**os.environ, "API_LOAD_TOKEN": token},
                                       stdout=subprocess.PIPE, text=True)
            place(process.pid, askers, 20)
            return process
        path, options = what
        return asks(n, token, path, length, 20, connections=8, **options)

    with node() as n, awake({daemon, askers}):
        bad, good = tenant(n, "mallory", 500 if context.quick else 4000), tenant(n, "alice", 1)
        place(n.daemon_pid(), daemon, 10)

        def p99():
            return said(asks(n, good, "/v1/vgpus/v0", seconds, 30, connections=20, interval_ms=100))["p99_ms"]

        for name, what in FLOODS.items():
            alone, beside, did = [], [], []
            for _ in range(pairs):
                alone.append(p99())
                flood = floods(n, bad, what, seconds + 0.5)
                beside.append(p99())
                did.append(said(flood))
            ratio = median(beside) / median(alone)
            lines.append(row.result(f"p99 {median(beside):.2f} ms, × {ratio:.2f}", ratio <= 1.1, f"{median(alone):.2f} ms",
                                    what=f"another's p99 beside a flood of {name}", data={"alone": alone, "beside": beside, "did": did}))
    return lines


ROWS = {
    "api": Row("API reads on one core / the same JSON from nginx", "≥ 0.3", "", static),
    "clients": Row("10 000 vGPUs, 100 000 queued jobs, 1000 connected clients", "API p99 ≤ 20 ms, RSS ≤ 150 MB, schedule pass ≤ 50 ms", "", clients),
    "hostile": Row("another's p99 beside a flood", "≤ × 1.1", "", hostile),
}
