# SPDX-License-Identifier: Apache-2.0
"""What the rows share: a node on the GPU, programs inside and outside of its vGPUs, the lines that rows give."""
import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
from node import FASTGPU, Node, tool  # noqa: E402

MIB, GIB = 1 << 20, 1 << 30
NOT_HERE = 77
CALLS = tool("lib", "fastgpu", "bench", "cuda_calls")
SIM = tool("lib", "fastgpu", "sim")
median = statistics.median


class Skip(Exception):
    """A row that cannot be measured here, and why."""


class GpuNode(Node):
    """A node whose programs cannot hold up the rows after them: one that does not die is left to the kernel."""

    context = None

    def __exit__(self, kind, *exc):
        if kind and not issubclass(kind, Skip):
            self.context.log = self.log()
        self.close()

    def close(self):
        for process in self.started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                print(f"process {process.pid} does not end", file=sys.stderr)
        self.disconnect()
        try:
            self.stop_daemon(signal.SIGTERM)
        except OSError:
            pass
        shutil.rmtree(self.dir, ignore_errors=True)

    def log(self):
        """The end of the daemon's log."""
        try:
            with open(os.path.join(self.dir, "run", "daemon.log"), errors="replace") as f:
                return f.read()[-2000:]
        except OSError:
            return ""


class Program:
    """A running worker.py, in a vGPU or (target None) outside of any."""

    def __init__(self, context, node, target, engine, work=0):
        command = [context.python(engine), os.path.join(HERE, "worker.py"), engine, str(work)]
        if target:
            command = [FASTGPU, "run", target, "--", *command]
        self.log = open(os.path.join(node.dir, f"worker-{len(node.started)}"), "w+b")
        self.process = node.popen(command, env=context.env(node, target), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.pid = self.answer(90)["pid"]

    def errors(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-1500:]

    def answer(self, seconds):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise RuntimeError(f"no answer within {seconds} s; {self.errors()}")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the program ended, exit {self.process.wait(10)}: {self.errors()}")
        return json.loads(line)

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def __call__(self, *words, seconds=60):
        self.tell(*words)
        return self.answer(seconds)

    def end(self):
        self.tell("bye")
        self.process.wait(30)


class Context:
    """simulated: text of a simulator's spec, or None on a GPU. scale: of the time that measurements take."""

    def __init__(self, simulated, scale, torch, pythons=()):
        self.simulated, self.scale, self.torch = simulated, scale, torch
        self.pythons = list(pythons)  # interpreters that may have frameworks
        self.unfetched = {}  # frameworks that `--frameworks` could not fetch, and why
        self.device, self.gpu, self.works = None, {}, {}
        self.log = ""  # of the daemon of the node whose row failed last

    # --- nodes ---

    def node(self, **env):
        node = GpuNode(**env)
        node.context = self
        if self.simulated:
            spec = os.path.join(node.dir, "gpu.spec")
            with open(spec, "w") as f:
                f.write(self.simulated)
            node.env.update(FASTGPU_SIM=spec, FASTGPU_SIM_STATE=node.dir)
        return node

    def env(self, node, target):
        """Outside of a vGPU: the same GPU, also where there are several; a simulated driver has to be pointed at."""
        if target:
            return node.env
        if self.simulated:
            return {**node.env, "LD_LIBRARY_PATH": SIM}
        return {**node.env, "CUDA_VISIBLE_DEVICES": self.gpu["key"].split("/")[1]} if self.gpu else node.env

    def find_device(self, node):
        """Takes the first CUDA device that FastGPU has, for all rows."""
        found = node.json("devices")
        devices = [d for d in found["devices"] if d["api"] == "cuda" and d["state"] == "ok"]
        if not devices:
            raise RuntimeError(f"fastgpu devices lists no NVIDIA GPU: {found['problems']}\n{self.doctor(node)}")
        self.gpu, self.device = devices[0], devices[0]["id"]
        return self.gpu

    def doctor(self, node):
        done = node.fastgpu("doctor", check=False)
        return done.stdout + done.stderr

    def create(self, node, name, *options):
        if self.device is None:
            self.find_device(node)
        return node.json("create", "--name", name, "--device", str(self.device), *options)

    # --- programs ---

    def python(self, engine):
        return self.torch if engine == "torch" else sys.executable

    def engine(self):
        """What measurements of whole programs use."""
        return "torch" if self.torch else "ptx"

    def start(self, node, target, engine=None):
        engine = engine or self.engine()
        return Program(self, node, target, engine, self.works.get(engine, 0))

    def calibrate(self, node, engine=None):
        """Kernels of a millisecond from the driver's interface; PyTorch's matrices keep their size."""
        if (engine or self.engine()) == "ptx" and "ptx" not in self.works:
            program = Program(self, node, None, "ptx")
            self.works["ptx"] = program("calibrate", 1000)
            program.end()

    def run(self, node, target, *argv, seconds=60, **env):
        """(exit code, standard output, standard error) of a program, inside or outside."""
        command = [FASTGPU, "run", target, "--", *argv] if target else list(argv)
        process = node.popen(command, env={**self.env(node, target), **env}, cwd=node.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=seconds)
        return process.returncode, out, err

    def json(self, node, target, *argv, **options):
        code, out, err = self.run(node, target, *argv, **options)
        if code == NOT_HERE:
            raise Skip(err.strip().splitlines()[-1] if err.strip() else "it says that it cannot run here")
        if code:
            raise RuntimeError(f"{' '.join(argv)}: exit {code}: {err.strip()[-1500:]}")
        return json.loads(out.strip().splitlines()[-1])

    def look(self, node, target=None):
        return self.json(node, target, sys.executable, os.path.join(HERE, "look.py"), seconds=20)

    def judge(self, right):
        """Of a figure in time; the simulator's say nothing."""
        return None if self.simulated else right

    def seconds(self, seconds):
        return max(seconds * self.scale, 0.5)

    def times(self, count):
        return max(int(count * self.scale), 2)


def soon(seconds=0.5):
    """A common first instant for several programs."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) + int(seconds * 1e9)


def line(what, goal, measured, ok, baseline="", data=None):
    return {"what": what, "goal": goal, "measured": measured, "ok": ok, "baseline": baseline, "data": data}
