#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every way to ask for memory says the same: the quota is the total, quota - used is free, contexts counted. Fractions that frameworks
take of either then mean what they say. And MXNet's way of taking it."""
import json
import os
import subprocess
import sys

from e2e import MIB, NodeTest, main, wait_until
from node import FASTGPU, Node

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "python")
POOL = [sys.executable, os.path.join(HERE, "inside_pool.py")]
CONTEXT = 300 * MIB  # of a simulated H100

CUDA = r"""
import ctypes, json
from fastgpu import here
cu, ml = ctypes.CDLL("libcuda.so.1"), ctypes.CDLL("libnvidia-ml.so.1")
size = ctypes.c_size_t
class V1(ctypes.Structure): _fields_ = [(n, ctypes.c_ulonglong) for n in ("total", "free", "used")]
class V2(ctypes.Structure): _fields_ = [("version", ctypes.c_uint), *[(n, ctypes.c_ulonglong) for n in ("total", "reserved", "free", "used")]]
assert cu.cuInit(0) == 0 and ml.nvmlInit_v2() == 0
def all(i):
    free, total, whole = size(), size(), size()
    context = ctypes.c_void_p()
    assert cu.cuDevicePrimaryCtxRetain(ctypes.byref(context), i) == 0 and cu.cuCtxSetCurrent(context) == 0
    assert cu.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0 and cu.cuDeviceTotalMem_v2(ctypes.byref(whole), i) == 0
    handle, one, two = ctypes.c_void_p(), V1(), V2(version=ctypes.sizeof(V2) | 2 << 24)
    assert ml.nvmlDeviceGetHandleByIndex_v2(i, ctypes.byref(handle)) == 0
    assert ml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(one)) == 0 and ml.nvmlDeviceGetMemoryInfo_v2(handle, ctypes.byref(two)) == 0
    return {"cuMemGetInfo": [total.value, free.value], "cuDeviceTotalMem": [whole.value, None], "nvml": [one.total, one.free],
            "nvml2": [two.total, two.free], "python": [here.memory(i).total, here.memory(i).free]}
said = [all(i) for i in (0, 1)]
p = ctypes.c_uint64()
assert cu.cuMemAlloc_v2(ctypes.byref(p), size(77 << 20)) == 0
said.append(all(1))
print(json.dumps(said))
"""

OPENCL = r"""
import json, pyopencl as cl
from fastgpu import here
devices = [d for p in cl.get_platforms() for d in p.get_devices()]
context = cl.Context(devices)
held = cl.Buffer(context, cl.mem_flags.READ_WRITE, 9 << 20)
queue = cl.CommandQueue(context, devices[0])
cl.enqueue_fill_buffer(queue, held, b"\0", 0, 9 << 20).wait()
print(json.dumps([[d.global_mem_size for d in devices], [here.memory(i).total for i in range(2)], here.memory(0).used]))
"""


class Views(NodeTest):
    def program(self, python, code, target="a"):
        done = self.node.native(FASTGPU, "run", target, "--", python, "-c", code)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout.splitlines()[-1])


class Cuda(Views):
    def setUp(self):
        self.node = Node(FASTGPU_SIM="1xH100:8G", PYTHONPATH=PACKAGE)
        self.node.env["FASTGPU_SIM_STATE"] = self.node.dir
        self.addCleanup(self.node.close)

    def test_all_say_the_same(self):
        self.create("a", "--gpus", "2", "--memory", "1G,640M", "--compute", "50,30", "--device", "0")
        first, second, more = self.program(sys.executable, CUDA)
        for said, total, used in ((first, 1024 * MIB, CONTEXT), (second, 640 * MIB, CONTEXT), (more, 640 * MIB, CONTEXT + 77 * MIB)):
            for name, (t, f) in said.items():
                self.assertEqual((name, t, f), (name, total, f if f is None else total - used))

    def test_mxnet(self):
        """Two programs with pools share a quota: none fails for what the other gave back, the quota holds, nothing is left."""
        self.create("a", "--memory", "1536M", "--compute", "50", "--device", "0")
        running = [self.node.popen([FASTGPU, "run", "a", "--", *POOL, str(seed), "400", str(192 * MIB)], stdout=subprocess.PIPE) for seed in (1, 2)]
        said = [json.loads(p.communicate(timeout=120)[0]) for p in running]
        self.assertEqual([p.returncode for p in running], [0, 0])
        for out in said:
            self.assertEqual(out["total"], 1536 * MIB)
            self.assertGreater(out["hits"], 0)
            self.assertGreater(out["released"], 1)
        usage = self.node.usage("a/0")
        self.assertLessEqual(usage["memory_peak"], 1536 * MIB)
        wait_until(lambda: self.node.usage("a/0")["memory_used"] == 0, 5, "all is given back")
        done = self.node.native(FASTGPU, "run", "a", "--", *POOL, "3", "400", str(192 * MIB))
        alone = json.loads(done.stdout)
        self.assertEqual((alone["begin"], alone["end"], alone["books"]), (1536 * MIB - CONTEXT, 1536 * MIB - CONTEXT, True))


class OpenCL(Views):
    def setUp(self):
        self.node = Node(PYTHONPATH=PACKAGE)
        self.addCleanup(self.node.close)

    def test_all_say_the_same(self):
        from e2e import PYTHON
        self.create("a", "--gpus", "2", "--memory", "37M,64M", "--compute", "50,30")
        said, python, used = self.program(PYTHON, OPENCL)
        self.assertEqual((said, python), ([37 * MIB, 64 * MIB],) * 2)
        self.assertGreaterEqual(used, 9 * MIB)


if __name__ == "__main__":
    main()
