# SPDX-License-Identifier: Apache-2.0
"""What fastgpu.keras, .torch and .jax share: what was asked for, the vGPUs that this process has, and one warning where it has none."""
from __future__ import annotations

import os
import sys
import warnings
from typing import Any, List, NamedTuple, Optional

from . import inside
from .errors import Error

HERE = os.path.dirname(os.path.abspath(__file__))


class Memory(NamedTuple):
    """Bytes. total is the quota, used what all programs of the vGPU have, contexts counted, free the rest."""
    total: int
    used: int
    free: int


class Wish(NamedTuple):
    """What a model is to run on. memory in bytes, compute in percent: of each vGPU, at least."""
    n: int
    memory: Optional[int]
    compute: Optional[float]
    mode: Optional[str]

    @classmethod
    def of(cls, n: Any, memory: Any = None, compute: Any = None, mode: Any = None) -> "Wish":
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"Argument `n` must be a whole number of vGPUs, at least 1. Received: n={n!r}")
        if compute is not None and (isinstance(compute, bool) or not isinstance(compute, (int, float)) or not 0 < compute <= 100):
            raise ValueError(f"Argument `compute` must be a percentage, such as 30 or 12.5. Received: compute={compute!r}")
        if mode not in (None, "share", "cap"):
            raise ValueError(f'Argument `mode` must be "share" or "cap". Received: mode={mode!r}')
        return cls(n, size(memory), compute, mode)


_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def size(value: Any) -> Optional[int]:
    """Bytes, of a number or of text such as "8G" or "1.5GiB"."""
    number: Optional[int] = value
    if isinstance(value, str):
        import re
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", value, re.IGNORECASE)
        number = int(float(found.group(1)) * _UNITS[found.group(2).upper()]) if found else None
        if not number:
            raise ValueError(f'Argument `memory` must be a size, such as "8G" or "256M". Received: memory={value!r}')
    elif value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f'Argument `memory` must be a number of bytes or a size, such as "8G". Received: memory={value!r}')
    return number


_warned = False


def warn_once(text: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn("FastGPU: " + text, UserWarning, stacklevel=_depth())


def _frame() -> Any:
    """The user's: outside this package and the frameworks' own."""
    frame: Any = sys._getframe(1)
    while frame.f_back and (frame.f_code.co_filename.startswith(HERE) or "site-packages" in frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _depth() -> int:
    wanted, frame, depth = _frame(), sys._getframe(1), 1
    while frame is not wanted and frame.f_back:
        frame, depth = frame.f_back, depth + 1
    return depth


def caller() -> str:
    """The line of the program that called: FILE:LINE, and what stands there."""
    import linecache
    frame = _frame()
    name = frame.f_code.co_filename
    line = linecache.getline(name, frame.f_lineno).strip()
    return f"{os.path.basename(name)}:{frame.f_lineno}" + (f": `{line}`" if line else "")


def command() -> str:
    """What was typed to start this program, as far as it can be known."""
    import shlex
    return shlex.join(["python3", *(sys.argv if sys.argv and sys.argv[0] not in ("", "-c") else ["…"])])


def shortage(wish: Wish, have: List[inside.Here]) -> Optional[str]:
    """What is wanted and not there."""
    if wish.n > len(have):
        more = f"Give the container a set of so many: `fastgpu create --gpus {wish.n}`" if inside.in_container() else \
            f"Start it with `fastgpu run --gpus {wish.n} -- {command()}`"
        return f"{_count(wish.n)} wanted, and this program is in {_count(len(have))}. {more}"
    for v in have[:wish.n]:
        if wish.memory and wish.memory > v.memory:
            return f"{wish.memory} bytes of memory are wanted, and {v.name} has {v.memory}. Type `fastgpu resize {v.name} --memory {wish.memory}`"
        if wish.compute and wish.compute * 10 > v.share:
            return f"{wish.compute:g} % of the device are wanted, and {v.name} has {v.share / 10:g} %. Type `fastgpu resize {v.name} --compute {wish.compute:g}`"
        if wish.mode and wish.mode != v.mode:
            return f"mode {wish.mode} is wanted, and {v.name} is in mode {v.mode}. Type `fastgpu resize {v.name} --mode {wish.mode}`"
    return None


def _count(n: int) -> str:
    return f"{n} vGPU{'' if n == 1 else 's'}"


def find() -> Optional[List[inside.Here]]:
    """The vGPUs of this process. None where there are none, which is warned of once: a model goes on without."""
    try:
        have = inside.vgpus()
    except Error as e:
        warn_once(str(e))
        return None
    if not have:
        warn_once(f"this program is in no vGPU, so its models run on what the machine has. Start it with `fastgpu run NAME -- {command()}`")
        return None
    return have


def visible(have: List[inside.Here]) -> List[inside.Here]:
    """In the order of CUDA's devices: CUDA_VISIBLE_DEVICES picks from them."""
    text = os.environ.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return have
    picked: List[inside.Here] = []
    for word in (w.strip() for w in text.split(",")):
        found = [v for v in have if word.startswith("GPU-") and ("GPU-" + v.uuid).startswith(word)]
        if word.isdigit() and int(word) < len(have):
            found = [have[int(word)]]
        if len(found) != 1:  # what follows an unknown one is not visible either
            break
        picked += found
    return picked


def memory(index: int) -> Optional[Memory]:
    """Of the vGPU that is device `index`; None: this process is in none. The same that cuMemGetInfo, NVML and OpenCL say."""
    have = visible(inside.vgpus()) if inside.path() else []
    if not inside.path():
        return None
    if not 0 <= index < len(have):
        raise ValueError(f"There is no device {index}: this program has {_count(len(have))}, counted from 0.")
    v = have[index]
    return Memory(v.memory, v.used, v.free)


def fraction(wanted: Any, total: int) -> float:
    """`wanted`, a size, as a part of `total`, in (0, 1]."""
    bytes_ = size(wanted)
    if bytes_ is None or bytes_ > total:
        raise ValueError(f"A part of {total} bytes is wanted, that is a size up to that. Received: {wanted!r}")
    return bytes_ / total
