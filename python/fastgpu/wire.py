# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 over a unix socket or TLS, with one deadline for all of a request. http.client is not used: it costs more to import than all of
this, and its timeouts are for each read, so that a trickle would hold a caller for ever."""
from __future__ import annotations

import os
import select
import socket
import time
from typing import Any, Optional, Tuple

from .errors import DaemonUnreachable, Error, Forbidden, Timeout
from .target import Target

BODY_MAX, HEAD_MAX = 64 << 20, 65536
CONNECT_TIME = 10.0


class HungUp(DaemonUnreachable):
    """The connection ended before the first byte of an answer."""


class NotThere(DaemonUnreachable):
    """Nobody could be connected to; nothing was sent."""


def _public_key(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, as it stands in there."""
    def element(at: int) -> Tuple[int, int, int]:
        length, body = der[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, body = int.from_bytes(der[body:body + count], "big"), body + count
        return der[at], body, body + length

    _, at, _ = element(0)       # Certificate
    _, at, _ = element(at)      # TBSCertificate
    tag, _, end = element(at)
    at = end if tag == 0xA0 else at  # version
    for _ in range(5):          # serial number, signature, issuer, validity, subject
        _, _, at = element(at)
    return der[at:element(at)[2]]


def fingerprint_of(der: bytes) -> str:
    import hashlib
    try:
        return hashlib.sha256(_public_key(der)).hexdigest()
    except IndexError:
        return ""


class Connection:
    def __init__(self, target: Target, deadline: float) -> None:
        self.used = False
        self.pid = os.getpid()  # a unix socket is of the process that connected: a fork needs its own
        self.where = target.where
        self.sock: Any = self._local(target, deadline) if target.sockets else self._remote(target, deadline)

    def _local(self, target: Target, deadline: float) -> Any:
        why = ""
        for path in target.sockets:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.settimeout(_left(deadline, path))
                s.connect(path)
                self.where = path
                return s
            except socket.timeout:
                s.close()
                raise Timeout(f"{path} has not answered in time") from None
            except PermissionError:
                s.close()
                raise Forbidden(f"not allowed to use the daemon at {path}; ask its operator, or set FASTGPU_STATE_DIR to a folder of yours for a "
                                "daemon of your own") from None
            except OSError as e:
                s.close()
                why = e.strerror or str(e)
        raise NotThere(f"no daemon answers at {target.where}: {why}")

    def _remote(self, target: Target, deadline: float) -> Any:
        import ssl
        context = ssl.create_default_context() if not target.fingerprint else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if target.fingerprint:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # the key is compared instead, below
        plain: Optional[socket.socket] = None
        try:
            plain = socket.create_connection((target.host, target.port), min(CONNECT_TIME, _left(deadline, self.where)))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(min(CONNECT_TIME, _left(deadline, self.where)))
            secure = context.wrap_socket(plain, server_hostname=target.host)
        except socket.timeout:
            if plain:
                plain.close()
            raise Timeout(f"{self.where} has not answered in time") from None
        except ssl.SSLCertVerificationError as e:
            raise DaemonUnreachable(f"this system does not trust the certificate of {self.where}: {e.verify_message}. Nothing was sent. Give its "
                                    "fingerprint, or type: fastgpu login " + self.where) from None
        except OSError as e:
            if plain:
                plain.close()
            raise NotThere(f"no daemon answers at {self.where}: {e.strerror or e}") from None
        shown = fingerprint_of(secure.getpeercert(True) or b"")
        if target.fingerprint and shown != target.fingerprint:
            secure.close()
            raise DaemonUnreachable(f"the certificate of {self.where} is not the one that is known: its fingerprint is {shown}, expected is "
                                    f"{target.fingerprint}. Nothing was sent. Somebody may be in between")
        return secure

    def close(self) -> None:
        self.sock.close()

    def is_stale(self) -> bool:
        """A kept connection that became readable while nothing was asked has ended."""
        if self.pid != os.getpid():
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def exchange(self, request: bytes, deadline: float) -> Tuple[int, bytes, bool]:
        """Status, body, and whether the connection may be used again."""
        try:
            self.sock.settimeout(_left(deadline, self.where))
            try:
                self.sock.sendall(request)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may have answered before it hung up
            answer = read_answer(lambda: self._more(deadline), self.where)
        except socket.timeout:
            raise Timeout(f"{self.where} has not answered in time") from None
        except OSError as e:
            raise DaemonUnreachable(f"the connection to {self.where} broke: {e}") from None
        self.used = True
        return answer

    def _more(self, deadline: float) -> bytes:
        self.sock.settimeout(_left(deadline, self.where))
        try:
            return bytes(self.sock.recv(65536))
        except ConnectionResetError:
            return b""


def _left(deadline: float, where: str) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Timeout(f"{where} has not answered in time")
    return left


def read_answer(more: Any, where: str) -> Tuple[int, bytes, bool]:
    """`more` returns the next bytes, or none at the end."""
    data = b""
    broken = DaemonUnreachable(f"what answers at {where} is not fastgpud, or it broke off")
    while b"\r\n\r\n" not in data:
        chunk = more()
        if not chunk:
            raise broken if data else HungUp(f"{where} hung up without an answer")
        data += chunk
        if len(data) > HEAD_MAX + BODY_MAX or (len(data) > HEAD_MAX and b"\r\n\r\n" not in data):
            raise broken
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit() or len(words[1]) != 3:
        raise broken
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status, keep = int(words[1]), words[0] == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
    if 100 <= status < 200:
        raise broken  # nobody asked for one
    if status in (204, 304):
        return status, b"", keep and not rest
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body, extra = _chunked(rest, more, broken)
        return status, body, keep and not extra
    length = fields.get("content-length")
    if length is not None and not (length.isascii() and length.isdigit() and int(length) <= BODY_MAX):
        raise broken
    parts, size = [rest], len(rest)
    while length is None or size < int(length):
        chunk = more()
        if not chunk:
            if length is not None:
                raise broken
            break
        parts.append(chunk)
        size += len(chunk)
        if size > BODY_MAX:
            raise broken
    body = b"".join(parts)
    return status, body if length is None else body[:int(length)], keep and length is not None and len(body) == int(length)


def _chunked(data: bytes, more: Any, broken: Error) -> Tuple[bytes, bytes]:
    body = bytearray()
    buffer = bytearray(data)

    def need(condition: Any) -> None:
        while not condition():
            chunk = more()
            if not chunk or len(buffer) + len(body) > BODY_MAX:
                raise broken
            buffer.extend(chunk)

    while True:
        need(lambda: b"\r\n" in buffer)
        end = buffer.find(b"\r\n")
        line = bytes(buffer[:end])
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            raise broken from None
        if not 0 <= size <= BODY_MAX:
            raise broken
        del buffer[:end + 2]
        need(lambda: len(buffer) >= size + 2)
        if size == 0:  # the daemon and what stands in front of it send no trailers
            return bytes(body), bytes(buffer[2:])
        body += buffer[:size]
        del buffer[:size + 2]
