#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`fastgpu discover`, and the scripts by which Spark and Flink call it."""
import json
import os
import subprocess
import tempfile
import unittest

from bench import Case, ROOT
from fake_daemon import Server


class Discover(Case):
    def setUp(self):
        super().setUp()
        self.server = Server(f"{self.state}/run")
        self.addCleanup(self.server.close)
        self.server.fake.create({"name": "s", "compute": ["20", "20", "20"]})

    def test_a_set(self):
        self.assertEqual(json.loads(self.fastgpu("discover", "s", "--format", "spark").stdout), {"name": "gpu", "addresses": ["s/0", "s/1", "s/2"]})
        self.assertEqual(json.loads(self.fastgpu("discover", "s/1", "--format", "spark", "--resource", "vgpu").stdout), {"name": "vgpu", "addresses": ["s/1"]})
        self.assertEqual(self.fastgpu("discover", "s", "--format", "flink").stdout, "0,1,2\n")
        self.assertEqual(self.fastgpu("discover", "s/2", "--format", "flink").stdout, "0\n")
        self.assertEqual([d["address"] for d in self.json("discover", "s")], ["s/0", "s/1", "s/2"])
        self.assertIn("s/2", self.fastgpu("discover", "s").stdout)

    def test_amounts(self):
        self.assertEqual(self.fastgpu("discover", "s", "--format", "flink", "--amount", "2").stdout, "0,1\n")
        done = self.fastgpu("discover", "s", "--format", "flink", "--amount", "4", code=5)
        self.assertEqual(done.stdout, "")
        self.assertIn("there are 3 in s", done.stderr)
        self.assertIn("--amount", self.refused("discover", "s", "--amount", "0"))

    def test_fractions(self):
        """How often a size still fits, by what is scarcer."""
        device = self.json("devices")["devices"][0]
        by_share = device["share_free"] // 100
        self.assertEqual(len(self.json("discover", "--compute", "10", "--device", "0")), by_share)
        half = str(device["memory_free"] // 2)
        self.assertEqual(len(self.json("discover", "--memory", half, "--device", "0")), 2)
        self.assertEqual(len(self.json("discover", "--memory", half, "--compute", "10", "--device", "0")), min(2, by_share))
        self.assertEqual(self.json("discover", "--memory", str(device["memory_free"] + 1), "--device", "0"), [])
        self.assertEqual([d["address"] for d in self.json("discover", "--device", "0")], ["0"])

    def test_typing(self):
        self.assertIn("there are spark and flink", self.refused("discover", "--format", "yarn"))
        self.assertIn("has its limits already", self.refused("discover", "s", "--memory", "1G"))
        self.assertIn("--memory", self.refused("discover", "--memory", "x"))
        self.assertIn("--compute", self.refused("discover", "--compute", "101"))
        self.assertIn("takes one name", self.refused("discover", "s", "t"))
        self.fastgpu("discover", "nosuch", code=3)


class Scripts(Case):
    """In an installed tree, with a `fastgpu` that says how it was called."""

    def setUp(self):
        super().setUp()
        self.tree = f"{self.state}/tree"
        for name, source in (("spark/gpu-discovery", "spark/gpu-discovery"), ("spark/bin/java", "spark/bin/java"), ("spark/refused", "spark/refused"), ("flink/gpu-discovery", "flink/gpu-discovery")):
            self.put(f"share/fastgpu/{name}", open(f"{ROOT}/packaging/{source}").read())
        self.put("bin/fastgpu", '#!/bin/sh\necho fastgpu "$@"\n')
        self.put("jdk/bin/java", '#!/bin/sh\necho java "$@"\n')

    def put(self, name, text):
        path = f"{self.tree}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o755)
        return path

    def script(self, name, *words, **env):
        done = subprocess.run([f"{self.tree}/share/fastgpu/{name}", *words], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **env}, cwd=self.work())
        return done.stdout.strip() or done.stderr.strip()

    def work(self):
        """An executor's folder, as a worker makes it."""
        folder = tempfile.mkdtemp(dir=self.tree)
        os.mkdir(f"{folder}/0")
        return f"{folder}/0"

    def executor(self, addresses, **env):
        words = ["-cp", "x", "org.apache.spark.executor.CoarseGrainedExecutorBackend"]
        if addresses is not None:
            words += ["--resourcesFile", self.put("r.json", json.dumps([{"id": {"componentName": "spark.executor", "resourceName": "gpu"}, "addresses": addresses}], separators=(",", ":")))]
        return self.script("spark/bin/java", *words, FASTGPU_JAVA_HOME=f"{self.tree}/jdk", **env)

    def test_discovery(self):
        self.assertEqual(self.script("spark/gpu-discovery", FASTGPU_DISCOVER="--memory 1G --compute 25"), "fastgpu discover --format spark --memory 1G --compute 25")
        self.assertEqual(self.script("spark/gpu-discovery"), "fastgpu discover --format spark")
        self.assertEqual(self.script("flink/gpu-discovery", "2", "my-set"), "fastgpu discover --format flink --amount 2 my-set")
        self.assertIn("usage", self.script("flink/gpu-discovery"))

    def test_discovery_that_fails(self):
        """Spark tells its user what a script wrote to its standard output."""
        self.put("bin/fastgpu", "#!/bin/sh\necho 'fastgpu: no set s' >&2\n[ -n \"$FINE\" ] || exit 3\necho '{}'\n")
        for fine, expected in (("", (3, "fastgpu: no set s\n")), ("yes", (0, "{}\n"))):
            done = subprocess.run([f"{self.tree}/share/fastgpu/spark/gpu-discovery"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "FINE": fine})
            self.assertEqual((done.returncode, done.stdout), expected)
            self.assertEqual(done.stderr, "fastgpu: no set s\n")

    def test_java(self):
        """What is no executor is the real java; an executor is in the vGPU that it was given, or in one of its own."""
        java = f"{self.tree}/jdk/bin/java"
        refused = f"--refused {self.tree}/share/fastgpu/spark/refused"
        self.assertEqual(self.script("spark/bin/java", "-version", FASTGPU_JAVA_HOME=f"{self.tree}/jdk"), "java -version")
        self.assertTrue(self.executor(["spark/2"]).startswith(f"fastgpu run {refused} spark/2 -- {java} -cp x org"))
        self.assertTrue(self.executor(["red:spark/2"]).startswith(f"fastgpu run {refused} red:spark/2 -- "))
        wish = {"FASTGPU_EXECUTOR": "--memory 1G --compute 25"}
        self.assertTrue(self.executor(["3"], **wish).startswith(f"fastgpu run {refused} --memory 1G --compute 25 -- {java}"))
        self.assertTrue(self.executor(None, **wish).startswith(f"fastgpu run {refused} --memory 1G --compute 25 -- {java}"))
        self.assertIn("give each one", self.executor(["s/0", "s/1"]))
        self.assertIn("FASTGPU_EXECUTOR", self.executor(["3"]))
        self.assertIn("FASTGPU_EXECUTOR", self.executor(None))

    def test_java_that_is_refused(self):
        """Spark's program is started to tell the driver, in no vGPU; once a minute in an application's folder."""
        words = ["-cp", "x", "org.apache.spark.executor.CoarseGrainedExecutorBackend", "--executor-id", "1"]
        env = {"PATH": "/usr/bin:/bin", "FASTGPU_JAVA": f"{self.tree}/jdk/bin/java", "FASTGPU_REFUSED": "vGPU 0 of 1 does not fit: \"x\""}
        folder = self.work()

        def start():
            return subprocess.run([f"{self.tree}/share/fastgpu/spark/refused", *words], capture_output=True, text=True, env=env, cwd=folder)
        self.assertEqual(start().stdout, 'java -cp x -Dspark.rpc.message.maxSize=fastgpu: vGPU 0 of 1 does not fit: "x" '
                                         "org.apache.spark.executor.CoarseGrainedExecutorBackend --executor-id 1\n")
        again = start()
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        os.utime(f"{folder}/../fastgpu-refused", (0, 0))
        self.assertIn("does not fit", start().stdout)

    def test_java_that_says_it_is_refused(self):
        """An application sets its executors' environment. It does not start one outside a vGPU that way, nor one that goes on."""
        java = self.put("jdk/bin/java", "#!/bin/sh\nenv\n")
        options = dict.fromkeys(("_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"), "-Dspark.rpc.message.maxSize=128")
        said = self.executor(["spark/2"], FASTGPU_REFUSED="x", **options)
        self.assertIn(f" spark/2 -- {java} -cp x org", said)
        refused = dict(line.split("=", 1) for line in self.executor(["3"], CUDA_VISIBLE_DEVICES="0", **options).splitlines())
        for name in (*options, "FASTGPU_REFUSED", "FASTGPU_JAVA"):
            self.assertNotIn(name, refused)
        self.assertEqual((refused["CUDA_VISIBLE_DEVICES"], refused["OCL_ICD_VENDORS"]), ("", "/dev/null"))


if __name__ == "__main__":
    unittest.main()
