# SPDX-License-Identifier: Apache-2.0
"""A Debian of the test's own: its root file system, kept as a tar file between runs, and commands in it. Root alone; 77 where it cannot be."""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "fastgpu-tests")


def skip(why):
    print(f"packages: {why}: NOT TESTED", file=sys.stderr)
    sys.exit(77)


def base(name="bookworm", *words):
    """The tar file of a small Debian."""
    file = os.path.join(CACHE, f"{name}.tar")
    done = subprocess.run([os.path.join(ROOT, "tools", "debian-root"), *words, file], capture_output=True, text=True, check=False)
    if done.returncode:
        skip(done.stderr.strip())
    return file


def packages():
    """The packages, built from this tree."""
    done = subprocess.run([os.path.join(ROOT, "tools", "deb")], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        skip(done.stderr.strip())
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.split()


class Chroot:
    """with Chroot(base()) as debian: debian.run("apt-get", "update"). Mounts are in namespaces that end with each command."""

    def __init__(self, tar):
        if os.geteuid() != 0:
            skip("needs root")
        self.dir = tempfile.mkdtemp(prefix="fastgpu-debian-")
        os.chmod(self.dir, 0o755)
        subprocess.run(["tar", "-C", self.dir, "--numeric-owner", "-xf", tar], check=True)
        shutil.copy("/etc/resolv.conf", os.path.join(self.dir, "etc"))
        # Nothing is started while packages are installed.
        with open(os.path.join(self.dir, "usr/sbin/policy-rc.d"), "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 101\n")
            os.fchmod(f.fileno(), 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, *words, code=0, timeout=600, **env):
        inside = ('mount -t proc none "$0/proc" && mount -t tmpfs none "$0/run" &&'
                  # Its own, as packages' scripts change what is there.
                  ' mount -t tmpfs none "$0/dev" && for node in null:3 zero:5 full:7 random:8 urandom:9; do'
                  ' mknod -m 666 "$0/dev/${node%:*}" c 1 "${node#*:}" || exit 1; done && mkdir -m 1777 "$0/dev/shm" && ln -s /proc/self/fd "$0/dev/fd" &&'
                  ' mount --rbind /sys "$0/sys" && exec chroot "$0" "$@"')
        # A group of processes of its own: what a command leaves running ends with it.
        done = subprocess.run(["unshare", "-m", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", inside, self.dir, *words],
                              capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root", **env})
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def files(self):
        """All files that packages may bring, without what apt and dpkg keep for themselves."""
        own = ("var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "usr/share/doc", "etc/ld.so.cache")
        found = set()
        for at, _, names in os.walk(self.dir):
            inside = os.path.relpath(at, self.dir)
            found |= {os.path.normpath(os.path.join(inside, n)) for n in names if not os.path.join(inside, n).startswith(own)}
        return found
