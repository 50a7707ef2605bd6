#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tries libraries in the versions of versions.txt inside vGPUs and writes what held into docs/compat.md (`make compat`).

compat.py [--only LIBRARY[==VERSION],…] [--list] [--write FILE]

Each is installed from the registry into an environment of its own below ${XDG_CACHE_HOME:-~/.cache}/fastgpu-tests, tried, and removed:
all of them are 20 GB. One that could not be installed keeps the row that it had; where that is so with all, the table stays and this ends with 77."""
import argparse
import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "lib"), os.path.join(ROOT, "tests", "api")]

import cache  # noqa: E402
from node import FASTGPU, Node, require_tree  # noqa: E402

STUBS = os.path.join(ROOT, "tests", "frameworks", "stubs.py")
PROGRAMS = os.path.join(HERE, "programs.py")
PATIENCE = 1200  # s: frameworks are slow to start on a busy machine
TABLE = os.path.join(ROOT, "docs", "compat.md")
BACKEND = {"tensorflow-cpu": "tensorflow", "jax": "jax", "torch": "torch"}
# torch asks for 2.5 GB of NVIDIA's libraries; these are what is left without.
TORCH = ("filelock", "sympy", "networkx", "jinja2", "fsspec", "typing-extensions", "setuptools")


def wanted():
    with open(os.path.join(HERE, "versions.txt"), encoding="ascii") as f:
        for line in f:
            words = line.partition("#")[0].split()
            if words:
                yield words[0], words[1], words[2:]


class Environment:
    def __init__(self, library, version, more):
        self.library, self.version, self.more = library, version, more
        self.path = os.path.join(cache.base(), f"compat-{library}-{version}-{os.getpid()}")
        self.python = os.path.join(self.path, "bin", "python3")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.path, ignore_errors=True)

    def pip(self, *words):
        return cache.run(self.python, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary", ":all:", "--retries", "1", "--timeout", "60", *words)

    def make(self):
        """None, or why not."""
        pinned = f"{self.library}=={self.version}"
        why = cache.run(sys.executable, "-m", "venv", self.path)
        if self.library != "torch":
            return why or self.pip(pinned, *self.more)
        return why or self.pip("--no-deps", pinned) or self.pip(*TORCH, *self.more) or self.cuda()

    def cuda(self):
        """The CUDA runtime that this torch names, and stubs of the rest."""
        done = subprocess.run([self.python, "-c", "import importlib.metadata as m; print('\\n'.join(m.requires('torch')))"], capture_output=True, text=True)
        rows = ["nvidia-cuda-runtime-cu12==" + v for v in re.findall(r"nvidia-cuda-runtime-cu12\s*\(?==([\d.]+)", done.stdout)]
        newest = re.search(r"cuda-toolkit\[.*\]==(\d+)\.(\d+)", done.stdout)
        if not rows and newest:
            rows = [f"nvidia-cuda-runtime=={newest.group(1)}.{newest.group(2)}.*"]
        where = os.path.join(self.path, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
        lib = "cu13/lib" if newest else "cuda_runtime/lib"
        return self.pip("--no-deps", *rows) or cache.run(sys.executable, STUBS, os.path.join(where, "torch", "lib"), os.path.join(where, "nvidia", lib))

    def tried(self):
        """(held, what it said)"""
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore", "KERAS_BACKEND": BACKEND.get(self.library, "tensorflow")}
        with Node(**quiet) as node:
            try:
                done = subprocess.run([FASTGPU, "run", "--gpus", "2", "--memory", "32M", "--compute", "20", "--", self.python, PROGRAMS, self.library],
                                      env=node.env, cwd=node.dir, capture_output=True, text=True, timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                return False, f"did not end within {PATIENCE // 60} minutes"
        lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or [f"exit {done.returncode}"]
        return done.returncode == 0, lines[-1]


def judge(library, version, more):
    begin = time.monotonic()
    with Environment(library, version, more) as environment:
        why = environment.make()
        held, said = (None, why) if why else environment.tried()
    verdict = {True: "works", False: "**fails**", None: "not tried"}[held]
    print(f"{library} {version}: {verdict}: {said} ({time.monotonic() - begin:.0f} s)", flush=True)
    return library, version, verdict, said


HEAD = """# What FastGPU was tried with

`make compat` installs each of these from the registry, runs it inside two vGPUs (`fastgpu run --gpus 2`) and writes this table, on a
processor. A row is of the day and the Python in it. torch is the registry's CUDA build without NVIDIA's 2.5 GB of libraries (`tests/frameworks/stubs.py`). On CUDA: `make gpu-check` ([gpu-check.md](gpu-check.md)); not run yet, no machine with a GPU was at hand.

| library | version | | what | when |
|---|---|---|---|---|
"""

# Kept by hand; the table above is written.
TAIL = """
MXNet is archived and has no release of these years: its way of taking memory, a rounded pool over the driver's interface, is a test
(`tests/e2e/test_views.py`). TensorFlow 2.13 with Keras 2 on Python 3.8, which the article's Dockerfile installs, is a
test as well (`tests/frameworks/test_article.py`), and so is Keras 2 beside a newer TensorFlow, tf_keras 2.21 (`test_keras.py`).
"""


def write(path, rows):
    with open(path, "w", encoding="utf-8") as f:
        f.write(HEAD)
        for row in rows:
            f.write("| " + " | ".join(row) + " |\n")
        f.write(TAIL)


def known(path):
    """Rows of an earlier run, which go on to count."""
    rows = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            for line in f:
                cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
                if len(cells) == 5:
                    rows[tuple(cells[:2])] = cells
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="LIBRARY[==VERSION],…")
    parser.add_argument("--write", metavar="FILE", help="where the table goes; default docs/compat.md. Rows that are not chosen stay")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    only = set(filter(None, options.only.split(",")))
    chosen = [row for row in wanted() if not only or row[0] in only or f"{row[0]}=={row[1]}" in only]
    if options.list or not chosen:
        print("\n".join(f"{name}=={version}" for name, version, _ in wanted()))
        return 0 if options.list else 2
    require_tree()
    table, path = known(options.write or TABLE), options.write or TABLE
    failed = tried = 0
    for row in chosen:
        judged = judge(*row)
        if judged[2] == "not tried":
            continue
        tried += 1
        failed += judged[2] == "**fails**"
        when = f"{datetime.date.today().isoformat()}, Python {platform.python_version()}"
        table[judged[:2]] = [*(cell.replace("|", "/").replace("\n", " ")[:200] for cell in judged), when]
        write(path, [table.get((name, version), [name, version, "not tried", "", ""]) for name, version, _ in wanted()])
    if not tried:
        print("skipped: nothing could be installed: NOT TESTED", file=sys.stderr)
        return 77
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
