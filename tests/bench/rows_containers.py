#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a vGPU adds to the start of a container, and what ten thousand of them do. Engines need namespaces of their own, so the
measurement is a process of its own: rows_containers.py [--quick] prints its figures as JSON."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")]
from load import BIN_MS, bins, calibrate, median, share_errors  # noqa: E402
from node import BURN, Node, tool, wait_until  # noqa: E402
import room as rooms  # noqa: E402
from row import Row  # noqa: E402

E2E = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e")
MANY, MANY_DEVICES = 10000, 10


def elapsed_ms(function):
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def check(done):
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


class Starts:
    """Ways to start a container that does nothing, taken in turn."""

    def __init__(self, room, node):
        self.room, self.node = room, node
        self.bundle = {}
        self.policy = os.path.join(node.dir, "runtime.conf")
        with open(self.policy, "w", encoding="utf-8") as f:
            f.write(f"runtime = {shutil.which('crun')}\n")

    def podman(self, device):
        options = [f"--device=fastgpu.dev/vgpu={device}"] if device else []
        check(self.room.podman("true", options=options))

    def make_bundle(self, name, *env, args=("true",)):
        bundle = os.path.join(self.room.dir, name)
        os.makedirs(bundle)
        subprocess.run(["crun", "spec"], cwd=bundle, check=True)
        path = os.path.join(bundle, "config.json")
        with open(path, encoding="utf-8") as f:
            config = json.load(f)
        config["root"] = {"path": self.room.root, "readonly": False}
        config["process"].update(terminal=False, args=args, env=["PATH=/usr/bin", *env])
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "cgroup"]
        self.bundle[name] = (bundle, json.dumps(config))

    def runtime(self, program, name):
        bundle, text = self.bundle[name]
        with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as f:
            f.write(text)
        env = {**os.environ, "FASTGPU_STATE_DIR": self.node.dir, "FASTGPU_RUNTIME_CONF": self.policy}
        done = subprocess.run([program, f"--root={self.room.dir}/crun", "run", "--bundle", bundle, name], env=env, capture_output=True,
                              text=True, check=False)
        check(done)
        return done.stdout


def in_turn(times, ways):
    found = {name: [] for name in ways}
    for _ in range(times):
        for name, way in ways.items():
            found[name].append(elapsed_ms(way))
    return found


def start(room, times):
    with Node(FASTGPU_CDI_DIR="/run/cdi") as node:
        node.json("create", "--name", "x", "--memory", "64M", "--compute", "50")
        starts = Starts(room, node)
        starts.make_bundle("bare")
        starts.make_bundle("with", "FASTGPU_VISIBLE_DEVICES=x")
        wrapper = tool("bin", "fastgpu-runtime")
        # Apart: podman's clean-up goes on when podman has ended, and whoever comes next pays for it.
        return {**in_turn(times, {"podman": lambda: starts.podman(None), "podman_vgpu": lambda: starts.podman("x")}),
                **in_turn(times, {"crun": lambda: starts.runtime("crun", "bare"), "runtime": lambda: starts.runtime(wrapper, "bare"),
                                  "runtime_vgpu": lambda: starts.runtime(wrapper, "with")})}


def gate(room, times, openings):
    """What an opening of /dev/null costs in a container: nanoseconds for reading and writing, and for reading, with the open gate and without."""
    opener = os.path.join(E2E, "opener.c")
    subprocess.run(["cc", "-O2", "-static", "-pthread", "-D_GNU_SOURCE", "-o", room.root + "/opt/opener", opener], check=True)
    found = {"off": [], "on": []}
    with Node() as node:
        node.json("create", "--name", "x", "--memory", "64M", "--compute", "50")
        node.popen([tool("bin", "fastgpu-gate")])
        wait_until(lambda: os.path.exists(os.path.join(node.dir, "run", "gate.sock")), 10, "the gate's socket")
        starts = Starts(room, node)
        starts.make_bundle("opener", "FASTGPU_VISIBLE_DEVICES=x", args=["/opt/opener", "time", "/dev/null", str(openings)])
        for _ in range(times):
            for name, values in found.items():
                with open(starts.policy, "w", encoding="utf-8") as f:
                    f.write(f"runtime = {shutil.which('crun')}\nopen-gate = {name}\n")
                values.append([int(word) for word in starts.runtime(tool("bin", "fastgpu-runtime"), "opener").split()])
    return found


def shares(room, times, seconds):
    """Kernels of 0.35 ms without a pause in two containers, 70 to 30: (share, mean error, worst second) of each run."""
    found = []
    with Node(FASTGPU_CDI_DIR="/run/cdi") as node:
        iterations = calibrate(node, 350)
        node.json("create", "--name", "s", "--gpus", "2", "--memory", "64M", "--compute", "70,30")
        burn = room.put(BURN)
        check(room.podman(burn, "--iterations", "1", "--seconds", "0.1", options=["--device=fastgpu.dev/vgpu=s"]))  # compiled for all to come
        script = f"echo; read start; exec {burn} --iterations {iterations} --depth 16 --seconds {seconds} --report-ms {BIN_MS} --start-at $start"
        for _ in range(times):
            boxes = [node.popen(room.podman_run("sh", "-c", script, options=["-i", f"--device=fastgpu.dev/vgpu=s::{i}", "--env=POCL_AFFINITY=1"]),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for i in (0, 1)]
            for box in boxes:
                box.stdout.readline()
            begin = time.monotonic_ns() + 2 * 10**9
            for box in boxes:
                box.stdin.write(f"{begin}\n")
                box.stdin.flush()
            found.append(share_errors([bins(json.loads(box.communicate()[0]), seconds) for box in boxes], (70, 30)))
    return found


def cuda_shares(room, times, seconds):
    """Equal CUDA kernels without a pause on one simulated GPU, in two containers, 70 to 30: the first one's percentage in each run."""
    found = []
    with Node(FASTGPU_CDI_DIR="/run/cdi", FASTGPU_SIM="1xH100:8G") as node:
        node.json("create", "--name", "c", "--gpus", "2", "--memory", "512M", "--compute", "70,30")
        program = room.put(os.path.join(E2E, "inside_cuda.py"))
        for _ in range(times):
            boxes = [node.popen(room.podman_run("/usr/bin/python3", program, options=["-i", f"--device=fastgpu.dev/vgpu=c::{i}"]),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for i in (0, 1)]
            for box in boxes:
                box.stdout.readline()
            begin = time.monotonic_ns() + 10**9
            for box in boxes:
                box.stdin.write(f"use 0\nsaturate {begin} {seconds}\n")
                box.stdin.flush()
            counts = [json.loads(box.communicate()[0].splitlines()[-1]) for box in boxes]
            if min(counts) <= 0:
                raise RuntimeError(f"kernels that completed: {counts}")
            found.append(100 * counts[0] / sum(counts))
    return found


def many(room, count, times):
    """The daemon writes beside the folder that engines read: they are shown all of the spec, or one device of it, in turn."""
    found = {"one": [], "of_many": [], "create_off": [], "create_on": [], "publish": [], "count": count}
    beside = os.path.join(room.dir, "cdi")
    with Node(FASTGPU_IDLE_EXIT="600", FASTGPU_CDI_DIR=beside, POCL_DEVICES=" ".join(["pthread"] * MANY_DEVICES)) as node:
        starts = Starts(room, node)
        node.fastgpu("devices")
        for i in range(count):
            found["create_on"].append(elapsed_ms(lambda: create(node, i)))
        for i in range(times):
            target = f"v{i * (count // times)}"
            found["publish"].append(elapsed_ms(lambda: node.request("POST", "/v1/containers", {"target": target})))
            for name in ("one", "of_many"):
                show(room, beside, target if name == "one" else None)
                found[name].append(elapsed_ms(lambda: starts.podman(target)))
        with open(f"/proc/{node.daemon_pid()}/status", encoding="ascii") as f:
            found["rss_kb"] = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        found["restart"] = [restart(node, sig) for sig in (signal.SIGKILL, signal.SIGTERM) * 3]
    with Node(FASTGPU_IDLE_EXIT="600") as node:
        node.fastgpu("devices")
        for i in range(200):
            found["create_off"].append(elapsed_ms(lambda: create(node, i, devices=1)))
    return found


def restart(node, sig):
    """From the signal until the next daemon answers: what comes up in the meantime is refused."""
    begin = time.perf_counter()
    node.stop_daemon(sig)
    node.popen([tool("bin", "fastgpud")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(node.daemon_pid, 60, "a new daemon")
    return 1000 * (time.perf_counter() - begin)


def create(node, i, devices=MANY_DEVICES):
    status, body = node.request("POST", "/v1/vgpus", {"name": f"v{i}", "memory": ["64K"], "compute": ["0.1"], "device": str(i % devices)})
    if status != 201:
        raise RuntimeError(f"vGPU {i}: {status} {body}")


def show(room, folder, only):
    with open(os.path.join(folder, rooms.SPEC), encoding="utf-8") as f:
        spec = json.load(f)
    if only:
        spec["devices"] = [d for d in spec["devices"] if d["name"] == only]
    with open(os.path.join(room.cdi, rooms.SPEC), "w", encoding="utf-8") as f:
        json.dump(spec, f, separators=(",", ":"))


def measured(quick):
    done = subprocess.run([sys.executable, os.path.abspath(__file__), *(["--quick"] if quick else [])], stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def containers(row, context):
    found = measured(context.quick)
    if not found:
        return row.result("not measured: no engines here", None)
    first, second = found["start"], found["many"]
    ms = {name: median(values) for name, values in first.items()}
    podman, runtime = ms["podman_vgpu"] - ms["podman"], ms["runtime_vgpu"] - ms["crun"]
    ratio = median(second["of_many"]) / median(second["one"])
    share, mean, worst = (median([run[i] for run in found["shares"]]) for i in range(3))
    cuda, cuda_off = median(found["cuda_shares"]), max(abs(percent - 70) for percent in found["cuda_shares"])
    gate_us = {name: [median([run[i] for run in runs]) / 1000 for i in range(2)] for name, runs in found["gate"].items()}
    publish, restart_ms = median(second["publish"]), median(second["restart"])
    return [
        row.result(f"{podman:.1f} ms", podman <= 20, f"{ms['podman']:.0f} ms without", what="podman, a vGPU by CDI", data=first),
        row.result(f"{runtime:.1f} ms", runtime <= 20, f"crun alone {ms['crun']:.0f} ms, not asked for {ms['runtime'] - ms['crun']:.1f} ms more",
                   what="fastgpu-runtime with a vGPU", data=first),
        row.result(f"{ratio:.2f}", ratio <= 1.2, f"{median(second['one']):.0f} ms with one", what=f"podman run among {second['count']} vGPUs", goal="≤ 1.2 ×",
                   data=second),
        row.result(f"{share:.1f} : {100 - share:.1f}", mean <= 1, f"worst second off by {worst:.1f}", what="two containers, 70 : 30", goal="≤ 1 point",
                   data=found["shares"]),
        row.result(f"{cuda:.1f} : {100 - cuda:.1f}", abs(cuda - 70) <= 2, f"worst run off by {cuda_off:.1f}", what="two containers, 70 : 30, CUDA on a simulated GPU",
                   goal="≤ 2 points", data=found["cuda_shares"]),
        row.result(f"{restart_ms:.0f} ms", restart_ms <= 1000, f"slowest {max(second['restart']):.0f} ms", what=f"restart with {second['count']} vGPUs",
                   goal="≤ 1 s", data=second),
        row.result(f"{gate_us['on'][0]:.1f} µs", None, f"{gate_us['off'][0]:.1f} µs without; for reading alone {gate_us['on'][1]:.1f} and {gate_us['off'][1]:.1f} µs",
                   what="an opening for reading and writing, with the open gate", goal="–", data=found["gate"]),
        row.result(f"{publish:.1f} ms", publish <= 100, f"create: {median(second['create_on']):.2f} ms, {median(second['create_off']):.2f} ms without a spec",
                   what=f"spec written among {second['count']} vGPUs", goal="≤ 100 ms", data=second),
    ]


ROWS = {"containers": Row("Start of a container", "≤ 20 ms", "", containers)}


def main():
    if not shutil.which("podman") or not shutil.which("crun"):
        rooms.skip("podman and crun are not installed")
    quick = "--quick" in sys.argv
    rooms.enter()
    with rooms.Room() as room:
        print(json.dumps({"start": start(room, 5 if quick else 21), "shares": shares(room, 1 if quick else 5, 3 if quick else 10),
                          "cuda_shares": cuda_shares(room, 1 if quick else 5, 3 if quick else 10),
                          "gate": gate(room, 3 if quick else 15, 5000 if quick else 50000),
                          "many": many(room, 300 if quick else MANY, 5 if quick else 15)}))


if __name__ == "__main__":
    main()
