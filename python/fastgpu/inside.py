# SPDX-License-Identifier: Apache-2.0
"""The vGPUs that this process is in: what `fastgpu run`, a container or fastgpu.keras.scope() put it into.

It attaches as any program of the vGPU does (docs/design/contracts.md), which is also what makes `fastgpu list` show it, and reads its pages.
What a program can reach decides which vGPUs these are; nothing that it sets makes a limit larger."""
from __future__ import annotations

import os
import struct
import threading
from typing import Any, List, NamedTuple, Optional, Tuple

from .errors import DaemonUnreachable

CONTAINER_FOLDER = "/run/fastgpu-vgpu"
TIMEOUT = 5.0
PAGE_VERSION = 3  # include/fastgpu/page.h

_MAGIC, _VERSION, _ANY_API = 0x41504746, 2, 0
_LIMITS_MAGIC, _USAGE_MAGIC = 0x4C504746, 0x55504746
_REPLY = struct.Struct("<4I256s")
_REPLY_VGPU = struct.Struct("<4I")
_HEAD = struct.Struct("<4I")
_NAME, _QUOTA, _USED = 48, 256, 64  # offsets: uuid, name and key; quota, share, mode; used
_FDS = 3


class Here(NamedTuple):
    """One vGPU that this process is in, as it is now. memory: its quota in bytes; share: permille."""
    name: str
    index: int  # type: ignore[assignment]  # of the set; nobody asks a tuple where it has something
    uuid: str
    device_key: str
    memory: int
    used: int
    share: int
    mode: str

    @property
    def free(self) -> int:
        return max(0, self.memory - self.used)


class _Session:
    def __init__(self, connection: int, pages: List[Tuple[Any, Any]]) -> None:
        self.connection = connection
        self.pages = pages
        self.pid = os.getpid()

    def close(self) -> None:
        """The daemon goes on to see who has the pages mapped; leave() ends that too."""
        if self.connection >= 0:
            os.close(self.connection)
        self.connection = -1

    def unmap(self) -> None:
        for page in (page for pair in self.pages for page in pair):
            page.close()
        self.pages = []

    def read(self) -> List[Here]:
        return [_read(limits, usage) for limits, usage in self.pages]


_session: Optional[_Session] = None
_lock = threading.Lock()


def in_container() -> bool:
    return os.path.exists(CONTAINER_FOLDER)


def path() -> Optional[str]:
    """Where this process attaches; None: it is in no vGPU. In a container the folder that was mounted there, whatever the environment says."""
    if in_container():
        return CONTAINER_FOLDER + "/attach.sock"
    return os.environ.get("FASTGPU_ATTACH") or None


def vgpus() -> List[Here]:
    """The vGPUs of this process in the order in which it sees them as devices; none: it is in none.

    The first call attaches, for the life of this process; a fork attaches for itself."""
    global _session
    where = path()
    if not where:
        return []
    with _lock:
        if _session is None or _session.pid != os.getpid():
            _session = _open(where)
        return _session.read()


def leave() -> None:
    """As if this process had never attached."""
    global _session
    with _lock:
        if _session:
            _session.close()
            _session.unmap()
        _session = None


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")


def _read(limits: Any, usage: Any) -> Here:
    index = _HEAD.unpack_from(limits, 0)[3]
    uuid, name, key = struct.unpack_from("<16s80s128s", limits, _NAME - 16)
    quota, share, mode = struct.unpack_from("<QII", limits, _QUOTA)
    used = struct.unpack_from("<Q", usage, _USED)[0]
    digits = uuid.hex()
    return Here(_text(name), index, "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])), _text(key), quota, used, share,
                "cap" if mode == 1 else "share")


def _open(where: str) -> _Session:
    import socket
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        s.settimeout(TIMEOUT)
        _connect(s, where)
        s.sendall(_HEAD.pack(_MAGIC, _VERSION, _ANY_API, 0))
        magic, version, status, count, _ = _REPLY.unpack(_exactly(s.recv(_REPLY.size), _REPLY.size, where))
        if (magic, version) != (_MAGIC, _VERSION):
            raise DaemonUnreachable(f"{where} is of another version of FastGPU than this package")
        if status:
            raise DaemonUnreachable(f"{where}: the daemon does not let this program into the vGPU: {os.strerror(status)}")
        pages = dict(_receive(s, where) for _ in range(count))
        return _Session(_high(s), [pages[i] for i in range(count)])
    except (OSError, KeyError, struct.error) as e:
        raise DaemonUnreachable(f"no vGPU for this process: cannot attach to fastgpud at {where}: {e}") from None
    finally:
        s.close()


def _connect(s: Any, where: str) -> None:
    """Also where the path is longer than the kernel takes."""
    if len(os.fsencode(where)) < 108:
        s.connect(where)
        return
    folder = os.open(os.path.dirname(where), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        s.connect(f"/proc/self/fd/{folder}/{os.path.basename(where)}")
    finally:
        os.close(folder)


def _exactly(data: bytes, size: int, where: str) -> bytes:
    if len(data) != size:
        raise OSError("it hung up" if not data else "it does not speak as fastgpud does")
    return data


def _receive(s: Any, where: str) -> Tuple[int, Tuple[Any, Any]]:
    import array
    import mmap
    import socket
    data, control, flags, _ = s.recvmsg(_REPLY_VGPU.size, socket.CMSG_SPACE(_FDS * 4), socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, payload in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[:len(payload) - len(payload) % 4])
    try:
        magic, _, position, _ = _REPLY_VGPU.unpack(_exactly(data, _REPLY_VGPU.size, where))
        if magic != _MAGIC or len(fds) != _FDS or flags & socket.MSG_CTRUNC:
            raise OSError("it does not speak as fastgpud does")
        limits = mmap.mmap(fds[0], 0, mmap.MAP_SHARED, mmap.PROT_READ)
        usage = mmap.mmap(fds[1], 0, mmap.MAP_SHARED, mmap.PROT_READ)  # mapped: so the daemon knows that we are here
    finally:
        for fd in fds:
            os.close(fd)
    for page, expected in ((limits, _LIMITS_MAGIC), (usage, _USAGE_MAGIC)):
        if struct.unpack_from("<2I", page, 0) != (expected, PAGE_VERSION):
            raise OSError("its pages are of another version of FastGPU than this package")
    return position, (limits, usage)


def _high(s: Any) -> int:
    """Programs expect the low numbers for files of their own."""
    import fcntl
    try:
        return fcntl.fcntl(s.fileno(), fcntl.F_DUPFD_CLOEXEC, 512)
    except OSError:
        return os.dup(s.fileno())


def _after_fork() -> None:
    """The connection is the parent's, and it is to be seen when that ends."""
    global _lock
    _lock = threading.Lock()
    if _session:
        _session.close()


os.register_at_fork(after_in_child=_after_fork)
