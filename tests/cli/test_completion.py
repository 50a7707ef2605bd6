#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Completion: the scripts parse, and offer verbs, options, names and devices."""
import os
import shutil
import subprocess
import unittest

from bench import Case, ROOT
from fake_daemon import Server

SCRIPTS = f"{ROOT}/src/cli/completion"


class Candidates(Case):
    def setUp(self):
        super().setUp()
        self.server = Server(f"{self.state}/run")
        self.addCleanup(self.server.close)
        self.server.fake.create({"name": "my-vgpu", "compute": ["70", "30"]})

    def offers(self, *words):
        return self.fastgpu("__complete", *words).stdout.split()

    def bash(self, *words):
        """What bash would offer for the last of the words; it cuts words at '='."""
        script = f'''
            source {SCRIPTS}/fastgpu.bash
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _fastgpu fastgpu "${{@: -1}}" ""
            printf "%s\\n" "${{COMPREPLY[@]}}"'''
        done = subprocess.run(["bash", "--norc", "-c", script, "bash", self.prefix.program, *words], capture_output=True,
                              text=True, timeout=60, env=self.environment())
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_program(self):
        self.assertEqual(self.offers("de"), ["devices", "delete"])
        self.assertEqual(len(self.offers("")), 40)
        self.assertEqual(self.offers("inspect", "my"), ["my-vgpu"])
        self.assertEqual(self.offers("run", "my-vgpu/"), ["my-vgpu/0", "my-vgpu/1"])
        self.assertEqual(self.offers("delete", "my-vgpu/"), [])
        self.assertEqual(self.offers("suspend", "my"), ["my-vgpu"])
        self.assertEqual(self.offers("resume", "my-vgpu/"), [])
        self.assertEqual(self.offers("create", "--m"), ["--memory=", "--mode="])
        self.assertEqual(self.offers("create", "--mode", "c"), ["cap"])
        self.assertEqual(self.offers("create", "--mode=c"), ["--mode=cap"])
        self.assertEqual(self.offers("create", "--device", ""), ["0"])
        self.assertEqual(self.offers("create", ""), [])
        self.assertEqual(self.offers("help", "to"), ["top", "token"])
        self.assertEqual(self.offers("project", "re"), ["remove"])
        self.assertEqual(self.offers("token", ""), ["create", "list", "revoke"])
        self.assertEqual(self.offers("project", "add", "red", "bob", "--role", "m"), ["member", "manager"])
        self.assertEqual(self.offers("create", "--pro"), ["--project="])
        self.assertEqual(self.offers("run", "a", "--", ""), [])
        self.assertEqual(self.offers("nosuch", ""), [])

    def test_without_daemon(self):
        self.server.close()
        os.unlink(f"{self.state}/run/api.sock")
        self.assertEqual(self.offers("inspect", ""), [])
        self.assertEqual(self.started(), [])

    def test_bash(self):
        self.assertEqual(self.bash("de"), ["devices", "delete"])
        self.assertEqual(self.bash("inspect", ""), ["my-vgpu"])
        self.assertEqual(self.bash("create", "--mode", "=", "c"), ["cap"])
        self.assertEqual(self.bash("create", "--mode", "="), ["share", "cap"])
        self.assertEqual(self.bash("create", "--js"), ["--json"])
        self.assertIn("bash", self.bash("run", "a", "--", "bas"))

    def test_scripts_parse(self):
        for shell, script in (("bash", "fastgpu.bash"), ("zsh", "_fastgpu"), ("fish", "fastgpu.fish")):
            if shutil.which(shell):
                subprocess.run([shell, "-n", f"{SCRIPTS}/{script}"], check=True, timeout=60)
            with open(f"{SCRIPTS}/{script}") as f:
                self.assertIn("__complete", f.read())


if __name__ == "__main__":
    unittest.main(verbosity=1)
