#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Spark's own worker and executors, each executor in a vGPU of its own. Spark is 300 MB of the registry's: `test_spark.py --prepare` gets
it once, and without that the test is skipped."""
import contextlib
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "api"), str(HERE.parent / "e2e")]
import cache  # noqa: E402
from e2e import INSIDE, PYTHON  # noqa: E402
from node import BURN, Node, require_tree, tool, wait_until  # noqa: E402

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

    def start(self, node, *words, **conf):
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
        self.addCleanup(shutil.rmtree, glob.glob(f"{cache.folder()}/lib/*/site-packages/pyspark")[0] + "/work", True)
        with open(os.path.join(node.dir, "errors"), "w") as errors:
            return node.popen(line, env=env, stdout=subprocess.PIPE, stderr=errors, cwd=node.dir)

    def found(self, node, application):
        """What its tasks returned, at its end."""
        said, _ = application.communicate(timeout=550)
        found = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("FOUND ")]
        if not found:
            for log in glob.glob(f"{cache.folder()}/lib/*/site-packages/pyspark/work/*/*/stderr"):
                print(log, open(log).read()[-500:], file=sys.stderr)
            self.fail(said + pathlib.Path(node.dir, "errors").read_text()[-3000:])
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
            found = self.found(node, self.start(node, str(HERE / "app.py"), INSIDE, PYTHON, str(self.EXECUTORS)))
            self.check(found, 256 * MIB)
            self.assertEqual(sorted(f["address"][0] for f in found), [f"spark/{i}" for i in range(self.EXECUTORS)])
            for i in range(self.EXECUTORS):
                self.assertGreater(node.usage(f"spark/{i}")["gpu_ns"], 0)
                self.assertEqual(node.usage(f"spark/{i}")["memory_used"], 0)

    SHARES = (40, 30, 20, 10)
    NEAR = 5  # points of the device's time, of a window of that many seconds, in one of so many windows
    WINDOW, TRIES = 6, 5
    HELD = 200 * MIB

    def used(self, node):
        return [node.usage(f"contend/{i}") for i in range(self.EXECUTORS)]

    def divided(self, node):
        """The percent of the device's time, by the ledger, that each vGPU had in a window; its memory never exceeds its quota meanwhile."""
        before, end = self.used(node), time.monotonic() + self.WINDOW
        while time.monotonic() < end:
            for use in self.used(node):
                self.assertLessEqual(use["memory_used"], 256 * MIB)
            time.sleep(0.1)
        had = [b["gpu_ns"] - a["gpu_ns"] for a, b in zip(before, self.used(node))]
        return [100 * ns / sum(had) for ns in had]

    def executor(self, node, name):
        """The process of Spark's that runs in the vGPU."""
        attach = f"FASTGPU_ATTACH={node.dir}/run/attach/{name.replace('/', '+')}.sock\0".encode()
        for path in glob.glob("/proc/[0-9]*/environ"):
            with contextlib.suppress(OSError):
                pid, environment = int(path.split("/")[2]), pathlib.Path(path).read_bytes()
                program = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"CoarseGrainedExecutorBackend" in program and attach in environment:
                    return pid
        return self.fail(f"no executor in {name}")

    def test_shares_of_executors_that_all_want_the_device(self):
        """40, 30, 20 and 10 percent by the ledger, all of them backlogged; an executor that is killed gives back what it held, and Spark's
        next has its vGPU."""
        with Node() as node:
            node.discover = "contend"
            stop = os.path.join(node.dir, "stop")
            node.fastgpu("create", "--name", "contend", "--gpus", str(self.EXECUTORS), "--memory", "256M",
                         "--compute", ",".join(map(str, self.SHARES)))
            application = self.start(node, str(HERE / "contend.py"), INSIDE, PYTHON, str(self.EXECUTORS), BURN, str(self.HELD), stop)

            def all_work():
                self.assertIsNone(application.poll(), "the application ended")
                return all(u["memory_used"] >= self.HELD and u["gpu_ns"] for u in self.used(node))
            wait_until(all_work, 300, "all executors have work")
            windows = []
            while not windows or max(abs(a - b) for a, b in zip(windows[-1], self.SHARES)) > self.NEAR:
                self.assertLess(len(windows), self.TRIES, windows)
                windows.append(self.divided(node))
            print("had", [round(percent, 1) for percent in windows[-1]], file=sys.stderr)

            first = self.executor(node, "contend/1")
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: node.usage("contend/1")["memory_used"] == 0, 10, "the killed executor's memory is given back")
            wait_until(all_work, 300, "another executor works in its vGPU")
            self.assertNotEqual(self.executor(node, "contend/1"), first)
            pathlib.Path(stop).touch()
            found = self.found(node, application)
            self.assertEqual(sorted(f["address"][0] for f in found), [f"contend/{i}" for i in range(self.EXECUTORS)])
            for f in found:
                self.assertEqual([d["memory"] for d in f["devices"]], [256 * MIB], "one device, of its size")
                self.assertNotEqual(f["over"], "ok", "beside what is held")
            wait_until(lambda: [u["memory_used"] for u in self.used(node)] == [0] * self.EXECUTORS, 10, "all memory is given back")

    def log_of(self, node, application):
        """What the driver's user reads."""
        application.communicate(timeout=300)
        self.assertNotEqual(application.returncode, 0)
        return pathlib.Path(node.dir, "errors").read_text()

    def test_discovery_that_fails(self):
        """The reason is an error of the driver's log, as the worker is a part of it here; of a worker elsewhere, of that one's."""
        with Node() as node:
            node.discover = "nosuch"
            log = self.log_of(node, self.start(node, str(HERE / "app.py"), INSIDE, PYTHON, "1"))
            self.assertRegex(log, r"ERROR .*gpu-discovery\) exited with code 3: fastgpu: .*nosuch")

    def test_why_one_waits(self):
        """The master says WAITING and no more, the driver that no resources were accepted; `why` says which."""
        with Node() as node:
            node.discover = "spark"
            node.fastgpu("create", "--name", "spark", "--memory", "256M", "--compute", "20")
            two = {"spark.worker.resource.gpu.amount": 1, "spark.executor.resource.gpu.amount": 2, "spark.task.resource.gpu.amount": 2}
            application = self.start(node, str(HERE / "waits.py"), **two)
            errors = pathlib.Path(node.dir, "errors")
            page = wait_until(lambda: re.search(r"MasterWebUI.*started at (http://\S+)", errors.read_text()), 120, "the master is there")[1]
            name = wait_until(lambda: re.search(r"app ID (app-\S+)", errors.read_text()), 120, "the application is there")[1]
            why = node.json("why", f"spark/{name}", "--url", page)
            self.assertEqual((why["name"], why["state"], why["reason"]), (f"spark/{name}", "pending", "no-vgpu"), why)
            self.assertRegex(why["text"], r"^an executor wants 2 gpu, and the worker with most free, worker-\S+, has 1 of 1 \(Spark: WAITING\)$")
            self.assertRegex(why["node"], r"^device 0 has .* free")
            self.assertIn(f"{name.replace('app-', 'app-9')}; type spark/", node.fastgpu("why", f"spark/{name.replace('app-', 'app-9')}", "--url", page, check=False).stderr)
            wait_until(lambda: "Initial job has not accepted any resources" in errors.read_text(), 120, "Spark says that it waits")
            application.terminate()
            application.communicate(timeout=60)

    def test_executors_that_cannot_have_theirs(self):
        """The driver is told why, in an error of its log; the executor's stderr says it as well."""
        with Node() as node:
            node.discover = "--compute 20 --device 0"
            # What the application sets of the way the reason takes does not stop it.
            wish = {"spark.executorEnv._JAVA_OPTIONS": "-Dspark.rpc.message.maxSize=128", "spark.executorEnv.FASTGPU_EXECUTOR": "--memory 900T", "spark.deploy.maxExecutorRetries": 1,
                    "spark.rpc.message.maxSize": 64}
            log = self.log_of(node, self.start(node, str(HERE / "app.py"), INSIDE, PYTHON, str(2 * self.EXECUTORS), **wish))
            self.assertRegex(log, r"ERROR .*Lost .*executor \d+.*: Unable to create executor due to .*fastgpu: .*does not fit.*900 TiB")
            self.assertRegex(log, "ERROR .*Application has been killed. Reason: Master removed our application: FAILED")
            said = [pathlib.Path(path).read_text() for path in glob.glob(f"{cache.folder()}/lib/*/site-packages/pyspark/work/*/*/stderr")]
            # The last one may have been ended before it could say anything.
            self.assertTrue(any("fastgpu: " in text for text in said), said)


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
