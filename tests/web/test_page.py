#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Without a browser: what the daemon answers for the page's files, the stream of events and the figures, and whom the relay lets in."""
import gzip
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "daemon"))

import people  # noqa: E402
import tls  # noqa: E402
from harness import Case, Daemon, main, wait_until  # noqa: E402

FASTGPU = os.environ["TEST_FASTGPU"]
STREAMS_USER = 16


def fetch(connection, path, method="GET", **headers):
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read()


class Files(Case):
    def setUp(self):
        self.d = Daemon(listen="127.0.0.1:0")
        self.addCleanup(self.d.__exit__)
        self.d.start()

    def get(self, path, method="GET", **headers):
        c = self.d.connect()
        try:
            return fetch(c, path, method, **headers)
        finally:
            c.close()

    def names(self):
        index = self.get("/")[2].decode()
        return set(re.findall(r'(?:href|src)="(/assets/[^"]+)"', index))

    def test_each_file_plain_and_compressed_with_its_policy(self):
        names = self.names()
        self.assertGreater(len(names), 15)
        for name in sorted(names) + ["/"]:
            status, head, plain = self.get(name)
            self.assertEqual(status, 200, name)
            policy = head["Content-Security-Policy"]
            for part in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:", "frame-ancestors 'none'",
                         "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"):
                self.assertIn(part, policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual((head["X-Content-Type-Options"], head["Referrer-Policy"]), ("nosniff", "no-referrer"))
            self.assertNotIn("Content-Encoding", head)
            status, head, small = self.get(name, Accept_Encoding="gzip, br")
            self.assertEqual((status, head["Content-Encoding"], gzip.decompress(small)), (200, "gzip", plain), name)
            self.assertEqual(self.get(name, If_None_Match=head["ETag"])[0::2], (304, b""))
            status, head, body = self.get(name, "HEAD")
            self.assertEqual((status, int(head["Content-Length"]), body), (200, len(plain), b""))
        self.assertEqual(self.get("/")[1]["Cache-Control"], "no-cache")
        self.assertIn("immutable", self.get(sorted(names)[0])[1]["Cache-Control"])

    def test_nothing_in_them_runs_inline_or_comes_from_elsewhere(self):
        index = self.get("/")[2].decode()
        self.assertNotRegex(index, r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=")
        self.assertEqual(re.findall(r'(?:https?:)?//[\w.-]+', index), [])
        for name in self.names():
            self.assertNotIn(b"innerHTML", self.get(name)[2], name)

    def test_no_spelling_of_a_path_leads_out(self):
        self.d.create("a", memory="1M", compute="1")
        some = sorted(self.names())[0]
        for path in ("/assets/../v1/vgpus", "/assets/..%2f..%2f..%2fetc/passwd", "/assets/%2e%2e/%2e%2e/etc/passwd", "/assets/", "/assets//etc/passwd", "/assets/....//x", some + "/..", some + "%00",
                     some.replace("assets", "assets/."), "/assets/\\..\\..", "/assets/" + "x" * 4000):
            status, head, body = self.get(path)
            self.assertEqual((status, body), (404, b"there is no such file\n"), path)
        for path in ("//etc/passwd", "/index.html", "/style.css", "/../etc/passwd"):
            self.assertEqual(self.get(path)[0], 404, path)

    def test_the_files_are_for_everybody_and_nothing_else_is(self):
        port = tls.port_of(self.d)
        c = tls.Remote(port)
        self.addCleanup(c.close)
        self.assertEqual(fetch(c, "/")[0], 200)
        self.assertEqual(fetch(c, sorted(self.names())[0])[0], 200)
        for path in ("/v1/figures", "/v1/events", "/v1/vgpus", "/login"):
            self.assertEqual(fetch(c, path)[0], 401, path)
        self.assertEqual(fetch(c, "/", "POST")[0], 401)
        self.assertEqual(self.get("/", "DELETE")[0], 404)

    def test_all_of_the_api_is_not_to_be_guessed_at(self):
        self.assertEqual(self.get("/v1/version")[1]["X-Content-Type-Options"], "nosniff")


class Reader:
    """One who reads a stream over the daemon's socket."""

    def __init__(self, daemon, headers=(), query="", timeout=10, uid=None):
        self.connection = people.Connection(daemon.socket, timeout, uid)
        self.connection.request("GET", "/v1/events" + query, headers={"Accept": "text/event-stream", **dict(headers)})
        self.reply = self.connection.getresponse()
        self.status = self.reply.status

    def message(self):
        """The next one: (id, answer); None: the end."""
        lines = []
        while (line := self.reply.readline()):
            if line == b"\n":
                fields = dict(x.split(": ", 1) for x in lines if not x.startswith(":"))
                if "data" in fields:
                    return int(fields["id"]), json.loads(fields["data"])
                lines = []
            else:
                lines.append(line.decode().rstrip("\n"))
        return None

    def close(self):
        self.reply.close()
        self.connection.close()


class Streams(people.Case):
    def reader(self, *words, **how):
        r = Reader(self.d, *words, **how)
        self.addCleanup(r.close)
        return r

    def test_what_happens_is_told_once_and_in_order(self):
        self.operator.create("before")
        r = self.reader()
        self.assertEqual(r.reply.headers["Content-Type"], "text/event-stream")
        start, first = r.message()
        self.assertEqual((first["events"], first["next"]), ([], start))
        seen = []
        for i in range(30):
            self.operator.create(f"v{i}")
        while len(seen) < 30:
            at, answer = r.message()
            seen += answer["events"]
            self.assertEqual(at, answer["next"])
        self.assertEqual([e["target"] for e in seen], [f"v{i}" for i in range(30)])
        # Cut off, and on from where one was.
        again = self.reader({"Last-Event-ID": str(seen[9]["seq"])})
        again.message()
        self.assertEqual(again.message()[1]["events"], seen[10:])
        after = self.reader(query=f"?after={seen[19]['seq']}&limit=4")
        after.message()
        self.assertEqual([after.message()[1]["events"], after.message()[1]["events"]], [seen[20:24], seen[24:28]])
        odd = self.reader({"Last-Event-ID": "x'; drop"})
        self.assertEqual(odd.message()[1]["next"], seen[-1]["seq"])

    def test_many_are_refused_and_others_served(self):
        readers = [self.reader() for _ in range(STREAMS_USER)]
        self.assertEqual({r.status for r in readers}, {200})
        over = self.reader()
        self.assertEqual((over.status, json.loads(over.reply.read())["type"], over.reply.headers["Retry-After"]), (429, "rate-limited", "5"))
        self.operator.create("told")
        for r in readers:
            r.message()
            self.assertEqual(r.message()[1]["events"][0]["target"], "told")
        readers[0].close()
        # Whoever is gone is noticed with the next thing that is said.
        self.operator.create("told-again")
        wait_until(lambda: self.reader().status == 200, "a place is free again")

    def test_who_does_not_read_costs_nothing(self):
        with open(f"/proc/{self.d.process.pid}/statm") as f:
            before = int(f.read().split()[1])
        for _ in range(STREAMS_USER):
            s = socket.socket(socket.AF_UNIX)
            self.addCleanup(s.close)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(self.d.socket)
            s.sendall(b"GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        for i in range(300):
            self.operator.ok("POST", "/v1/projects", {"name": f"p{i}", "description": "x" * 200})
        with open(f"/proc/{self.d.process.pid}/statm") as f:
            grown = (int(f.read().split()[1]) - before) * 4096
        self.assertLess(grown, 16 << 20)
        self.assertEqual(self.operator.ok("GET", "/v1/version")["api"], 1)


class Others(people.Case):
    options = {"rate_limit": 0}

    def setUp(self):
        people.require_root()
        super().setUp()
        self.populate()

    def test_each_is_told_his_own_and_no_longer_than_he_may(self):
        bob, carol = (Reader(self.d, uid=uid) for uid in (people.BOB, people.CAROL))
        token = self.token("bob")
        by_token = Reader(self.d, {"Authorization": "Bearer " + token.token})
        for r in (bob, carol, by_token):
            self.addCleanup(r.close)
            r.message()
        self.bob.create("red-one")
        self.carol.create("blue-one")
        self.assertEqual([e["target"] for e in bob.message()[1]["events"]], ["red-one"])
        self.assertEqual([e["target"] for e in carol.message()[1]["events"]], ["blue-one"])
        self.assertEqual([e["target"] for e in by_token.message()[1]["events"]], ["red-one"])
        # Who is out of the project is told no more of it, and what was said meanwhile is not made up for.
        operator = Reader(self.d)
        self.addCleanup(operator.close)
        self.operator.ok("DELETE", "/v1/projects/red/members/bob")
        self.alice.create("red-two")
        while "red-two" not in [e["target"] for e in operator.message()[1]["events"]]:
            pass
        self.operator.ok("PUT", "/v1/projects/red/members/bob", {"role": "member"})
        self.alice.create("red-three")
        told = []
        while not told:
            told = [e["target"] for e in bob.message()[1]["events"] if e["kind"] == "vgpu.created"]
        self.assertEqual(told, ["red-three"])
        # A token's end is the stream's.
        self.operator.ok("DELETE", f"/v1/tokens/{token.token.split('_')[1]}")
        while by_token.message():
            pass
        refused = Reader(self.d, {"Authorization": "Bearer " + token.token})
        self.addCleanup(refused.close)
        self.assertEqual(refused.status, 401)

    def test_figures_are_what_the_list_says_and_ones_own(self):
        red = self.bob.create("a", gpus=3)
        blue = self.carol.create("b")
        tenant = self.d.tenant(self.d.open("blue:b")["attach"])
        tenant("reserve", 0, 4096)
        # What is told before the arbiter first looks is not its: again until it is.
        wait_until(lambda: tenant("busy", 0, 1000000) is not None and self.carol.ok("GET", "/v1/figures")["gpu_ns"][0] > 0, "its device time is told")
        wait_until(lambda: self.carol.ok("GET", "/v1/figures")["gpu_ns"][0] == self.carol.ok("GET", "/v1/vgpus/b")["vgpus"][0]["usage"]["gpu_ns"],
                   "as the list tells it")
        mine = self.bob.ok("GET", "/v1/figures")
        self.assertEqual(mine["uuid"], [v["uuid"] for v in red["vgpus"]])
        self.assertEqual((mine["memory_used"], mine["state"]), ([0, 0, 0], ["ready"] * 3))
        hers = self.carol.ok("GET", "/v1/figures")
        self.assertEqual((hers["uuid"], hers["memory_used"], hers["processes"]), ([blue["vgpus"][0]["uuid"]], [4096], [1]))
        self.denied(self.bob, "GET", "/v1/figures?project=blue", None, 404, "not-found")
        both = self.operator.ok("GET", "/v1/figures")
        self.assertEqual(len(both["uuid"]), 4)
        self.assertEqual({len(v) for v in both.values() if isinstance(v, list)}, {4})
        # A page ends with a set.
        first = self.operator.ok("GET", "/v1/figures?limit=1")
        self.assertEqual((len(first["uuid"]), "next" in first), (3, True))
        last = self.operator.ok("GET", f"/v1/figures?limit=1&after={first['next']}")
        self.assertEqual((last["uuid"], "next" in last), (hers["uuid"], False))


class Relay(Case):
    """`fastgpu dashboard`: who has not its key gets the files and nothing else."""

    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.__exit__)
        self.d.start()
        self.d.create("a", memory="1M", compute="1")
        self.relay = subprocess.Popen([FASTGPU, "dashboard", "--json"], env={**self.d.env, "PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.relay.stdout.close)
        self.addCleanup(self.relay.wait)
        self.addCleanup(self.relay.terminate)
        url = json.loads(self.relay.stdout.readline())["url"]
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#login=([0-9a-f]{64})", url)
        self.port, self.code = int(found[1]), found[2]

    def ask(self, method, path, body=None, key=None, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            c.request(method, path, body, {**({"Authorization": "Bearer " + key} if key else {}), **{k.replace("_", "-"): v for k, v in headers.items()}})
            reply = c.getresponse()
            text = reply.read()
            return reply.status, json.loads(text) if "json" in (reply.headers["Content-Type"] or "") else text
        finally:
            c.close()

    def log_in(self):
        status, reply = self.ask("POST", "/login", self.code)
        self.assertEqual(status, 200, reply)
        return reply["key"]

    def raw(self, data):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            s.sendall(data)
            return tls.rest(s)

    def test_the_link_works_once(self):
        for wrong in ("", "0" * 64, self.code[:-1], self.code + "0"):
            self.assertEqual(self.ask("POST", "/login", wrong)[0], 401)
        key = self.log_in()
        self.assertEqual(self.ask("POST", "/login", self.code)[0], 401)
        self.assertEqual(self.ask("GET", "/v1/whoami", key=key)[1]["operator"], True)
        self.assertEqual(self.ask("POST", "/v1/vgpus", json.dumps({"name": "b", "memory": "1M", "compute": "1"}), key=key)[0], 201)
        self.assertEqual(sorted(self.d.names()), ["a", "b"])

    def test_without_the_key_there_are_the_files_and_nothing_else(self):
        key = self.log_in()
        self.assertEqual(self.ask("GET", "/")[0], 200)
        for wrong in (None, "0" * 64, key[:-1], key + "0", self.code):
            self.assertEqual(self.ask("GET", "/v1/vgpus", key=wrong)[0], 401)
        for path in ("/assets/../v1/vgpus", "/assets/%2e%2e/v1/vgpus", "/assets/x?y", "/metrics", "/v1", "//v1/vgpus", "http://127.0.0.1/v1/vgpus", "*"):
            self.assertEqual(self.ask("GET", path)[0], 404, path)
        self.assertEqual(self.ask("POST", "/")[0], 404)
        self.assertEqual(self.ask("DELETE", "/v1/vgpus/a")[0], 401)
        self.assertEqual(self.d.names(), ["a"])

    def test_it_is_at_its_own_name_and_for_its_own_page(self):
        key = self.log_in()
        for host in ("evil.example", f"evil.example:{self.port}", "127.0.0.1", f"127.0.0.2:{self.port}", f"localhost.evil.example:{self.port}", ""):
            self.assertEqual(self.ask("GET", "/v1/whoami", key=key, Host=host)[0], 403, host)
        self.assertEqual(self.ask("GET", "/v1/whoami", key=key, Host=f"localhost:{self.port}")[0], 200)
        for origin in ("https://evil.example", "null", f"https://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.port}.evil.example"):
            self.assertEqual(self.ask("POST", "/v1/vgpus", "{}", key=key, Origin=origin)[0], 403, origin)
            self.assertEqual(self.ask("POST", "/login", self.code, Origin=origin)[0], 403, origin)
        self.assertEqual(self.ask("GET", "/v1/whoami", key=key, Origin=f"http://127.0.0.1:{self.port}")[0], 200)
        # Nobody elsewhere reaches it.
        with open("/proc/net/tcp") as f:
            listening = [line.split()[1] for line in f if line.split()[3] == "0A" and line.split()[1].endswith(f":{self.port:04X}")]
        self.assertEqual(listening, [f"0100007F:{self.port:04X}"])

    def test_no_second_request_is_smuggled_through(self):
        host = f"Host: 127.0.0.1:{self.port}\r\n".encode()
        inner = b"DELETE /v1/vgpus/a HTTP/1.1\r\nHost: x\r\n\r\n"
        for attempt in (b"GET / HTTP/1.1\r\n" + host + b"\r\n" + inner, b"GET / HTTP/1.1\r\n" + host + b"Content-Length: %d\r\n\r\n" % len(inner) + inner,
                        b"GET / HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, b"GET / HTTP/1.1\r\n" + host + b"Connection: keep-alive\r\n\r\n" + inner,
                        b"GET / HTTP/1.1\r\n" + host + b"X: y\n\n" + inner + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + host + b"X: y\r\n DELETE /v1/vgpus/a HTTP/1.1\r\n\r\n",
                        b"GET / HTTP/1.1\r\n" + host + b"Accept-Encoding: gzip\r\r\n" + inner + b"\r\n", b"\x00" * 20000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000):
            answer = self.raw(attempt)
            self.assertLessEqual(answer.count(b"HTTP/1.1 "), 1, attempt[:80])
            self.assertNotIn(b"204 ", answer[:20])
        self.assertEqual(self.d.names(), ["a"])

    def test_the_stream_goes_through_and_a_flood_is_bounded(self):
        key = self.log_in()
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.addCleanup(c.close)
        c.request("GET", "/v1/events", headers={"Authorization": "Bearer " + key, "Accept": "text/event-stream"})
        reply = c.getresponse()
        for line in iter(reply.readline, b"\n"):
            pass
        self.d.create("seen", memory="1M", compute="1")
        self.assertIn(b"seen", b"".join(iter(reply.readline, b"\n")))
        idle = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(200)]
        for s in idle:
            s.close()
        wait_until(lambda: self.answers(key), "it answers after a flood")

    def answers(self, key):
        try:
            return self.ask("GET", "/v1/whoami", key=key)[0] == 200
        except OSError:
            return False

    def test_the_daemon_goes_and_comes_back(self):
        key = self.log_in()
        self.d.stop()
        self.assertEqual(self.ask("GET", "/v1/whoami", key=key)[0], 502)
        self.d.start()
        self.assertEqual(self.ask("GET", "/v1/whoami", key=key)[0], 200)
        self.relay.terminate()
        self.assertEqual(self.relay.wait(10), 0)


if __name__ == "__main__":
    main()
