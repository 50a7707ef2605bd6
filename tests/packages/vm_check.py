#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make vm-check`: a machine with cgroup v2, systemd, podman, Docker and containerd in QEMU (its own emulation, no KVM), into which the Debian
packages are installed. Prints which engine, which way, which outcome; what the unit does; what is there after the machine was started again.

usage: vm_check.py [--minutes N]"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import chroot  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# Virtual packages are not resolved everywhere: podman's network stack is named.
INCLUDE = ("systemd,systemd-sysv,dbus,udev,kmod,iproute2,iptables,podman,netavark,aardvark-dns,crun,runc,conmon,docker.io,containerd,bubblewrap,"
           "ca-certificates,procps,libjansson4,libmicrohttpd12,libsodium23,libsqlite3-0,libgnutls30,libcurl3-gnutls,ocl-icd-libopencl1,libncursesw6,"
           "libnghttp2-14,libprotobuf-c1,python3-minimal,python3,linux-image-cloud-amd64")
# The image of the containers: Debian without what no program there reads.
LEFT_OUT = ("usr/share/*", "usr/lib/x86_64-linux-gnu/perl-base", "usr/lib/x86_64-linux-gnu/gconv", "var/*", "usr/sbin/*", "usr/lib/apt", "dev/*")


def run(*words, **kwargs):
    subprocess.run(words, check=True, **kwargs)


def unpack(tar, to, *words):
    os.makedirs(to)
    run("tar", "-C", to, "--numeric-owner", *words, "-xf", tar)


def make_box(to):
    with tempfile.TemporaryDirectory() as work:
        root = os.path.join(work, "root")
        unpack(chroot.base(), root, *(f"--exclude=./{name}" for name in LEFT_OUT))
        for file in (f"{HERE}/box/look", f"{chroot.ROOT}/build/tests/nvml/smi", f"{chroot.ROOT}/out/lib/fastgpu/examples/cuda_vectors"):
            shutil.copy(file, os.path.join(root, "opt"))
        run("cc", "-o", os.path.join(root, "opt/opens"), f"{HERE}/box/opens.c")
        run("tar", "-C", root, "--numeric-owner", "-cf", to, ".")


def make_disk(work):
    root = os.path.join(work, "root")
    unpack(chroot.base(f"machine-bookworm-{zlib.crc32(INCLUDE.encode()):08x}", "--include", INCLUDE), root)
    check = os.path.join(root, "check")
    os.makedirs(os.path.join(check, "packages"))
    for file in chroot.packages():
        shutil.copy(file, os.path.join(check, "packages"))
    for file in ("walk.sh", "vm/inside.sh"):
        shutil.copy(os.path.join(HERE, file), check)
    make_box(os.path.join(check, "box.tar"))
    units = os.path.join(root, "etc/systemd/system")
    shutil.copy(os.path.join(HERE, "vm/fastgpu-check.service"), units)
    os.makedirs(os.path.join(units, "default.target.wants"), exist_ok=True)
    os.symlink("/etc/systemd/system/fastgpu-check.service", os.path.join(units, "default.target.wants/fastgpu-check.service"))
    # A login on the terminal would hang up who writes there; nothing else here needs an hour of emulation.
    for name in ("serial-getty@ttyS0.service", "serial-getty@ttyS1.service", "getty@tty1.service", "apt-daily.timer", "apt-daily-upgrade.timer",
                 "e2scrub_reap.service", "systemd-networkd-wait-online.service"):
        os.symlink("/dev/null", os.path.join(units, name))
    with open(os.path.join(root, "etc/modules-load.d/fastgpu-check.conf"), "w", encoding="ascii") as f:
        f.write("overlay\nfuse\n")
    with open(os.path.join(root, "etc/fstab"), "w", encoding="ascii") as f:
        f.write("/dev/vda / ext4 rw,noatime 0 0\n")
    kernel = [glob.glob(os.path.join(root, "boot", name))[0] for name in ("vmlinuz-*", "initrd.img-*")]
    for file in kernel:
        shutil.move(file, work)
    disk = os.path.join(work, "disk.img")
    run("mke2fs", "-q", "-t", "ext4", "-d", root, disk, "4G")
    shutil.rmtree(root)
    return disk, *(os.path.join(work, os.path.basename(f)) for f in kernel)


def start(work, disk, kernel, initrd):
    words = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "2048", "-display", "none", "-nic", "none",
             "-monitor", "none", "-kernel", kernel, "-initrd", initrd, "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
             "-serial", f"file:{work}/console", "-serial", f"file:{work}/said",
             "-append", "console=ttyS0 root=/dev/vda rw quiet panic=-1 mitigations=off apparmor=0"]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL)


def follow(machine, file, minutes):
    """Prints what the machine says as it says it; all of it at the end, and whether it ended by itself."""
    end, shown = time.monotonic() + minutes * 60, 0
    while True:
        ended = machine.poll() is not None
        try:
            with open(file, encoding="utf-8", errors="replace") as f:
                said = f.read().replace("\r", "")
        except FileNotFoundError:
            said = ""
        print(said[shown:], end="", flush=True)
        shown = len(said)
        if ended or time.monotonic() > end:
            return said, ended
        time.sleep(1)


def main():
    minutes = float(sys.argv[sys.argv.index("--minutes") + 1]) if "--minutes" in sys.argv else 40
    missing = [p for p in ("qemu-system-x86_64", "mke2fs") if not shutil.which(p)]
    if missing or os.geteuid() != 0:
        chroot.skip("needs root" if os.geteuid() else f"{', '.join(missing)} not installed (tools/install-deps --packages)")
    work = tempfile.mkdtemp(prefix="fastgpu-vm-", dir="/var/tmp")
    try:
        machine = start(work, *make_disk(work))
        try:
            said, ended = follow(machine, os.path.join(work, "said"), minutes)
        finally:
            machine.kill()
            machine.wait()
        failed = re.findall(r"^FAIL ", said, re.M)
        if not ended or "\nsecond 0 failed" not in said or failed or "first 0 failed" not in said:
            print(f"vm-check: {'not done in time, ' if not ended else ''}{len(failed)} failed; the console's last lines:", file=sys.stderr)
            with open(os.path.join(work, "console"), encoding="utf-8", errors="replace") as f:
                print(f.read()[-2000:], file=sys.stderr)
            return 1
        print(f"{len(re.findall(r'^ok ', said, re.M))} ok, 0 failed, {len(re.findall(r'^skip ', said, re.M))} skipped")
        return 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
