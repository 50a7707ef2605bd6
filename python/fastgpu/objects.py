# SPDX-License-Identifier: Apache-2.0
"""What the daemon tells, as values. A field that it leaves out is None; `raw` is all that it said, newer fields too."""
from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Tuple, Type, TypeVar

if TYPE_CHECKING:
    from .client import Client

T = TypeVar("T", bound="_Object")


@dataclass(frozen=True)
class _Object:
    raw: Dict[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls: Type[T], value: Dict[str, Any]) -> T:
        return cls(raw=value, **{f.name: value.get(f.name) for f in fields(cls) if f.init and f.name != "raw" and not f.name.startswith("_")})


@dataclass(frozen=True)
class Usage(_Object):
    """Counters over a vGPU's life."""
    memory_used: int
    memory_peak: int
    processes: int
    pids: List[int]
    gpu_ns: int
    launches: int
    waits: int
    wait_ns: int
    refusals: int
    active: bool


@dataclass(frozen=True)
class VGPU(_Object):
    """One virtual GPU. share is in permille, memory in bytes."""
    name: str
    index: int
    uuid: str
    device: Optional[int]
    device_model: Optional[str]
    memory: int
    share: int
    mode: str
    priority: str
    state: str

    @property
    def usage(self) -> Usage:
        return Usage.of(self.raw.get("usage", {}))


@dataclass(frozen=True)
class VGPUSet(_Object):
    """What create() makes, as it was when it was asked for. As a context manager it is deleted at the end, with force."""
    name: str
    project: str
    owner: str
    created: str
    ephemeral: bool
    _client: Optional["Client"] = field(default=None, repr=False, compare=False)
    _pid: int = field(default_factory=os.getpid, repr=False, compare=False)

    @property
    def vgpus(self) -> Tuple[VGPU, ...]:
        return tuple(VGPU.of(v) for v in self.raw.get("vgpus", ()))

    @property
    def target(self) -> str:
        """What the command line calls it: fastgpu run TARGET -- PROGRAM."""
        return f"{self.project}:{self.name}" if self.project else self.name

    @property
    def note(self) -> str:
        """What was chosen where nothing was asked for."""
        return str(self.raw.get("note", ""))

    def __len__(self) -> int:
        return len(self.raw.get("vgpus", ()))

    def __getitem__(self, index: int) -> VGPU:
        return self.vgpus[index]

    def __iter__(self) -> Iterator[VGPU]:
        return iter(self.vgpus)

    def delete(self) -> None:
        """Gives it back, ending its programs. It is fine if it is gone already."""
        if self._client:
            self._client._give_back(self)

    def __enter__(self) -> "VGPUSet":
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        from .errors import Error
        if os.getpid() != self._pid:  # a fork that leaves the block as well: it is still the other's
            return
        try:
            self.delete()
        except Error:
            if kind is None:  # else what went wrong inside is the news
                raise


@dataclass(frozen=True)
class Device(_Object):
    """A physical device."""
    id: int
    key: str
    uuid: str
    api: str
    type: str
    model: str
    vendor: str
    memory: int
    memory_free: int
    share_free: int
    vgpus: int
    state: str
    tier: str


@dataclass(frozen=True)
class Job(_Object):
    """A job, or with `array` many of them."""
    id: int
    name: Optional[str]
    project: str
    owner: str
    state: Optional[str]
    command: str
    gpus: int
    memory: Optional[int]
    share: Optional[int]
    submitted: str
    started: Optional[str]
    ended: Optional[str]
    exit_code: Optional[int]
    signal: Optional[int]
    reason: Optional[str]
    array: Optional[str]
    counts: Optional[Dict[str, int]]


@dataclass(frozen=True)
class Event(_Object):
    seq: int
    time: Any
    project: Optional[str]
    actor: str
    kind: str
    target: str
    text: str
