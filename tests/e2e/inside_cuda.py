#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A CUDA program for the tests: takes commands on standard input, a line each, and answers each with a line of JSON.

devices | use D | alloc BYTES | free I | info | nvml | bypass BYTES | launch N | saturate START_NS SECONDS"""
import ctypes
import json
import os
import sys
import time

cu = ctypes.CDLL("libcuda.so.1")
ptr, size = ctypes.c_uint64, ctypes.c_size_t
IMAGE = b"fastgpu-sim\nkernel work time=200us\n"


class NvmlProcess(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong), ("gi", ctypes.c_uint), ("ci", ctypes.c_uint)]


def uuid(device):
    raw = (ctypes.c_ubyte * 16)()
    assert cu.cuDeviceGetUuid_v2(raw, device) == 0
    text = bytes(raw).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def devices():
    n, total = ctypes.c_int(), size()
    if cu.cuDeviceGetCount(ctypes.byref(n)):
        return None
    found = []
    for d in range(n.value):
        assert cu.cuDeviceTotalMem_v2(ctypes.byref(total), d) == 0
        found.append({"memory": total.value, "uuid": uuid(d)})
    return found


class Program:
    def __init__(self):
        self.held, self.kernel = [], None

    def use(self, device):
        context = ctypes.c_void_p()
        r = cu.cuDevicePrimaryCtxRetain(ctypes.byref(context), int(device))
        return r or cu.cuCtxSetCurrent(context)

    def alloc(self, amount, function=None):
        p = ptr()
        r = (function or cu.cuMemAlloc_v2)(ctypes.byref(p), size(int(amount)))
        if r == 0:
            self.held.append(p.value)
        return r

    def free(self, index):
        return cu.cuMemFree_v2(ptr(self.held.pop(int(index))))

    def info(self):
        free, total = size(), size()
        assert cu.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
        return [free.value, total.value]

    def bypass(self, amount):
        """What a program does that is out to get around the drop-in: the real driver's function by the C library's own dlsym."""
        libc = ctypes.CDLL("libc.so.6")
        libc.dlsym.restype = libc.dlopen.restype = ctypes.c_void_p
        path = os.path.join(os.path.dirname(os.environ["LD_PRELOAD"].split(":")[0]), "sim", "libcuda.so.1")
        library = libc.dlopen(path.encode(), os.RTLD_NOW)
        function = libc.dlsym(ctypes.c_void_p(library), b"cuMemAlloc_v2")
        return self.alloc(amount, ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, size)(function))

    def launch(self, count):
        if not self.kernel:
            module, self.kernel = ctypes.c_void_p(), ctypes.c_void_p()
            assert cu.cuModuleLoadData(ctypes.byref(module), IMAGE) == 0
            assert cu.cuModuleGetFunction(ctypes.byref(self.kernel), module, b"work") == 0
        for _ in range(int(count)):
            r = cu.cuLaunchKernel(self.kernel, 1, 1, 1, 32, 1, 1, 0, None, None, None)
            if r:
                return r
        return cu.cuCtxSynchronize()

    def saturate(self, start, seconds):
        """Equal kernels without a pause; how many completed in that time."""
        start, done = int(start), 0
        end = start + int(seconds) * 10**9
        while time.monotonic_ns() < end:
            r = self.launch(20)
            if r:
                return -r
            done += 20 if start <= time.monotonic_ns() < end else 0
        return done

    def nvml(self):
        """What nvidia-smi would show of the first device: [devices, total, used, [[pid, memory], …]]."""
        ml = ctypes.CDLL("libnvidia-ml.so.1")
        count, device, n = ctypes.c_uint(), ctypes.c_void_p(), ctypes.c_uint(32)
        memory, process = (ctypes.c_ulonglong * 3)(), (NvmlProcess * 32)()
        for r in (ml.nvmlInit_v2(), ml.nvmlDeviceGetCount_v2(ctypes.byref(count)),
                  ml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)), ml.nvmlDeviceGetMemoryInfo(device, memory),
                  ml.nvmlDeviceGetComputeRunningProcesses_v3(device, ctypes.byref(n), process)):
            if r:
                return r
        return [count.value, memory[0], memory[2], [[p.pid, p.memory] for p in process[:n.value]]]

    def devices(self):
        return devices()


def main():
    program = Program()
    print(json.dumps(cu.cuInit(0)), flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        print(json.dumps(getattr(program, word)(*rest)), flush=True)


main()
