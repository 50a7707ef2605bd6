#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The open gate: nodes that are opened for programs attached to the container's vGPU, and for no others, whatever they try. No GPU is
at hand: /dev/fuse stands for a node of one, the GPU is simulated."""
import json
import os
import shutil
import socket
import subprocess
import unittest

from e2e import main, wait_until
from node import Node, tool
import room as rooms

HERE = os.path.dirname(os.path.abspath(__file__))
RUNTIME, GATE = tool("bin", "fastgpu-runtime"), tool("bin", "fastgpu-gate")
NODE = "/dev/fuse"
# What its unit leaves it.
RIGHTS = ("setpriv", "--bounding-set=-all,+sys_ptrace,+dac_override", "--no-new-privs") if shutil.which("setpriv") else ()
# Attaches, as every program that uses CUDA does, and opens the nodes that are named.
ATTACHED = """import ctypes, errno, os, sys
def tried(path):
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError as e:
        return errno.errorcode[e.errno]
    st = os.fstat(fd)
    os.close(fd)
    return f"{os.major(st.st_rdev)}:{os.minor(st.st_rdev)}"
before = [tried(p) for p in sys.argv[1:]]
assert ctypes.CDLL("libcuda.so.1").cuInit(0) == 0
print(*before, "then", *(tried(p) for p in sys.argv[1:]), flush=True)
"""


def number(path):
    st = os.stat(path)
    return f"{os.major(st.st_rdev)}:{os.minor(st.st_rdev)}"


ATTACH = ("python3", "/opt/attached.py", NODE)
WORKS = f"EPERM then {number(NODE)}" if os.path.exists(NODE) else None


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    return unittest.skipIf(missing, f"{' and '.join(missing)} not installed: NOT TESTED")


@unittest.skipUnless(os.path.exists(NODE), f"no {NODE} here: NOT TESTED")
class GateTest(unittest.TestCase):
    real = "crun"

    @classmethod
    def setUpClass(cls):
        cls.room = rooms.Room()
        cls.addClassCleanup(cls.room.close)
        cls.opener = "/opt/opener"
        subprocess.run(["cc", "-static", "-pthread", "-D_GNU_SOURCE", "-o", cls.room.root + cls.opener, os.path.join(HERE, "opener.c")], check=True)
        with open(cls.room.root + "/opt/attached.py", "w", encoding="ascii") as f:
            f.write(ATTACHED)

    def setUp(self):
        self.node = Node(FASTGPU_SIM="1xH100:8G", FASTGPU_CDI_DIR="/run/cdi")
        self.addCleanup(self.node.close)
        self.policy = os.path.join(self.node.dir, "runtime.conf")
        self.runtime = os.path.join(self.node.dir, "fastgpu")
        with open(self.runtime, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nFASTGPU_STATE_DIR={self.node.dir} FASTGPU_RUNTIME_CONF={self.policy} exec {RUNTIME} "$@"\n')
        os.chmod(self.runtime, 0o755)
        self.allow(f"open-gate = on\ngate-nodes = {NODE}\n")
        self.node.json("create", "--name", "q", "--gpus", "2", "--memory", "64M,64M", "--compute", "20,20")
        self.socket = os.path.join(self.node.dir, "run", "gate.sock")
        self.start_gate()

    def start_gate(self):
        self.log = os.path.join(self.node.dir, "gate.log")
        with open(self.log, "a", encoding="utf-8") as log:
            self.gate = self.node.popen([*RIGHTS, GATE], stderr=log)
        wait_until(self.answers, 10, "the gate answers")

    def answers(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            return s.connect_ex(self.socket) == 0

    def allow(self, text=""):
        with open(self.policy, "w", encoding="utf-8") as f:
            f.write(f"runtime = {shutil.which(self.real)}\n{text}")

    def podman(self, *words):
        """podman with the words, and the store of this test."""
        store = [f"--root={self.room.dir}/store", f"--runroot={self.room.dir}/runroot", "--storage-driver=vfs", "--cgroup-manager=cgroupfs",
                 "--events-backend=none", f"--tmpdir={self.room.dir}/tmp", f"--runtime={self.runtime}"]
        return subprocess.run(["podman", *store, *words], capture_output=True, text=True, timeout=120, check=False)

    def box(self, *words, options=(), vgpu="q/0"):
        chosen = [f"--annotation=fastgpu.dev/vgpu={vgpu}"] if vgpu else []
        return self.podman("run", "--rm", "--network=none", *rooms.ULIMITS, *chosen, *options, "--rootfs", self.room.root, *words)

    def start(self, name, *words, vgpu="q/0"):
        """A container that stays; exec() is for more programs in it."""
        done = self.podman("run", "-d", "--name", name, "--network=none", *rooms.ULIMITS, f"--annotation=fastgpu.dev/vgpu={vgpu}", "--rootfs", self.room.root, *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(self.podman, "rm", "-f", "-t", "0", name)

    def exec(self, name, *words):
        done = self.podman("exec", "--env=FASTGPU_SIM=1xH100:8G", name, *words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.strip()

    def said(self, *words, **kwargs):
        done = self.box(*words, **kwargs)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.strip()

    def open(self, way, path=NODE, *more, **kwargs):
        return self.said(self.opener, way, path, *map(str, more), **kwargs)

    def refused(self, *says, **kwargs):
        done = self.box("true", **kwargs)
        self.assertNotEqual(done.returncode, 0, done.stdout + done.stderr)
        for text in ("FastGPU: ", *says):
            self.assertIn(text, done.stderr)


class Ways(GateTest):
    """What is the same with every runtime."""

    def test_attached_programs_have_the_node(self):
        self.assertEqual(self.said("python3", "/opt/attached.py", NODE, "/dev/null"), f"EPERM {number('/dev/null')} then {number(NODE)} {number('/dev/null')}")
        with open(self.log, encoding="utf-8") as f:
            self.assertRegex(f.read(), rf"q/0: thread \d+ may not open {NODE}: it is not attached to q/0")

    def test_others_have_it_in_no_way(self):
        for way in ("open", "openat", "openat2", "read", "write", "fd", "ring"):
            self.assertIn(self.open(way), ("EPERM", "ENOSYS") if way == "ring" else ("EPERM",), way)
        self.assertEqual(self.said("sh", "-c", f"ln -s {NODE} /tmp/link && {self.opener} openat /tmp/link"), "EPERM")
        self.assertEqual(self.open("openat", "/dev/../dev/fuse"), "EPERM")
        self.assertEqual(self.open("openat", "/proc/1/root" + NODE), "EPERM")
        self.assertEqual(self.open("make", "/tmp/made", number(NODE), options=["--cap-add=MKNOD"]), "EPERM")
        self.assertEqual(self.open("make", "/tmp/gpu", "195:0", options=["--cap-add=MKNOD"]), "EPERM")
        self.assertEqual(self.open("make", "/tmp/dri", "226:128", options=["--cap-add=MKNOD"]), "EPERM")
        # Whatever the profile: it is not what forbids.
        self.assertEqual(self.open("openat", options=["--security-opt=seccomp=unconfined"]), "EPERM")
        self.assertEqual(self.open("openat", "/dev/null"), "opened")

    def test_a_path_that_changes_meanwhile(self):
        self.assertEqual(self.open("race", NODE, 20000), "0")

    def test_a_program_of_a_session_of_its_own(self):
        """podman exec: its programs have a profile of their own, and the gate of the same container."""
        name = "stays-" + self.real
        self.start(name, "sleep", "1000")
        self.assertEqual(self.exec(name, *ATTACH), WORKS)
        self.assertEqual(self.exec(name, self.opener, "openat", NODE), "EPERM")


@needs("podman", "crun", "cc")
class Crun(Ways):
    def test_what_the_gate_cannot_keep_is_not_started(self):
        self.refused("without the gate", "--privileged", options=["--privileged"])
        self.refused("leave out", "--device", options=[f"--device={NODE}"])
        self.refused("--device-cgroup-rule", options=["--device-cgroup-rule=c 10:229 rw"])
        self.refused("--device-cgroup-rule", options=["--device-cgroup-rule=c 226:* rwm"])
        self.refused("by CDI has no gate", "fastgpu.dev/vgpu=NAME", vgpu=None, options=["--device=fastgpu.dev/vgpu=q"])
        # Nor without a vGPU, where it is a tenant's and not the machine's own.
        self.refused("without the gate", "--device", vgpu=None, options=[f"--device={NODE}"])
        self.refused("--device-cgroup-rule", vgpu=None, options=["--device-cgroup-rule=c 195:* rwm"])
        self.refused("--device-cgroup-rule", vgpu=None, options=["--device-cgroup-rule=c *:* rwm"])
        self.assertEqual(self.said("echo", "the machine's", vgpu=None, options=["--privileged"]), "the machine's")
        self.assertEqual(self.said("echo", "plain", vgpu=None), "plain")
        # Of runtimes without control groups podman knows crun, by its name.
        usual, self.runtime = self.runtime, os.path.join(self.node.dir, "crun")
        shutil.copy(usual, self.runtime)
        self.refused("control groups", options=["--cgroups=disabled"])
        self.runtime = usual
        self.gate.kill()
        self.gate.wait()
        self.refused("no fastgpu-gate answers", "systemctl enable --now fastgpu-gate")
        self.allow()
        self.assertEqual(self.said("echo", "off"), "off")

    def test_policy(self):
        self.allow("open-gate = yes\n")
        self.refused("line 2", 'open-gate is on or off, not "yes"')
        self.allow("open-gate = on\ngate-nodes = /dev/fuse fuse\n")
        self.refused("line 3", '"fuse" is none')
        self.allow("open-gate = on\ngate-nodes = /dev/nothing\n")
        self.refused("/dev/nothing")

    def test_profiles_of_others(self):
        profile = os.path.join(self.node.dir, "profile.json")

        def use(**kwargs):
            with open(profile, "w", encoding="utf-8") as f:
                json.dump({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], **kwargs}, f)
            return [f"--security-opt=seccomp={profile}"]
        # What it forbids stays forbidden, with its error.
        self.assertEqual(self.open("openat", "/dev/null", options=use(syscalls=[{"names": ["getcpu"], "action": "SCMP_ACT_ALLOW"}])), "opened")
        self.assertEqual(self.open("open", "/dev/null", options=use(syscalls=[{"names": ["open"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71}])), "EPROTO")
        by_flags = {"names": ["openat"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 2, "value": 0o100, "valueTwo": 0o100, "op": "SCMP_CMP_MASKED_EQ"}]}
        self.refused("arguments of openat", options=use(syscalls=[by_flags]))

    def test_the_nodes_mode_counts(self):
        """The gate is root; who asks may not be."""
        self.assertEqual(self.said("setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", *ATTACH), "EPERM then " +
                         ("EACCES" if os.stat(NODE).st_mode & 0o006 == 0 else number(NODE)))

    def test_another_vgpus_programs(self):
        """Attached, but not to this container's: a program of the machine's does not count in the container."""
        self.node.start("q/1", "python3", "-c", "import ctypes,time; ctypes.CDLL('libcuda.so.1').cuInit(0); time.sleep(100)")
        wait_until(lambda: self.node.usage("q/1")["pids"], 30, "another program is attached")
        self.assertEqual(self.open("openat"), "EPERM")

    def test_another_project(self):
        self.node.fastgpu("project", "create", "red")
        self.node.fastgpu("create", "--project", "red", "--name", "q", "--memory", "64M", "--compute", "20")
        self.assertEqual(self.said(*ATTACH, vgpu="red:q"), WORKS)

    def test_without_the_daemon(self):
        """Fails closed, and goes on with the next daemon."""
        self.start("daemonless", "sleep", "1000")
        self.node.stop_daemon(9)
        self.assertEqual(self.exec("daemonless", self.opener, "openat", NODE), "EPERM")
        self.node.fastgpu("list")
        self.assertEqual(self.exec("daemonless", *ATTACH), WORKS)

    # --- who means it ill ---

    def serving(self):
        """The processes of the gate that have a container."""
        done = subprocess.run(["pgrep", "-P", str(self.gate.pid)], capture_output=True, text=True, check=False)
        return [int(p) for p in done.stdout.split()]

    def test_killed_in_the_middle_and_floods(self):
        self.open("die", NODE, 100)
        self.assertEqual(self.open("flood", NODE, 500), "500")
        self.assertEqual(self.open("flood", "/dev/null", 20000), "0")
        wait_until(lambda: not self.serving(), 10, "the gate's processes went with their containers")
        # One container keeps its own process busy: another one is served meanwhile.
        self.start("floods", self.opener, "flood", NODE, "1000000000", vgpu="q/1")
        self.assertEqual(self.said(*ATTACH), WORKS)
        self.assertEqual(self.node.get("/v1/version")["api"], 1)

    def test_what_is_no_runtime(self):
        for text in (b"", b"{", b'{"fds": ["seccompFd"], "metadata": "{}"}', b"x" * 100000):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.connect(self.socket)
                try:
                    s.sendall(text)
                    socket.send_fds(s, [b" "], [0, 1, 2])
                except BrokenPipeError:
                    pass
        with open("/dev/null", "rb") as null, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(self.socket)
            grant = json.dumps({"target": "q/0", "nodes": [NODE]})
            socket.send_fds(s, [json.dumps({"fds": ["seccompFd"], "metadata": grant}).encode()], [null.fileno()])
        self.assertEqual(self.said(*ATTACH), WORKS)
        self.assertIsNone(self.gate.poll())

    def test_the_gate_is_gone(self):
        """Nothing is opened for reading and writing any more in containers that it left; another gate takes new ones."""
        self.start("left", "sh", "-c", f"until test -e /tmp/go; do sleep 0.05; done; for way in openat read; do {self.opener} $way /dev/null; done; "
                   f"{self.opener} openat {NODE}; touch /tmp/over; sleep 1000")
        go, over = self.room.root + "/tmp/go", self.room.root + "/tmp/over"
        self.addCleanup(lambda: [os.unlink(p) for p in (go, over) if os.path.exists(p)])
        # The one that takes new containers may go and come again: this one keeps its own.
        first, = self.serving()
        self.gate.kill()
        self.gate.wait()
        # Nobody takes another program's calls meanwhile: it is not started.
        done = self.podman("exec", "--env=FASTGPU_SIM=1xH100:8G", "left", self.opener, "openat", NODE)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertIn("gate.sock", done.stderr)
        self.start_gate()
        self.assertEqual(self.said(*ATTACH), WORKS)
        self.assertEqual(self.exec("left", self.opener, "openat", NODE), "EPERM")
        os.kill(first, 9)
        with open(go, "w", encoding="ascii"):
            pass
        wait_until(lambda: os.path.exists(over), 20, "the container tried")
        self.assertEqual(self.podman("logs", "left").stdout.split(), ["ENOSYS", "opened", "ENOSYS"])

    def test_a_runtime_that_stays(self):
        """crun run, which podman does not use, keeps its connection as long as the container is there."""
        bundle = os.path.join(self.node.dir, "bundle")
        os.makedirs(bundle)
        subprocess.run(["crun", "spec"], cwd=bundle, check=True)
        with open(os.path.join(bundle, "config.json"), "r+", encoding="utf-8") as f:
            config = json.load(f)
            config["root"] = {"path": self.room.root, "readonly": False}
            config["process"].update(terminal=False, args=["sh", "-c", f"{self.opener} openat /dev/null; {self.opener} openat {NODE}"], env=["PATH=/usr/bin"])
            config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "cgroup"]
            config["annotations"] = {"fastgpu.dev/vgpu": "q/0"}
            f.seek(0)
            json.dump(config, f)
            f.truncate()
        done = subprocess.run([self.runtime, f"--root={self.room.dir}/crun", "run", "--bundle", bundle, "stays"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "opened\nEPERM\n"), done.stderr)

    def test_two_gates(self):
        done = subprocess.run([GATE], env=self.node.env, capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another fastgpu-gate runs already", done.stderr)
        self.assertIn("gate.lock", done.stderr)


@needs("podman", "runc", "cc")
class Runc(Ways):
    real = "runc"


@needs("podman", "crun", "cc")
class Program(GateTest):
    def test_says_what_it_is(self):
        self.assertIn("fastgpu-gate", subprocess.run([GATE, "--version"], capture_output=True, text=True, check=True).stdout)
        self.assertIn("open-gate", subprocess.run([GATE, "--help"], capture_output=True, text=True, check=True).stdout)
        done = subprocess.run([GATE, "more"], capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)


del Ways, GateTest

if __name__ == "__main__":
    rooms.enter()
    main()
