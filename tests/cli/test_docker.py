#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`fastgpu docker` changes other programs' files: what it must, nothing else, and all of it back."""
import json
import os
import unittest

from bench import Case
from fake_daemon import Server


class Docker(Case):
    def setUp(self):
        super().setUp()
        self.root = os.path.join(self.state, "root")
        os.makedirs(self.root)
        runtime = os.path.join(os.path.dirname(self.prefix.program), "fastgpu-runtime")
        with open(runtime, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n")
        os.chmod(runtime, 0o755)
        self.runtime = os.path.realpath(runtime)

    def path(self, name):
        return os.path.join(self.root, {"docker": "etc/docker/daemon.json", "policy": "etc/fastgpu/runtime.conf",
                                        "unit": "etc/systemd/system/docker.service.d/fastgpu.conf"}[name])

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def docker(self, *words, **more):
        return self.fastgpu("docker", *words, "--root", self.root, **more)

    def test_enable_and_disable(self):
        self.assertIn("changed " + self.path("docker"), self.docker("enable").stdout)
        self.assertEqual(json.loads(self.read("docker")), {"runtimes": {"fastgpu": {"path": self.runtime}}})
        self.assertFalse(os.path.exists(self.path("policy")) or os.path.exists(self.path("unit")))
        self.assertEqual(self.docker("enable").stdout, "nothing was changed\n")
        self.assertEqual(self.json("docker", "disable", "--root", self.root), {"enabled": False, "changed": [self.path("docker")]})
        self.assertEqual(json.loads(self.read("docker")), {})

    def test_what_others_wrote_stays(self):
        self.write("docker", '{"log-level": "warn", "default-runtime": "runc", "runtimes": {"kata": {"path": "/k"}}}')
        self.write("policy", "# mine\nenv = off\n gpus=old\n")
        self.docker("enable", "--gpus-compat=red:my-vgpu")
        self.assertEqual(json.loads(self.read("docker")), {"log-level": "warn", "default-runtime": "fastgpu",
                                                           "runtimes": {"kata": {"path": "/k"}, "fastgpu": {"path": self.runtime}}})
        self.assertEqual(self.read("policy"), "# mine\nenv = off\ngpus = red:my-vgpu\n")
        self.assertRegex(self.read("unit"), r"(?m)^Environment=PATH=/.*/lib/fastgpu/docker$")
        self.assertEqual(self.docker("enable", "-gred:my-vgpu").stdout, "nothing was changed\n")
        self.docker("disable")
        self.assertEqual(json.loads(self.read("docker")), {"log-level": "warn", "runtimes": {"kata": {"path": "/k"}}})
        self.assertEqual(self.read("policy"), "# mine\nenv = off\n")
        self.assertFalse(os.path.exists(self.path("unit")))

    def test_the_only_set_is_meant(self):
        server = Server(f"{self.state}/run")
        self.addCleanup(server.close)
        self.assertIn("0 sets", self.docker("enable", "--gpus-compat", code=2).stderr)
        server.fake.create({"name": "my-vgpu", "compute": ["70", "30"]})
        self.docker("enable", "--gpus-compat")
        self.assertRegex(self.read("policy"), r"^gpus = (\w+:)?my-vgpu\n$")
        server.fake.create({"name": "other", "compute": ["1"]})
        self.assertIn("--gpus-compat=NAME", self.docker("enable", "--gpus-compat", code=2).stderr)

    def test_refused(self):
        self.assertIn("enable or disable", self.fastgpu("docker", code=2).stderr)
        self.assertIn("name of a set", self.docker("enable", "--gpus-compat=../x", code=2).stderr)
        self.assertIn("name of a set", self.docker("enable", "--gpus-compat=a/0", code=2).stderr)
        self.assertIn("takes no --gpus-compat", self.docker("disable", "--gpus-compat=a", code=2).stderr)
        self.write("docker", '{"default-runtime": "nvidia"}')
        self.assertIn('"nvidia"', self.docker("enable", "--gpus-compat=a", code=1).stderr)
        self.assertEqual(self.read("docker"), '{"default-runtime": "nvidia"}')
        self.assertFalse(os.path.exists(self.path("policy")))
        for text in ("{", "[]", '{"runtimes": 5}', '{"a": 1, "a": 2}'):
            self.write("docker", text)
            self.docker("enable", code=1)
            self.assertEqual(self.read("docker"), text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
