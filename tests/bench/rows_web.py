# SPDX-License-Identifier: Apache-2.0
"""The dashboard with 1000 vGPUs in a browser. It is measured as it is tested: over the build folder's stand-ins, so only where that is."""
import json
import os
import subprocess
import sys

from load import median
from row import Row

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MEASURE = os.path.join(ROOT, "tests", "web", "measure.py")
SKIPPED = 77


def environment():
    """That of the dashboard's tests."""
    build = os.path.join(ROOT, os.environ.get("FASTGPU_BUILD", "build"))
    with open(os.path.join(build, "meson-info", "intro-tests.json")) as f:
        return next(test["env"] for test in json.load(f) if test["name"] == "web_page")


def web(row, context):
    done = subprocess.run([sys.executable, MEASURE, "5" if context.quick else "20"], env={**os.environ, **environment()}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=600)
    if done.returncode == SKIPPED:
        return row.result(done.stderr.strip(), None)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    lines = []
    for found in json.loads(done.stdout):
        ms = found["ms"]
        if found["what"] == "content":
            size = median(found["bytes"])
            lines.append(row.result(f"{median(ms):.0f} ms, {size / 1e3:.0f} KB", median(ms) <= 300 and size <= 200e3,
                                    what=f"first content of {found['where']}, 1000 vGPUs", data=found))
        elif found["what"] == "tasks":
            lines.append(row.result(f"{len(ms)}" + (f", longest {max(ms)} ms" if ms else ""), not ms, goal="0",
                                    what=f"tasks over 50 ms, 1008 rows by {found['by']} told each second", data=found))
        else:
            lines.append(row.result(f"{median(ms):.2f} ms, {found['bytes'] / 1e3:.0f} KB", None, goal="–",
                                    baseline=f"{found['daemon_ms']:.2f} ms of it the daemon's", what="GET /v1/figures of 1000 vGPUs", data=found))
    return lines


ROWS = {"web": Row("dashboard: first content", "≤ 300 ms, ≤ 200 KB", "", web)}
