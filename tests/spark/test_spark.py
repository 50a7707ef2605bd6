#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Spark's own worker and executors, each executor in a vGPU of its own. Spark is 300 MB of the registry's: `test_spark.py --prepare` gets
it once, and without that the test is skipped."""
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "api"), str(HERE.parent / "e2e")]
import cache  # noqa: E402
from e2e import INSIDE, PYTHON  # noqa: E402
from node import Node, require_tree, tool  # noqa: E402

cache.WANTED = str(HERE / "requirements.txt")
cache.FROM_SOURCE = ("pyspark",)
SPARK = tool("share", "fastgpu", "spark")
MIB = 1 << 20
# Small Java machines, which start with little of the two processors.
JAVA = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"


def java_home():
    java = shutil.which("java")
    return java and str(pathlib.Path(java).resolve().parent.parent)


class Spark(unittest.TestCase):
    EXECUTORS = 4

    def submit(self, node, *words, **conf):
        binaries = os.path.join(cache.folder(), "bin")
        settings = {
            "spark.master": f"local-cluster[1,{self.EXECUTORS},2048]", "spark.executor.cores": 1, "spark.executor.memory": "512m",
            "spark.worker.resource.gpu.amount": self.EXECUTORS, "spark.worker.resource.gpu.discoveryScript": f"{SPARK}/gpu-discovery",
            "spark.executor.resource.gpu.amount": 1, "spark.task.resource.gpu.amount": 1,
            "spark.executorEnv.JAVA_HOME": SPARK, "spark.executorEnv.FASTGPU_JAVA_HOME": java_home(), "spark.executorEnv.FASTGPU_STATE_DIR": node.dir,
            "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.extraJavaOptions": JAVA, "spark.driver.extraJavaOptions": JAVA, **conf}
        line = [f"{binaries}/spark-submit", *(word for k, v in settings.items() for word in ("--conf", f"{k}={v}")), *words]
        env = {**node.env, "PYSPARK_PYTHON": f"{binaries}/python3", "JAVA_HOME": java_home(), "SPARK_LOCAL_IP": "127.0.0.1",
               "FASTGPU_DISCOVER": node.discover}
        done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=550, cwd=node.dir)
        self.addCleanup(shutil.rmtree, glob.glob(f"{cache.folder()}/lib/*/site-packages/pyspark")[0] + "/work", True)
        found = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("FOUND ")]
        if not found:
            for log in glob.glob(f"{cache.folder()}/lib/*/site-packages/pyspark/work/*/*/stderr"):
                print(log, open(log).read()[-500:], file=sys.stderr)
            self.fail(done.stdout + done.stderr[-3000:])
        return found[0]

    def check(self, found, memory):
        self.assertEqual(len(found), self.EXECUTORS)
        self.assertEqual(len({f["attach"] for f in found}), self.EXECUTORS, "each its own")
        for f in found:
            self.assertEqual([d["memory"] for d in f["devices"]], [memory], "one device, of its size")
            self.assertEqual(f["filled"], [memory])
            self.assertNotEqual(f["over"], "ok")
            self.assertEqual(f["right"], [True])

    def test_executors_in_the_vgpus_of_a_set(self):
        """Four executors on four vGPUs of one device, whose addresses are the vGPUs' names."""
        with Node() as node:
            node.discover = "spark"
            node.fastgpu("create", "--name", "spark", "--gpus", str(self.EXECUTORS), "--memory", "256M", "--compute", "20")
            found = self.submit(node, str(HERE / "app.py"), INSIDE, PYTHON, str(self.EXECUTORS))
            self.check(found, 256 * MIB)
            self.assertEqual(sorted(f["address"][0] for f in found), [f"spark/{i}" for i in range(self.EXECUTORS)])
            for i in range(self.EXECUTORS):
                self.assertGreater(node.usage(f"spark/{i}")["gpu_ns"], 0)
                self.assertEqual(node.usage(f"spark/{i}")["memory_used"], 0)


if __name__ == "__main__":
    require_tree()
    if not PYTHON:
        cache.skip("no Python here has pyopencl and numpy (tools/install-deps)")
    if not java_home():
        cache.skip("no java: install a JDK (openjdk-17-jre-headless)")
    if sys.argv[1:] == ["--prepare"]:
        print(cache.program("spark-submit"))
        sys.exit(0)
    if not os.path.exists(os.path.join(cache.folder(), "whole")):
        cache.skip("Spark is not here: tests/spark/test_spark.py --prepare gets it (300 MB)")
    unittest.main(verbosity=2)
