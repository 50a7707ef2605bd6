#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""YARN's own ResourceManager and NodeManager in one Java machine, with the plugin. Hadoop is 100 MB of Maven Central's: `test_yarn.py
--prepare` gets it once, and without that the test is skipped."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import unittest
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "e2e")]
from e2e import INSIDE, PYTHON  # noqa: E402
from node import FASTGPU, Node, require_tree, wait_until  # noqa: E402

PLUGIN = HERE.parent.parent / "src" / "integrations" / "yarn"
POM = PLUGIN / "pom.xml"


def jars():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "fastgpu-tests", "yarn-" + hashlib.sha256(POM.read_bytes()).hexdigest()[:16])


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(77)


def prepare():
    part = jars() + ".part"
    shutil.rmtree(part, ignore_errors=True)
    subprocess.run(["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={part}"], check=True)
    os.rename(part, jars())


def java(node, program):
    """The line that runs a program of ours with the plugin and Hadoop."""
    classes, path = os.path.join(node.dir, "classes"), os.path.join(jars(), "*")
    done = subprocess.run(["javac", "-nowarn", "-d", classes, "-cp", path, *map(str, PLUGIN.glob("dev/**/*.java")), str(HERE / f"{program}.java")],
                          capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr)
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--add-opens", "java.base/java.lang=ALL-UNNAMED",
            "-cp", f"{classes}:{path}", program]


class Yarn(unittest.TestCase):
    def test_a_set_is_a_resource(self):
        with Node() as node:
            node.fastgpu("create", "--name", "yarn", "--gpus", "2", "--memory", "64M", "--compute", "20")
            done = subprocess.run(java(node, "Cluster"), cwd=node.dir, env={**node.env, "FASTGPU_COMMAND": FASTGPU}, capture_output=True, text=True,
                                  timeout=300)
            said = [line[5:] for line in done.stdout.splitlines() if line.startswith("SAYS ")]
            self.assertEqual(said, ["capacity 2", "docker fastgpu {FASTGPU_VISIBLE_DEVICES=yarn/0}", "plain null",
                                    "docker fastgpu {FASTGPU_VISIBLE_DEVICES=yarn/1}", "plain null",
                                    "refused a container gets one of fastgpu.dev/vgpu, and 2 were asked for"], done.stderr[-2000:])


    def test_settings_that_no_node_manager_starts_with(self):
        with Node() as node:
            line = java(node, "Init")
            for settings, wanted in (({}, "FASTGPU_YARN_VGPU is not set: type a container's vGPU into the NodeManager's environment, such as "
                                          "\"--memory 1G --compute 25\""),
                                     ({"FASTGPU_YARN_VGPU": "--memory 1G", "FASTGPU_YARN_COUNT": "four"},
                                      "FASTGPU_YARN_COUNT is \"four\"; type how many vGPUs this node has for YARN, such as 4")):
                done = subprocess.run(line, env={**node.env, **settings}, capture_output=True, text=True, timeout=60)
                self.assertIn("SAYS " + wanted, done.stdout.splitlines(), done.stderr)


class Containers(unittest.TestCase):
    """Containers that the NodeManager really runs, each in vGPUs of its own."""
    MEMORY, HELD = 64 << 20, 16 << 20
    PATIENCE = 120

    def setUp(self):
        self.node = Node(FASTGPU_COMMAND=FASTGPU, FASTGPU_YARN_VGPU="--memory 64M --compute 20")
        self.addCleanup(self.node.close)
        self.log = os.path.join(self.node.dir, "log")
        with open(self.log, "w") as log:
            self.cluster = self.node.popen(java(self.node, "Containers"), cwd=self.node.dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=log)
        self.addCleanup(self.end)

    def end(self):
        """The NodeManager ends its containers; what a failed one left running is ended here."""
        self.cluster.stdin.close()
        try:
            self.cluster.wait(self.PATIENCE)
        except subprocess.TimeoutExpired:
            self.cluster.kill()
        for path in pathlib.Path(self.node.dir).glob("*.group"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(path.read_text()), signal.SIGKILL)

    def said(self):
        patience = threading.Timer(self.PATIENCE, self.cluster.kill)
        patience.start()
        for line in self.cluster.stdout:
            if line.startswith("SAYS "):
                patience.cancel()
                return line[5:].strip()
        return self.fail("the cluster ended: " + pathlib.Path(self.log).read_text()[-3000:])

    def tell(self, *words):
        self.cluster.stdin.write(" ".join(words) + "\n")
        self.cluster.stdin.flush()
        return self.said()

    def path(self, name, what):
        return os.path.join(self.node.dir, f"{name}.{what}")

    def work(self, name, vgpus):
        """A container that says what it sees, works there, and then holds a buffer for good."""
        asks = "; ".join(f"{PYTHON} {INSIDE} {verb} >{self.path(name, verb)}" for verb in ("devices", "fill", "add"))
        begin = f"echo $$ >{self.path(name, 'group')}; exec 2>{self.path(name, 'errors')}"
        hold = f"tail -f /dev/null | {PYTHON} {INSIDE} hold {self.HELD} >{self.path(name, 'hold')}"
        self.assertEqual(self.tell("start", name, str(vgpus), f"{begin}; {asks}; {hold}"), "started")

    def answer(self, name, verb):
        def whole():
            try:
                return json.loads(pathlib.Path(self.path(name, verb)).read_text())
            except (OSError, ValueError):
                return None
        return wait_until(whole, self.PATIENCE, f"{name} has said {verb}")

    def check(self, name, vgpus):
        """It had its own vGPUs, whole, and no other device."""
        self.assertEqual(self.answer(name, "hold"), "ok")
        self.assertEqual([d["memory"] for d in self.answer(name, "devices")], [self.MEMORY] * vgpus)
        self.assertEqual(self.answer(name, "fill"), [self.MEMORY] * vgpus)
        self.assertEqual(self.answer(name, "add"), [True] * vgpus)

    def held(self):
        """What each set holds on its vGPUs, by the set's name."""
        return {s["name"]: [v["usage"]["memory_used"] for v in s["vgpus"]] for s in self.node.get("/v1/vgpus")["sets"]}

    def check_why(self):
        """`why` of an application that waits, and the ResourceManager's own word for it."""
        url, application = self.tell("where").split()
        def why():
            return self.node.json("why", f"yarn/{application}", "--url", url)
        self.assertEqual(self.tell("forget"), "forgotten")
        self.assertEqual((why()["state"], why()["reason"]), ("running", "runs"), why())
        self.assertEqual(self.tell("ask", "2"), "given 0")
        self.assertEqual((why()["state"], why()["reason"]), ("pending", "no-vgpu"), why())
        self.assertRegex(why()["text"], r"^a container wants 2 of fastgpu.dev/vgpu, and the node with most free, \S+, has 1 of 5 \(YARN: RUNNING")
        self.assertRegex(why()["node"], "^device 0 has .* free")

        def its_own():
            with urllib.request.urlopen(f"{url}/ws/v1/cluster/scheduler/app-activities/{application}", timeout=30) as reply:
                return reply.read().decode()
        wait_until(lambda: '"allocationState":"REJECTED","diagnostic":"Queue does not have enough headroom' in its_own(), self.PATIENCE, "YARN says what is short")
        self.assertEqual(self.tell("forget"), "forgotten")
        self.assertEqual(why()["reason"], "runs")
        self.assertIn("knows no application_9_9", self.node.fastgpu("why", "yarn/application_9_9", "--url", url, check=False).stderr)

    def test_given_to_containers_and_back(self):
        self.assertEqual(self.said(), "ready")
        self.work("first", 2)
        self.work("second", 2)
        for name in ("first", "second"):
            self.check(name, 2)
        self.assertEqual(sorted(map(len, self.held().values())), [2, 2], "each container in a set of its own")
        self.assertTrue(all(used[0] >= self.HELD for used in self.held().values()), self.held())
        self.assertEqual(self.tell("start", "third", "2", "true"), "none", "five are all that fit")

        self.check_why()
        self.tell("stop", "first")
        self.assertRegex(self.tell("end", "first"), "^(-105|137|143) ")
        wait_until(lambda: len(self.held()) == 1, 10, "a stopped container's vGPUs are given back")
        self.work("third", 2)
        self.check("third", 2)

        self.assertEqual(self.tell("restart"), "restarted")
        wait_until(lambda: not self.held(), 10, "the vGPUs of a NodeManager's containers are given back with it")
        self.work("fourth", 2)
        self.check("fourth", 2)

    def test_without_vgpus_and_without_room(self):
        """A container that wants none is started as ever; one that cannot have its own says why in its diagnostics."""
        self.assertEqual(self.said(), "ready")
        self.assertEqual(self.tell("start", "plain", "0", f"echo attach=$FASTGPU_ATTACH >{self.path('plain', 'attach')}"), "started")
        self.assertRegex(self.tell("end", "plain"), "^0\\b")
        self.assertEqual(pathlib.Path(self.path("plain", "attach")).read_text(), "attach=\n")
        self.node.fastgpu("create", "--name", "others", "--compute", "90", "--memory", "64M")
        self.assertEqual(self.tell("start", "late", "2", "true"), "started")
        self.assertRegex(self.tell("end", "late"), "^5 .*compute")


if __name__ == "__main__":
    require_tree()
    if sys.argv[1:] == ["--prepare"]:
        prepare()
        sys.exit(0)
    if not PYTHON:
        skip("no Python here has pyopencl and numpy (tools/install-deps)")
    if not shutil.which("javac"):
        skip("no javac: install a JDK (openjdk-17-jdk-headless)")
    if not os.path.isdir(jars()):
        skip("Hadoop is not here: tests/yarn/test_yarn.py --prepare gets it (100 MB)")
    unittest.main(verbosity=2)
