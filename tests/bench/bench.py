#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what FastGPU promises, each figure next to its bare baseline in the same run.

bench.py [--only ROW,ROW*] [--quick] [--repeats N] [--list] [--results FOLDER]
Prints a table and leaves it, with every single measurement, in bench-results/."""
import argparse
import datetime
import fnmatch
import json
import os
import platform
import sys
import traceback

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")]
from node import Node, require_tree  # noqa: E402

import rows_api  # noqa: E402
import rows_containers  # noqa: E402
import rows_kubernetes  # noqa: E402
import rows_cuda  # noqa: E402
import rows_daemon  # noqa: E402
import rows_examples  # noqa: E402
import rows_keras  # noqa: E402
import rows_memory  # noqa: E402
import rows_money  # noqa: E402
import rows_metrics  # noqa: E402
import rows_sched  # noqa: E402
import rows_slurm  # noqa: E402
import rows_time  # noqa: E402
import rows_web  # noqa: E402

# PoCL's worker threads stay on one processor each, with and without FastGPU: left to wander, they share a processor for
# whole bursts after every pause, and native kernels then take up to 1.7 times as long as in a steady stream.
os.environ.setdefault("POCL_AFFINITY", "1")

ROWS = {}
for rows in (
        rows_memory,
        rows_time,
        rows_daemon,
        rows_api,
        rows_money,
        rows_metrics,
        rows_containers,
        rows_examples,
        rows_cuda,
        rows_keras,
        rows_kubernetes,
        rows_sched,
        rows_slurm,
        rows_web,
):
    ROWS.update(rows.ROWS)


class Context:
    """What a row needs: how long and how often to measure, and calibrated kernels shared by all rows."""

    def __init__(self, quick, repeats):
        self.quick = quick
        self.repeats = repeats or (1 if quick else 3)
        self.seconds = 3 if quick else 10
        self.kernels = {}


def machine():
    model = ""
    try:
        with open("/proc/cpuinfo") as f:
            model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "")
    except OSError:
        pass
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}


def device_model():
    with Node() as node:
        devices = node.get("/v1/devices")["devices"] if node.fastgpu("devices").returncode == 0 else []
        return ", ".join(d["model"] for d in devices)


def measure(name, context):
    row = ROWS[name]
    print(f"… {name}: {row.what}", file=sys.stderr, flush=True)
    try:
        lines = row.measure(context)
        for line in lines:  # an end too soon must not cost what is known
            print(f"  {line['what']}: {line['measured']}", file=sys.stderr, flush=True)
        return lines
    except FileNotFoundError as e:
        return [row.result("not built: " + str(e.filename), None)]
    except Exception as e:  # one broken row must not cost the others
        traceback.print_exc()
        return [row.result(f"failed: {e}", False)]


def markdown(lines, about):
    text = [f"# Measured on {about['date']}", "", f"Device: {about['device']}. {about['machine']['cpu']}, "
            f"{about['machine']['cores']} cores, Linux {about['machine']['kernel']}.", "",
            "| what | goal | measured | bare baseline, same run | best known others | |", "|---|---|---|---|---|---|"]
    for line in lines:
        verdict = {True: "ok", False: "MISS", None: "–"}[line["ok"]]
        text.append(f"| {line['what']} | {line['goal']} | {line['measured']} | {line['baseline']} | {line['peer']} | {verdict} |")
    return "\n".join(text) + "\n"


def plain(lines):
    head = ["what", "goal", "measured", "bare baseline", ""]
    table = [head] + [[line["what"], line["goal"], line["measured"], line["baseline"],
                       {True: "ok", False: "MISS", None: "–"}[line["ok"]]] for line in lines]
    width = [max(len(row[i]) for row in table) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, width)).rstrip() for row in table)


def save(folder, lines, about):
    os.makedirs(folder, exist_ok=True)
    base = os.path.join(folder, about["date"].replace(":", "").replace(" ", "-"))
    with open(base + ".json", "w") as f:
        json.dump({**about, "rows": lines}, f, indent=1)
    with open(base + ".md", "w") as f:
        f.write(markdown(lines, about))
    return base


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="ROW,ROW")
    parser.add_argument("--quick", action="store_true", help="short runs, once each: to see that it works")
    parser.add_argument("--repeats", type=int, metavar="N")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--results", default="bench-results", metavar="FOLDER")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name:12} {row.what}" for name, row in ROWS.items()))
        return 0
    names = options.only.split(",") if options.only else list(ROWS)
    names = [match for name in names for match in (fnmatch.filter(ROWS, name) or [name])]
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        parser.error(f"no row '{unknown[0]}'; --list shows them")
    require_tree()
    context = Context(options.quick, options.repeats)
    about = {"date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S"), "machine": machine(),
             "device": device_model(), "quick": options.quick}
    lines = [line for name in names for line in measure(name, context)]
    base = save(options.results, lines, about)
    print(plain(lines))
    print(f"\n{base}.md and .json")
    return 1 if any(line["ok"] is False for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
