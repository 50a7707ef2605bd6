#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The chart rendered by Helm's own engine: a Go program that is built when it is asked for, and kept, as run.py's."""
import os
import subprocess
import sys

import run

SOURCE = os.path.join(run.HERE, "chart")

if __name__ == "__main__":
    path = run.built(SOURCE)
    os.environ["FASTGPU_SOURCE"] = os.path.abspath(os.path.join(run.HERE, "..", ".."))
    sys.exit(subprocess.call([path, "-test.v", *sys.argv[1:]], cwd=SOURCE))
