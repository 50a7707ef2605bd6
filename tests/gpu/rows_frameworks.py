# SPDX-License-Identifier: Apache-2.0
"""The compatibility suite on CUDA: a row runs the program that tests/compat has of a framework in two vGPUs of the GPU. A framework that
is not installed, or finds no GPU outside of a vGPU either, is "not here"; what fails inside alone has FAILED."""
import os
import shutil
import subprocess
import sys

from context import GIB, HERE, line

COMPAT = os.path.join(os.path.dirname(HERE), "compat")
sys.path.insert(0, COMPAT)

import compat  # noqa: E402

PROGRAMS = os.path.join(COMPAT, "programs.py")
QUOTA = 6 * GIB
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"}
# Training is compared to the bit: no sums in an order that chance makes.
SAME = {"XLA_FLAGS": "--xla_gpu_deterministic_ops=true", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
# Each with what asks it for a GPU, the library of versions.txt, and the registry's name of its CUDA build.
FRAMEWORKS = {
    "tensorflow": ("assert m.config.list_physical_devices('GPU'), 'it finds no GPU'", "tensorflow-cpu", "tensorflow[and-cuda]"),
    "jax": ("assert m.default_backend() == 'gpu', 'it finds no GPU'", "jax", "jax[cuda12]"),
    "torch": ("assert m.cuda.is_available(), 'it finds no GPU'", "torch", "torch"),
    "cupy": ("assert m.cuda.runtime.getDeviceCount(), 'it finds no GPU'", "cupy-cuda12x", "cupy-cuda12x[ctk]"),
}
PREFIX = "compat-"


class OnCuda(compat.Environment):
    """The newest release of versions.txt, with NVIDIA's libraries, in an environment that is kept."""

    def __init__(self, framework):
        _, library, self.build = FRAMEWORKS[framework]
        super().__init__(*[row for row in compat.wanted() if row[0] == library][-1])
        self.path = os.path.join(compat.cache.base(), f"cuda-{framework}-{self.version}-py{sys.version_info[0]}.{sys.version_info[1]}")
        self.python = os.path.join(self.path, "bin", "python3")
        self.mark = os.path.join(self.path, "whole")

    def whole(self):
        return os.path.exists(self.mark)

    def make(self):
        shutil.rmtree(self.path, ignore_errors=True)
        why = compat.cache.run(sys.executable, "-m", "venv", self.path) or self.pip(f"{self.build}=={self.version}", *self.more)
        if why:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            open(self.mark, "w").close()
        return why


def framework_of(name):
    return name[len(PREFIX):].removeprefix("keras-")


def fetch(rows):
    """{framework: why it cannot be had} of what those rows need; the others are there then."""
    failed = {}
    for framework in dict.fromkeys(framework_of(name) for name in rows if name in ROWS):
        environment = OnCuda(framework)
        if not environment.whole():
            print(f"gpu-check: fetches {environment.build}=={environment.version}", flush=True)
            why = environment.make()
            if why:
                failed[framework] = f"{environment.build}=={environment.version} cannot be fetched: {why}"
    return failed


def last(text, code):
    return (text.strip().splitlines() or [f"exit {code}"])[-1]


def find(context, node, framework, keras, env):
    """(interpreter, version) that finds a GPU outside of a vGPU, or (None, why there is none)."""
    ask = f"import {framework} as m\n{FRAMEWORKS[framework][0]}\n" + ("import keras\n" if keras else "") + "print(m.__version__)"
    kept, reasons = OnCuda(framework), [context.unfetched[framework]] if framework in context.unfetched else []
    for python in [*([kept.python] if kept.whole() else []), *context.pythons]:
        try:
            code, out, err = context.run(node, None, python, "-c", ask, seconds=60, XLA_PYTHON_CLIENT_PREALLOCATE="false", **env)
        except (OSError, subprocess.TimeoutExpired) as e:
            code, out, err = 1, "", str(e)
        if code == 0:
            return python, out.split()[-1]
        reasons.append(last(err, code))
    return None, "; ".join(dict.fromkeys(reasons)) or "no interpreter has it"


def on_cuda(name, what):
    """Keras is TensorFlow's anyway; with the others it has a row of its own, for an interpreter may have them without it."""
    framework, keras = framework_of(name), "keras" in name or "tensorflow" in name
    goal = "as on a processor, on two GPUs of 6 GiB"
    env = {**QUIET, **SAME, "KERAS_BACKEND": framework if keras else "tensorflow"}

    def row(context):
        with context.node() as node:
            context.create(node, "a", "--gpus", "2", "--memory", "6G", "--compute", "33")
            python, version = find(context, node, framework, keras, env)
            if not python:
                return line(what, goal, f"not here: {version}", None)
            try:
                code, out, err = context.run(node, "a", python, PROGRAMS, name[len(PREFIX):], str(QUOTA), seconds=120, **env)
            except subprocess.TimeoutExpired:
                code, out, err = 1, "", "not over after 120 s"
            peaks = [node.usage(f"a/{i}")["memory_peak"] for i in range(2)]
        said = last(err if code else out, code)
        if not code and max(peaks) > QUOTA:
            code, said = 1, f"{max(peaks)} B were held of {QUOTA}"
        return line(what, goal, ("FAILED: " if code else "") + f"{version}: {said}", not code, "",
                    {"python": python, "peaks": peaks, "errors": err[-3000:]})

    return row


def tell_untried(results, fetched):
    names = [r["name"] for r in results if r["name"] in ROWS and r["ok"] is None]
    if names:
        print(f"gpu-check: not tried: {', '.join(names)}" + ("" if fetched else "; --frameworks fetches what they need"))


ROWS = {PREFIX + name: (on_cuda(PREFIX + name, what), 200) for name, what in (
    ("tensorflow", "TensorFlow and Keras on CUDA, two vGPUs"),
    ("jax", "JAX on CUDA, two vGPUs"),
    ("keras-jax", "Keras on JAX on CUDA, two vGPUs"),
    ("torch", "PyTorch on CUDA, two vGPUs"),
    ("keras-torch", "Keras on PyTorch on CUDA, two vGPUs"),
    ("cupy", "CuPy on CUDA, two vGPUs"))}
