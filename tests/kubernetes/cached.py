#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cached.py TEST: runs it with the registry's packages of requirements.txt, kept as those of tests/api are."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "api"))

import cache  # noqa: E402

cache.WANTED = os.path.join(HERE, "requirements.txt")
python = cache.program("python3")
os.execv(python, [python, *sys.argv[1:]])
