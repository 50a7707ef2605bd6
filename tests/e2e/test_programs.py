#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs of the distribution and the example behave inside a vGPU as they do outside."""
import hashlib
import os
import shlex
import shutil
import tempfile

from e2e import MIB, TRAIN_MLP, NodeTest, main, needs

HASHCAT = ["hashcat", "-m", "0", "-a", "3", "--force", "--potfile-disable", "--self-test-disable", "--quiet", "-u", "1",
           "-n", "1", "-w", "1"]
README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")


class Programs(NodeTest):
    @classmethod
    def setUpClass(cls):
        # A home of their own, so that no test writes into the caller's; one for all, so that kernels are compiled once.
        cls.home = tempfile.mkdtemp(prefix="fastgpu-")
        cls.addClassCleanup(shutil.rmtree, cls.home, ignore_errors=True)

    def setUp(self):
        super().setUp()
        for name in [n for n in self.node.env if n.startswith("XDG_")]:
            del self.node.env[name]
        self.node.env["HOME"] = self.home
        self.create("p", "--gpus", "2", "--memory", "1G,16M", "--compute", "70,30")

    @needs("clinfo")
    def test_clinfo(self):
        bare, inside = self.node.native("clinfo", "-l"), self.node.run("p", "clinfo", "-l")
        self.assertEqual((bare.returncode, inside.returncode), (0, 0))
        self.assertEqual(inside.stdout.count("Device #"), 2)
        full = self.node.run("p/0", "clinfo", "--raw")
        self.assertEqual(full.returncode, 0)
        self.assertIn(str(1024 * MIB), full.stdout)
        self.assertEqual(full.stderr, self.node.native("clinfo", "--raw").stderr)

    @needs("clpeak")
    def test_clpeak(self):
        self.node.native("clpeak", "--kernel-latency")  # the driver compiles kernels once, and says so
        bare = self.node.native("clpeak", "--kernel-latency")
        inside = self.node.run("p/0", "clpeak", "--kernel-latency")
        self.assertEqual((inside.returncode, inside.stderr), (bare.returncode, bare.stderr))
        self.assertIn("Kernel launch latency", inside.stdout)
        self.assertGreater(self.node.usage("p/0")["launches"], 0)

    @needs("hashcat")
    def test_hashcat_cracks(self):
        word = hashlib.md5(b"gpu7").hexdigest()
        inside = self.node.run("p/0", *HASHCAT, word, "?l?l?l?d", timeout=300)
        self.assertEqual(inside.stdout.strip(), f"{word}:gpu7", inside.stderr)
        self.assertEqual(inside.returncode, 0)
        self.assertGreater(self.node.usage("p/0")["memory_peak"], 0)

    @needs("hashcat")
    def test_the_readmes_vgpu_is_large_enough_for_its_hashcat(self):
        """As a reader types it, with a shorter word to look for."""
        with open(README) as f:
            lines = [shlex.split(line, comments=True) for line in f if line.startswith("fastgpu ")]
        create, = (words for words in lines if words[1] == "create" and "my-vgpu" in words)
        run, = (words for words in lines if "hashcat" in words)
        word = hashlib.md5(b"fgpu").hexdigest()
        self.node.fastgpu("delete", "p")
        self.node.fastgpu(*create[1:])
        crack = [{"hash.txt": word}.get(w, "?l?l?l?l" if w.startswith("?l") else w) for w in run[1:]]
        at = crack.index("hashcat") + 1
        done = self.node.fastgpu(*crack[:at], "--quiet", "--potfile-disable", *crack[at:], timeout=300, check=False)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, f"{word}:fgpu"), done.stderr)

    @needs("hashcat")
    def test_hashcat_refused_by_quota(self):
        inside = self.node.run("p/1", *HASHCAT, hashlib.md5(b"gpu7").hexdigest(), "?l?l?l?d", timeout=300)
        self.assertNotEqual(inside.returncode, 0)
        self.assertIn("CL_", inside.stdout + inside.stderr)
        usage = self.node.usage("p/1")
        self.assertGreater(usage["refusals"], 0)
        self.assertLessEqual(usage["memory_peak"], 16 * MIB)

    def test_train_mlp_learns_as_plain_c_does(self):
        inside = self.node.run("p/1", TRAIN_MLP, "--check")
        self.assertEqual(inside.returncode, 0, inside.stdout + inside.stderr)
        self.assertEqual(inside.stdout, self.node.native(TRAIN_MLP, "--check").stdout)

    def test_train_mlp_on_the_second_of_two(self):
        self.assertEqual(self.node.run("p", TRAIN_MLP, "--device", "1", "--epochs", "1").returncode, 0)
        self.assertGreater(self.node.usage("p/1")["launches"], 0)
        missing = self.node.run("p", TRAIN_MLP, "--device", "2")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("no OpenCL device 2", missing.stderr)

    def test_train_mlp_too_large_for_its_vgpu(self):
        done = self.node.run("p/1", TRAIN_MLP, "--samples", "1000000")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "clCreateBuffer: CL_(MEM_OBJECT_ALLOCATION_FAILURE|INVALID_BUFFER_SIZE)")


if __name__ == "__main__":
    main()
