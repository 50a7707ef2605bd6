# SPDX-License-Identifier: Apache-2.0
"""The same for asyncio: each request in a thread of its own. Signatures are Client's."""
from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, AsyncIterator, Callable, Dict, Generator, Iterator, List, Optional, TypeVar

from .client import Client, Some
from .errors import Error
from .objects import Device, Event, Job, VGPUSet

T = TypeVar("T")
_END = object()


class Creation:
    """await it, or `async with` it, which deletes at the end."""

    def __init__(self, make: Callable[[], VGPUSet]) -> None:
        self._make = make
        self._made: Optional[VGPUSet] = None

    def __await__(self) -> Generator[Any, None, VGPUSet]:
        return self._create().__await__()

    async def _create(self) -> VGPUSet:
        task = asyncio.ensure_future(asyncio.to_thread(self._make))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:  # what nobody will hear of is not left behind
            with suppress(Error):
                made = await task
                await asyncio.to_thread(made.delete)
            raise

    async def __aenter__(self) -> VGPUSet:
        self._made = await self._create()
        return self._made

    async def __aexit__(self, kind: Any, value: Any, trace: Any) -> None:
        assert self._made
        await asyncio.shield(asyncio.to_thread(self._made.__exit__, kind, value, trace))


async def _each(items: Iterator[T]) -> AsyncIterator[T]:
    while True:
        item: Any = await asyncio.to_thread(next, items, _END)
        if item is _END:
            return
        yield item


class AsyncClient:
    def __init__(self, url: Optional[str] = None, token: Optional[str] = None, fingerprint: Optional[str] = None, timeout: float = 60.0) -> None:
        self.client = Client(url, token, fingerprint, timeout)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.close()

    async def close(self) -> None:
        self.client.close()

    async def request(self, method: str, path: str, body: Any = None, **how: Any) -> Any:
        return await asyncio.to_thread(self.client.request, method, path, body, **how)

    def create(self, name: Optional[str] = None, **what: Any) -> Creation:
        return Creation(lambda: self.client.create(name, **what))

    def list(self, project: Optional[str] = None) -> AsyncIterator[VGPUSet]:
        return _each(self.client.list(project))

    async def inspect(self, target: Some, project: Optional[str] = None) -> VGPUSet:
        return await asyncio.to_thread(self.client.inspect, target, project)

    async def resize(self, target: Some, **what: Any) -> VGPUSet:
        return await asyncio.to_thread(self.client.resize, target, **what)

    async def suspend(self, target: Some, project: Optional[str] = None) -> VGPUSet:
        return await asyncio.to_thread(self.client.suspend, target, project)

    async def resume(self, target: Some, project: Optional[str] = None) -> VGPUSet:
        return await asyncio.to_thread(self.client.resume, target, project)

    async def delete(self, target: Some, *, force: bool = False, project: Optional[str] = None) -> None:
        await asyncio.to_thread(self.client.delete, target, force=force, project=project)

    async def devices(self, rescan: bool = False) -> List[Device]:
        return await asyncio.to_thread(self.client.devices, rescan)

    async def version(self) -> Dict[str, Any]:
        return await asyncio.to_thread(self.client.version)

    async def submit(self, command: Any, **what: Any) -> Job:
        return await asyncio.to_thread(self.client.submit, command, **what)

    def jobs(self, **which: Any) -> AsyncIterator[Job]:
        return _each(self.client.jobs(**which))

    async def job(self, job: Any, index: Optional[int] = None) -> Job:
        return await asyncio.to_thread(self.client.job, job, index)

    async def cancel(self, job: Any, index: Optional[int] = None) -> Job:
        return await asyncio.to_thread(self.client.cancel, job, index)

    def logs(self, job: Any, index: Optional[int] = None, *, follow: bool = False) -> AsyncIterator[bytes]:
        return _each(self.client.logs(job, index, follow=follow))

    async def usage(self, **which: Any) -> List[Dict[str, Any]]:
        return await asyncio.to_thread(self.client.usage, **which)

    async def price(self) -> List[Dict[str, Any]]:
        return await asyncio.to_thread(self.client.price)

    def events(self, after: int = 0, *, project: Optional[str] = None, follow: bool = True) -> AsyncIterator[Event]:
        return _each(self.client.events(after, project=project, follow=follow))
