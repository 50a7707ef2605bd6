#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CUDA programs in containers, on simulated GPUs: the drop-in is there under every name, the quota is exact, and an image's own driver
is not found by its name."""
import json
import os
import shutil
import subprocess
import time
import unittest

from e2e import MIB, main, wait_until
from node import Node, tool
import room as rooms

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside_cuda.py")
PYTHON = "/usr/bin/python3"
CONTEXT = 300 * MIB  # of a simulated H100
OUT_OF_MEMORY = 2
SECONDS, TRIES = 3, 3
DRIVER = """import ctypes, sys
cu = ctypes.CDLL(sys.argv[1])
n, total = ctypes.c_int(), ctypes.c_size_t()
print(cu.cuInit(0), cu.cuDeviceGetCount(ctypes.byref(n)), n.value, cu.cuDeviceTotalMem_v2(ctypes.byref(total), 0), total.value)
"""


@unittest.skipUnless(shutil.which("podman"), "podman is not installed: NOT TESTED")
@unittest.skipUnless(os.access(PYTHON, os.X_OK), f"no {PYTHON}: NOT TESTED")
class Cuda(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = rooms.Room()
        cls.addClassCleanup(cls.room.close)
        cls.program = cls.room.put(PROGRAM)
        cls.node = Node(FASTGPU_CDI_DIR="/run/cdi", FASTGPU_SIM="2xH100:8G")
        cls.addClassCleanup(cls.node.close)
        cls.node.json("create", "--name", "a", "--gpus", "2", "--memory", "1G,512M", "--compute", "60,40", "--device", "0")
        with open(os.path.join(cls.room.root, "opt", "driver.py"), "w", encoding="utf-8") as f:
            f.write(DRIVER)

    def podman(self, device, *words, options=(), **kwargs):
        done = self.room.podman(*words, options=[f"--device=fastgpu.dev/vgpu={device}", *options], **kwargs)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def ask(self, device, *lines, prefix=(), options=()):
        told = self.podman(device, *prefix, PYTHON, self.program, input="".join(f"{line}\n" for line in lines), options=["-i", *options])
        return [json.loads(line) for line in told.splitlines()]

    def test_quota_and_view(self):
        vgpus = self.node.get("/v1/vgpus/a")["vgpus"]
        slices = [{"memory": v["memory"], "uuid": v["uuid"]} for v in vgpus]
        self.assertEqual(self.ask("a", "devices"), [0, slices])
        room = (512 << 20) - CONTEXT
        said = self.ask("a::1", "devices", "use 0", f"alloc {room + 1}", f"alloc {room}", "alloc 1")
        self.assertEqual(said, [0, slices[1:], 0, OUT_OF_MEMORY, 0, OUT_OF_MEMORY])
        wait_until(lambda: self.node.usage("a/1")["memory_used"] == 0, 5, "memory back after the container's end")

    def share(self, *devices):
        boxes = [self.node.popen(self.room.podman_run(PYTHON, self.program, options=["-i", f"--device=fastgpu.dev/vgpu={device}"]),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE) for device in devices]
        for box in boxes:
            self.assertEqual(box.stdout.readline(), "0\n")
        begin = time.monotonic_ns() + 10**9
        for box in boxes:
            box.stdin.write(f"use 0\nsaturate {begin} {SECONDS}\n")
            box.stdin.flush()
        counts = [json.loads(box.communicate(timeout=60)[0].splitlines()[-1]) for box in boxes]
        self.assertGreater(min(counts), 0)
        return 100 * counts[0] / sum(counts)

    def test_two_containers_divide_the_device_as_asked(self):
        """Ten points of room; `make bench` measures. The simulated kernels take their time whatever else the machine does."""
        self.node.json("create", "--name", "s", "--gpus", "2", "--memory", "512M", "--compute", "70,30", "--device", "1")
        found = []
        while not any(60 <= percent <= 80 for percent in found):
            self.assertLess(len(found), TRIES, found)
            found.append(self.share("s::0", "s::1"))

    def seen(self, library, prefix=(), options=(), device="a::1"):
        return self.podman(device, *prefix, PYTHON, "/opt/driver.py", library, options=options).split()

    def test_the_driver_is_ours_by_every_name(self):
        ours = ["0", "0", "1", "0", str(512 << 20)]
        for name in ("libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib64/libcuda.so.1", "/usr/lib/fastgpu/libcuda.so.1",
                     "/usr/lib/fastgpu/real/libcuda.so.1"):
            self.assertEqual(self.seen(name), ours, name)
        # An image's own driver in front of the search path, and where CUDA keeps its newer one.
        for folder in ("/opt/mine", "/usr/local/cuda/compat"):
            os.makedirs(self.room.root + folder, exist_ok=True)
            shutil.copy(tool("lib", "fastgpu", "sim", "libcuda.so.1"), self.room.root + folder)
            self.assertEqual(self.seen("libcuda.so.1", options=[f"--env=LD_LIBRARY_PATH={folder}"]), ours, folder)
        self.assertIn("No such file", self.room.podman("ls", "/usr/local/cuda/compat/libcuda.so.1",
                                                       options=["--device=fastgpu.dev/vgpu=a"]).stderr)

    def test_without_its_environment_there_is_no_more(self):
        """The simulator is found by a variable; without it there is no GPU at all. What matters: never a whole one."""
        self.assertNotIn(str(8 << 30), self.seen("libcuda.so.1", prefix=["env", "-i", "PATH=/usr/bin"]))
        self.assertNotIn(str(8 << 30), self.seen("libcuda.so.1", prefix=["env", "-u", "LD_PRELOAD", "-u", "FASTGPU_ATTACH"]))

    def test_what_is_not_stopped(self):
        """A copy of the driver under a path of the image's own, opened by that path: as documented, the whole GPU."""
        os.makedirs(self.room.root + "/opt/own", exist_ok=True)
        shutil.copy(tool("lib", "fastgpu", "sim", "libcuda.so.1"), self.room.root + "/opt/own/driver.so")
        self.assertEqual(self.seen("/opt/own/driver.so"), ["0", "0", "2", "0", str(8 << 30)])


LOOK = """import subprocess, sys
for line in sys.stdin:
    with open("/usr/lib/fastgpu/real/libcuda.so.1", "rb") as f:
        version = f.read()[-5:].decode()
    print(version, subprocess.run([sys.executable, "/opt/driver.py", "libcuda.so.1"], capture_output=True, text=True).stdout.split()[-1], flush=True)
"""


@unittest.skipUnless(shutil.which("podman"), "podman is not installed: NOT TESTED")
@unittest.skipUnless(os.access(PYTHON, os.X_OK), f"no {PYTHON}: NOT TESTED")
class DriverUpdate(unittest.TestCase):
    """A driver in versioned files, as NVIDIA's, whose package replaces them: the simulator by another variable's name, so that the daemon takes it for
    one of the machine's."""
    UUID = "GPU-00000001-0000-4000-8000-000000000001"

    def setUp(self):
        self.room = rooms.Room()
        self.addCleanup(self.room.close)
        self.folder = os.path.join(self.room.dir, "driver")
        os.makedirs(self.folder)
        self.put("550.1")
        self.show("/proc/driver", self.driver_says)
        self.show("/dev", self.make_nodes)
        self.node = Node(FASTGPU_CDI_DIR="/run/cdi", FASTGPU_DRIVER_PATH=self.folder, FASTGPX_SIM="1xH100:8G")
        self.addCleanup(self.node.close)
        for name, text in (("driver.py", DRIVER), ("look.py", LOOK)):
            with open(os.path.join(self.room.root, "opt", name), "w", encoding="utf-8") as f:
                f.write(text)

    def show(self, folder, fill):
        """A folder of the machine's as this test needs it, in the test's own mounts."""
        made = os.path.join(self.room.dir, "shown" + folder.replace("/", "-"))
        os.makedirs(made)
        rooms.mount("-t", "tmpfs", "none", made)
        fill(made)
        rooms.mount("--move", made, folder)
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)

    def driver_says(self, made):
        os.makedirs(made + "/nvidia/gpus/0000:01:00.0")
        with open(made + "/nvidia/gpus/0000:01:00.0/information", "w", encoding="ascii") as f:
            f.write(f"GPU UUID: \t {self.UUID}\nDevice Minor: \t 0\n")

    @staticmethod
    def make_nodes(made):
        for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx"):
            subprocess.run(["cp", "-a", "/dev/" + name, made], check=True)
        for name in ("pts", "shm"):
            os.mkdir(f"{made}/{name}")
            rooms.mount("--bind", "/dev/" + name, f"{made}/{name}")
        os.symlink("/proc/self/fd", made + "/fd")
        for name, minor in (("nvidiactl", 255), ("nvidia0", 0)):
            os.mknod(f"{made}/{name}", 0o020666, os.makedev(195, minor))

    def put(self, version):
        """As a package does: other files, and the links to them. The last bytes say which."""
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        for name in ("libcuda.so", "libnvidia-ml.so"):
            with open(tool("lib", "fastgpu", "sim", name + ".1"), "rb") as f:
                driver = f.read().replace(b"\0FASTGPU_SIM\0", b"\0FASTGPX_SIM\0")
            with open(f"{self.folder}/{name}.{version}", "wb") as f:
                f.write(driver + version.encode())
            os.symlink(f"{name}.{version}", f"{self.folder}/{name}.1")

    def start(self):
        box = self.node.popen(self.room.podman_run(PYTHON, "/opt/look.py", options=["-i", "--device=fastgpu.dev/vgpu=a", "--env=FASTGPX_SIM=1xH100:8G"]),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return box, self.look(box)

    @staticmethod
    def look(box):
        box.stdin.write("look\n")
        box.stdin.flush()
        return box.stdout.readline().split()

    def test_the_old_container_keeps_its_driver_and_the_new_one_has_the_new(self):
        self.node.json("create", "--name", "a", "--memory", "512M", "--compute", "40")
        size = str(512 << 20)
        old, said = self.start()
        self.assertEqual(said, ["550.1", size])
        self.put("560.2")
        self.assertEqual(self.look(old), ["550.1", size])
        # The daemon has told engines of files that are gone: no container without a driver, and the engine names what is not there.
        refused = self.room.podman("true", options=["--device=fastgpu.dev/vgpu=a"])
        self.assertNotEqual(refused.returncode, 0)
        self.assertRegex(refused.stderr, r"lib(cuda|nvidia-ml)\.so\.550\.1")
        self.assertIn("No such file", refused.stderr)
        self.node.stop_daemon(15)
        self.node.fastgpu("list")
        new, said = self.start()
        self.assertEqual(said, ["560.2", size])
        self.assertEqual(self.look(old), ["550.1", size])
        for box in (old, new):
            box.stdin.close()
            self.assertEqual(box.wait(30), 0)


if __name__ == "__main__":
    rooms.enter()
    main()
