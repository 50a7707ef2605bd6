#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ways out of a vGPU, tried from within a container, each with the outcome that docs/design/containers.md states: also those that
are not stopped, so that the page stays true. What test_containers.py tries is not repeated."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from e2e import INSIDE as PROGRAM
from e2e import MIB, PYTHON, main
from node import Node, tool
import room as rooms

DEVICE = "fastgpu.dev/vgpu="
ESCAPE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "escape.py")
EVIL = """#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void evil(void)
{
        char space[64] = "";
        FILE *log = fopen("/evil/log", "a");
        if (log && readlink("/proc/self/ns/mnt", space, sizeof space - 1) > 0)
                fprintf(log, "%s\\n", space);
        if (log)
                fclose(log);
}
"""
NVIDIA = {"cdiVersion": "0.3.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0", "containerEdits": {"mounts": []}}]}
DRIVER = """import ctypes, sys
cu = ctypes.CDLL(sys.argv[1])
total = ctypes.c_size_t()
print(cu.cuInit(0), cu.cuDeviceTotalMem_v2(ctypes.byref(total), 0), total.value)
"""


class EscapeTest(unittest.TestCase):
    environment = {}

    @classmethod
    def setUpClass(cls):
        cls.room = rooms.Room()
        cls.addClassCleanup(cls.room.close)
        cls.node = Node(FASTGPU_CDI_DIR="/run/cdi", **cls.environment)
        cls.addClassCleanup(cls.node.close)

    def podman(self, *words, devices=("a",), options=(), root=None):
        chosen = [f"--device={d if '=' in d else DEVICE + d}" for d in devices]
        done = self.room.podman(*words, root=root, options=[*chosen, *options])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout


@unittest.skipUnless(shutil.which("podman"), "podman is not installed: NOT TESTED")
class OpenCL(EscapeTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.program, cls.escape = cls.room.put(PROGRAM), cls.room.put(ESCAPE)
        cls.node.json("create", "--name", "a", "--memory", "32M", "--compute", "20")
        cls.node.json("create", "--name", "b", "--memory", "48M", "--compute", "20")

    def seen(self, *prefix, **kwargs):
        said = self.podman(*prefix, PYTHON, self.program, "devices", **kwargs)
        return [d["memory"] for d in json.loads(said.splitlines()[-1])]

    def tried(self, verb):
        return json.loads(self.podman(PYTHON, self.escape, verb).splitlines()[-1])

    def assert_whole(self, memory):
        """Not stopped: it sees the device, as a container without a vGPU does."""
        self.assertEqual(memory, self.seen(devices=()))
        self.assertNotIn(32 * MIB, memory)

    def test_sessions_have_the_vgpu(self):
        """As sshd and cron start them: a login shell with an environment of its own, another user, no ancestor of the container's."""
        self.assertEqual(self.seen("setsid", "-w", "env", "-i", "PATH=/usr/bin:/bin", "sh", "-lc", 'exec "$@"', "sh"), [32 * MIB])
        self.assertEqual(self.seen("setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin", "HOME=/tmp"),
                         [32 * MIB])

    def test_an_image_of_links(self):
        """Every place where something is mounted is a link of the image's: followed inside its root, and nowhere else."""
        root = self.room.make_root("links")
        outside = tempfile.mkdtemp(prefix="fastgpu-outside-")
        self.addCleanup(shutil.rmtree, outside)
        os.rmdir(root + "/run")
        os.symlink(outside, root + "/run")
        os.symlink("../../../../../.." + outside + "/preload", root + "/etc/ld.so.preload")
        os.symlink(outside + "/lib", root + "/usr/lib/fastgpu")
        os.makedirs(root + outside + "/lib")
        shutil.copy(PROGRAM, root + "/opt")
        self.assertEqual(self.seen("env", "-i", "PATH=/usr/bin", root=root), [32 * MIB])
        self.assertEqual(os.listdir(outside), [])

    def test_several_devices_are_the_last(self):
        self.assertEqual(self.seen(devices=("a", "b")), [48 * MIB])
        self.assertEqual(self.seen(devices=("b", "a")), [32 * MIB])

    @unittest.skipUnless(shutil.which("cc"), "no C compiler: NOT TESTED")
    def test_nothing_of_the_image_runs_outside(self):
        """A hook would: runc hands it the container's environment. There is none, so what LD_PRELOAD names runs inside alone."""
        source = os.path.join(self.room.dir, "evil.c")
        with open(source, "w", encoding="utf-8") as f:
            f.write(EVIL)
        os.makedirs(self.room.root + "/evil", exist_ok=True)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.room.root + "/evil/evil.so", source], check=True)
        self.podman("true", options=["--env=LD_PRELOAD=/evil/evil.so"])
        with open(self.room.root + "/evil/log", encoding="ascii") as f:
            spaces = set(f.read().split())
        self.assertEqual(len(spaces), 1)
        self.assertNotIn(os.readlink("/proc/self/ns/mnt"), spaces)

    def test_not_stopped_by_itself(self):
        """On PoCL, whose device is the container's own processors."""
        self.assert_whole(self.tried("unset"))
        self.assert_whole(self.tried("driver"))

    def test_not_stopped_in_a_container_within(self):
        """Another root has neither the layer nor the list that loads it; so has one that a nested engine makes."""
        nested = self.room.make_root("nested")
        shutil.copy(PROGRAM, nested + "/opt")
        volumes = [f"--volume={nested}:/nested:rslave", "--volume=/sys:/nested/sys:ro", "--volume=/proc:/nested/proc:ro"]
        self.assert_whole(self.seen("chroot", "/nested", options=volumes))

    def test_not_stopped_with_all_rights(self):
        self.assert_whole(self.seen("sh", "-c", f'umount /etc/ld.so.preload && umount {rooms.INSIDE} && exec env -i PATH=/usr/bin "$@"', "sh",
                                    options=["--privileged"]))


@unittest.skipUnless(shutil.which("podman"), "podman is not installed: NOT TESTED")
class Cuda(EscapeTest):
    environment = {"FASTGPU_SIM": "1xH100:8G"}
    OURS, WHOLE = ["0", "0", str(512 << 20)], ["0", "0", str(8 << 30)]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.json("create", "--name", "a", "--memory", "512M", "--compute", "40", "--device", "0")
        with open(os.path.join(cls.room.root, "opt", "driver.py"), "w", encoding="utf-8") as f:
            f.write(DRIVER)

    def seen(self, library, **kwargs):
        return self.podman("/usr/bin/python3", "/opt/driver.py", library, **kwargs).split()

    def test_the_whole_gpu_besides(self):
        """Another vendor's device lays the driver over ours, or ours lies over it, as they come."""
        path, mount = "/usr/lib/x86_64-linux-gnu/libcuda.so.1", NVIDIA["devices"][0]["containerEdits"]["mounts"]
        mount[:] = [{"hostPath": tool("lib", "fastgpu", "sim", "libcuda.so.1"), "containerPath": path, "options": ["bind", "ro"]}]
        with open("/etc/cdi/nvidia.json", "w", encoding="utf-8") as f:
            json.dump(NVIDIA, f)
        self.addCleanup(os.unlink, "/etc/cdi/nvidia.json")
        self.room.podman("ln", "-sf", path, "/opt/other.so")
        for devices in (("nvidia.com/gpu=0", "a"), ("a", "nvidia.com/gpu=0")):
            for name in ("libcuda.so.1", path):
                self.assertEqual(self.seen(name, devices=devices), self.OURS, (name, devices))
        self.assertEqual(self.seen("/opt/other.so", devices=("nvidia.com/gpu=0", "a")), self.OURS)
        # The drop-in knows the driver by its names: under another one, where the other device came last, it is not stopped.
        self.assertEqual(self.seen("/opt/other.so", devices=("a", "nvidia.com/gpu=0")), self.WHOLE)

    def test_an_image_with_its_own_driver_in_the_place_of_ours(self):
        root, own = self.room.make_root("image"), tool("lib", "fastgpu", "sim", "libcuda.so.1")
        for path in ("opt/libcuda.so.1", "usr/lib64/libcuda.so.1"):
            shutil.copy(own, os.path.join(root, path))
        shutil.copy(self.room.root + "/opt/driver.py", root + "/opt")
        os.symlink("/opt/libcuda.so.1", root + "/usr/lib/x86_64-linux-gnu/libcuda.so.1")
        for name in ("libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib64/libcuda.so.1"):
            self.assertEqual(self.seen(name, root=root), self.OURS, name)


if __name__ == "__main__":
    rooms.enter()
    main()
