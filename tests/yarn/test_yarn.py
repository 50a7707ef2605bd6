#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""YARN's own ResourceManager and NodeManager in one Java machine, with the plugin. Hadoop is 150 MB of Maven Central's: `test_yarn.py
--prepare` gets it once, and without that the test is skipped."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from node import FASTGPU, Node, require_tree  # noqa: E402

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


class Yarn(unittest.TestCase):
    def test_a_set_is_a_resource(self):
        with Node() as node:
            node.fastgpu("create", "--name", "yarn", "--gpus", "2", "--memory", "64M", "--compute", "20")
            classes = os.path.join(node.dir, "classes")
            path = os.path.join(jars(), "*")
            subprocess.run(["javac", "-nowarn", "-d", classes, "-cp", path, *map(str, PLUGIN.glob("dev/**/*.java")), str(HERE / "Cluster.java")],
                           check=True, capture_output=True)
            done = subprocess.run(["java", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-cp", f"{classes}:{path}", "Cluster"], cwd=node.dir,
                                  env={**node.env, "FASTGPU_COMMAND": FASTGPU}, capture_output=True, text=True, timeout=300)
            said = [line[5:] for line in done.stdout.splitlines() if line.startswith("SAYS ")]
            self.assertEqual(said, ["capacity 2", "docker fastgpu {FASTGPU_VISIBLE_DEVICES=yarn/0}", "plain null",
                                    "docker fastgpu {FASTGPU_VISIBLE_DEVICES=yarn/1}", "plain null",
                                    "refused a container gets one of fastgpu.dev/vgpu, and 2 were asked for"], done.stderr[-2000:])


if __name__ == "__main__":
    require_tree()
    if sys.argv[1:] == ["--prepare"]:
        prepare()
        sys.exit(0)
    if not shutil.which("javac"):
        skip("no javac: install a JDK (openjdk-17-jdk-headless)")
    if not os.path.isdir(jars()):
        skip("Hadoop is not here: tests/yarn/test_yarn.py --prepare gets it (150 MB)")
    unittest.main(verbosity=2)
