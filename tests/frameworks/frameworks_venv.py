# SPDX-License-Identifier: Apache-2.0
"""The frameworks, in a virtual environment outside the tree that is made once (tests/api/cache.py). A plain run does not make it: it is
1.2 GB to fetch; FASTGPU_FRAMEWORKS=1 (`test.sh --frameworks`) or CI=true does.

frameworks_venv.py make, frameworks_venv.py where, frameworks_venv.py TEST ARGS…: makes it, prints its folder, runs TEST with its interpreter."""
import glob
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "api"))

import cache  # noqa: E402

cache.NAME = "frameworks"
cache.WANTED = os.path.join(HERE, "requirements.txt")
cache.OPTIONS = ("--no-deps",)


def stub_cuda(path):
    lib = os.path.join(path, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    return cache.run(sys.executable, os.path.join(HERE, "stubs.py"), os.path.join(lib, "torch", "lib"), os.path.join(lib, "nvidia", "cu13", "lib"))


cache.finish = stub_cuda


def of_the_dockerfile():
    """Python 3.8 with what the article's Dockerfile installs, or None where there is no Python 3.8."""
    found = [shutil.which("python3.8"), *sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.8*/bin/python")))]
    for old in filter(None, found):
        if subprocess.run([old, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0:
            before = cache.PYTHON, cache.WANTED, cache.finish
            cache.PYTHON, cache.WANTED, cache.finish = old, os.path.join(HERE, "requirements-dockerfile.txt"), lambda path: None
            try:
                return python()
            finally:
                cache.PYTHON, cache.WANTED, cache.finish = before
    return None


def asked_for():
    word = os.environ.get("FASTGPU_FRAMEWORKS")  # 0: test.sh has tried
    return word == "1" or (word != "0" and os.environ.get("CI") == "true")


def python():
    """The interpreter's path; ends with 77 where it may not be made, or cannot."""
    path = os.path.join(cache.folder(), "bin", "python3")
    if os.path.exists(os.path.join(cache.folder(), "whole")):
        return path
    if not asked_for():
        cache.skip("no frameworks: ./test.sh --frameworks fetches them")
    return cache.program("python3")


if __name__ == "__main__":
    if sys.argv[1:] == ["where"]:
        print(cache.folder())
    elif sys.argv[1:] == ["make"]:
        print(cache.program("python3"))
        print(of_the_dockerfile())
    else:
        interpreter = python()
        os.execv(interpreter, [interpreter, *sys.argv[1:]])
