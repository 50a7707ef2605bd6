# SPDX-License-Identifier: Apache-2.0
"""What holds vGPUs that are to go with this process, whatever it dies of.

The daemon gives back a set made by POST /v1/open when the process that asked is gone. That process is a small one of ours, which ends when
its standard input does, that is when this process ends or lets go. Were it this process itself, deleting the set with force would end it."""
from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from typing import Dict, Tuple

from .errors import DaemonUnreachable, Timeout
from .wire import HungUp, NotThere, read_answer

# argv: socket, size of the request, which comes on standard input. _socket: a tenth of what socket costs to import.
_CODE = """
import os, sys, _socket
path, size = sys.argv[1], int(sys.argv[2])
request = b""
while len(request) < size:
    part = os.read(0, size - len(request))
    if not part:
        os._exit(1)
    request += part
s = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
try:
    s.connect(path)
except OSError:
    os._exit(3)
try:
    while request:
        sent = s.send(request)
        request = request[sent:]
    while True:
        part = s.recv(65536)
        if not part:
            break
        os.write(1, part)
except OSError:
    pass
s.close()
os.close(1)
while os.read(0, 4096):
    pass
"""

_kept: Dict[str, subprocess.Popen[bytes]] = {}  # uuid of a set's first vGPU: who holds it


def start(path: str, request: bytes, deadline: float) -> Tuple[subprocess.Popen[bytes], int, bytes]:
    """(keeper, status, body). The request has to ask for Connection: close."""
    python = sys.executable or shutil.which("python3") or "python3"
    try:
        # Of a session of its own: an interrupt from the terminal is for this process, which may still want to give back in order.
        keeper = subprocess.Popen([python, "-I", "-S", "-c", _CODE, path, str(len(request))], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, start_new_session=True, bufsize=0)
    except OSError as e:
        raise DaemonUnreachable(f"{python} cannot be started to hold the vGPUs: {e}") from None
    try:
        status, body = _ask(keeper, path, request, deadline)
    except BaseException:
        keeper.kill()  # what it asked for goes with it
        end(keeper)
        raise
    return keeper, status, body


def _ask(keeper: subprocess.Popen[bytes], path: str, request: bytes, deadline: float) -> Tuple[int, bytes]:
    assert keeper.stdin and keeper.stdout
    out = keeper.stdout.fileno()

    def more() -> bytes:
        left = deadline - time.monotonic()
        poll = select.poll()
        poll.register(out, select.POLLIN)
        if left <= 0 or not poll.poll(int(left * 1000) + 1):
            raise Timeout(f"{path} has not answered in time; nothing was made")
        return os.read(out, 65536)

    try:
        keeper.stdin.write(request)  # it reads before it does anything else
        status, body, _ = read_answer(more, path)
    except (BrokenPipeError, HungUp):
        if keeper.wait(10) == 3:
            raise NotThere(f"no daemon answers at {path}") from None
        raise HungUp(f"{path} hung up without an answer; nothing was made") from None
    return status, body


def keep(uuid: str, keeper: subprocess.Popen[bytes]) -> None:
    _kept[uuid] = keeper


def is_kept(uuid: str) -> bool:
    return uuid in _kept


def let_go(uuid: str) -> None:
    """Without a keeper the set goes as soon as no program uses it."""
    keeper = _kept.pop(uuid, None)
    if keeper:
        end(keeper)


def end(keeper: subprocess.Popen[bytes]) -> None:
    for pipe in (keeper.stdin, keeper.stdout):
        if pipe:
            pipe.close()
    try:
        keeper.wait(2)
    except subprocess.TimeoutExpired:  # a fork of this process holds the other end of the pipe
        keeper.kill()
        keeper.wait()
