# SPDX-License-Identifier: Apache-2.0
"""The client. docs/api.md describes what is asked; a method is called like the command line's verb."""
from __future__ import annotations

import os
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from . import errors, target as targets
from .objects import Device, Event, Job, VGPUSet
from .wire import Connection, HungUp, NotThere

Size = Union[int, str]
Number = Union[int, float, str]
Some = Union["VGPUSet", str]

REPEAT_FOR = 2.0  # seconds in which a daemon that hung up is back when it was only started anew
WAIT_MAX = 60


class Client:
    """A daemon of this machine, or with `url` ("https://HOST:PORT") one elsewhere; without it the one that the command line would talk to.

    timeout: seconds that any request may take in all. May be used by several threads and goes on in a forked process."""

    def __init__(self, url: Optional[str] = None, token: Optional[str] = None, fingerprint: Optional[str] = None, timeout: float = 60.0) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 86400:
            raise errors.BadRequest(f"timeout {timeout!r} is not a number of seconds between 0 and 86400")
        self.timeout = float(timeout)
        self._target = targets.find(url, token, fingerprint)
        self._idle: List[Connection] = []

    def __repr__(self) -> str:
        return f"<fastgpu.Client of {self.where}>"

    @property
    def where(self) -> str:
        """The socket's path, or the URL."""
        return self._target.where

    @property
    def is_remote(self) -> bool:
        return not self._target.sockets

    def close(self) -> None:
        """Closes connections; vGPUs are not given back by it. The client can still be used."""
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    # --- requests ---

    def request(self, method: str, path: str, body: Any = None, *, query: Optional[Dict[str, Any]] = None, key: Optional[str] = None,
                timeout: Optional[float] = None) -> Any:
        """Any request of the API; what it answers, as JSON. key: an Idempotency-Key, where the API takes one. What may be asked twice,
        because it only reads or has a key, is asked again when the connection broke."""
        message = self._message(method, path, body, query, key)
        now = time.monotonic()
        deadline = now + (timeout or self.timeout)
        repeat_until = min(now + REPEAT_FOR, deadline) if method == "GET" or key else now
        broke = False
        while True:
            try:
                status, data = self._exchange(message, deadline)
                return _decode(status, data)
            except (HungUp, NotThere) as e:
                broke = broke or isinstance(e, HungUp)
                if not broke or time.monotonic() >= repeat_until:
                    raise
                time.sleep(0.02)

    def _message(self, method: str, path: str, body: Any, query: Optional[Dict[str, Any]], key: Optional[str], close: bool = False) -> bytes:
        import json
        from urllib.parse import urlencode
        asked = {k: v for k, v in (query or {}).items() if v is not None}
        if asked:
            path += "?" + urlencode(asked)
        if any(not "!" <= c <= "~" for c in path + method + (key or "")):
            raise errors.BadRequest(f"{path[:80]!r} is not a path")
        data = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: fastgpu", f"Content-Length: {len(data)}"]
        if data:
            head.append("Content-Type: application/json")
        if key:
            head.append("Idempotency-Key: " + key)
        if self._target.token:
            head.append("Authorization: Bearer " + self._target.token)
        if close:
            head.append("Connection: close")
        return "\r\n".join(head).encode("ascii") + b"\r\n\r\n" + data

    def _connection(self, deadline: float) -> Connection:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if not connection.is_stale():
                return connection
            connection.close()
        return Connection(self._target, deadline)

    def _exchange(self, message: bytes, deadline: float) -> Tuple[int, bytes]:
        connection = self._connection(deadline)
        try:
            status, data, again = connection.exchange(message, deadline)
        except BaseException:
            connection.close()
            raise
        if again:
            self._idle.append(connection)
        else:
            connection.close()
        return status, data

    def _pages(self, path: str, name: str, query: Optional[Dict[str, Any]] = None) -> Iterator[Any]:
        after = None
        while True:
            page = self.request("GET", path, query={"limit": 1000, **(query or {}), "after": after})
            yield from page[name]
            after = page.get("next")
            if after is None:
                return

    # --- vGPUs ---

    def create(self, name: Optional[str] = None, *, gpus: int = 1, memory: Union[Size, Sequence[Size], None] = None,
               compute: Union[Number, Sequence[Number], None] = None, mode: Optional[str] = None, priority: Optional[str] = None,
               device: Union[int, str, None] = None, project: Optional[str] = None, keep: Optional[bool] = None) -> VGPUSet:
        """Makes vGPUs. memory: bytes or "8G" or "25%"; compute: percent; one value for all or a list.

        With a name they stay until they are deleted. Without one they are this process's: given back when it ends, however it ends, unless
        keep is true. A daemon elsewhere cannot see this process end: there they stay until deleted."""
        if keep is None:
            keep = name is not None or self.is_remote
        if not keep and (name is not None or self.is_remote):
            raise errors.BadRequest("keep=False is for vGPUs without a name" if name is not None else
                                    "keep=False is for a daemon of this machine: one elsewhere cannot see this process end")
        body = _clean(gpus=_whole("gpus", gpus, 1), memory=_each("memory", memory, _size), compute=_each("compute", compute, _percent),
                      mode=_word("mode", mode), priority=_word("priority", priority), device=_device(device), project=_word("project", project))
        if not keep:
            return self._open(body)
        body.update(_clean(name=_word("name", name)))
        return self._set(self.request("POST", "/v1/vgpus", body, key=_new_key()))

    def _open(self, body: Dict[str, Any]) -> VGPUSet:
        """Not asked twice, but what may have come of the first time ends with its keeper."""
        from . import keeper
        deadline = time.monotonic() + self.timeout
        message = self._message("POST", "/v1/open", body, None, None, close=True)
        connection = self._connection(deadline)  # says which socket it is that somebody answers at
        self._idle.append(connection)
        process, status, data = keeper.start(connection.where, message, deadline)
        try:
            opened = _decode(status, data)
            made = self.inspect(opened["name"], project=body.get("project"))
            made.raw["note"] = opened.get("note", "")
            made.raw["opened"] = opened
            keeper.keep(made[0].uuid, process)
            return made
        except BaseException:
            keeper.end(process)
            raise

    def _set(self, value: Dict[str, Any]) -> VGPUSet:
        import dataclasses
        return dataclasses.replace(VGPUSet.of(value), _client=self)

    def _give_back(self, made: VGPUSet) -> None:
        """Only what was made: not another one that has got its name since; and never by ending this process itself."""
        from . import keeper
        uuid = made[0].uuid
        try:
            now = self.inspect(made)
            if now[0].uuid == uuid:
                self._delete_all_but_this(now)
        except errors.NotFound:
            pass
        finally:
            keeper.let_go(uuid)

    def _delete_all_but_this(self, now: VGPUSet) -> None:
        """An ephemeral set that this process has entered goes when it has ended."""
        try:
            self.delete(now)
        except errors.InUse as e:  # by its keeper at least
            pids = [*e.fields.get("pids", ()), *(pid for v in now for pid in v.usage.pids)]
            if os.getpid() not in pids:
                self.delete(now, force=True)
            elif not now.ephemeral:
                raise

    def list(self, project: Optional[str] = None) -> Iterator[VGPUSet]:
        for value in self._pages("/v1/vgpus", "sets", {"project": project}):
            yield self._set(value)

    def inspect(self, target: Some, project: Optional[str] = None) -> VGPUSet:
        return self._set(self.request("GET", _path(target), query={"project": project}))

    def resize(self, target: Some, *, memory: Union[Size, Sequence[Size], None] = None, compute: Union[Number, Sequence[Number], None] = None,
               mode: Optional[str] = None, priority: Optional[str] = None, project: Optional[str] = None) -> VGPUSet:
        """target: NAME or NAME/I. All vGPUs of it change or none."""
        body = _clean(memory=_each("memory", memory, _size), compute=_each("compute", compute, _percent), mode=_word("mode", mode),
                      priority=_word("priority", priority))
        return self._set(self.request("PATCH", _path(target), body, query={"project": project}))

    def suspend(self, target: Some, project: Optional[str] = None) -> VGPUSet:
        return self._set(self.request("POST", _path(target) + "/suspend", query={"project": project}))

    def resume(self, target: Some, project: Optional[str] = None) -> VGPUSet:
        return self._set(self.request("POST", _path(target) + "/resume", query={"project": project}))

    def delete(self, target: Some, *, force: bool = False, project: Optional[str] = None) -> None:
        """force: its programs are ended first."""
        self.request("DELETE", _path(target), query={"project": project, "force": 1 if force else None})

    def devices(self, rescan: bool = False) -> List[Device]:
        return [Device.of(d) for d in self.request("GET", "/v1/devices", query={"rescan": 1 if rescan else None})["devices"]]

    def version(self) -> Dict[str, Any]:
        return dict(self.request("GET", "/v1/version"))

    # --- jobs ---

    def submit(self, command: Sequence[str], *, name: Optional[str] = None, gpus: int = 1, memory: Optional[Size] = None,
               compute: Optional[Number] = None, mode: Optional[str] = None, priority: Optional[str] = None, device: Union[int, str, None] = None,
               array: Optional[str] = None, time_limit: Union[int, str, None] = None, not_before: Union[int, str, None] = None,
               retries: Optional[int] = None, budget: Optional[Dict[str, str]] = None, env: Optional[Dict[str, str]] = None,
               cwd: Optional[str] = None, project: Optional[str] = None) -> Job:
        """command: its words, the program first."""
        if isinstance(command, (str, bytes)) or not command or not all(isinstance(w, str) for w in command):
            raise errors.BadRequest(f'command is a list of words, such as ["python3", "train.py"], not {command!r}'[:300])
        body = _clean(command=list(command), name=_word("name", name), gpus=_whole("gpus", gpus, 1), memory=_each("memory", memory, _size),
                      compute=_each("compute", compute, _percent), mode=_word("mode", mode), priority=_word("priority", priority),
                      device=_device(device), array=_word("array", array), time_limit=time_limit, not_before=not_before, retries=retries,
                      budget=budget, env=env, cwd=os.getcwd() if cwd is None and not self.is_remote else cwd, project=_word("project", project))
        return Job.of(self.request("POST", "/v1/jobs", body, key=_new_key()))

    def jobs(self, *, state: Optional[str] = None, mine: bool = False, project: Optional[str] = None) -> Iterator[Job]:
        """Newest first. state: one of a job's, or "unfinished"."""
        for value in self._pages("/v1/jobs", "jobs", {"state": state, "mine": 1 if mine else None, "project": project}):
            yield Job.of(value)

    def job(self, job: Union[Job, int], index: Optional[int] = None) -> Job:
        return Job.of(self.request("GET", _job(job), query={"index": index}))

    def cancel(self, job: Union[Job, int], index: Optional[int] = None) -> Job:
        return Job.of(self.request("DELETE", _job(job), query={"index": index}))

    def logs(self, job: Union[Job, int], index: Optional[int] = None, *, follow: bool = False) -> Iterator[bytes]:
        """The output, in pieces. follow: until the job has ended."""
        from base64 import b64decode
        at = 0
        while True:
            wait = self._wait() if follow else None
            part = self.request("GET", _job(job) + "/log", query={"index": index, "from": at, "wait": wait})
            data = b64decode(part["data"])
            if data:
                yield data
            at = part["next"]
            if part["end"] or (not follow and not data):
                return

    # --- money, events ---

    def usage(self, *, project: Optional[str] = None, since: Optional[str] = None, until: Optional[str] = None, group_by: Optional[str] = None,
              everybody: bool = False) -> List[Dict[str, Any]]:
        """Billed use by day (since, until: "2026-11-01"); amounts are texts of decimal digits."""
        query = {"project": project, "from": since, "until": until, "group_by": group_by, "all": 1 if everybody else None}
        return list(self.request("GET", "/v1/usage", query=query)["usage"])

    def price(self) -> List[Dict[str, Any]]:
        """The price list in force."""
        return list(self.request("GET", "/v1/prices")["prices"])

    def events(self, after: int = 0, *, project: Optional[str] = None, follow: bool = True) -> Iterator[Event]:
        """Oldest first, those behind number `after`. follow: waits for more, for ever."""
        while True:
            page = self.request("GET", "/v1/events", query={"after": after, "limit": 1000, "project": project,
                                                            "wait": self._wait() if follow else None})
            for value in page["events"]:
                yield Event.of(value)
            if page["next"] == after and not follow:
                return
            after = page["next"]

    def _wait(self) -> int:
        """An answer that may be long in coming comes well before it is given up."""
        return max(1, min(WAIT_MAX, int(self.timeout / 2)))


def _decode(status: int, data: bytes) -> Any:
    import json
    try:
        body = json.loads(data) if data else None
    except ValueError:
        if status < 400:
            raise errors.DaemonUnreachable("what answers is not fastgpud: it does not speak JSON") from None
        body = None
    if status >= 400:
        raise errors.from_problem(status, body)
    return body


def _new_key() -> str:
    return os.urandom(16).hex()


def _clean(**values: Any) -> Dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


def _whole(what: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise errors.BadRequest(f"{what} is a whole number, at least {least}, not {value!r}"[:200])
    return value


def _word(what: str, value: Any) -> Optional[str]:
    if value is not None and not isinstance(value, str):
        raise errors.BadRequest(f"{what} is text, not {value!r}"[:200])
    return value


def _device(value: Any) -> Optional[str]:
    return _word("device", str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def _size(what: str, value: Any) -> Size:
    return value if isinstance(value, str) else _whole(what, value, 1)


def _percent(what: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise errors.BadRequest(f"{what} is a percentage, such as 70 or \"12.5\", not {value!r}"[:200])
    return value if isinstance(value, str) else f"{value:.10g}"


def _each(what: str, value: Any, check: Any) -> Any:
    """One for all, or one for each."""
    if value is None:
        return None
    return [check(what, v) for v in value] if isinstance(value, (list, tuple)) else check(what, value)


def _path(target: Some) -> str:
    from urllib.parse import quote
    name = target.target if isinstance(target, VGPUSet) else target
    if not isinstance(name, str) or not name or name.startswith("/") or ".." in name.split("/"):
        raise errors.BadRequest(f"a target is the name of vGPUs, NAME or NAME/I, not {name!r}"[:200])
    return "/v1/vgpus/" + quote(name, safe=":/")


def _job(job: Union[Job, int]) -> str:
    return f"/v1/jobs/{_whole('job', job.id if isinstance(job, Job) else job, 1)}"
