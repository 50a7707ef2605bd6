# SPDX-License-Identifier: Apache-2.0
"""Client of FastGPU: virtual GPUs with quotas that hold.

    with fastgpu.Client() as client, client.create(gpus=2, memory="1G") as vgpus:
        subprocess.run(["fastgpu", "run", vgpus.target, "--", "python3", "train.py"])

Importing this loads nothing else: what is named here is loaded when it is first used.
"""
from ._version import __version__

TYPE_CHECKING = False  # as checkers know it; typing itself is not needed to import this
if TYPE_CHECKING:
    from .aio import AsyncClient
    from .client import Client
    from .errors import (BadRequest, Busy, Conflict, DaemonUnreachable, Error, Forbidden, InUse, NoCapacity, NotFound, QuotaExceeded,
                         Timeout, Unauthorized)
    from .objects import Device, Event, Job, Usage, VGPU, VGPUSet

_HOME = {"Client": "client", "AsyncClient": "aio"}
_HOME.update(dict.fromkeys(("Device", "Event", "Job", "Usage", "VGPU", "VGPUSet"), "objects"))
_HOME.update(dict.fromkeys(("BadRequest", "Busy", "Conflict", "DaemonUnreachable", "Error", "Forbidden", "InUse", "NoCapacity", "NotFound",
                            "QuotaExceeded", "Timeout", "Unauthorized"), "errors"))

__all__ = ["AsyncClient", "BadRequest", "Busy", "Client", "Conflict", "DaemonUnreachable", "Device", "Error", "Event", "Forbidden", "InUse", "Job",
           "NoCapacity", "NotFound", "QuotaExceeded", "Timeout", "Unauthorized", "Usage", "VGPU", "VGPUSet", "__version__"]


if not TYPE_CHECKING:  # to a checker, what is not named above is a mistake
    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'fastgpu' has no attribute {name!r}")
        from importlib import import_module
        value = getattr(import_module("fastgpu." + _HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> "list[str]":
    return __all__
