# SPDX-License-Identifier: Apache-2.0
"""What the layer VirtualGPU costs a training step, and the import what every Python in a vGPU pays for it."""
import json
import os
import subprocess
import sys
import time

from load import median, median_between
from node import FASTGPU, Node, tool
from row import Row

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, "tests", "frameworks", "frameworks_venv.py")
GOAL = 1.01
STEP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keras_step.py")


def interpreter():
    """None: the frameworks were not fetched."""
    done = subprocess.run([sys.executable, VENV, "where"], capture_output=True, text=True, check=True)
    python = os.path.join(done.stdout.strip(), "bin", "python3")
    return python if os.path.exists(python) else None


def ratio(took, name):
    """(the median of all ratios to the bare step beside it, between what it lies with 95 %)"""
    return median_between([one / bare for one, bare in zip(took[name], took["bare"])])


def step(row, context):
    python = interpreter()
    if not python:
        return row.result("not measured: ./test.sh --frameworks fetches TensorFlow", None)
    limits = (600, 60) if context.quick else (6000, 240)
    with Node(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow") as node:
        done = node.native(FASTGPU, "run", "--gpus", "2", "--memory", "32M", "--", python, STEP, *map(str, limits), timeout=900)
        kinds = json.loads(done.stdout.splitlines()[-1])
    lines = []
    for kind, took in kinds.items():
        (layer, low, high), (again, bare_low, bare_high) = ratio(took, "layer"), ratio(took, "again")
        ok = True if high <= GOAL else False if low > GOAL else None  # None: the machine was too busy to tell
        lines.append(row.result(f"{layer:.3f} × ({low:.3f} to {high:.3f})", ok, what=f"{row.what}, by the {kind}'s time" if kind == "processor" else row.what,
                                baseline=f"{median(took['bare']):.3f} ms; itself {again:.3f} × ({bare_low:.3f} to {bare_high:.3f})", data=took))
    return lines


def start_ms(code, env):
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    return 1000 * (time.perf_counter() - begin)


def imports(row, context):
    bare = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    hook = {**bare, "PYTHONPATH": tool("lib", "fastgpu", "python", "enter")}
    took = {"bare": [], "hook": [], "import": [], "client": []}
    for _ in range(10 if context.quick else 50):
        took["bare"].append(start_ms("", bare))
        took["hook"].append(start_ms("", hook))
        took["import"].append(start_ms("import fastgpu", hook))
        took["client"].append(start_ms("import fastgpu; fastgpu.Client", hook))
    base = median(took["bare"])
    more = {name: median(took[name]) - base for name in ("hook", "import", "client")}
    return row.result(f"{more['hook']:.1f} ms, with `import fastgpu` {more['import']:.1f} ms, with `fastgpu.Client` {more['client']:.1f} ms",
                      more["client"] <= 50, f"python3: {base:.1f} ms", data=took)


ROWS = {"keras-step": Row("step with VirtualGPU over without, TensorFlow on a processor", f"≤ {GOAL}", "", step),
        "python-import": Row("what a Python in a vGPU starts longer", "≤ 50 ms", "", imports)}
