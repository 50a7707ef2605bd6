#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's own CUDA runtime library, of three generations, in front of the drop-in driver.

On the simulated driver it does not start: it asks for tables of functions that NVIDIA does not document (cuGetExportTable), the last of them a
proof that the driver is NVIDIA's own. The simulator says that it has none, and the runtime reports cudaErrorSymbolNotFound. So what is held here
is that a program hears in a vGPU, word for word, what it hears without; that the layer's own refusals reach it as the runtime's usual errors; and
that nothing stays acquired. Memory, streams and events through the runtime are tested on a real GPU alone (`make gpu-check`)."""
import glob
import json
import os
import sys

from e2e import NodeTest, main
from node import Node, tool

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "api"))
import cache  # noqa: E402

cache.NAME = "cuda-runtime"
cache.WANTED = os.path.join(HERE, "requirements-cuda-runtime.txt")
cache.OPTIONS = ("--no-deps",)

NO_DRIVER, NO_DEVICE, NO_SYMBOL = 35, 100, 500
DRIVER = {11: 12020, 12: 12090, 13: 13010}  # one that is new enough for the runtime

# What the calls say, and what the first error is called.
PROGRAM = r"""
import ctypes as c, json, sys
runtime = c.CDLL(sys.argv[1])
runtime.cudaGetErrorName.restype = c.c_char_p
number, free, total, pointer = c.c_int(-1), c.c_size_t(), c.c_size_t(), c.c_void_p()
said = {"driver": [runtime.cudaDriverGetVersion(c.byref(number)), number.value]}
number.value = -1
said["count"] = [runtime.cudaGetDeviceCount(c.byref(number)), number.value]
said["info"] = runtime.cudaMemGetInfo(c.byref(free), c.byref(total))
said["malloc"] = [runtime.cudaMalloc(c.byref(pointer), c.c_size_t(1 << 20)), pointer.value]
said["stream"] = runtime.cudaStreamCreate(c.byref(pointer))
said["synchronize"] = runtime.cudaDeviceSynchronize()
said["name"] = runtime.cudaGetErrorName(said["count"][0]).decode()
print(json.dumps(said))
"""


def runtimes():
    """{generation: path}"""
    cache.program("python3")
    found = glob.glob(os.path.join(cache.folder(), "lib", "python*", "site-packages", "nvidia", "*", "lib", "libcudart.so.*"))
    return {int(path.rpartition(".so.")[2].partition(".")[0]): path for path in found}


RUNTIMES = runtimes()


class CudaRuntime(NodeTest):
    def start(self, driver):
        """A node with a simulated GPU and the CUDA version of its driver, or without any."""
        self.node = Node()
        self.addCleanup(self.node.close)
        if driver:
            self.node.env["FASTGPU_SIM"] = os.path.join(self.node.dir, "gpus.sim")
            self.node.env["FASTGPU_SIM_STATE"] = self.node.dir
            with open(self.node.env["FASTGPU_SIM"], "w", encoding="ascii") as spec:
                spec.write(f"[gpu]\nmodel = H100\nmemory = 8G\n[sim]\ndriver = {driver}\n")

    def said(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return json.loads(done.stdout)

    def test_hears_what_it_hears_without(self):
        for generation, path in sorted(RUNTIMES.items()):
            with self.subTest(runtime=generation):
                version = DRIVER[generation]
                self.start(f"{version // 1000}.{version % 1000 // 10}")
                self.create("a", "--gpus", "2", "--memory", "1G,512M", "--compute", "40", "--device", "0")
                inside = self.said(self.node.run("a", sys.executable, "-c", PROGRAM, path))
                outside = self.said(self.node.native("env", "LD_LIBRARY_PATH=" + tool("lib", "fastgpu", "sim"), sys.executable, "-c", PROGRAM, path))
                self.assertEqual(inside, outside)
                self.assertEqual(inside["driver"], [0, version])
                self.assertEqual((inside["count"], inside["name"]), ([NO_SYMBOL, -1], "cudaErrorSymbolNotFound"))
                self.assertEqual(inside["malloc"][1], None)
                for vgpu in ("a/0", "a/1"):
                    usage = self.node.usage(vgpu)
                    self.assertEqual((usage["memory_used"], usage["processes"]), (0, 0))

    def test_a_driver_that_is_too_old(self):
        self.start("12.2")
        self.create("a", "--memory", "1G", "--compute", "40", "--device", "0")
        said = self.said(self.node.run("a", sys.executable, "-c", PROGRAM, RUNTIMES[13]))
        self.assertEqual((said["driver"], said["count"], said["name"]), ([0, 12020], [NO_DRIVER, -1], "cudaErrorInsufficientDriver"))

    def test_without_a_cuda_device(self):
        """A vGPU of an OpenCL device: the drop-in is there, and no driver behind it."""
        self.start(None)
        self.create("a", "--memory", "32M", "--compute", "40")
        for generation, path in sorted(RUNTIMES.items()):
            with self.subTest(runtime=generation):
                said = self.said(self.node.run("a", sys.executable, "-c", PROGRAM, path))
                self.assertEqual((said["driver"], said["count"], said["name"]), ([0, 0], [NO_DRIVER, -1], "cudaErrorInsufficientDriver"))
                self.assertEqual({said["info"], said["malloc"][0], said["stream"], said["synchronize"]}, {NO_DRIVER})


if __name__ == "__main__":
    main()
