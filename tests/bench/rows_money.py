# SPDX-License-Identifier: Apache-2.0
"""The money log: what a start costs with and without the books that were kept, and what a minute of many vGPUs costs."""
import json
import os
import shutil
import subprocess
import tempfile

from load import median
from node import tool
from row import Row

LOG = tool("lib", "fastgpu", "bench", "money-log")


def make(vgpus, minutes):
    folder = tempfile.mkdtemp(prefix="fastgpu-money-")
    try:
        return json.loads(subprocess.run([LOG, folder, str(vgpus), str(minutes)], check=True, capture_output=True, text=True).stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(row, context):
    said = make(50, 400 if context.quick else 4000)
    ratio = said["open_whole"] / said["open_kept"]
    return row.result(f"{said['open_kept']:.1f} ms", ratio >= 10, f"{said['records']} records read: {said['open_whole']:.0f} ms, {ratio:.0f} times as long",
                      data=said)


def minute(row, context):
    said = make(10000, 3 if context.quick else 10)
    return row.result(f"settled {median(said['settle']):.1f} ms, on record {median(said['record']):.0f} ms (longest piece {median(said['piece']):.1f} ms, its end {median(said['end']):.1f} ms), books kept {said['keep']:.0f} ms", True,
                      f"of {os.cpu_count()} processors", data=said)


ROWS = {
    "money-start": Row("start with a long money log, books kept", "10 times as fast as reading it", "", start),
    "money-minute": Row("a minute of 10 000 vGPUs", "told, not judged", "", minute),
}
