#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything that FastGPU promises on a real GPU, in one call of under nine minutes; with --frameworks, under twenty
once they are fetched.

Each row has a time limit of its own; what goes wrong in one does not cost the others. The figures so far are on disk after every
row. Without a GPU it says so and ends with 0."""
import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import time
import traceback

from context import FASTGPU, Context, Skip, line
import rows_frameworks
import rows_measure
import rows_plain
import rows_pytorch

HERE = os.path.dirname(os.path.abspath(__file__))
ORDER = ("inventory view two-views launch torch-train torch-two torch-view torch-quota ratio share priority cap quota nvidia-smi "
         "torch-graphs torch-streams torch-expandable torch-loader torch-processes alloc async meminfo share-driver torch-compile").split() + list(rows_frameworks.ROWS)
ROWS = {**rows_plain.ROWS, **rows_measure.ROWS, **rows_pytorch.ROWS, **rows_frameworks.ROWS}
PYTHONS = (sys.executable, "python3", "/usr/bin/python3")
SIMULATED = "[gpu]\nmodel = H100\nlaunch = 0\n[kernel spin]\ntime = 1ms\n[kernel nothing]\ntime = 0\n"


class OutOfTime(Exception):
    pass


def ring(signum, frame):
    raise OutOfTime()


def gpu_is_here():
    """By NVML itself, not by what is under test."""
    done = subprocess.run([sys.executable, os.path.join(HERE, "look.py")], capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout) if done.returncode == 0 else None


def find_torch():
    """(interpreter, version) of a PyTorch that was built for CUDA."""
    ask = "import torch; assert torch.version.cuda; print(torch.__version__)"
    for python in PYTHONS:
        try:
            done = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=120)
            if done.returncode == 0:
                return python, done.stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            pass
    return None, None


def measure(name, context, limit):
    """The row's line; whatever happens there is one."""
    function, own = ROWS[name]
    result = line(name, "", "", None)
    begin = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, min(own, limit))
    try:
        result = function(context)
    except Skip as e:
        result.update(ok=None, measured=f"skipped: {e}")
    except OutOfTime:
        result.update(ok=False, measured=f"not over after {min(own, limit):.0f} s", data=context.log)
    except Exception as e:  # noqa: BLE001: a defect in one row is that row's result
        words = (str(e).splitlines() or [""])[0]
        result.update(ok=False, measured=f"{type(e).__name__}: {words[:160]}", data=f"{e}\n{traceback.format_exc()[-3000:]}\n{context.log}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"name": name, **result, "seconds": round(time.monotonic() - begin, 1)}


def word(result):
    return {True: "ok", False: "MISS", None: "–"}[result["ok"]]


def markdown(head, results):
    rows = [f"# FastGPU on {head['gpu']}, {head['date']}", "",
            f"Driver {head['driver']}; PyTorch: {head['torch'] or 'none'}; {head['rows']} rows in {head['seconds']:.0f} s.", "",
            "| what | goal | measured | bare, same run | |", "|---|---|---|---|---|"]
    for r in results:
        words = (r["what"], r["goal"], r["measured"], r["baseline"], word(r))
        rows.append("| " + " | ".join(text.replace("|", "/").replace("\n", " ") for text in words) + " |")
    return "\n".join(rows) + "\n"


def write(folder, head, results):
    os.makedirs(folder, exist_ok=True)
    stem = os.path.join(folder, head["date"] + "-gpu-check" + ("-simulated" if head["simulated"] else ""))
    with open(stem + ".md", "w") as f:
        f.write(markdown(head, results))
    with open(stem + ".json", "w") as f:
        json.dump({**head, "results": results}, f, indent=1)
    return stem


def chosen(options):
    return [name for name in ORDER if not options.only or name in options.only.split(",")]


def run(options, context, head, begin):
    results, end = [], begin + options.seconds
    for name in chosen(options):
        left = end - time.monotonic()
        if left < 10:
            result = {"name": name, **line(name, "", "not run: no time left", None), "seconds": 0}
        else:
            result = measure(name, context, left)
        results.append(result)
        head.update(rows=len(results), seconds=time.monotonic() - begin)
        print(f"{result['seconds']:6.1f} s  {word(result):4}  {result['what']}: {result['measured']}", flush=True)
        stem = write(options.results, head, results)
    print(f"gpu-check: {stem}.md, .json")
    rows_frameworks.tell_untried(results, options.frameworks)
    return results


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", default=os.path.join(HERE, "..", "..", "docs", "results"), metavar="FOLDER",
                        help="where the dated table and its JSON go")
    parser.add_argument("--only", metavar="ROW,…", help="only these rows")
    parser.add_argument("--seconds", type=float, help="time for all rows (default: 500, with --frameworks 1100)")
    parser.add_argument("--scale", type=float, default=1, help="of the time that each measurement takes (default: 1)")
    parser.add_argument("--simulated", action="store_true", help="on a simulated GPU: tests this program, measures nothing")
    parser.add_argument("--frameworks", action="store_true", help="fetch the CUDA builds of TensorFlow, Keras, JAX, PyTorch and CuPy from the registry, "
                        "gigabytes, and keep them; without, their rows use those that are installed")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--opencl", action="store_true", help="by itself: the end-to-end tests and a short round of figures on the OpenCL driver of a GPU, "
                        "in a built repository")
    options = parser.parse_args()
    if options.opencl:
        parser.error("--opencl goes by itself: gpu-check --opencl")
    options.seconds = options.seconds or (1100 if options.frameworks else 500)
    return options


def main():
    options = parse()
    if options.list:
        print("\n".join(ORDER))
        return 0
    if not os.access(FASTGPU, os.X_OK):
        print(f"gpu-check: no {FASTGPU}: run make first", file=sys.stderr)
        return 1
    here = None if options.simulated else gpu_is_here()
    if not options.simulated and not here:
        print("gpu-check: no NVIDIA GPU here: not run on a GPU")
        return 0
    signal.signal(signal.SIGALRM, ring)
    torch, version = (None, None) if options.simulated else find_torch()
    context = Context(SIMULATED if options.simulated else None, options.scale, torch, () if options.simulated else PYTHONS)
    if options.frameworks:
        context.unfetched = rows_frameworks.fetch(chosen(options))
    head = {"date": datetime.date.today().isoformat(), "gpu": here["devices"][0]["name"] if here else "a simulated GPU",
            "driver": here["driver"] if here else "simulated", "torch": version, "simulated": options.simulated}
    results = run(options, context, head, time.monotonic())
    return 1 if any(r["ok"] is False for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
