#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Containers with vGPUs, started by the engines themselves: they see their slice, their quota is exact, and what cannot be kept is
not started."""
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
import unittest

from e2e import INSIDE as PROGRAM
from e2e import MIB, PYTHON, main, wait_until
from node import BURN, Node, tool
import room as rooms

DEVICE = "fastgpu.dev/vgpu="
SECONDS, TRIES = 4, 3
SOCKET = rooms.INSIDE + "/attach.sock"


def answers(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        return s.connect_ex(path) == 0


class ContainerTest(unittest.TestCase):
    def setUp(self):
        self.node = Node(FASTGPU_CDI_DIR="/run/cdi", **self.environment())
        self.addCleanup(self.node.close)

    def environment(self):
        return {}

    @classmethod
    def setUpClass(cls):
        cls.room = rooms.Room()
        cls.addClassCleanup(cls.room.close)
        cls.program = cls.room.put(PROGRAM)

    def podman(self, device, *words, options=(), code=0, **kwargs):
        """Runs to the end; returns what it wrote, or with code=None what it was."""
        chosen = [f"--device={DEVICE}{device}"] if device else []
        done = self.room.podman(*words, options=[*chosen, *options], **kwargs)
        if code is None:
            return done
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def start(self, device, *words, options=()):
        """Begins, with pipes to and from it."""
        return self.node.popen(self.room.podman_run(*words, options=["-i", f"--device={DEVICE}{device}", *options]), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)

    def inside(self, device, *words, options=(), prefix=()):
        return json.loads(self.podman(device, *prefix, PYTHON, self.program, *map(str, words), options=options).splitlines()[-1])


class Words(ContainerTest):
    """What `fastgpu container` says, typed as it says."""

    def setUp(self):
        super().setUp()
        self.node.json("create", "--name", "w", "--gpus", "2", "--memory", "32M,48M", "--compute", "20,20")

    def words(self, *argv):
        return self.node.fastgpu("container", *argv).stdout.split()

    def test_engines(self):
        self.assertEqual(self.words("w/1"), [f"--device={DEVICE}w::1"])
        self.assertEqual(self.words("w", "--for", "docker"), ["--runtime=fastgpu", "--env=FASTGPU_VISIBLE_DEVICES=w"])
        self.assertEqual(self.words("w/0", "--for", "ctr"), ["--runc-binary=fastgpu-runtime", "--env=FASTGPU_VISIBLE_DEVICES=w/0"])
        for code, argv in ((2, []), (2, ["w", "w"]), (2, ["w", "--for", "lxc"]), (3, ["nobody"]), (3, ["w/2"])):
            self.assertEqual(self.node.fastgpu("container", *argv, check=False).returncode, code, argv)

    @unittest.skipUnless(shutil.which("bwrap"), "bubblewrap is not installed: NOT TESTED")
    def test_bubblewrap(self):
        def inside(*prefix):
            done = subprocess.run(["bwrap", "--bind", self.room.root, "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys", "--unshare-pid", "--unshare-ipc",
                                   *self.words("w/1", "--for", "bwrap"), *prefix, PYTHON, self.program, "fill"], capture_output=True,
                                  text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(inside(), [48 * MIB])
        self.assertEqual(inside("env", "-i"), [48 * MIB])


@unittest.skipUnless(shutil.which("podman"), "podman is not installed: NOT TESTED")
class Podman(ContainerTest):
    def test_a_container_is_its_vgpus(self):
        odd = 37 * MIB + 12345
        self.node.json("create", "--name", "q", "--gpus", "2", "--memory", f"{odd},64M", "--compute", "50,30")
        self.assertEqual(self.inside("q", "fill"), [odd, 64 * MIB])
        self.assertEqual([d["memory"] for d in self.inside("q::1", "devices")], [64 * MIB])
        self.assertEqual(self.node.usage("q/0")["memory_peak"], odd)
        self.assertGreater(self.node.usage("q/0")["refusals"], 0)
        wait_until(lambda: self.node.usage("q/0")["memory_used"] == 0, 5, "memory back after the container's end")
        if shutil.which("clinfo"):
            said = self.podman("q", "clinfo", "--raw", "--prop", "CL_DEVICE_GLOBAL_MEM_SIZE").split()
            self.assertEqual([int(word) for word in said if word.isdigit()], [odd, 64 * MIB])

    def share(self, burn, *devices):
        """Equal kernels without a pause in one container each, counted between a common start and a common end."""
        script = f"echo ready; read start; exec {burn} --iterations 600 --seconds {SECONDS} --report-ms 100 --start-at $start"
        boxes = [self.start(device, "sh", "-c", script) for device in devices]
        for box in boxes:
            self.assertEqual(box.stdout.readline(), "ready\n")
        begin = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + 2 * 10**9
        for box in boxes:
            box.stdin.write(f"{begin}\n")
            box.stdin.flush()
        counts = [sum(json.loads(box.communicate(timeout=60)[0])["bins"][: SECONDS * 10]) for box in boxes]
        return 100 * counts[0] / sum(counts)

    def test_two_containers_divide_the_device_as_asked(self):
        """Ten points of room, as in test_share.py; `make bench` measures."""
        self.node.json("create", "--name", "s", "--gpus", "2", "--memory", "64M", "--compute", "70,30")
        burn, found = self.room.put(BURN), []
        self.podman("s", burn, "--iterations", "600", "--seconds", "0.1")  # compiled for all to come
        while not any(60 <= percent <= 80 for percent in found):
            self.assertLess(len(found), TRIES, found)
            found.append(self.share(burn, "s::0", "s::1"))

    def test_limits_outlive_tricks(self):
        """Environment cleared or forged, another user, a folder in front of the libraries: still the vGPU and nothing else."""
        self.node.json("create", "--name", "t", "--memory", "32M", "--compute", "20")
        slice_only = [32 * MIB]

        def seen(prefix=(), **kwargs):
            return [d["memory"] for d in self.inside("t", "devices", prefix=prefix, **kwargs)]

        self.assertNotIn(32 * MIB, [d["memory"] for d in self.inside(None, "devices")])
        self.assertEqual(seen(["env", "-i"]), slice_only)
        self.assertEqual(seen(["env", "-u", "OPENCL_LAYERS"]), slice_only)
        self.assertEqual(seen(options=["--env=OPENCL_LAYERS=/nowhere.so", "--env=FASTGPU_ATTACH=/tmp/forged.sock"]), slice_only)
        self.assertEqual(seen(options=["--user=1234:1234", "--env=HOME=/tmp"]), slice_only)
        self.assertEqual(seen(options=["--read-only", "--env=HOME=/tmp"]), slice_only)
        for trick in (f"umount {rooms.INSIDE}", "umount /etc/ld.so.preload", "rm -f /etc/ld.so.preload", f"rm -f {SOCKET}",
                      f"mount -t tmpfs none {rooms.INSIDE}", "echo > /etc/ld.so.preload",
                      "mknod /tmp/fuse c 10 229 && head -c 1 /tmp/fuse", f"unshare -m umount {rooms.INSIDE}"):
            self.assertNotEqual(self.podman("t", "sh", "-c", trick, code=None).returncode, 0, trick)

    def test_other_vgpus_are_out_of_reach(self):
        self.node.json("create", "--name", "mine", "--memory", "32M", "--compute", "20")
        self.node.json("create", "--name", "theirs", "--memory", "32M", "--compute", "20")
        self.assertEqual(self.podman("mine", "sh", "-c", f"ls {rooms.INSIDE}; find / -xdev -name '*.sock' 2>/dev/null; true").split(),
                         ["attach.sock"])
        self.assertNotIn("theirs", self.podman("mine", "cat", "/proc/self/mountinfo"))

    def test_what_cannot_be_kept_is_not_started(self):
        refused = self.podman("nobody", "true", code=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(DEVICE + "nobody", refused.stderr)
        self.node.json("create", "--name", "gone", "--memory", "32M", "--compute", "20")
        self.podman("gone", "true")
        self.node.fastgpu("delete", "gone")
        self.assertIn(DEVICE + "gone", self.podman("gone", "true", code=None).stderr)
        # Without the daemon a container has no devices at all.
        self.node.json("create", "--name", "left", "--memory", "32M", "--compute", "20")
        self.node.stop_daemon(signal.SIGKILL)
        self.assertIn("left", self.room.devices())
        done = self.podman("left", PYTHON, self.program, "devices", code=None)
        self.assertIn("no vGPU", done.stderr)
        self.assertNotIn('"memory"', done.stdout)

    def test_what_other_vendors_break(self):
        self.node.json("create", "--name", "v", "--memory", "32M", "--compute", "20")
        path = "/etc/cdi/broken.json"
        with open(path, "w", encoding="utf-8") as f:
            f.write("{")
        self.addCleanup(os.unlink, path)
        self.podman("v", "true")
        # The same device twice in one folder: engines drop both, and start nothing.
        shutil.copy(f"{self.room.cdi}/{rooms.SPEC}", f"{self.room.cdi}/copy.json")
        self.addCleanup(os.unlink, f"{self.room.cdi}/copy.json")
        refused = self.podman("v", "true", code=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(DEVICE + "v", refused.stderr)

    def test_a_file_that_went_away(self):
        self.node.json("create", "--name", "f", "--memory", "32M", "--compute", "20")
        layer = tool("lib", "fastgpu", "libfastgpu-opencl.so")
        os.makedirs(f"{self.room.dir}/none", exist_ok=True)
        subprocess.run(["mount", "--bind", f"{self.room.dir}/none", os.path.dirname(layer)], check=True)
        self.addCleanup(subprocess.run, ["umount", os.path.dirname(layer)], check=True)
        refused = self.podman("f", "true", code=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("lib/fastgpu", refused.stderr)

    def test_a_running_container_finds_the_next_daemon(self):
        self.node.json("create", "--name", "d", "--memory", "32M", "--compute", "20")
        script = f"{PYTHON} {self.program} ask 1; read line; {PYTHON} {self.program} fill"
        box = self.start("d", "sh", "-c", script)
        self.assertEqual(json.loads(box.stdout.readline()), "ok")
        self.node.stop_daemon(signal.SIGKILL)
        self.node.fastgpu("list")  # starts the next one
        box.stdin.write("go\n")
        box.stdin.flush()
        self.assertEqual(json.loads(box.stdout.readline()), [32 * MIB])
        self.assertEqual(box.wait(30), 0)


class Spec(ContainerTest):
    """The file that engines read."""

    def make(self, name, *options):
        return self.node.json("create", "--name", name, "--memory", "1M", "--compute", "0.1", *options)

    def test_every_change_is_in_it_before_the_answer(self):
        self.make("a")
        self.assertEqual(self.room.devices(), ["a"])
        self.make("b", "--gpus", "3")
        self.assertEqual(self.room.devices(), ["b", "b::0", "b::1", "b::2", "a"])
        self.node.fastgpu("resize", "b", "--memory", "2M")
        self.node.fastgpu("delete", "b")
        self.assertEqual(self.room.devices(), ["a"])
        spec = self.room.spec()
        self.assertEqual(spec["cdiVersion"], "0.3.0")
        self.assertNotIn("hooks", json.dumps(spec))
        self.make("7up")
        self.assertEqual(self.room.spec()["cdiVersion"], "0.5.0")
        self.assertEqual(os.listdir("/run/cdi"), ["fastgpu.dev-vgpu.json"])
        folder = spec["devices"][0]["containerEdits"]["mounts"][0]["hostPath"]
        self.assertEqual(os.listdir(folder), ["attach.sock"])
        self.node.fastgpu("delete", "a", "7up")
        self.assertIsNone(self.room.spec())
        self.assertFalse(os.path.exists(folder))

    def test_a_clean_stop_removes_it_and_a_start_restores_it(self):
        self.make("a")
        self.make("b")
        self.node.stop_daemon(signal.SIGTERM)
        self.assertIsNone(self.room.spec())
        self.node.fastgpu("list")
        self.assertEqual(self.room.devices(), ["b", "a"])

    def test_a_run_and_a_bad_name_are_not_in_it(self):
        self.node.fastgpu("run", "--", "true")
        self.assertIsNone(self.room.spec())
        self.make("a-")
        self.assertEqual(self.room.devices(), [])
        self.make("a")
        self.assertEqual(self.room.devices(), ["a"])

    def test_doctor_says_which_file_counts(self):
        self.make("a")
        ours = self.room.spec()

        def put(name, text):
            path = os.path.join("/run/cdi", name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            self.addCleanup(os.unlink, path)
            return path

        def said():
            findings = json.loads(self.node.fastgpu("doctor", "--json", check=False).stdout)["findings"]
            return [(f["verdict"], f["text"]) for f in findings if f["check"] == "cdi"]
        self.assertEqual(said(), [("ok", "/run/cdi/fastgpu.dev-vgpu.json: 1 devices, version 0.3.0")])
        broken = put("broken.json", "{")
        nvidia = put("nvidia.json", '{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0"}]}')
        put("other.json", json.dumps(ours))
        found = said()
        self.assertTrue(any(v == "warn" and broken in t and "dropped" in t for v, t in found), found)
        self.assertTrue(any(v == "warn" and nvidia in t and "whole GPUs" in t for v, t in found), found)
        self.assertTrue(any(v == "fail" and '"a"' in t and "drop it from both" in t for v, t in found), found)

    def test_doctor_reads_what_others_write(self):
        """NVIDIA's toolkit writes YAML. Files that are none, that have no end, or are too large are named and do no harm."""
        def said(name, text):
            path = os.path.join("/etc/cdi", name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            findings = json.loads(self.node.fastgpu("doctor", "--json", check=False).stdout)["findings"]
            os.unlink(path)
            return [(f["verdict"], f["text"].replace(path, "IT"), f["mend"]) for f in findings if f["check"] == "cdi" and path in f["text"]]
        (verdict, text, mend), = said("nvidia.yaml", "---\ncdiVersion: 0.5.0\ndevices:\n- name: all\nkind: nvidia.com/gpu\n")
        self.assertEqual((verdict, text), ("warn", "IT offers whole GPUs as nvidia.com/gpu"))
        self.assertIn("covers the limits", mend)
        self.assertEqual(said("other.yaml", "kind: 'example.com/nic' # a network card\n"), [])
        self.assertIn("no line \"kind:", said("flow.yaml", "{kind: nvidia.com/gpu}\n")[0][1])
        self.assertIn("fastgpud writes JSON", said("vgpu.yaml", "kind: fastgpu.dev/vgpu\n")[0][2])
        for name, text, why in (("a.json", "{\"kind\": ]", "dropped by engines: it is no JSON at line 1, column 10"), ("a.json", "[1]", "no object"), ("a.json", "[" * 9999, "no JSON"),
                                ("a.json", "{" + " " * (4 << 20), "not looked at: it is larger than 4 MiB"), ("a.yaml", "#" * (4 << 20) + "\n", "larger than 4 MiB")):
            (verdict, text, mend), = said(name, text)
            self.assertEqual((verdict, mend), ("warn", "mend or remove it"))
            self.assertIn(why, text)
        os.mkfifo("/etc/cdi/pipe.json")
        self.addCleanup(os.unlink, "/etc/cdi/pipe.json")
        self.assertIn("pipe.json is not looked at: it is no file", self.node.fastgpu("doctor", check=False).stdout)

    def test_doctor_says_which_engine_is_too_old(self):
        """Engines that are told of a CDI device by --device and know none say that it is no file: doctor says what to type."""
        subprocess.run(["mount", "-t", "tmpfs", "none", "/usr/local/bin"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/usr/local/bin"], check=True)

        def said(line):
            with open("/usr/local/bin/crio", "w", encoding="ascii") as f:
                f.write(f"#!/bin/sh\n{line}\n")
            os.chmod("/usr/local/bin/crio", 0o755)
            findings = json.loads(self.node.fastgpu("doctor", "--json", check=False).stdout)["findings"]
            finding, = (f for f in findings if f["check"] == "engine" and f["text"].startswith("crio"))
            return finding["verdict"], finding["text"], finding["mend"]
        self.assertEqual(said("echo crio version 1.30.4"), ("ok", "crio 1.30: CDI", ""))
        self.assertEqual(said("echo crio version 1.23.0"), ("ok", "crio 1.23: CDI", ""))
        old = "crio 1.22 is too old for CDI (1.23): it knows no device fastgpu.dev/vgpu=NAME"
        self.assertEqual(said("echo crio version 1.22.9"), ("warn", old, "a newer CRI-O"))
        for line in ("echo crio version 5", "exit 1"):
            self.assertEqual(said(line), ("ok", "crio, if it is 1.23 or newer: CDI", ""))

    @unittest.skipUnless(shutil.which("dockerd"), "no Docker here: NOT TESTED")
    def test_doctor_knows_this_docker(self):
        version = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
        findings = json.loads(self.node.fastgpu("doctor", "--json", check=False).stdout)["findings"]
        finding, = (f for f in findings if f["check"] == "engine" and f["text"].startswith("dockerd"))
        self.assertIn(".".join(version.split(".")[:2]), finding["text"])
        self.assertEqual(finding["verdict"], "warn" if int(version.split(".")[0]) < 25 else "ok", finding)
        self.assertIn("fastgpu docker enable", finding["mend"] or finding["text"])

    def test_doctor_looks_at_the_machine_below(self):
        """What this machine may not have, laid over what it shows, in the test's own mounts."""
        def shown(folder, **files):
            subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
            self.addCleanup(subprocess.run, ["umount", folder], check=True)
            for name, text in files.items():
                os.makedirs(os.path.join(folder, "0000:01:00.0"), exist_ok=True)
                with open(os.path.join(folder, "0000:01:00.0", name), "w", encoding="ascii") as f:
                    f.write(text)

        def said(check):
            findings = json.loads(self.node.fastgpu("doctor", "--json", check=False).stdout)["findings"]
            return [(f["verdict"], f["text"], f["mend"]) for f in findings if f["check"] == check]
        if not os.path.exists("/sys/module/nvidia"):
            shown("/sys/bus/pci/devices", vendor="0x10de\n", **{"class": "0x030200\n"})
            (verdict, text, mend), = said("module")
            self.assertEqual(verdict, "fail")
            self.assertIn("1 NVIDIA GPU on the bus", text)
            self.assertIn("modprobe nvidia", mend)
            shown("/sys/module")
            os.mkdir("/sys/module/nvidia")
            (verdict, text, mend), = said("module")
            self.assertEqual((verdict, mend.split(" (")[0]), ("fail", "modprobe nvidia_uvm"))
            os.mkdir("/sys/module/nvidia_uvm")
            self.assertEqual(said("module")[0][0], "ok")
        shown("/sys/class/iommu")
        self.assertIn("off", said("iommu")[0][1])
        os.mkdir("/sys/class/iommu/dmar0")
        self.assertIn("VT-d", said("iommu")[0][1])
        # Nodes of a driver, in a /dev with little else; nobody opens them.
        shown("/dev")
        for name, number in {"null": (1, 3), "zero": (1, 5), "urandom": (1, 9), "nvidiactl": (195, 255)}.items():
            os.mknod("/dev/" + name, stat.S_IFCHR | 0o666, os.makedev(*number))
            os.chmod("/dev/" + name, 0o666)
        (verdict, text, mend), = said("uvm")
        self.assertEqual(verdict, "fail")
        self.assertIn("no /dev/nvidia-uvm", text)
        self.assertIn("modprobe nvidia_uvm", mend)
        (verdict, text, mend), = said("links")
        self.assertEqual(verdict, "warn")
        self.assertIn("no /dev/char/195:255 (nvidiactl): systemctl daemon-reload", text)
        os.mkdir("/dev/char")
        os.symlink("/dev/nvidiactl", "/dev/char/195:255")
        os.mknod("/dev/nvidia-uvm", stat.S_IFCHR | 0o666, os.makedev(511, 0))
        os.symlink("/dev/nvidia-uvm", "/dev/char/511:0")
        self.assertEqual([said(check)[0][0] for check in ("uvm", "links")], ["ok", "ok"])
        self.assertIn("each of 2 nodes", said("links")[0][1])

    def test_a_folder_that_cannot_be_written_is_said(self):
        self.node.env["FASTGPU_CDI_DIR"] = "/proc/none"
        self.make("a")
        self.assertIn("/proc/none", " ".join(self.node.get("/v1/devices")["problems"]))


class SpecOfFew(ContainerTest):
    def environment(self):
        return {"FASTGPU_CDI_MAX": "3"}

    def test_engines_are_told_of_the_newest(self):
        for name in "abcde":
            self.node.json("create", "--name", name, "--memory", "1M", "--compute", "0.1")
        self.assertEqual(self.room.devices(), ["e", "d", "c"])
        status, box = self.node.request("POST", "/v1/containers", {"target": "a"})
        self.assertEqual((status, box["device"]), (200, "a"))
        self.assertEqual(self.room.devices(), ["a", "e", "d"])
        self.assertIn({"hostPath": box["folder"], "containerPath": rooms.INSIDE, "options": ["bind", "ro", "nosuid", "nodev"]},
                      box["edits"]["mounts"])
        self.node.stop_daemon(signal.SIGKILL)
        self.node.fastgpu("list")
        self.assertEqual(self.room.devices(), ["a", "e", "d"])

    def test_the_next_daemon_takes_over_those_that_engines_no_longer_know(self):
        many = [f"v{i}" for i in range(100)]
        for name in many:
            self.node.json("create", "--name", name, "--memory", "1M", "--compute", "0.1")
        boxes = os.path.join(self.node.dir, "run", "containers")
        self.node.stop_daemon(signal.SIGKILL)
        self.assertFalse(answers(f"{boxes}/v0/attach.sock"))
        os.mkdir(f"{boxes}/nobody")
        self.node.fastgpu("delete", "v7")
        self.assertFalse(os.path.exists(f"{boxes}/v7"))
        for name in set(many) - {"v7"}:
            wait_until(lambda: answers(f"{boxes}/{name}/attach.sock"), 5, f"the box of {name}")
        self.assertFalse(os.path.exists(f"{boxes}/nobody"))
        self.assertEqual(self.room.devices(), ["v99", "v98", "v97"])


if __name__ == "__main__":
    rooms.enter()
    main()
