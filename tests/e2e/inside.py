#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program sees and gets on its OpenCL devices. Runs inside a vGPU or without; prints one line of JSON.

inside.py devices            every device: memory, largest allocation, compute units
inside.py fill               buffers until not one byte more is given; the bytes of each device
inside.py ask BYTES          one buffer; "ok" or the name of the refusal
inside.py add                adds two arrays on every device; whether the sums are right
inside.py compile            launches a kernel that nobody has compiled; prints when that was done and when it began to run
inside.py hold BYTES         one buffer, used; prints, then waits for the end of standard input
inside.py after BYTES        like ask, once a line arrives on standard input"""
import json
import os
import sys

import numpy
import pyopencl as cl

CODES = {-4: "CL_MEM_OBJECT_ALLOCATION_FAILURE", -5: "CL_OUT_OF_RESOURCES", -6: "CL_OUT_OF_HOST_MEMORY",
         -61: "CL_INVALID_BUFFER_SIZE"}


def all_devices():
    return [device for platform in cl.get_platforms() for device in platform.get_devices()]


def allocate(context, size):
    """(buffer, None), or (None, the name of the refusal)."""
    try:
        return cl.Buffer(context, cl.mem_flags.READ_WRITE, size), None
    except (cl.Error, MemoryError) as e:
        return None, CODES.get(getattr(e, "code", None), str(e))


def devices():
    return [{"name": d.name, "memory": d.global_mem_size, "max_alloc": d.max_mem_alloc_size,
             "compute_units": d.max_compute_units} for d in all_devices()]


def fill_one(device):
    context = cl.Context([device])
    size, held, kept = min(16 << 20, device.max_mem_alloc_size), 0, []
    while size:
        buffer, _ = allocate(context, size)
        if buffer is None:
            size //= 2
            continue
        kept.append(buffer)
        held += size
    return held


def fill():
    return [fill_one(device) for device in all_devices()]


def ask(size):
    return allocate(cl.Context([all_devices()[0]]), int(size))[1] or "ok"


def add_on(device):
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    a = numpy.arange(10000, dtype=numpy.float32)
    flags = cl.mem_flags
    x = cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=a)
    out = cl.Buffer(context, flags.WRITE_ONLY, a.nbytes)
    text = "kernel void add(global const float *x, global float *o) { uint i = get_global_id(0); o[i] = x[i] + x[i]; }"
    cl.Program(context, text).build().add(queue, a.shape, None, x, out)
    result = numpy.empty_like(a)
    cl.enqueue_copy(queue, result, out)
    return bool((result == a + a).all())


def add():
    return [add_on(device) for device in all_devices()]


def fresh_kernel(context):
    """Large enough to keep a compiler busy, and in no cache."""
    lines = "".join(f"x = x * {i}.5f + sin(x) + native_cos(y * {i}); y = y + sqrt(fabs(x));" for i in range(30))
    text = f"kernel void fresh(global float *o) {{ float x = get_global_id(0) + {int.from_bytes(os.urandom(3), 'big')}, y = 1; {lines} o[get_global_id(0)] = x + y; }}"
    return cl.Program(context, text).build().fresh


def compile_one():
    context = cl.Context([all_devices()[0]])
    queue = cl.CommandQueue(context)
    event = fresh_kernel(context)(queue, (4096,), (64,), cl.Buffer(context, cl.mem_flags.WRITE_ONLY, 4 * 4096))
    event.set_callback(cl.command_execution_status.RUNNING, lambda status: print(json.dumps("running"), flush=True))
    print(json.dumps("launched"), flush=True)
    event.wait()
    return "end"


def hold(size):
    context = cl.Context([all_devices()[0]])
    buffer, refusal = allocate(context, int(size))
    if buffer is not None:
        queue = cl.CommandQueue(context)
        cl.enqueue_fill_buffer(queue, buffer, b"\0", 0, int(size))
        queue.finish()
    print(json.dumps(refusal or "ok"), flush=True)
    sys.stdin.read()
    return "end"


def after(size):
    context = cl.Context([all_devices()[0]])
    print(json.dumps("ready"), flush=True)
    sys.stdin.readline()
    return allocate(context, int(size))[1] or "ok"


if __name__ == "__main__":
    verb = {"devices": devices, "fill": fill, "ask": ask, "add": add, "compile": compile_one, "hold": hold, "after": after}[sys.argv[1]]
    print(json.dumps(verb(*sys.argv[2:])), flush=True)
