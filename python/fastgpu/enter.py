# SPDX-License-Identifier: Apache-2.0
"""Puts a process that runs already into vGPUs, as `fastgpu run` does before it starts one. It has to come before anything has looked for
devices; where it is too late for that, nothing is acquired."""
from __future__ import annotations

import os
import shutil
from typing import Any, Dict, List, Optional

from . import inside
from .errors import Error
from .objects import VGPUSet

LAYER = "libfastgpu-opencl.so"
NAMES = ("FASTGPU_ATTACH", "OPENCL_LAYERS", "FASTGPU_SIM", "LD_PRELOAD", "LD_LIBRARY_PATH")  # what _set sets
DROPINS = ("libcuda.so.1", "libnvidia-ml.so.1")


class TooLate(Error):
    """The driver is in this process already, without limits."""


def folder() -> Optional[str]:
    """…/lib/fastgpu of the installation: the one that this package is part of, else that of the `fastgpu` on the PATH."""
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = shutil.which("fastgpu")
    for found in (own, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(program))), "lib", "fastgpu") if program else ""):
        if found and os.path.exists(os.path.join(found, LAYER)):
            return found
    return None


def _mapped() -> str:
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as f:
        return f.read()


def check_early(tree: str, maps: Optional[str] = None) -> None:
    """The loader never loads a library's second copy."""
    for line in (_mapped() if maps is None else maps).splitlines():
        name = line.rpartition("/")[2]
        if name.startswith(("libcuda.so", "libnvidia-ml.so", "libOpenCL.so")) and not line.endswith(os.path.join(tree, name)):
            raise TooLate(f"this process has loaded {name.split('.so')[0]} without limits")


def check_visible(n: int, text: Optional[str] = None) -> None:
    """CUDA counts the vGPUs from 0, up to the first number that is none of them. None at all is a wish for the processor."""
    text = os.environ.get("CUDA_VISIBLE_DEVICES") if text is None else text
    words = [word.strip() for word in (text or "").split(",")]
    shown = next((i for i, word in enumerate(words) if not word.isdigit() or int(word) >= n), len(words))
    if shown < n and words[0] not in ("", "-1"):
        raise Error(f"CUDA_VISIBLE_DEVICES={text} shows {shown} of {n} vGPUs: unset it, a program sees its vGPUs alone")


def enter(what: Dict[str, Any], timeout: float = 60.0) -> List[inside.Here]:
    """Makes vGPUs that go with this process, and puts it into them. What fails before it has attached leaves nothing acquired; what
    was attached to is the process's until it ends, as the daemon sees it."""
    from . import keeper
    from .client import Client
    tree = folder()
    client = Client(timeout=timeout)
    if client.is_remote:
        raise Error(f"the vGPUs of {client.where} are not this machine's; start the program there with `fastgpu run`")
    if not tree:
        raise Error("the libraries that keep limits are not found: is FastGPU installed and `fastgpu` on the PATH?")
    check_early(tree)
    before = {name: os.environ.get(name) for name in NAMES}
    with client:
        cuda = any(d.api == "cuda" for d in client.devices())
        if cuda:
            check_visible(what.get("gpus") or 1)
        made = client.create(**what)
        try:
            if cuda:
                _load(tree)
            _set(tree, made.raw["opened"])
            have = inside.vgpus()
            client.request("POST", "/v1/open", {"target": made.target})  # last: from here on it is this process's until that ends
        except BaseException:
            _leave(made, before)
            raise
        keeper.let_go(made[0].uuid)
    return have


def _leave(made: VGPUSet, before: Dict[str, Optional[str]]) -> None:
    """The environment as it was, and the vGPUs given back, by the daemon when this process ends if it has attached. What went wrong before is
    the news, so nothing here is."""
    inside.leave()
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    try:
        made.delete()  # lets go of the keeper, whatever comes of it
    except Error:
        pass


def _dropins(tree: str) -> List[str]:
    return [os.path.join(tree, name) for name in DROPINS]


def _load(tree: str) -> None:
    """Who asks for these libraries later gets these."""
    import ctypes
    for path in _dropins(tree):
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError as e:
            raise Error(f"the limits could not be kept: {e}") from None


def _set(tree: str, opened: Dict[str, Any]) -> None:
    """As `fastgpu run` does, for this process and for those that it starts."""
    os.environ["FASTGPU_ATTACH"] = opened["attach"]
    os.environ["OPENCL_LAYERS"] = os.path.join(tree, LAYER)
    if opened.get("sim"):
        os.environ["FASTGPU_SIM"] = opened["sim"]
    if opened.get("cuda"):
        _first("LD_PRELOAD", ":".join(_dropins(tree)))
        _first("LD_LIBRARY_PATH", tree)


def _first(name: str, value: str) -> None:
    before = os.environ.get(name, "")
    if not before.startswith(value):
        os.environ[name] = value + (":" + before if before else "")
