# SPDX-License-Identifier: Apache-2.0
"""The vGPUs of this program as JAX's devices."""
from __future__ import annotations

from typing import Any, List, Optional, Union

import jax

from . import here
from .frameworks import Jax
from .here import Memory

__all__ = ["Memory", "devices", "fraction", "memory"]

def devices(n: Optional[int] = None) -> List[Any]:
    """The first n of this program's vGPUs, or all. On a machine without GPUs the processor in so many parts, unless JAX has started."""
    have = here.find()
    if n is None:
        n = len(have or ()) or 1
    wish = here.Wish.of(n)
    short = here.shortage(wish, have) if have else None
    if short:
        raise ValueError(f"devices({n}): {short}.")
    found = Jax.devices(n)
    if len(found) < n:
        raise RuntimeError(f"JAX has started with {len(found)} of {n} devices. Move this line up, before the first thing that uses jax: {here.caller()}")
    return found

def memory(device: Any = 0) -> Memory:
    """total is the vGPU's quota, free what is left of it. device: one of JAX's, or its number. JAX's own memory_stats() are of its pool."""
    index = device if isinstance(device, int) and not isinstance(device, bool) else getattr(device, "local_hardware_id", None)
    if index is None:
        index = getattr(device, "id", None)
    if not isinstance(index, int):
        raise ValueError(f"Argument `device` must be one of jax.devices() or its number. Received: device={device!r}")
    own = here.memory(index)
    if not own:
        raise RuntimeError("This program is in no vGPU; JAX tells of its own pool: jax.devices()[0].memory_stats()")
    return own

def fraction(size: Union[int, str], device: Any = 0) -> float:
    """For XLA_CLIENT_MEM_FRACTION, which is read when JAX starts: a size as a part of the quota."""
    return here.fraction(size, memory(device).total)

