#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The client against remote daemons that are not what they should be."""
import os
import socket
import ssl
import threading
import unittest

from fake_tls import TOKEN, Listener, Raw, pair
from test_login import Remote

GOOD = b'{"devices": [], "problems": []}'


def reply(body=GOOD, head=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), head, body)


class Client(Remote):
    def env(self, server, **more):
        return {"FASTGPU_URL": server.url, "FASTGPU_FINGERPRINT": server.fingerprint, "FASTGPU_TOKEN_FILE": self.token_file, **more}

    def raw(self, data, **more):
        server = Raw(data, **more)
        self.addCleanup(server.close)
        return server

    def refused_by(self, server, *words, code=6, **env):
        said = self.refused("devices", code=code, env=self.env(server, **env))
        for word in words:
            self.assertIn(word, said)
        return said


class Lies(Client):
    def test_malformed(self):
        whole = reply()
        for data in (b"garbage\r\n\r\n", b"\0" * 5000, b"HTTP/1.1 200 OK\r\n\r\nnot json", reply(b"[1, 2"), reply(b'{"a":1,"a":2}'), b"A" * 100000,
                     whole[:20], whole[:-1], b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc", b"HTTP/2 200\r\n\r\n{}", b"SSH-2.0-OpenSSH_9\r\n"):
            server = self.raw(data)
            said = self.refused_by(server)
            self.assertRegex(said, r"is not fastgpud|sends more than any answer has|hung up")
            server.close()

    def test_hangs_up(self):
        self.refused_by(self.raw(b""), "hung up")

    def endless(self, head, piece):
        def pieces():
            yield head
            while True:
                yield piece
        return self.raw(pieces)

    def test_without_end(self):
        """Each is cut off at its bound, however willing the server is."""
        for head, piece in ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
                            (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536),
                            (b"HTTP/1.1 200 OK\r\n", b"X-Y: " + b"z" * 1000 + b"\r\n"),
                            (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
                            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Y: " + b"z" * 1000 + b"\r\n")):
            server = self.endless(head, piece)
            self.refused_by(server, server.url)
            self.assertLess(server.sent, 100 << 20)
            server.close()

    def test_large_and_fine(self):
        body = b'{"devices": [], "x": "' + b"y" * (8 << 20) + b'"}'
        server = self.raw(reply(body))
        self.assertEqual(len(self.json("devices", env=self.env(server))["x"]), 8 << 20)

    def test_in_pieces_and_chunks(self):
        server = self.raw(lambda: (bytes([b]) for b in reply()))
        self.assertEqual(self.json("devices", env=self.env(server))["devices"], [])
        chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(GOOD[i:i + 7]), GOOD[i:i + 7]) for i in range(0, len(GOOD), 7))
        server = self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nTrailer: x\r\n\r\n")
        self.assertEqual(self.json("devices", env=self.env(server))["devices"], [])

    def test_redirects_are_not_followed(self):
        other = self.daemon("b")
        for status in (301, 302, 307, 308):
            server = self.raw(b"HTTP/1.1 %d Moved\r\nLocation: %s/v1/devices\r\nContent-Length: 0\r\n\r\n" % (status, other.url.encode()))
            self.refused_by(server, str(status), code=1)
            server.close()
        self.assertEqual((other.connections, other.heard), (0, []))

    def test_cookies_are_not_kept(self):
        server = self.raw(reply(b'{"sets": [], "now_ns": 100}', b"Set-Cookie: a=b; Path=/\r\n"))
        self.fastgpu("top", "--batch", "2", "--interval", "0.1", env=self.env(server))
        self.assertGreater(len(server.heard), 1)
        self.assertNotIn("cookie", "".join(server.heard).lower())

    def test_reasons_reach_the_terminal_clean(self):
        body = b'{"type": "x", "detail": "told \\u001b[31m"}'
        server = self.raw(b"HTTP/1.1 403 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertNotIn("\x1b", self.refused_by(server, "told"))

    def test_never_answers(self):
        """The shell is waiting for candidates: briefly."""
        class Mute(Listener):
            def serve(self, s):
                self.read_request(s.makefile("rb"))
                s.recv(1)
        server = Mute()
        self.addCleanup(server.close)
        done = self.fastgpu("__complete", "inspect", "", env=self.env(server))
        self.assertEqual(done.stdout + done.stderr, "")
        self.assertEqual(len(server.heard), 1)


class Certificates(Client):
    def test_changed(self):
        a = self.daemon("a")
        self.login(a)
        self.fastgpu("list")
        a.close()
        b = self.daemon("b")
        stored = self.stored()
        stored["url"] = b.url  # the same address for what the client knows
        import json
        with open(self.file, "w") as f:
            json.dump(stored, f)
        for args in (["list"], ["create", "--name", "x"], ["login"]):
            said = self.refused(*args, code=6)
            for word in (a.fingerprint, b.fingerprint, f"fastgpu login {b.url}"):
                self.assertIn(word, said)
        self.assertEqual(b.heard, [])  # neither the token nor anything else
        self.assertIn(b.fingerprint, self.fastgpu("version").stdout)
        self.assertIn(b.fingerprint, self.fastgpu("doctor", code=None).stdout)

    def fastgpu(self, *args, code=0, **more):
        if code is not None:
            return super().fastgpu(*args, code=code, **more)
        for code in (0, 1):
            try:
                return super().fastgpu(*args, code=code, **more)
            except AssertionError as e:
                last = e
        raise last

    def test_authority(self):
        """What the system trusts needs no pin, but the right name."""
        d = self.daemon()
        trusting = {"SSL_CERT_FILE": d.cert}
        there = ("login", d.url, "--ca", "system", "--token-file", self.token_file)
        self.assertIn(d.fingerprint, self.refused(*there, code=6))
        self.fastgpu(*there, env=trusting)
        self.assertEqual(self.stored(), {"version": 1, "url": d.url, "ca": "system", "token": TOKEN})
        self.fastgpu("list", env=trusting)
        heard = len(d.heard)
        self.assertIn("does not trust", self.refused("list", code=6))
        wrong = d.url.replace("localhost", "127.0.0.1")
        self.assertIn("does not trust", self.refused("login", wrong, "--ca", "system", "--token-file", self.token_file, code=6, env=trusting))
        self.assertIn("does not trust", self.refused("list", code=6, env={"FASTGPU_URL": wrong, **trusting}))
        self.assertEqual(len(d.heard), heard)
        self.fastgpu("list", env={"FASTGPU_URL": wrong, "FASTGPU_FINGERPRINT": d.fingerprint, "FASTGPU_TOKEN_FILE": self.token_file})

    def test_old_versions(self):
        server = self.daemon(high=ssl.TLSVersion.TLSv1_1)
        self.refused_by(server, "TLS 1.2")

    def test_no_tls(self):
        server = self.raw(reply(), wrap=False)
        self.refused_by(server, "TLS 1.2")
        self.assertNotIn(TOKEN, "".join(server.heard))

    def test_ipv6(self):
        try:
            server = self.daemon(host="::1")
        except OSError:
            self.skipTest("no IPv6")
        self.login(server)
        self.fastgpu("list")


class Ways(Client):
    def test_changes_are_asked_for_once(self):
        """A kept connection that ends before the answer: reading is done again, changing is not."""
        class Dying(Listener):
            def serve(self, s):
                with s.makefile("rb") as f:
                    while (request := self.read_request(f)):
                        if request[0] != "GET":
                            return
                        body = b'{"sets": [], "now_ns": 1}'
                        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                        if len(self.heard) % 2 == 0:
                            return
        server = Dying()
        self.addCleanup(server.close)
        self.fastgpu("top", "--batch", "4", "--interval", "0.1", env=self.env(server))
        heard = len(server.heard)
        self.refused("resize", "x", "--compute", "10", code=6, env=self.env(server))
        self.assertEqual(len([h for h in server.heard[heard:] if h.startswith("PATCH")]), 1)

    def test_what_was_made_is_not_made_again(self):
        d = self.daemon()
        d.drop = 1
        self.assertEqual(self.json("create", "--name", "a", env=self.env(d))["name"], "a")
        self.assertEqual(len(d.fake.keys), 2)
        self.assertEqual(len(set(d.fake.keys)), 1)
        self.assertEqual([r[:2] for r in d.fake.requests if r[0] == "POST"], [("POST", "/v1/vgpus")])
        self.fastgpu("suspend", "a", env=self.env(d))
        self.assertIsNone(d.fake.keys[-1])  # the key was that request's alone

    def test_many_changes(self):
        d = self.daemon()
        for name in ("a", "b", "c"):
            self.fastgpu("create", "--name", name, env=self.env(d))
        self.fastgpu("resize", "a", "--compute", "10", env=self.env(d))
        self.fastgpu("delete", "a", "b", "c", env=self.env(d))
        self.assertEqual(len([h for h in d.heard if h.startswith("DELETE")]), 3)
        for h in d.heard:
            self.assertIn(f"Authorization: Bearer {TOKEN}", h)
            self.assertIn("User-Agent: fastgpu/", h)

    def test_proxies(self):
        """Only what is named for https; and a proxy hears where to, never the token."""
        d = self.daemon()
        asked = []
        proxy = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(proxy.close)

        def relay(a, b):
            try:
                while (data := a.recv(65536)):
                    b.sendall(data)
                b.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        def serve():
            while True:
                try:
                    c, _ = proxy.accept()
                except OSError:
                    return
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += c.recv(1)
                asked.append(head.decode())
                to = socket.create_connection(("127.0.0.1", d.port))
                c.sendall(b"HTTP/1.1 200 Fine\r\n\r\n")
                for pair_ in ((c, to), (to, c)):
                    threading.Thread(target=relay, args=pair_, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("ALL_PROXY", "all_proxy", "http_proxy"):
            self.fastgpu("list", env=self.env(d, **{name: url}))
        self.assertEqual(asked, [])
        self.fastgpu("list", env=self.env(d, https_proxy=url, no_proxy="localhost"))
        self.assertEqual(asked, [])
        self.fastgpu("list", env=self.env(d, https_proxy=url))
        self.assertEqual(len(asked), 1)
        self.assertIn(f"CONNECT localhost:{d.port}", asked[0])
        self.assertNotIn(TOKEN, asked[0])

    def test_library_missing_or_wrong(self):
        d = self.daemon()
        library = f"{self.prefix.lib}/libfastgpu-remote.so"
        os.rename(library, library + ".away")
        self.addCleanup(os.rename, library + ".away", library)
        self.assertIn(library, self.refused("list", code=6, env=self.env(d)))
        self.fastgpu("version", env={"FASTGPU_STATE_DIR": self.state})  # here it is not needed


if __name__ == "__main__":
    unittest.main(verbosity=1)
