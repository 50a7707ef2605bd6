#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu-kubelet judged by the kubelet's own code, a Go program. It is built once, for as long as its source stays as it is, and kept outside the
tree; building it takes minutes and downloads of 500 MB, so that is done only when asked for: make kubernetes-check, or KUBERNETES_BUILD=1."""
import contextlib
import fcntl
import hashlib
import os
import re
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "kubelet")
KUBELET = "/var/lib/kubelet"  # covered by a mount of the test's own; where there is none it is made, and removed again unless another run is there
PREFIX = os.environ.get("FASTGPU_PREFIX") or os.path.join(HERE, "..", "..", "out")


def skip(why):
    print(f"kubernetes: {why}: NOT TESTED", file=sys.stderr)
    sys.exit(77)


def program(source=SOURCE, name=None):
    """Where it is kept: under another name with each change of its source."""
    key = hashlib.sha256()
    for file in sorted(os.listdir(source)):
        with open(os.path.join(source, file), "rb") as f:
            key.update(file.encode() + b"\0" + f.read())
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "fastgpu-tests", (name or os.path.basename(source) + "-{}.test").format(key.hexdigest()[:16]))


def is_away(said):
    """A registry that cannot be had is no failure; a source that is wrong is one, whatever names stand in it, and so is a go.mod that names what no registry has, or
    lacks what is imported, though go blames the registry for it. The compiler's words stand below "# PACKAGE"; go fetches before it compiles."""
    return not re.search(r"^# |cannot find module providing package|https?://\S+: (?:404|410) ", said, re.M) and bool(
        re.search(r'(?:Get|read|reading|Post) "?https?://|dial tcp|module lookup disabled', said))


# vet would look at each of the thousand packages of others that the programs are made of.
TEST = ("test", "-c", "-vet=off")


def build(path, source=SOURCE, command=TEST):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        done = subprocess.run(["go", *command, "-o", path + ".new", "."], cwd=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        skip("no go")
    if done.returncode:
        if is_away(done.stdout):
            skip("the modules cannot be had: " + done.stdout.strip().splitlines()[-1])
        print(done.stdout, file=sys.stderr)
        sys.exit(1)
    os.rename(path + ".new", path)


def built(source=SOURCE, name=None, command=TEST, target="kubernetes-check"):
    """Where the program is, which is built if that was asked for."""
    path = program(source, name)
    if not os.path.exists(path):
        if not os.environ.get("KUBERNETES_BUILD"):
            skip(f"the program that tests it is not built; make {target} does that")
        build(path, source, command)
    return path


def main():
    if not os.access(os.path.join(PREFIX, "bin", "fastgpu-kubelet"), os.X_OK):
        skip("fastgpu-kubelet is not built (libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler)")
    path = built()
    if os.geteuid() != 0:
        skip("needs root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    made = not os.path.exists(KUBELET)
    os.makedirs(KUBELET, exist_ok=True)
    # Whoever removes a folder takes away what others have mounted on it.
    folder = os.open(KUBELET, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_SH)
    try:
        sys.exit(in_room(path))
    finally:
        if made:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.rmdir(KUBELET)


def in_room(path):
    room = ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount -t tmpfs none /var/lib/kubelet && exec "$@"', "sh"]
    if subprocess.run([*room, "true"], capture_output=True).returncode:
        skip("no right to mounts of its own")
    os.environ.update(FASTGPU_TEST_ROOM="1", FASTGPU_PREFIX=os.path.abspath(PREFIX), FASTGPU_SOURCE=os.path.abspath(os.path.join(HERE, "..", "..")))
    return subprocess.call([*room, path, "-test.v", "-test.timeout=12h", *sys.argv[1:]])


if __name__ == "__main__":
    main()
