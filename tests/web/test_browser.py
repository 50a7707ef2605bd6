#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser, at a daemon that is busy. The scenes are in scenes_*.mjs; this starts a world for each, and does to it
what they ask for. Scenes named on the command line run alone."""
import json
import os
import subprocess
import sys

import packages
from world import GPUS, ROOM, World

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "daemon"))
from harness import main  # noqa: E402
import people  # noqa: E402
import harness  # noqa: E402
import tls  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


class Host:
    """What a scene may ask for."""

    def __init__(self, world):
        self.world = world

    def link(self):
        return self.world.dashboard()

    def ok(self, *words):
        return self.world.ok(*words)

    def used(self, name):
        return self.world.usage(name)["gpu_ns"]

    def stop(self):
        self.world.stop()

    def start(self):
        self.world.start()

    def remote(self):
        token = self.world.ok("POST", "/v1/tokens", {"user": "bob", "role": "viewer", "project": "imaging"})["secret"]
        return {"url": f"https://127.0.0.1:{tls.port_of(self.world)}/", "viewer": token, "short": 3}

    def expiring(self, seconds):
        return self.world.ok("POST", "/v1/tokens", {"user": "bob", "role": "viewer", "expires": seconds})["secret"]

    def __getattr__(self, name):
        raise AttributeError(name)


def token_call(world, token, method, path):
    status, reply = people.Person(world, token=token).request(method, path)
    return reply if status < 400 else {"status": status}


class Browser(harness.Case):
    def scene(self, name, crowd=0, jobs=True, month=False, **options):
        path = packages.need()
        env = {**os.environ, "WEB_PACKAGES": path, "CHROMIUM": packages.CHROMIUM}
        if crowd:
            options["sim"] = GPUS + ROOM
        world = World(**options)
        if month:
            world.month()
        with world:
            world.people(["lab", "ops"] if month else [])
            world.populate()
            if jobs:
                world.jobs()
            if crowd:
                world.crowd(crowd)
            with subprocess.Popen(["node", os.path.join(HERE, "scenes.mjs"), name], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as node:
                self.serve(world, node)

    def serve(self, world, node):
        host = Host(world)
        for line in node.stdout:
            what, *args = json.loads(line)
            if what == "done":
                return
            if what == "failed":
                self.fail(args[0])
            try:
                value = token_call(world, *args) if what == "as" else getattr(host, what)(*args)
                reply = {"value": value}
            except Exception as e:  # the scene says where it happened
                reply = {"error": f"{type(e).__name__}: {e}"}
            node.stdin.write(json.dumps(reply) + "\n")
            node.stdin.flush()
        self.fail(f"the browser's side ended with {node.wait(10)}")

    def test_entrance(self):
        self.scene("entrance", jobs=False)

    def test_thousand(self):
        self.scene("thousand", crowd=1000, jobs=False)

    def test_axe(self):
        self.scene("axe")

    def test_vgpus(self):
        self.scene("vgpus")

    def test_jobs(self):
        self.scene("jobs")

    def test_reading(self):
        self.scene("reading", month=True)

    def test_hostile(self):
        self.scene("hostile")

    def test_rights(self):
        self.scene("rights", jobs=False, listen="127.0.0.1:0")

    def test_gone(self):
        self.scene("gone", jobs=False)


if __name__ == "__main__":
    packages.need()
    main()
