#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""client.py: an unmodified client, nvidia-ml-py, sees the vGPUs. Runs under fake-daemon; skipped where pip cannot fetch it."""
import os
import subprocess
import sys
import tempfile

MI = 1024 * 1024


def fetch(folder):
    """Puts nvidia-ml-py where it can be imported from; False: there is none to be had."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--retries", "1",
           "--timeout", "10", "--target", folder, "nvidia-ml-py"]
    clean = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    try:
        return subprocess.run(pip, env=clean, capture_output=True, timeout=90).returncode == 0
    except (subprocess.TimeoutExpired, OSError):
        return False


def look(nvml):
    nvml.nvmlInit()
    count = nvml.nvmlDeviceGetCount()
    assert count == 3, count
    for i, total in enumerate((64, 128, 256)):
        device = nvml.nvmlDeviceGetHandleByIndex(i)
        assert nvml.nvmlDeviceGetIndex(device) == i
        assert nvml.nvmlDeviceGetName(device) == "NVIDIA H100 80GB HBM3"
        uuid = nvml.nvmlDeviceGetUUID(device)
        assert nvml.nvmlDeviceGetIndex(nvml.nvmlDeviceGetHandleByUUID(uuid)) == i, uuid
        for memory in (nvml.nvmlDeviceGetMemoryInfo(device), nvml.nvmlDeviceGetMemoryInfo(device, version=nvml.nvmlMemory_v2)):
            assert (memory.total, memory.used, memory.free) == (total * MI, 0, total * MI), memory
        assert nvml.nvmlDeviceGetComputeRunningProcesses(device) == []
        assert nvml.nvmlDeviceGetUtilizationRates(device).gpu == 0
        assert nvml.nvmlDeviceGetMigMode(device) == [0, 0]
        assert nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU) > 0
        assert nvml.nvmlDeviceGetPciInfo(device).bus == (2 if i == 2 else 1)
    try:
        nvml.nvmlDeviceSetPersistenceMode(nvml.nvmlDeviceGetHandleByIndex(0), 0)
        raise AssertionError("a vGPU changed its physical device")
    except nvml.NVMLError_NoPermission:
        pass
    nvml.nvmlShutdown()


def main():
    with tempfile.TemporaryDirectory(prefix="fastgpu-nvml-") as folder:
        os.environ.update(FASTGPU_SIM="2xH100", FASTGPU_SIM_STATE=folder)
        sys.path.insert(0, os.path.join(folder, "site"))
        if not fetch(os.path.join(folder, "site")):
            print("nvidia-ml-py is not to be had here")
            return 77
        import pynvml
        look(pynvml)
    return 0


if __name__ == "__main__":
    sys.exit(main())
