# SPDX-License-Identifier: Apache-2.0
"""A socket flooded with garbage, half requests and 10 000 connections."""
import random
import resource
import socket

import harness
from harness import Daemon


def raw(d, data, wait=True):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(d.socket)
    try:
        s.sendall(data)
        return s.recv(65536) if wait else s
    except (BrokenPipeError, ConnectionResetError):
        return b""
    finally:
        if wait:
            s.close()


class Hostile(harness.Case):
    def test_garbage(self):
        rng = random.Random(7)
        with Daemon(request_timeout=2) as d:
            d.create("a")
            for n in range(300):
                raw(d, bytes(rng.randrange(256) for _ in range(rng.randrange(1, 400))) + b"\r\n\r\n", wait=False).close()
            for request in (b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                            b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                            b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
                            b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
                reply = raw(d, request)
                self.assertTrue(reply == b"" or b" 40" in reply[:16] or b" 41" in reply[:16] or b" 50" in reply[:16], reply[:200])
            self.assertEqual(d.names(), ["a"])

    def test_half_requests_time_out(self):
        with Daemon(request_timeout=1) as d:
            half = [raw(d, b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"name\":", wait=False) for _ in range(50)]
            self.assertEqual(d.names(), [])
            for s in half:
                s.settimeout(30)
                got = b"?"
                while got:
                    got = s.recv(4096)
                s.close()
            self.assertEqual(d.names(), [])

    def test_ten_thousand_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        want = 10000
        if hard != resource.RLIM_INFINITY and hard < want + 200:
            want = hard - 200
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000) if hard != resource.RLIM_INFINITY else 20000, hard))
        with Daemon(request_timeout=60) as d:
            d.create("a", memory="1M", compute="1")
            silent = []
            for n in range(want):
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(20)
                s.connect(d.socket)
                if n % 3 == 0:
                    s.sendall(b"GET /v1/ver")
                silent.append(s)
                if n % 1000 == 0:
                    d.create(f"b{n}", memory="1M", compute="1")
            self.assertEqual(d.names(), ["a"] + [f"b{n}" for n in range(0, want, 1000)])
            for s in silent:
                s.close()
            d.create("c", memory="1M", compute="1")
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


harness.main()
