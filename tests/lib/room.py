# SPDX-License-Identifier: Apache-2.0
"""A place for container engines: a mount namespace of the test's own, and a root file system made of this machine's /usr.

Nothing is downloaded and nothing is seen outside: what engines keep lies on a tmpfs that goes with the test. What a machine cannot run
is skipped and said."""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

ULIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]  # more may not be raised everywhere
INSIDE = "/run/fastgpu-vgpu"
SPEC = "fastgpu.dev-vgpu.json"


def skip(why):
    print(f"containers: {why}: NOT TESTED", file=sys.stderr)
    sys.exit(77)


HIDE = {None: "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi",
        "2": "umount /sys/fs/cgroup/* 2>/dev/null; umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup || exit 77"}


def enter(cgroup=None):
    """Goes on in namespaces of its own: mounts, and processes, so that no container outlives the test. Some hosts show cgroups of both
    versions at once, which crun refuses: the odd one is hidden, here alone. cgroup="2": version 2 alone is shown."""
    if os.environ.get("FASTGPU_TEST_ROOM"):
        return
    if os.geteuid() != 0:
        skip("needs root")
    hide = HIDE.get(cgroup, HIDE[None]) + '; exec "$@"'
    probe = ["unshare", "-m", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "sh", "-c", hide, "sh"]
    if subprocess.run([*probe, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode:
        skip("no right to namespaces")
    os.environ["FASTGPU_TEST_ROOM"] = "1"
    os.execvp(probe[0], [*probe, sys.executable, *sys.argv])


def mount(*words):
    subprocess.run(["mount", *words], check=True)


class Room:
    """with Room() as room: room.root is a root file system, room.cdi a folder of specs that engines read."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="fastgpu-room-")
        self.cdi = "/run/cdi"
        try:
            mount("-t", "tmpfs", "none", self.dir)
            for folder in ("/run/cdi", "/etc/cdi"):
                os.makedirs(folder, exist_ok=True)
                mount("-t", "tmpfs", "none", folder)
        except (OSError, subprocess.CalledProcessError):
            skip("tmpfs cannot be mounted")
        self.root = self.make_root("root")
        self.groups = self.engine_groups()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        subprocess.run(f"for i in 1 2 3; do umount -R {self.dir} 2>/dev/null || umount -l {self.dir} 2>/dev/null; done; umount /run/cdi /etc/cdi",
                       shell=True, capture_output=True, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)
        for group in sorted(self.engine_groups() - self.groups, reverse=True):
            try:
                os.rmdir(group)
            except OSError:
                pass

    @staticmethod
    def engine_groups():
        """Cgroups that engines leave behind."""
        return {group for name in ("docker", "libpod_parent", "crun", "box") for group in glob.glob(f"/sys/fs/cgroup/**/{name}", recursive=True)}

    def make_root(self, name):
        """This machine's /usr with a layer of its own above, and little else: nothing of FastGPU is in it."""
        base = os.path.join(self.dir, name)
        root = os.path.join(base, "fs")
        for folder in ("usr", "etc", "dev", "proc", "sys", "tmp", "run", "var/tmp", "root", "opt"):
            os.makedirs(os.path.join(root, folder))
        os.chmod(os.path.join(root, "tmp"), 0o1777)
        for folder in ("upper", "work"):
            os.makedirs(os.path.join(base, folder))
        try:
            mount("-t", "overlay", "overlay", "-o", f"lowerdir=/usr,upperdir={base}/upper,workdir={base}/work", os.path.join(root, "usr"))
        except subprocess.CalledProcessError:
            skip("no overlay file systems here")
        for link in ("bin", "sbin", "lib", "lib64"):
            os.symlink("usr/" + link, os.path.join(root, link))
        for part in ("OpenCL", "alternatives", "ld.so.conf.d", "passwd", "group", "ld.so.cache", "ld.so.conf"):
            if os.path.exists("/etc/" + part):
                subprocess.run(["cp", "-a", "/etc/" + part, os.path.join(root, "etc")], check=True)
        return root

    def put(self, path, where="/opt"):
        """A file of the test, into the root file system; returns its path there."""
        shutil.copy(path, self.root + where)
        return os.path.join(where, os.path.basename(path))

    def podman_run(self, *words, root=None, options=()):
        """The words of: podman run OPTIONS ROOT WORDS…"""
        store = [f"--root={self.dir}/store", f"--runroot={self.dir}/runroot", "--storage-driver=vfs", "--cgroup-manager=cgroupfs",
                 "--events-backend=none", f"--tmpdir={self.dir}/tmp"]
        return ["podman", *store, "run", "--rm", "--network=none", *ULIMITS, *options, "--rootfs", root or self.root, *words]

    def podman(self, *words, root=None, options=(), timeout=120, **kwargs):
        """The same, to its end."""
        return subprocess.run(self.podman_run(*words, root=root, options=options), capture_output=True, text=True, timeout=timeout, check=False,
                              **kwargs)

    def spec(self):
        """What engines are told, or None."""
        try:
            with open(os.path.join(self.cdi, SPEC), encoding="utf-8") as f:
                return json.load(f)
        except FileNotFoundError:
            return None

    def devices(self):
        spec = self.spec()
        return [d["name"] for d in spec["devices"]] if spec else []
