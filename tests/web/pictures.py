#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pictures.py FOLDER: takes the manual's pictures anew, of a world that has been there for some minutes. Look at them before they are kept."""
import json
import os
import subprocess
import sys
import time

import packages
from world import World

HERE = os.path.dirname(os.path.abspath(__file__))
MINUTES = float(os.environ.get("MINUTES", "6"))


def main():
    env = {**os.environ, "WEB_PACKAGES": packages.need(), "CHROMIUM": packages.CHROMIUM, "PICTURES": os.path.abspath(sys.argv[1])}
    os.makedirs(sys.argv[1], exist_ok=True)
    world = World()
    world.month()
    with world:
        world.people(["lab", "ops"])
        world.populate()
        world.calibrate()
        time.sleep(60 * MINUTES)
        world.jobs()
        with subprocess.Popen(["node", os.path.join(HERE, "scenes.mjs"), "pictures"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as node:
            for line in node.stdout:
                what, *args = json.loads(line)
                if what in ("done", "failed"):
                    return print(*args)
                node.stdin.write(json.dumps({"value": world.dashboard()}) + "\n")
                node.stdin.flush()


if __name__ == "__main__":
    main()
