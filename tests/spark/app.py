# SPDX-License-Identifier: Apache-2.0
"""A Spark application: each task says what it sees of the machine's devices and does real work there. app.py INSIDE PYTHON TASKS"""
import json
import os
import subprocess
import sys
import time

from pyspark import BarrierTaskContext, SparkContext

INSIDE, PYTHON, TASKS = sys.argv[1], sys.argv[2], int(sys.argv[3])


def ask(*words):
    return json.loads(subprocess.run([PYTHON, INSIDE, *words], stdout=subprocess.PIPE, check=True, text=True).stdout)


def work(_):
    context = BarrierTaskContext.get()
    context.barrier()
    seen = ask("devices")
    found = {"address": context.resources()["gpu"].addresses, "devices": seen, "attach": os.environ.get("FASTGPU_ATTACH"),
             "over": ask("ask", str(seen[0]["memory"] + 1)), "filled": ask("fill"), "right": ask("add")}
    context.barrier()  # all are in their vGPUs at once
    return [found]


sc = SparkContext()
end = time.monotonic() + 60
while not sc._jsc.sc().isStopped() and len(sc._jsc.sc().statusTracker().getExecutorInfos()) < TASKS + 1 and time.monotonic() < end:
    time.sleep(0.2)
print("FOUND", json.dumps(sc.parallelize(range(TASKS), TASKS).barrier().mapPartitions(work).collect()))
sc.stop()
