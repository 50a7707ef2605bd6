# SPDX-License-Identifier: Apache-2.0
"""strace of a daemon under test."""
import shutil
import subprocess
import sys


def trace(pid, *options):
    """strace, once it holds the process in its hands; None if it may not."""
    tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", *options, "-p", str(pid)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if "attached" in tracer.stderr.readline():
        return tracer
    tracer.kill()
    tracer.communicate()
    return None


def require_strace():
    if not shutil.which("strace"):
        sys.exit(skip("strace is not installed"))
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        tracer = trace(sleeper.pid)
        sleeper.kill()
        if not tracer:
            sys.exit(skip("strace may not trace other processes here"))
        tracer.communicate()


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    return 77
