# SPDX-License-Identifier: Apache-2.0
"""What these tests need and is not ours: a browser, and packages of the registry, kept outside the tree, made once, as long as
package-lock.json stays as it is. What is missing is a skip, said aloud."""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = ("package.json", "package-lock.json")
CHROMIUM = os.environ.get("CHROMIUM") or "/usr/bin/chromium"


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(77)


def folder():
    digest = hashlib.sha256()
    for name in FILES:
        with open(os.path.join(HERE, name), "rb") as f:
            digest.update(f.read())
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "fastgpu-tests", "web-" + digest.hexdigest()[:16])


def make(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    for name in FILES:
        shutil.copy(os.path.join(HERE, name), path)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "1", "--fetch-timeout", "20000"], cwd=path,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        shutil.rmtree(path, ignore_errors=True)
        skip(f"the packages of tests/web/package.json cannot be had: {(done.stdout.strip().splitlines() or ['?'])[0]}")
    open(os.path.join(path, "whole"), "w").close()


def node_major():
    try:
        return int(subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError):
        return 0


def need():
    """The folder of the packages. Ends the test where something is missing."""
    if not os.access(CHROMIUM, os.X_OK):
        skip(f"no browser at {CHROMIUM}: install chromium (where that is a snap, set CHROMIUM to another one)")
    if node_major() < 18 or not shutil.which("npm"):
        skip("no node 18 or newer with npm")
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
    return path
