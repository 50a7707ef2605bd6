# SPDX-License-Identifier: Apache-2.0
"""The registry's packages for these tests, in a virtual environment outside the tree: made once, kept as long as requirements.txt stays
as it is."""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WANTED = os.path.join(HERE, "requirements.txt")
PYTHON = sys.executable
NAME = "api"
FROM_SOURCE = ()  # packages that the registry has in no other form
OPTIONS = ()  # of pip install


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(77)


def base():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "fastgpu-tests")


def folder():
    with open(WANTED, "rb") as f:
        key = hashlib.sha256(f.read() + (sys.version if PYTHON == sys.executable else PYTHON).encode()).hexdigest()[:16]
    return os.path.join(base(), f"{NAME}-{key}")


def run(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if done.returncode == 0 else (done.stdout.strip().splitlines() or [f"exit {done.returncode}"])[-1]


def finish(path):
    """What is left to do once the packages are there; a sentence when that failed."""
    return None


def make(path):
    """An interpreter's path is written into the environment, so it is made where it stays; the mark says that it is whole."""
    shutil.rmtree(path, ignore_errors=True)
    python = os.path.join(path, "bin", "python3")
    why = run(PYTHON, "-m", "venv", path) or \
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", *(f"--no-binary={name}" for name in FROM_SOURCE), "--retries", "1", "--timeout", "20",
            *OPTIONS, "-r", WANTED) or finish(path)
    if why:
        shutil.rmtree(path, ignore_errors=True)
        skip(f"the packages of {os.path.relpath(WANTED, os.path.dirname(os.path.dirname(HERE)))} cannot be had: {why}")
    open(os.path.join(path, "whole"), "w").close()


def program(name):
    """A program of the environment, which is made if it is not there."""
    path = folder()
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        lock = open(path + ".lock", "w")
    except OSError as e:
        skip(f"no folder to keep packages in: {e}")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(path, "whole")):
            make(path)
    return os.path.join(path, "bin", name)


if __name__ == "__main__":
    """cache.py TEST: runs it with the environment's interpreter."""
    python = program("python3")
    os.execv(python, [python, *sys.argv[1:]])  # by its own name it finds its packages
