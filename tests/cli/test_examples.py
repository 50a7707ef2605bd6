#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples of the manual pages, the README and the documents can be typed as they stand: they fail for want of a daemon, which is looked
for where there is none, and never for how they are written."""
import glob
import os
import re
import shlex
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WHERE = ("README.md", "docs/*.md", "docs/man/*.scd*", "examples/*.md")
USAGE = 2
ELSEWHERE = ("docker", "login", "logout")  # they change files, or ask before they look at what else was typed


def lines(path):
    inside = False
    with open(path) as f:
        for line in f:
            if line.startswith("```"):
                inside = not inside
            found = re.match(r"\s*(?:\$ )?(fastgpu [a-z].*)", line)
            if inside and found:
                yield found.group(1)


def words(line):
    """Up to where the shell takes over."""
    split = shlex.split(line, comments=True)
    end = next((i for i, word in enumerate(split) if word in ("|", "&", "&&", ";") or word.startswith(">")), len(split))
    return split[1:end]


class Examples(unittest.TestCase):
    def test_none_is_refused_for_how_it_is_written(self):
        examples = {}
        for pattern in WHERE:
            for path in glob.glob(os.path.join(ROOT, pattern)):
                for line in lines(path):
                    examples.setdefault(tuple(words(line)), os.path.relpath(path, ROOT))
        self.assertGreater(len(examples), 60)
        with tempfile.TemporaryDirectory() as home:
            env = {"PATH": os.environ["PATH"], "HOME": home, "FASTGPU_URL": "https://127.0.0.1:1"}
            for argv, path in examples.items():
                if argv[0] in ELSEWHERE:
                    continue
                with self.subTest(path, argv=" ".join(argv)):
                    done = subprocess.run([os.environ["FASTGPU_CLI"], *argv], env=env, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                          timeout=60)
                    self.assertNotEqual(done.returncode, USAGE, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
