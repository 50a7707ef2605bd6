#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The package's types, which it says it has (py.typed), judged by mypy: strictly, and as a user's program meets them."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..", "python")
sys.path.insert(0, os.path.join(HERE, "..", "api"))
import cache  # noqa: E402

cache.NAME, cache.WANTED = "types", os.path.join(HERE, "requirements.txt")

USE = """
import fastgpu

def names(client: fastgpu.Client) -> list[str]:
    return [one.name for one in client.list()]
"""
WRONG = USE + """
names("socket")
fastgpu.Client().list() + 1
"""


class Types(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def check(self, *words):
        env = {**os.environ, "MYPYPATH": os.path.abspath(SOURCE), "MYPY_CACHE_DIR": self.folder}
        done = subprocess.run([cache.program("mypy"), "--config-file", os.path.join(SOURCE, "pyproject.toml"), *words], env=env, cwd=SOURCE, capture_output=True, text=True,
                              timeout=150)
        return done.returncode, done.stdout + done.stderr

    def program(self, text):
        path = os.path.join(self.folder, "program.py")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def test_the_package(self):
        self.assertEqual(self.check("fastgpu")[0], 0, self.check("fastgpu")[1])

    def test_a_program(self):
        code, said = self.check(self.program(USE))
        self.assertEqual(code, 0, said)
        code, said = self.check(self.program(WRONG))
        self.assertEqual((code, said.count("error:")), (1, 2), said)


if __name__ == "__main__":
    cache.program("mypy")
    unittest.main(verbosity=2)
