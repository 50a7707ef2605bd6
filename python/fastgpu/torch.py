# SPDX-License-Identifier: Apache-2.0
"""The vGPUs of this program as torch's devices."""
from __future__ import annotations

from typing import Any, List, Optional, Union

import torch

from . import here
from .frameworks import Torch
from .here import Memory

__all__ = ["Memory", "devices", "fraction", "memory"]


def devices(n: Optional[int] = None) -> List[torch.device]:
    """The first n of this program's vGPUs, or all. On a machine without GPUs the processor, so many times."""
    have = here.find()
    if n is None:
        n = len(have or ()) or max(1, torch.cuda.device_count())
    wish = here.Wish.of(n)
    short = here.shortage(wish, have) if have else None
    if short:
        raise ValueError(f"devices({n}): {short}.")
    return Torch.devices(n)


def _index(device: Any) -> int:
    if isinstance(device, int) and not isinstance(device, bool):
        return device
    index = torch.device(device).index if device is not None else None
    return index if index is not None else (torch.cuda.current_device() if torch.cuda.is_initialized() else 0)


def memory(device: Union[int, str, torch.device, None] = None) -> Memory:
    """total is the vGPU's quota, free what is left of it: what torch.cuda.mem_get_info says, without starting CUDA for it."""
    index = _index(device)
    own = here.memory(index)
    if own:
        return own
    if not torch.cuda.is_available():
        raise RuntimeError("This program is in no vGPU, and torch has no GPU: there is no device memory to tell of.")
    free, total = torch.cuda.mem_get_info(index)
    return Memory(total, total - free, free)


def fraction(size: Union[int, str], device: Union[int, str, torch.device, None] = None) -> float:
    """For torch.cuda.set_per_process_memory_fraction(fraction("2G")), and for vLLM's gpu_memory_utilization: a size as a part of the quota."""
    return here.fraction(size, memory(device).total)
