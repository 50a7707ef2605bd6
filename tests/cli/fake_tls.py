# SPDX-License-Identifier: Apache-2.0
"""Remote daemons: one with manners and one that answers with given bytes, both over TLS, and what they have heard."""
import functools
import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from fake_daemon import Fake

TOKEN = "s3cret-T0ken.of_nobody~else"


@functools.cache
def pair(name):
    """(certificate, key, fingerprint) of a self-signed pair for localhost; the same for the same name."""
    folder = tempfile.mkdtemp(prefix="fg-pair-")
    import atexit
    atexit.register(shutil.rmtree, folder, True)
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                    "-days", "30", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "x509", "-pubkey", "-noout", "-in", cert], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, check=True, capture_output=True).stdout
    return cert, key, hashlib.sha256(der).hexdigest()


class Listener:
    """Accepts in threads; serve(connection) is the child's."""
    backlog = 64

    def __init__(self, name="a", host="127.0.0.1", wrap=True, high=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cert, key, self.fingerprint = pair(name)
        self.context.load_cert_chain(cert, key)
        self.cert = cert
        if high:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            self.context.minimum_version, self.context.maximum_version = ssl.TLSVersion.TLSv1, high
        self.wrap = wrap
        self.heard = []  # heads of requests, as they came
        self.connections = 0
        self.lock = threading.Lock()
        self.socket = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=self.backlog)
        self.port = self.socket.getsockname()[1]
        self.url = f"https://localhost:{self.port}" if host == "127.0.0.1" else f"https://[{host}]:{self.port}"
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.welcome, args=(c,), daemon=True).start()

    def welcome(self, c):
        try:
            with (self.context.wrap_socket(c, server_side=True) if self.wrap else c) as s:
                s.settimeout(30)
                with self.lock:
                    self.connections += 1
                self.serve(s)
        except (OSError, ValueError):
            pass

    def read_request(self, f):
        """(method, target, headers, body) or None."""
        line = f.readline(65536)
        if not line:
            return None
        headers, text = {}, line
        while (more := f.readline(65536)).strip():
            text += more
            key, _, value = more.decode().partition(":")
            headers[key.strip().lower()] = value.strip()
        body = f.read(int(headers.get("content-length", 0)))
        with self.lock:
            self.heard.append((text + b"\r\n" + body).decode())
        method, target, _ = line.decode().split()
        return method, target, headers, body

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        self.thread.join()
        self.socket.close()


class Daemon(Listener):
    """The API, for whoever has the token."""

    def __init__(self, *args, whoami=True, **more):
        self.fake = Fake("/nowhere")
        self.whoami = whoami
        self.pause = self.drop = 0
        super().__init__(*args, **more)

    def answer(self, method, target, headers, body):
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"type": "unauthorized", "detail": "the token is not known"}
        if target == "/v1/whoami" and self.whoami:
            return 200, {"user": "alice", "role": "member"}
        return self.fake.answer(method, target, json.loads(body) if body else None, headers.get("idempotency-key"))

    def serve(self, s):
        with s.makefile("rb") as f:
            while (request := self.read_request(f)):
                time.sleep(self.pause)
                status, value = self.answer(*request)
                if self.drop and request[0] != "GET":
                    self.drop -= 1
                    return
                body = b"" if value is None else json.dumps(value).encode()
                head = f"HTTP/1.1 {status} X\r\n" + (f"Content-Length: {len(body)}\r\n" if status != 204 else "")
                s.sendall(head.encode() + b"\r\n" + body)


class Raw(Listener):
    """Answers each request with the same bytes, then closes. `data` may be a generator."""

    def __init__(self, data, **more):
        self.data = data
        self.sent = 0
        super().__init__(**more)

    def serve(self, s):
        with s.makefile("rb") as f:
            self.read_request(f)
            for piece in [self.data] if isinstance(self.data, bytes) else self.data():
                s.sendall(piece)
                self.sent += len(piece)
