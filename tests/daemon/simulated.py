# SPDX-License-Identifier: Apache-2.0
"""A daemon over simulated NVIDIA GPUs."""
import contextlib
import os
import shutil

from harness import Daemon, wait_until

NVML = os.environ["TEST_SIM_NVML"]


class Simulated(Daemon):
    def __init__(self, sim, **options):
        super().__init__(sim=sim, **options)
        os.makedirs(os.path.join(self.root, "lib/fastgpu/sim"))
        shutil.copy(NVML, os.path.join(self.root, "lib/fastgpu/sim/libnvidia-ml.so.1"))
        self.env["FASTGPU_SIM_STATE"] = self.root

    def device(self, index=0):
        return self.ok("GET", "/v1/devices")["devices"][index]

    def watchers(self, mode=b"--watch"):
        """The helpers that go on: children of the daemon."""
        found = []
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            for pid in f.read().split():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it went meanwhile
                    with open(f"/proc/{pid}/cmdline", "rb") as c:
                        if mode in c.read():
                            found.append(int(pid))
        return found

    def helper(self, mode):
        """The one helper with this argument; the kernel's list may miss it for a moment, while another child goes."""
        wait_until(lambda: self.watchers(mode), f"a helper {mode}")
        return self.watchers(mode)[0]
