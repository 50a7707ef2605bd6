# SPDX-License-Identifier: Apache-2.0
"""scope(): vGPUs first, then the framework's runtime. One for each process."""
from __future__ import annotations

import importlib
import os
from typing import Any, Dict, List, Optional

from . import enter, here, inside
from .errors import DaemonUnreachable, Error
from .frameworks import ALL


class Scope:
    """with Scope as strategy: …, or strategy.scope() as the framework has it. The vGPUs stay this process's until it ends."""

    def __init__(self, wish: here.Wish, framework: str, devices: List[Any], strategy: Any, line: str) -> None:
        self.wish, self.framework, self.devices, self.strategy, self.line = wish, framework, devices, strategy, line
        self.pid = os.getpid()
        self._entered: List[Any] = []

    def __repr__(self) -> str:
        return f"<fastgpu scope of {self.wish.n} for {self.framework}: {self.devices}>"

    def scope(self) -> Any:
        return self.strategy.scope()

    def __enter__(self) -> Any:
        within = self.strategy.scope()
        within.__enter__()
        self._entered.append(within)
        return self.strategy

    def __exit__(self, *exc: Any) -> Any:
        return self._entered.pop().__exit__(*exc)


_open: Optional[Scope] = None


def scope(wish: here.Wish, framework: str) -> Scope:
    global _open
    line = here.caller()
    if _open and _open.pid != os.getpid():
        raise RuntimeError(f"{line}: this process was forked after {_open.line} had started {_open.framework}, which does not survive that. "
                           "Start it as a program of its own (multiprocessing: the method \"spawn\").")
    if _open and _open.framework != framework:
        raise RuntimeError(f"{line}: the vGPUs of this process are {_open.framework}'s since {_open.line}. Two frameworks would each want all of "
                           "their memory: run the other one in a process of its own.")
    if _open and _open.wish == wish:
        return _open  # a notebook's cell that runs again
    if _open:
        raise RuntimeError(f"{line}: this process has its vGPUs since {_open.line}, and their number is fixed by now. Restart the program or the kernel.")
    made = _make(wish, framework, line)
    _open = made
    return made


def _late(framework: str, line: str, why: str) -> RuntimeError:
    other = "" if inside.path() else f" Or start the program with `fastgpu run --gpus N -- {here.command()}`."
    return RuntimeError(f"{why}, and vGPUs must be there before it does. Move this line up, before the first thing that uses {framework}: {line}.{other}")


def _make(wish: here.Wish, framework: str, line: str) -> Scope:
    kind = ALL[framework]
    _check(framework, line)
    started = kind.started()
    have = _have(wish, framework, line, started)
    try:
        devices = kind.devices(wish.n)
    except RuntimeError as e:
        raise _late(framework, line, f"{framework} has started already") from e
    if len(devices) < wish.n and have:
        raise _late(framework, line, f"{framework} has started already and sees {len(devices)} of {wish.n} devices") if started else \
            RuntimeError(f"{line}: {framework} sees {len(devices)} of this program's {len(have)} vGPUs. Is CUDA_VISIBLE_DEVICES set?")
    return Scope(wish, framework, devices, kind.strategy(devices, have), line)


def _check(framework: str, line: str) -> None:
    """What can be known before there are vGPUs, which go only when the process ends; the rest is enter's."""
    try:
        importlib.import_module(framework)
    except ImportError as e:
        raise RuntimeError(f"{line}: {framework} cannot be imported: {e}") from e


def _have(wish: here.Wish, framework: str, line: str, started: bool) -> List[inside.Here]:
    """Those that this process is in, else new ones; none where there is no FastGPU."""
    if inside.path():
        have = here.find() or []
        short = here.shortage(wish, have) if have else None
        if short:
            raise ValueError(f"scope({wish.n}): {short}.")
        return have
    if started:
        raise _late(framework, line, f"{framework} has started already")
    try:
        return enter.enter(_asked(wish))
    except DaemonUnreachable as e:
        here.warn_once(f"{e}; the program runs on what the machine has.")
        return []
    except enter.TooLate as e:
        raise _late(framework, line, str(e)) from None
    except Error as e:
        raise RuntimeError(f"scope({wish.n}): {e}") from None


def _asked(wish: here.Wish) -> Dict[str, Any]:
    return {"gpus": wish.n, "memory": wish.memory, "compute": wish.compute, "mode": wish.mode}
