# SPDX-License-Identifier: Apache-2.0
"""Callers who keep others waiting: they are cut off, and those others are served."""
import contextlib
import os
import resource
import socket
import threading
import time

import harness
import tls
from harness import Daemon, wait_until

HALF = b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Length: 100000\r\n\r\n"
PATIENCE = 40  # s that anything may take here before the test fails


def unix(d):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(d.socket)
    return s


def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000) if hard != resource.RLIM_INFINITY else 20000, hard))


class Trickle(harness.Case):
    """One byte now and then is not idle. Each of these would stay for ever."""

    def cut_off(self, s, piece):
        """Sends pieces until the other side has had enough; how many it took."""
        end = time.monotonic() + PATIENCE
        s.settimeout(0.2)
        sent = 0
        while time.monotonic() < end:
            try:
                s.sendall(piece)
                sent += 1
                if s.recv(4096) == b"":
                    return sent
            except TimeoutError:
                continue
            except OSError:
                return sent
        self.fail(f"still there after {sent} pieces")

    def test_on_both_sockets(self):
        with Daemon(listen="127.0.0.1:0", request_timeout=1) as d:
            port = tls.port_of(d)
            for connect in (lambda: unix(d), lambda: tls.wrapped(port)):
                for begin, piece in ((b"", b"G"), (b"", b"\r\n"), (b"GET /v1/version HTTP/1.1\r\n", b"X-Y: z\r\n"), (HALF, b" "),
                                     (b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")):
                    with connect() as s:
                        s.sendall(begin)
                        self.cut_off(s, piece)
                with connect() as s:  # a kept connection
                    s.sendall(b"GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertIn(b" 200 ", s.recv(4096))
                    s.sendall(HALF)
                    self.cut_off(s, b" ")
            self.assertEqual(d.names(), [])

    def test_before_tls(self):
        with Daemon(listen="127.0.0.1:0", request_timeout=1) as d:
            port = tls.port_of(d)
            for begin, piece in ((b"\x16\x03\x01\x20\x00", b"x"), (b"\x16", b"\x03"), (b"\x16\x03\x01\x00\x05hello\x16\x03\x01\x20\x00", b"x")):
                with tls.plain(port) as s:
                    s.sendall(begin)
                    self.cut_off(s, piece)
            with tls.plain(port) as s:
                self.assertEqual(tls.rest(s), b"")
            self.assertEqual(tls.once(port)[0], 200)

    def test_slow_requests_in_time_are_served(self):
        """A kept connection may be idle before each request; the time of a request begins with it."""
        with Daemon(listen="127.0.0.1:0", request_timeout=3) as d:
            c = tls.Remote(tls.port_of(d))
            c.connect()
            for _ in range(4):
                time.sleep(1.5)
                c.send(b"GET /v1/version HTTP/1.1\r\n")
                time.sleep(1)
                c.send(b"Host: x\r\n\r\n")
                got = b""
                while not got.endswith(b"}\n"):
                    got += c.sock.recv(4096)
                self.assertIn(b" 200 ", got)
            c.close()


class Flood(harness.Case):
    def setUp(self):
        many_files()
        self.open = []
        self.addCleanup(lambda: [s.close() for s in self.open])

    def idle(self, port, count, source, wrap=False, data=b""):
        for n in range(count):
            s = tls.wrapped(port, source) if wrap else tls.plain(port, source)
            if data:
                s.sendall(data)
            self.open.append(s)

    def still_open(self):
        alive = 0
        for s in self.open:
            s.setblocking(False)
            try:
                s.recv(1)
            except (BlockingIOError, ):
                alive += 1
            except OSError:
                pass
        return alive

    def test_two_thousand_from_one_address(self):
        with Daemon(listen="127.0.0.1:0", request_timeout=60) as d:
            port = tls.port_of(d)
            honest = tls.Remote(port, source="127.0.0.2")
            self.assertEqual(honest.ask("GET", "/v1/version")[0], 200)
            for data in (b"", b"\x16\x03\x01"):
                self.idle(port, 1000, "127.0.0.1", data=data)
            self.assertEqual(honest.ask("GET", "/v1/version")[0], 200)  # nobody else's had to go
            self.assertEqual(tls.once(port, source="127.0.0.3")[0], 200)
            self.assertEqual(tls.once(port, source="127.0.0.1")[0], 200)  # one's own oldest makes room
            self.assertEqual(d.names(), [])
            wait_until(lambda: self.still_open() <= 64, "the rest is let go")
            honest.close()

    def test_sessions_from_one_address(self):
        """The same with the handshake done and half a request sent."""
        with Daemon(listen="127.0.0.1:0", request_timeout=60, max_per_source=20) as d:
            port = tls.port_of(d)
            honest = tls.Remote(port, source="127.0.0.2")
            self.assertEqual(honest.ask("GET", "/v1/version")[0], 200)
            for data in (b"", b"GET /v1/ver", HALF):
                for _ in range(50):
                    s = tls.wrapped(port)
                    if data:
                        s.sendall(data)
                    self.open.append(s)
            self.assertEqual(honest.ask("GET", "/v1/version")[0], 200)
            self.assertEqual(tls.once(port, source="127.0.0.1")[0], 200)
            self.assertEqual(d.names(), [])
            honest.close()

    def test_from_many_addresses(self):
        """At the limit of all, the longest silent one makes room, and the unix socket has a limit of its own."""
        with Daemon(listen="127.0.0.1:0", request_timeout=60, max_connections=300) as d:
            port = tls.port_of(d)
            for n in range(50):
                self.idle(port, 20, f"127.0.1.{n + 1}")
            self.assertEqual(d.names(), [])
            self.assertEqual(tls.once(port, source="127.0.0.2")[0], 200)
            wait_until(lambda: self.still_open() <= 300, "the rest is let go")

    def test_bodies_that_wait(self):
        """Who makes room goes at once, also while what is thrown away of his waits: else each newcomer would cut off one more, and soon the honest."""
        with Daemon(listen="127.0.0.1:0", request_timeout=60, max_connections=20, max_per_source=20) as d:
            port = tls.port_of(d)
            self.idle(port, 20, "127.0.0.1", wrap=True)
            for s in self.open:
                s.sendall(b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n")
                s.setblocking(False)
                with contextlib.suppress(OSError):
                    while True:
                        s.send(b"x" * 16000)
            honest = tls.Remote(port, source="127.0.0.2")
            self.assertEqual(honest.ask("GET", "/v1/version")[0], 200)
            kept = honest.sock
            for _ in range(40):
                tls.plain(port, source="127.0.0.3").close()
                for _ in range(2):  # it is accepted, and let go
                    self.assertEqual(d.names(), [])
            self.assertEqual(honest.ask("GET", "/v1/version")[0], 200)
            self.assertIs(honest.sock, kept)
            honest.close()

    def test_handshakes_without_end(self):
        """Threads that do nothing but begin sessions; this machine's callers are answered, and another address."""
        with Daemon(listen="127.0.0.1:0") as d:
            port = tls.port_of(d)
            stop = threading.Event()

            def begin(source):
                while not stop.is_set():
                    try:
                        tls.wrapped(port, source).close()
                    except OSError:
                        pass

            threads = [threading.Thread(target=begin, args=(f"127.0.2.{n + 1}",)) for n in range(6)]
            for t in threads:
                t.start()
            try:
                for n in range(50):
                    d.create(f"a{n}", memory="1M", compute="1")
                for _ in range(5):
                    self.assertEqual(tls.once(port, source="127.0.0.2")[0], 200)
            finally:
                stop.set()
                for t in threads:
                    t.join()
            self.assertEqual(len(d.names()), 50)

    def test_few_descriptors(self):
        """More callers than descriptors: the daemon goes on, and serves when there is room again."""
        with Daemon(listen="127.0.0.1:0", request_timeout=60) as d:
            port = tls.port_of(d)
            used = len(os.listdir(f"/proc/{d.process.pid}/fd"))
            resource.prlimit(d.process.pid, resource.RLIMIT_NOFILE, (used + 30, used + 30))
            for n in range(10):
                self.idle(port, 10, f"127.0.3.{n + 1}")
            wait_until(lambda: len(os.listdir(f"/proc/{d.process.pid}/fd")) >= used + 25, "its descriptors are used up")
            for s in self.open:
                s.close()
            self.assertEqual(tls.once(port)[0], 200)
            self.assertEqual(d.names(), [])


harness.main()
