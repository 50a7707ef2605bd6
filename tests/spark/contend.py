# SPDX-License-Identifier: Apache-2.0
"""A Spark application whose tasks want all of the device until a file is there: contend.py INSIDE PYTHON TASKS BURN BYTES STOP"""
import json
import os
import subprocess
import sys
import time

from pyspark import SparkContext, TaskContext

INSIDE, PYTHON, TASKS, BURN, BYTES, STOP = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5], sys.argv[6]


def ask(*words):
    return json.loads(subprocess.run([PYTHON, INSIDE, *words], stdout=subprocess.PIPE, check=True, text=True).stdout)


def work(_):
    seen = ask("devices")
    burn = subprocess.Popen([BURN, "--iterations", "600", "--memory", BYTES, "--seconds", "600"], stdout=subprocess.DEVNULL)
    while not os.path.exists(STOP):
        if burn.poll() is not None:
            raise RuntimeError(f"burn ended with {burn.returncode}")
        time.sleep(0.1)
    over = ask("ask", str(seen[0]["memory"] - int(BYTES) + 1))
    burn.kill()
    burn.wait()
    return [{"address": TaskContext.get().resources()["gpu"].addresses, "devices": seen, "over": over}]


sc = SparkContext()
print("FOUND", json.dumps(sc.parallelize(range(TASKS), TASKS).mapPartitions(work).collect()))
sc.stop()
