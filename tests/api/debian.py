# SPDX-License-Identifier: Apache-2.0
"""Programs of Debian's that are used where they are not installed: a package is unpacked beside the registry's, and no service of it ever
starts."""
import fcntl
import os
import shutil
import subprocess
import tempfile

import cache


def unpack(package, path):
    with tempfile.TemporaryDirectory(prefix="fastgpu-tests-") as folder:
        why = cache.run("sh", "-c", f'cd "{folder}" && apt-get download -q {package} && dpkg-deb -x {package}_*.deb "{folder}/x"')
        if why:
            cache.skip(f"the package {package} cannot be had: {why}")
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(os.path.join(folder, "x"), path, symlinks=True)
        open(os.path.join(path, "whole"), "w").close()


def program(package, name):
    """The path of an installed program, or of the one in the package. Skips the test where neither is to be had."""
    found = shutil.which(name)
    if found:
        return found
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        cache.skip(f"{name} is not installed")
    path = os.path.join(os.path.dirname(cache.folder()), package)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        lock = open(path + ".lock", "w")
    except OSError as e:
        cache.skip(f"no folder to keep packages in: {e}")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(path, "whole")):
            unpack(package, path)
    return os.path.join(path, "usr", "bin", name)


def check(*words, **how):
    """Its output; what it says when it fails."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **how)
    if done.returncode:
        raise AssertionError(f"{' '.join(words)}: {done.returncode}\n{done.stdout}")
    return done.stdout
