# SPDX-License-Identifier: Apache-2.0
"""The clocks of a daemon under test (fake_clock.c), and what its money log says."""
import json
import mmap
import os
import struct
import subprocess

MINUTE = 60
NS = 10 ** 9


class Clock:
    """Has time pass for a daemon, or its wall clock be set. Made before the daemon starts; stays over restarts."""

    def __init__(self, daemon):
        self.d = daemon
        path = os.path.join(daemon.root, "fake", "clock")
        with open(path, "w+b") as f:
            f.write(bytes(24))
            f.flush()
            self.page = mmap.mmap(f.fileno(), 24)
        daemon.env.update(LD_PRELOAD=os.environ["TEST_FAKE_CLOCK"], FAKE_CLOCK=path)

    def move(self, wall=0, awake=0, boot=0):
        """Seconds that each clock jumps; the daemon learns of it when it next does something."""
        offsets = struct.unpack("3q", self.page[:])
        self.page[:] = struct.pack("3q", *(o + int(more * NS) for o, more in zip(offsets, (wall, awake, boot))))

    def look(self):
        """Wakes the daemon up. What it says of the open minutes."""
        self.d.ok("GET", "/v1/version")
        return self.d.ok("GET", "/v1/usage/now")

    def pass_time(self, seconds):
        """Time passes and the daemon sees it."""
        self.move(seconds, seconds, seconds)
        return self.look()

    def sleep(self, seconds):
        """The machine sleeps."""
        self.move(seconds, 0, seconds)
        return self.look()


def records(daemon):
    """Of the money log as it lies on the disk, whole lines only."""
    with open(os.path.join(daemon.state, "money", "records.log"), encoding="utf-8") as f:
        text = f.read()
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


def check_ledger(daemon, *options):
    """(exit code, what is said) of fastgpud --check-ledger."""
    env = {k: v for k, v in daemon.env.items() if k != "LD_PRELOAD"}
    done = subprocess.run([daemon.program, "--check-ledger", *options], env=env, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def problems_of(log):
    """What must never be in a log: a minute twice or out of order, a project's usage out of its chain, time both billed and a gap,
    more time than a minute has. A list of words; empty: all is well."""
    found, last, billed = [], {}, set()
    for at, r in enumerate(log):
        if r["seq"] != at:
            found.append(f"record {at} says {r['seq']}")
        if r["type"] == "window":
            if r["start"] <= last.get(r["device"], -1):
                found.append(f"minute {r['start']} of {r['device']} comes after {last[r['device']]}")
            if r["start"] % MINUTE or not 0 < r["wall"] <= 60600000:
                found.append(f"minute {r['start']} has {r['wall']} us")
            last[r["device"]] = r["start"]
        if r["type"] == "usage":
            if (r["vgpu"], r["start"]) in billed:
                found.append(f"{r['vgpu']} is billed twice for {r['start']}")
            billed.add((r["vgpu"], r["start"]))
    for r in log:
        if r["type"] == "gap":
            found += [f"minute {w['start']} is billed and a gap" for w in log
                      if w["type"] == "window" and r["device"] in ("", w["device"]) and r["start"] <= w["start"] < r["until"]]
    return found
