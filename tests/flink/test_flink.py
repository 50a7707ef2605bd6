#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Flink's own JobManager and two TaskManagers with its own GPU driver, each TaskManager in a set of two vGPUs. Flink is 80 MB of Maven Central's:
`test_flink.py --prepare` gets it once, and without that the test is skipped."""
import contextlib
import glob
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import unittest
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from node import FASTGPU, Node, require_tree, tool, wait_until  # noqa: E402

POM = HERE / "pom.xml"
DRIVER = "org.apache.flink:flink-external-resource-gpu:2.3.0"
MIB = 1 << 20
MEMORY = 64 * MIB
HELD = 16 * MIB  # VgpuJob.HELD
PATIENCE = 120
JAVA = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx160m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        *(word for package in ("lang", "util", "net", "io", "nio", "time", "util.concurrent")
          for word in ("--add-opens", f"java.base/java.{package}=ALL-UNNAMED"))]
# What bin/taskmanager.sh works out from taskmanager.memory.process.size.
SIZES = """
taskmanager.cpu.cores: 1
taskmanager.memory.framework.heap.size: 64m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.task.heap.size: 64m
taskmanager.memory.task.off-heap.size: 0m
taskmanager.memory.managed.size: 16m
taskmanager.memory.network.min: 16m
taskmanager.memory.network.max: 16m
taskmanager.memory.jvm-metaspace.size: 96m
taskmanager.memory.jvm-overhead.min: 64m
taskmanager.memory.jvm-overhead.max: 64m
"""


def jars():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "fastgpu-tests", "flink-" + hashlib.sha256(POM.read_bytes() + DRIVER.encode()).hexdigest()[:16])


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(77)


def prepare():
    part = jars() + ".part"
    shutil.rmtree(part, ignore_errors=True)
    maven = ["mvn", "-q", "-B", "-f", str(POM)]
    subprocess.run([*maven, "dependency:copy-dependencies", f"-DoutputDirectory={part}/lib"], check=True)
    subprocess.run([*maven, "dependency:copy", f"-Dartifact={DRIVER}", f"-DoutputDirectory={part}/plugins/external-resource-gpu"], check=True)
    os.rename(part, jars())


def free_port():
    """One that the kernel gives to nobody who asks for any, as Flink's other servers do."""
    while True:
        with socket.socket() as s, contextlib.suppress(OSError):
            port = random.randrange(20000, 32000)
            s.bind(("127.0.0.1", port))
            return port


class Flink(unittest.TestCase):
    def setUp(self):
        self.node = Node(FLINK_PLUGINS_DIR=f"{jars()}/plugins")
        self.addCleanup(self.node.close)
        self.node.env["FLINK_CONF_DIR"] = self.node.dir
        self.rest = f"http://127.0.0.1:{free_port()}"
        self.write_conf()
        self.job = self.compile()
        self.logs, self.standing = {}, {}

    def write_conf(self):
        pathlib.Path(self.node.dir, "config.yaml").write_text(f"""
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {free_port()}
jobmanager.bind-host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {self.rest.rsplit(":", 1)[1]}
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: 2
heartbeat.interval: 1000
heartbeat.timeout: 20000
external-resources: gpu
external-resource.gpu.amount: 2
external-resource.gpu.driver-factory.class: org.apache.flink.externalresource.gpu.GPUDriverFactory
external-resource.gpu.param.discovery-script.path: {tool("share", "fastgpu", "flink", "gpu-discovery")}
{SIZES}""")

    def compile(self):
        """The job as a jar, with nothing but itself."""
        classes, jar = os.path.join(self.node.dir, "classes"), os.path.join(self.node.dir, "job.jar")
        for line in (["javac", "-nowarn", "-d", classes, "-cp", f"{jars()}/lib/*", str(HERE / "VgpuJob.java")],
                     ["jar", "--create", "--file", jar, "--main-class", "VgpuJob", "-C", classes, "."]):
            done = subprocess.run(line, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
        return jar

    def java(self, name, main, *words, inside=None):
        """One of Flink's programs, in the vGPUs of a set or in none."""
        line = [*JAVA, "-cp", f"{jars()}/lib/*", main, *words]
        log = self.logs[name] = os.path.join(self.node.dir, name + ".log")
        with open(log, "a") as f:
            return self.node.popen([FASTGPU, "run", inside, "--", *line] if inside else line, stdout=f, stderr=f, cwd=self.node.dir)

    def task_manager(self, name):
        process = self.java(name, "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "--configDir", self.node.dir,
                            "-D", f"external-resource.gpu.param.discovery-script.args={name}", inside=name)
        self.standing[name] = process
        return process

    def ask(self, path):
        try:
            with urllib.request.urlopen(self.rest + path, timeout=10) as reply:
                return json.load(reply)
        except OSError:
            return {}

    def wait(self, condition, what):
        def still():
            self.assertEqual([name for name, p in self.standing.items() if p.poll() is not None], [], "ended before the test did")
            return condition()
        try:
            return wait_until(still, PATIENCE, what)
        except AssertionError as e:
            said = "".join(f"--- {name}\n{pathlib.Path(log).read_text()[-2000:]}" for name, log in self.logs.items())
            raise AssertionError(f"{e}\n{said}") from None

    def found(self, processes):
        """What the tasks of these TaskManagers saw, once they all have worked."""
        def all_of_them():
            said = [json.loads(pathlib.Path(path).read_text()) for path in glob.glob(os.path.join(self.node.dir, "seen", "*.json"))]
            mine = [s for s in said if s["pid"] in [p.pid for p in processes]]
            return len(mine) == 2 * len(processes) and mine
        return self.wait(all_of_them, "two tasks of each TaskManager have worked")

    def check(self, seen, process):
        """Two tasks, one on each vGPU of their TaskManager's set, which has no other device."""
        mine = [s for s in seen if s["pid"] == process.pid]
        self.assertEqual(sorted(s["index"] for s in mine), [0, 1])
        for s in mine:
            self.assertEqual(s["memory"], [MEMORY, MEMORY], "the set's two and nothing else")
            self.assertEqual(s["filled"], MEMORY, "all of its own")
            self.assertTrue(s["right"])

    def held(self, name):
        return [self.node.usage(f"{name}/{i}")["memory_used"] for i in (0, 1)]

    def waits(self, reason, text):
        """What `why` says of the job, as the JobManager's page has it; where that is is Flink's configuration."""
        jobs = self.wait(lambda: self.ask("/jobs/overview").get("jobs"), "the job is there")
        said = {}

        def as_wanted():
            said.update(self.node.json("why", f"flink/{jobs[0]['jid']}"))
            return said["reason"] == reason and re.search(text, said["text"])
        try:
            self.wait(as_wanted, f"why says {reason}")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{said}") from None

    def test_tasks_on_the_vgpus_of_their_task_managers(self):
        for name in ("flink-1", "flink-2"):
            self.node.fastgpu("create", "--name", name, "--gpus", "2", "--memory", "64M", "--compute", "20")
        seen_dir = os.path.join(self.node.dir, "seen")
        os.mkdir(seen_dir)
        self.standing["jobmanager"] = self.java("jobmanager", "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
                                                "--configDir", self.node.dir)
        self.wait(lambda: self.ask("/overview"), "the JobManager answers")
        client = self.java("client", "org.apache.flink.client.cli.CliFrontend", "run", "-d", self.job, "4", seen_dir)
        self.waits("no-worker", r"^there is no TaskManager \(Flink: RUNNING\)$")
        first = self.task_manager("flink-1")
        self.waits("no-slot", r"^4 of its tasks wait, and none of the 2 slots of 1 TaskManagers is free \(Flink: RUNNING\)$")
        second = self.task_manager("flink-2")
        self.wait(lambda: self.ask("/overview").get("slots-total") == 4, "two TaskManagers are there")
        seen = self.found([first, second])
        self.check(seen, first)
        self.check(seen, second)
        self.assertEqual(len({s["attach"] for s in seen}), 2, "each TaskManager in its own set")
        self.waits("runs", r"^none of its tasks waits for a slot \(Flink: RUNNING\)$")
        self.wait(lambda: client.poll() is not None, "flink run -d is over")
        for name in ("flink-1", "flink-2"):
            self.assertTrue(all(used >= HELD for used in self.held(name)), self.held(name))

        self.standing.pop("flink-1").kill()
        first.wait()
        wait_until(lambda: self.held("flink-1") == [0, 0], 10, "a dead TaskManager's memory is given back")
        self.assertTrue(all(used >= HELD for used in self.held("flink-2")), "and the other's is its own still")
        again = self.task_manager("flink-1")
        self.check(self.found([again]), again)

        pathlib.Path(seen_dir, "stop").touch()
        self.wait(lambda: [j["state"] for j in self.ask("/jobs/overview").get("jobs", [])] == ["FINISHED"], "the job ends well")
        wait_until(lambda: self.held("flink-1") + self.held("flink-2") == [0] * 4, 10, "all memory is given back")
        for name in ("flink-1/0", "flink-1/1", "flink-2/0", "flink-2/1"):
            self.assertGreater(self.node.usage(name)["gpu_ns"], 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--prepare"]:
        prepare()
        sys.exit(0)
    require_tree()
    if not shutil.which("javac"):
        skip("no javac: install a JDK (openjdk-17-jdk-headless)")
    if not os.path.isdir(jars()):
        skip("Flink is not here: tests/flink/test_flink.py --prepare gets it (80 MB)")
    unittest.main(verbosity=2)
