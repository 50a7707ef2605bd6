#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that try to see more than their vGPU. Prints the memory of each device they find, as one line of JSON.

escape.py unset      takes the layer out of its environment before it loads OpenCL
escape.py driver     calls PoCL itself, without the loader that knows of layers"""
import ctypes
import json
import os
import sys

GLOBAL_MEM_SIZE, ALL = 0x101F, 0xFFFFFFFF


def unset():
    os.environ.pop("OPENCL_LAYERS", None)
    import pyopencl
    return [d.global_mem_size for p in pyopencl.get_platforms() for d in p.get_devices()]


def driver():
    """A platform of the ICD interface begins with a pointer to the table of the driver's functions."""
    platform, device, count, size = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_uint64()
    own = ctypes.CDLL("libpocl.so.2")
    assert own.POclIcdGetPlatformIDsKHR(1, ctypes.byref(platform), ctypes.byref(count)) == 0
    table = ctypes.cast(ctypes.cast(platform, ctypes.POINTER(ctypes.c_void_p))[0], ctypes.POINTER(ctypes.c_void_p))
    get_ids = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(table[2])
    get_info = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p)(table[3])
    assert get_ids(platform, ALL, 1, ctypes.byref(device), ctypes.byref(count)) == 0
    assert get_info(device, GLOBAL_MEM_SIZE, 8, ctypes.byref(size), None) == 0
    return [size.value]


if __name__ == "__main__":
    print(json.dumps({"unset": unset, "driver": driver}[sys.argv[1]]()), flush=True)
