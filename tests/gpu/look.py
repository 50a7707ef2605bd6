#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What NVML says, as JSON: {"driver", "devices": [{"name", "uuid", "total", "used", "processes": {pid: bytes or null}}]}.
Exit code 77 where there is no NVML or no GPU."""
import ctypes
import json
import sys

UNKNOWN = (1 << 64) - 1
PROCESSES_MAX = 1024


class Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Process(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong), ("gpu_instance", ctypes.c_uint),
                ("compute_instance", ctypes.c_uint)]


def load():
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError as e:
        sys.exit(none(e))
    code = nvml.nvmlInit_v2()
    return nvml if code == 0 else sys.exit(none(f"nvmlInit: {code}"))


def none(why):
    print(why, file=sys.stderr)
    return 77


def text(function, *args, size=96):
    room = ctypes.create_string_buffer(size)
    code = function(*args, room, size)
    return room.value.decode(errors="replace") if code == 0 else None


def processes(nvml, handle):
    count, found = ctypes.c_uint(PROCESSES_MAX), (Process * PROCESSES_MAX)()
    code = nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle, ctypes.byref(count), found)
    if code:
        return None
    return {p.pid: None if p.memory == UNKNOWN else p.memory for p in found[:count.value]}


def device(nvml, index):
    handle, memory = ctypes.c_void_p(), Memory()
    if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)):
        return {"name": None}
    nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
    return {"name": text(nvml.nvmlDeviceGetName, handle), "uuid": text(nvml.nvmlDeviceGetUUID, handle), "total": memory.total,
            "used": memory.used, "processes": processes(nvml, handle)}


def main():
    nvml, count = load(), ctypes.c_uint()
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    if count.value == 0:
        return none("NVML finds no GPU")
    print(json.dumps({"driver": text(nvml.nvmlSystemGetDriverVersion), "devices": [device(nvml, i) for i in range(count.value)]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
