# SPDX-License-Identifier: Apache-2.0
"""The API over TLS: certificates, addresses, versions, what a remote caller gets."""
import base64
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile

import harness
import tls
from harness import Daemon

LOCAL = "127.0.0.1:0"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Handshake(harness.Case):
    def handshake(self, port, low, high, old=False):
        with tls.plain(port) as s, tls.context(low, high, old).wrap_socket(s) as t:
            return t.version()

    def test_versions(self):
        v = ssl.TLSVersion
        with Daemon(listen=LOCAL) as d:
            port = tls.port_of(d)
            self.assertEqual(self.handshake(port, v.TLSv1_2, v.TLSv1_2), "TLSv1.2")
            self.assertEqual(self.handshake(port, v.TLSv1_3, v.TLSv1_3), "TLSv1.3")
            for old in (v.TLSv1, v.TLSv1_1):
                with self.assertRaises((ssl.SSLError, ConnectionError)):
                    self.handshake(port, old, old, old=True)
            self.assertEqual(tls.once(port)[0], 200)

    def test_only_authenticated_ciphers(self):
        with Daemon(listen=LOCAL) as d:
            port = tls.port_of(d)
            for cipher, fine in (("ECDHE-ECDSA-AES128-GCM-SHA256", True), ("ECDHE-ECDSA-AES256-SHA384", False), ("ECDHE-ECDSA-AES128-SHA", False)):
                c = tls.context(high=ssl.TLSVersion.TLSv1_2)
                c.set_ciphers(cipher + ":@SECLEVEL=0")
                with tls.plain(port) as s:
                    if fine:
                        c.wrap_socket(s).close()
                    else:
                        self.assertRaises((ssl.SSLError, ConnectionError), c.wrap_socket, s)

    def test_fingerprint(self):
        with Daemon(listen=LOCAL) as d:
            shown = d.ok("GET", "/v1/version")["tls"]
            port = tls.port_of(d)
            with tls.wrapped(port) as s:
                pem = ssl.DER_cert_to_PEM_cert(s.getpeercert(binary_form=True)).encode()
            self.assertEqual(shown["fingerprint"], tls.fingerprint(pem))
            self.assertIn(f"fingerprint {shown['fingerprint']}", d.logged())
            text = tls.openssl("x509", "-noout", "-text", data=pem).decode()
            for word in ("prime256v1", "DNS:localhost", "IP Address:127.0.0.1", "9999 GMT", f"DNS:{socket.gethostname()}"):
                self.assertIn(word, text)
            self.assertEqual(os.stat(f"{d.state}/tls-key.pem").st_mode & 0o777, 0o600)
            d.stop()
            d.start()
            self.assertEqual(d.ok("GET", "/v1/version")["tls"]["fingerprint"], shown["fingerprint"])

    def test_curl(self):
        """An independent client with a pin of its own."""
        if not shutil.which("curl"):
            self.skipTest("no curl")
        with Daemon(listen=LOCAL) as d:
            print_ = d.ok("GET", "/v1/version")["tls"]["fingerprint"]
            url = f"https://localhost:{tls.port_of(d)}/v1/version"
            for pin, code in ((print_, 0), ("00" * 32, 90)):
                pin = base64.b64encode(bytes.fromhex(pin)).decode()
                done = subprocess.run(["curl", "-sk", "--noproxy", "*", "--pinnedpubkey", f"sha256//{pin}", url], capture_output=True, timeout=60)
                self.assertEqual(done.returncode, code, done)
            trusting = ["curl", "-s", "--noproxy", "*", "--cacert", f"{d.state}/tls-cert.pem", url]
            self.assertEqual(subprocess.run(trusting, capture_output=True, timeout=60).returncode, 0)


class Pair(harness.Case):
    """What is wrong with a certificate is said, nothing is replaced, and this machine is served."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fastgpud-pair-")
        self.addCleanup(shutil.rmtree, self.folder)

    def spoilt(self, d, *words):
        """Starts; remote access is off for a reason that has these words."""
        before = self.contents(d)
        d.start()
        try:
            shown = d.ok("GET", "/v1/version")["tls"]
            self.assertNotIn("fingerprint", shown)
            problems = " ".join(d.ok("GET", "/v1/devices")["problems"])
            for word in words:
                self.assertIn(word, shown["error"])
                self.assertIn(word, problems)
                self.assertIn(word, d.logged())
            self.assertEqual(self.contents(d), before)
        finally:
            d.stop()

    def contents(self, d):
        found = {}
        for name in ("tls-cert.pem", "tls-key.pem"):
            path = f"{d.state}/{name}"
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    found[name] = f.read()
        return found

    def test_own_pair_spoilt(self):
        other_cert, other_key = tls.make_pair(self.folder)
        with Daemon(listen=LOCAL) as d:
            cert, key = f"{d.state}/tls-cert.pem", f"{d.state}/tls-key.pem"
            d.stop()
            good = self.contents(d)

            def put(path, data, mode=0o600):
                if os.path.isdir(path):
                    os.rmdir(path)
                elif os.path.lexists(path):
                    os.unlink(path)
                if data is not None:
                    with open(path, "wb") as f:
                        f.write(data)
                    os.chmod(path, mode)

            for data in (b"", b"garbage", good["tls-cert.pem"][:200], good["tls-cert.pem"].replace(b"M", b"N", 3), b"\0" * 1000, b"x" * (1 << 20)):
                put(cert, data)
                self.spoilt(d, "tls-cert", cert)
            put(cert, good["tls-cert.pem"])
            for data in (b"", b"garbage", good["tls-key.pem"][:100]):
                put(key, data)
                self.spoilt(d, "tls-key", key)
            with open(other_key, "rb") as f:
                put(key, f.read())
            self.spoilt(d, "is not the key of the certificate", key, cert)
            put(key, good["tls-key.pem"], 0o644)
            self.spoilt(d, "chmod 600", key)
            put(key, None)
            self.spoilt(d, "is gone", key)
            os.mkdir(key)
            self.spoilt(d, "is not a file", key)
            put(key, None)
            os.mkfifo(key)
            self.spoilt(d, "is not a file", key)
            put(key, good["tls-key.pem"])
            d.start()
            self.assertEqual(tls.once(tls.port_of(d))[0], 200)

    def test_certificate_made_anew_is_known(self):
        with Daemon(listen=LOCAL) as d:
            before = d.ok("GET", "/v1/version")["tls"]["fingerprint"]
            d.stop()
            old = self.contents(d)
            os.unlink(f"{d.state}/tls-cert.pem")
            d.start()
            self.assertEqual(d.ok("GET", "/v1/version")["tls"]["fingerprint"], before)
            self.assertNotEqual(self.contents(d)["tls-cert.pem"], old["tls-cert.pem"])
            self.assertEqual(self.contents(d)["tls-key.pem"], old["tls-key.pem"])

    def test_given_pair(self):
        cert, key = tls.make_pair(self.folder)
        with Daemon(listen=LOCAL, tls_cert=cert, tls_key=key) as d:
            with open(cert, "rb") as f:
                self.assertEqual(d.ok("GET", "/v1/version")["tls"]["fingerprint"], tls.fingerprint(f.read()))
            self.assertEqual(tls.once(tls.port_of(d))[0], 200)
            self.assertEqual(self.contents(d), {})
            d.stop()
            for name, value, words in (("TLS_KEY", "", ("tls-cert is set and tls-key is not",)), ("TLS_KEY", "/nowhere/key.pem", ("/nowhere/key.pem",)),
                                       ("TLS_KEY", "key.pem", ("not an absolute path", "key.pem")), ("TLS_CERT", "", ("tls-key is set",))):
                before = d.env["FASTGPU_" + name]
                d.env["FASTGPU_" + name] = value
                self.spoilt(d, *words)
                d.env["FASTGPU_" + name] = before

    def test_folder_that_cannot_be_written(self):
        """What is in the way of a new pair is said; here something that is no file stands in its place."""
        with Daemon() as d:
            d.stop()
            d.env["FASTGPU_LISTEN"] = LOCAL
            os.mkdir(f"{d.state}/tls-key.pem.part")
            self.spoilt(d, "tls-key.pem")


class Listen(harness.Case):
    def test_off(self):
        with Daemon() as d:
            self.assertNotIn("tls", d.ok("GET", "/v1/version"))
            self.assertFalse(os.path.exists(f"{d.state}/tls-key.pem"))

    def test_nonsense(self):
        for value in ("8443", "nonsense", "localhost:", "localhost:99999", "::1:8443", "[::1]8443", "https://localhost:1", "a b:1", "256.1.1.1:1"):
            d = Daemon(listen=value)
            try:
                process, ready = d.popen()
                self.assertEqual(os.read(ready, 1), b"")
                os.close(ready)
                self.assertEqual(process.wait(30), 1)
                self.assertRegex(d.logged(), r"FASTGPU_LISTEN.*" + re.escape(value))
            finally:
                d.__exit__()

    def test_not_here(self):
        """A good address that is not this machine's, a name that nobody knows, a port that is taken: noted, and the rest works."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for value in ("192.0.2.77:8443", "no-such-host.invalid:8443", f"127.0.0.1:{port}"):
                with Daemon(listen=value) as d:
                    shown = d.ok("GET", "/v1/version")["tls"]
                    self.assertEqual(shown["listen"], value)
                    self.assertIn(value.rpartition(":")[0], shown["error"])
                    self.assertIn("remote access is off", " ".join(d.ok("GET", "/v1/devices")["problems"]))

    def test_families(self):
        six = has_ipv6()
        for value, four, other in (("127.0.0.1:0", True, False), ("[::1]:0", False, True), (":0", True, six)):
            if value == "[::1]:0" and not six:
                continue
            with Daemon(listen=value) as d:
                port = tls.port_of(d)
                for host, fine in (("127.0.0.1", four), ("::1", other)):
                    if fine:
                        self.assertEqual(tls.once(port, host=host)[0], 200)
                    else:
                        self.assertRaises(OSError, tls.once, port, host=host)


class Requests(harness.Case):
    def test_whole_life(self):
        with Daemon(listen=LOCAL) as d:
            c = tls.Remote(tls.port_of(d), token=tls.token_of(d))
            self.assertEqual(c.ask("POST", "/v1/vgpus", {"name": "a", "memory": "1M"})[0], 201)
            status, reply, head = c.ask("GET", "/v1/vgpus/a")
            self.assertEqual((status, reply["name"], head["Cache-Control"]), (200, "a", "no-store"))
            self.assertEqual(d.names(), ["a"])
            self.assertEqual(c.ask("DELETE", "/v1/vgpus/a")[0], 204)
            self.assertEqual(c.ask("GET", "/v1/vgpus/a")[0], 404)
            status, reply, _ = c.ask("GET", "/v1/devices?rescan=1")  # answered later
            self.assertEqual((status, len(reply["devices"])), (200, 1))
            c.close()

    def test_without_a_token(self):
        """Nobody's bodies are not even kept."""
        with Daemon(listen=LOCAL) as d:
            c = tls.Remote(tls.port_of(d))
            for body in (b"{}", b"x" * 500000, {"name": "a"}):
                status, reply, head = c.ask("POST", "/v1/vgpus", body)
                self.assertEqual((status, reply["type"], head["WWW-Authenticate"]), (401, "unauthorized", "Bearer"))
            status, reply, _ = c.ask("GET", "/v1/version")
            self.assertEqual((status, set(reply)), (200, {"version", "api"}))
            for token in ("t0ken", "fgt_" + "a" * 12 + "_" + "0" * 64):
                status, reply, _ = tls.once(tls.port_of(d), "POST", "/v1/vgpus", "{}", token=token)
                self.assertEqual((status, reply["type"]), (401, "unauthorized"))
            c.close()
            self.assertEqual(d.names(), [])
            rows = d.ok("GET", "/v1/audit")["audit"]
            self.assertEqual({(r["actor"], r["via"], r["from"], r["status"]) for r in rows}, {("anonymous", "network", "127.0.0.1", 401)})

    def test_a_token_is_a_user_anywhere(self):
        """Limited as it is, known as its user, from where he is; opening is for programs of this machine."""
        with Daemon(listen=LOCAL) as d:
            d.ok("POST", "/v1/users", {"name": "bob"})
            d.ok("POST", "/v1/projects", {"name": "red"})
            d.ok("PUT", "/v1/projects/red/members/bob", {"role": "member"})
            made = d.ok("POST", "/v1/tokens", {"user": "bob"})
            c = tls.Remote(tls.port_of(d), token=made["secret"])
            self.assertEqual(c.ask("GET", "/v1/whoami")[1]["via"], "token " + made["id"])
            self.assertEqual(c.ask("POST", "/v1/vgpus", {"name": "a", "memory": "1M", "compute": "1"})[1]["owner"], "bob")
            self.assertEqual(c.ask("POST", "/v1/open", {"target": "a"})[0], 403)
            self.assertEqual(c.ask("POST", "/v1/users", {"name": "x"})[0], 403)
            row = d.ok("GET", "/v1/audit?action=POST%20/v1/vgpus")["audit"][0]
            self.assertEqual((row["actor"], row["via"], row["from"]), ("bob", "token " + made["id"], "127.0.0.1"))
            c.close()

    def test_what_is_refused_early_is_written_down(self):
        """Bodies that are not even kept, of nobody and too long: all are counted, and a flood of them is a few rows."""
        with Daemon(listen=LOCAL) as d:
            c = tls.Remote(tls.port_of(d))
            for _ in range(100):
                self.assertEqual(c.ask("POST", "/v1/vgpus", b"{}")[0], 401)
            self.assertEqual(c.ask("GET", "/v1/vgpus", b"{}")[0], 401)
            c.close()
            for _ in range(3):
                self.assertEqual(d.request("POST", "/v1/tokens", b" " * ((1 << 20) + 1))[0], 413)
            rows = [r for r in d.ok("GET", "/v1/audit?limit=1000")["audit"] if r["actor"] == "anonymous"]
            nobody = [r for r in rows if r["action"] == "POST /v1/vgpus"]
            self.assertEqual({(r["via"], r["from"], r["status"], r["problem"]) for r in nobody}, {("network", "127.0.0.1", 401, "unauthorized")})
            self.assertEqual(sum(r.get("count", 1) for r in nobody), 100)
            self.assertEqual(len(nobody), 1)
            long = [r for r in rows if r["action"] == "POST /v1/tokens"]
            self.assertEqual([(r["via"], r["status"], r["problem"], r["count"]) for r in long], [(f"uid {os.geteuid()}", 413, "too-large", 3)])
            self.assertEqual(len(rows), 2)

    def test_too_many_guesses(self):
        """Retry-After says when; the right token is never mistaken for a guess."""
        with Daemon(listen=LOCAL) as d:
            right = tls.token_of(d)
            c = tls.Remote(tls.port_of(d), token="fgt_" + "a" * 12 + "_" + "0" * 64)
            answers = [c.ask("GET", "/v1/vgpus") for _ in range(60)]
            self.assertEqual({a[0] for a in answers}, {401, 429})
            self.assertEqual({a[2]["Retry-After"] for a in answers if a[0] == 429}, {"1"})
            c.close()
            self.assertEqual(tls.once(tls.port_of(d), path="/v1/vgpus", token=right)[0], 200)

    def test_bodies(self):
        with Daemon(listen=LOCAL) as d:
            port, token = tls.port_of(d), tls.token_of(d)
            for size in ((1 << 20) + 1, 3 << 20):
                status, reply, _ = tls.once(port, "POST", "/v1/vgpus", b"x" * size, token=token)
                self.assertEqual((status, reply["type"]), (413, "too-large"))
            status, reply, _ = tls.once(port, "POST", "/v1/vgpus", b'{"name": "a"' + b" " * ((1 << 20) - 14) + b"}", token=token)
            self.assertEqual(status, 201, reply)
            for length in (b"100000000", b"99999999999999999999999999", b"-1"):
                with tls.wrapped(port) as s:
                    s.sendall(b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Length: " + length + b"\r\n\r\n")
                    self.assertRegex(tls.rest(s)[:16], rb"\A(HTTP/1.1 4\d\d|)")
            with tls.wrapped(port) as s:
                s.sendall(b"GET /v1/version HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(100)) + b"\r\n")
                self.assertRegex(tls.rest(s)[:16], rb"\A(HTTP/1.1 4\d\d|)")
            self.assertEqual(tls.once(port)[0], 200)

    def test_many_unfinished_bodies(self):
        """One source may keep a part of the room for bodies, not all of it."""
        with Daemon(listen=LOCAL, request_timeout=60) as d:
            port, token = tls.port_of(d), tls.token_of(d).encode()  # an admin's: of others so much is not kept at all
            head = b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\nContent-Length: 1048576\r\n\r\n"
            held, replies = [], []
            for _ in range(40):
                s = tls.wrapped(port)
                s.sendall(head + b" " * 1048575)
                held.append(s)
            for _ in range(200):  # as many turns, in which it reads on
                d.names()
            for s in held:
                s.sendall(b" ")
                reply = s.recv(4096)
                replies.append(reply)
                s.close()
            busy = [r for r in replies if b" 503 " in r[:16]]
            self.assertTrue(24 <= len(busy) < 40, len(busy))
            self.assertIn(b"Retry-After: 1\r\n", busy[0])
            self.assertEqual(tls.once(port)[0], 200)

    def test_bodies_of_who_may_not_send_so_much(self):
        """They are read to their end, so that the refusal arrives, and not kept: nobody else's are refused for want of room."""
        with Daemon(listen=LOCAL, request_timeout=60, max_per_source=100) as d:
            port = tls.port_of(d)
            d.ok("POST", "/v1/users", {"name": "bob"})
            token = d.ok("POST", "/v1/tokens", {"user": "bob"})["secret"].encode()
            head = b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1048576\r\n\r\n"
            held = []
            for n in range(80):
                s = tls.wrapped(port)
                s.sendall(head % (token if n % 2 else b"t") + b" " * 1048575)
                held.append(s)
            for s in held:
                s.sendall(b" ")
                self.assertRegex(s.recv(4096)[:16], rb"\AHTTP/1.1 (413|401|429) ")
                s.close()

    def test_odd_words(self):
        """Plain HTTP gets an answer that says what to do; garbage gets none; nobody else notices."""
        with Daemon(listen=LOCAL, request_timeout=2) as d:
            port = tls.port_of(d)
            with tls.plain(port) as s:
                s.sendall(b"GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n")
                reply = tls.rest(s)
            self.assertIn(b"HTTP/1.1 400", reply)
            self.assertIn(b"https://", reply)
            head, _, body = reply.partition(b"\r\n\r\n")
            self.assertIn(b"Content-Length: %d\r\n" % len(body), head + b"\r\n")
            hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
            for data in (b"\0" * 100, b"\xff" * 5000, b"SSH-2.0-x\r\n", b"\x16", b"\x16\x02\x01\0\1\0", b"\x16\x03\x01\0\0", b"\x16\x03\x01\xff\xff",
                         b"\x16\x03\x01\0\4abcd", hello + b"\0" * 1000, hello + os.urandom(1000), b"\x15\x03\x01\0\2\2\x28", b"\x80\x2e\1\0\2"):
                for half in (False, True):
                    with tls.plain(port) as s:
                        try:
                            s.sendall(data[:len(data) // 2 + 1] if half else data)
                        except ConnectionError:
                            pass
                        self.assertNotIn(b"HTTP/1.1 2", tls.rest(s))
            self.assertEqual(tls.once(port)[0], 200)
            self.assertEqual(d.names(), [])


harness.main()
