# SPDX-License-Identifier: Apache-2.0
"""A machine within the machine, for installing and for engines with networks: mounts, processes and a network of its own. /usr, /etc and /var/lib
are layers above the machine's own, which go with it; package registries are reached through slirp4netns."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from chroot import ROOT, skip

OWN = ("/usr", "/etc", "/var/lib", "/var/log")
FRESH = ("/run/fastgpu", "/run/cdi", "/run/docker", "/run/containerd", "/opt", "/var/lib/fastgpu", "/var/lib/docker", "/var/lib/containerd",
         "/var/lib/containers", "/run/containers", "/run/libpod", "/run/crun", "/run/runc")


def enter(*programs):
    """The test goes on inside; this process waits for it outside."""
    if os.environ.get("FASTGPU_TEST_MACHINE"):
        prepare()
        return
    missing = [p for p in (*programs, "slirp4netns") if not shutil.which(p)]
    if missing or os.geteuid() != 0:
        skip("needs root" if os.geteuid() else f"{', '.join(missing)} not installed (tools/install-deps --packages)")
    # What layers are made of must lie on a disk, not on another layer.
    work = tempfile.mkdtemp(prefix="fastgpu-machine-", dir="/var/tmp")
    inner = subprocess.Popen(["unshare", "-n", "-m", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", sys.executable, *sys.argv],
                             env={**os.environ, "FASTGPU_TEST_MACHINE": work, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    wire = subprocess.Popen(["slirp4netns", "--configure", "--mtu=65520", str(wait_for_its_network(inner.pid)), "tap0"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = inner.wait()
    wire.terminate()
    wire.wait()
    shutil.rmtree(work, ignore_errors=True)
    sys.exit(code)


def wait_for_its_network(pid):
    ours = os.readlink("/proc/self/ns/net")
    for _ in range(200):
        if os.readlink(f"/proc/{pid}/ns/net") != ours:
            return pid
        time.sleep(0.05)
    skip("no right to namespaces")


def prepare():
    work = os.environ["FASTGPU_TEST_MACHINE"]
    # Some hosts show cgroups of both versions at once, which crun refuses.
    subprocess.run("if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; ip link set lo up", shell=True, check=True)
    for folder in OWN:
        layer = os.path.join(work, folder[1:].replace("/", "-"))
        os.makedirs(layer + "/u")
        os.makedirs(layer + "/w")
        mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={folder},upperdir={layer}/u,workdir={layer}/w", folder],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode:
            skip(f"no overlay file systems here: {mounted.stderr.strip()}")
    for folder in FRESH:
        own = os.path.join(work, folder[1:].replace("/", "-"))
        os.makedirs(own)
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "--bind", own, folder], check=True)
    # No more than this may be given everywhere.
    os.makedirs("/etc/containers", exist_ok=True)
    with open("/etc/containers/containers.conf", "w", encoding="ascii") as f:
        f.write('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n')
    for folder in ("/etc/docker", "/etc/fastgpu"):
        shutil.rmtree(folder, ignore_errors=True)


def sh(line, code=0, where=ROOT, timeout=600, **env):
    """A line as a person types it."""
    done = subprocess.run(["sh", "-c", line], cwd=where, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, **env})
    if code is not None and done.returncode != code:
        raise AssertionError(f"{line}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr
