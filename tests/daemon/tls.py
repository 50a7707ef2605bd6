# SPDX-License-Identifier: Apache-2.0
"""Callers over TLS, well-behaved and not."""
import hashlib
import http.client
import json
import socket
import ssl
import subprocess


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout


def make_pair(folder, name="x", days="30"):
    """A self-signed pair that has nothing to do with the daemon's own."""
    cert, key = f"{folder}/{name}-cert.pem", f"{folder}/{name}-key.pem"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", days, "-subj", f"/CN={name}",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1")
    return cert, key


def fingerprint(pem):
    """SHA-256 of the public key in DER, as an independent program sees it."""
    public = openssl("x509", "-pubkey", "-noout", data=pem)
    return hashlib.sha256(openssl("pkey", "-pubin", "-outform", "der", data=public)).hexdigest()


def context(low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_3, old=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if old:
        c.set_ciphers("ALL:@SECLEVEL=0")
    c.minimum_version, c.maximum_version = low, high
    return c


def port_of(daemon):
    return int(daemon.ok("GET", "/v1/version")["tls"]["listen"].rsplit(":", 1)[1])


def token_of(daemon, name="remote"):
    """A token of an admin who is made for it."""
    daemon.ok("POST", "/v1/users", {"name": name, "admin": True})
    return daemon.ok("POST", "/v1/tokens", {"user": name})["secret"]


def plain(port, source="127.0.0.1", host="127.0.0.1", timeout=20):
    return socket.create_connection((host, port), timeout=timeout, source_address=(source, 0) if source else None)


def wrapped(port, source="127.0.0.1", host="127.0.0.1", timeout=20):
    return context().wrap_socket(plain(port, source, host, timeout))


class Remote(http.client.HTTPSConnection):
    def __init__(self, port, host="127.0.0.1", source=None, token=None):
        super().__init__(host, port, timeout=30, context=context(), source_address=(source, 0) if source else None)
        self.head = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method, path, body=None, **headers):
        """Status, JSON, headers."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        self.request(method, path, body, {**self.head, **headers})
        reply = self.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text else None, reply.headers


def once(port, method="GET", path="/v1/version", body=None, **how):
    c = Remote(port, **how)
    try:
        return c.ask(method, path, body)
    finally:
        c.close()


def rest(s):
    """What comes until the other side ends; an error is an end too."""
    got = b""
    try:
        while (more := s.recv(65536)):
            got += more
    except (ConnectionError, ssl.SSLError):
        pass
    return got
