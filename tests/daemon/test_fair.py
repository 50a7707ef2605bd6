# SPDX-License-Identifier: Apache-2.0
"""One hostile caller: others are served before him, and nothing that he sends is taken for something else. Orders and counts, never times:
the daemon is stopped while the requests are put before it, so that all of them are there when it looks."""
import contextlib
import json
import re
import select
import signal
import socket
import time

import harness
import people
from harness import Connection

MANY = 60  # requests ahead
FIRST = 3  # of them may be served before another's
OWN, OWN_A_SECOND, SAVED, A_SECOND = 8, 10, 8, 200  # changes: fair.h, allowance.h
SO_SNDBUFFORCE = 32  # socket has no name for it


class Kept(Connection):
    """A connection that was served once, so that the daemon knows it."""

    def __init__(self, daemon, uid=None):
        super().__init__(daemon.socket, uid=uid)
        self.request("GET", "/v1/version")
        self.getresponse().read()

    def send(self, data):
        if self.sock is None:
            self.connect()
        self.sock.sendall(data)

    def heard(self):
        """Status and head of the next answer."""
        got = b""
        while b"\r\n\r\n" not in got:
            more = self.sock.recv(65536)
            if not more:
                return 0, got
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        missing = int((re.search(rb"(?i)content-length: (\d+)", head) or [0, b"0"])[1]) - len(body)
        while missing > 0:
            more = self.sock.recv(missing)
            assert more, f"it ends {missing} bytes early"
            missing -= len(more)
        return int(head[9:12]), head

    def bodies(self, count):
        """Of so many answers that come one after the other."""
        with self.sock.makefile("rb") as got:
            for _ in range(count):
                head = []
                while (line := got.readline()) != b"\r\n":
                    assert line, f"it ends after {head}"
                    head.append(line)
                yield got.read(next(int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length")))


def text(method, path, body=b"", token=None, **headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Order(people.Case):
    options = {"rate_limit": 0}

    def setUp(self):
        super().setUp()
        for name in ("mallory", "alice"):
            self.operator.ok("POST", "/v1/users", {"name": name, **({"uid": people.ALICE} if name == "alice" else {})})
            self.operator.ok("POST", "/v1/projects", {"name": name})
            self.operator.ok("PUT", f"/v1/projects/{name}/members/{name}", {"role": "manager"})
        self.bad, self.good = (self.operator.ok("POST", "/v1/tokens", {"user": name}) for name in ("mallory", "alice"))

    def served_before(self, flood, mine, uid=None, first=False):
        """How many of the flood are answered before the one that is sent last (or first), by the order of the audit's rows."""
        hostile, good = [Kept(self.d) for _ in range(MANY)], Kept(self.d, uid)
        begin = self.audit()[0]["seq"]
        self.d.process.send_signal(signal.SIGSTOP)
        harness.wait_until(lambda: harness.state(self.d.process.pid) == "T", "it is stopped")
        for caller in [good] * first + hostile + [good] * (not first):
            caller.send(mine if caller is good else flood)
        self.d.process.send_signal(signal.SIGCONT)
        status = good.heard()[0]
        for caller in hostile:
            self.assertGreaterEqual(caller.heard()[0], 400)
        for caller in hostile + [good]:
            caller.close()
        rows = [r for r in reversed(self.audit()) if r["seq"] > begin]
        at = [n for n, r in enumerate(rows) if r["actor"] == "alice"]
        self.assertEqual((len(at), status), (1, 201), rows)
        return at[0]

    def test_many_small_ones_ahead(self):
        """By a token, by several connections, whoever of them is accepted first."""
        refused = text("DELETE", "/v1/vgpus/none", token=self.bad["secret"])
        for n in range(6):
            mine = text("POST", "/v1/vgpus", json.dumps({"name": f"a{n}", "memory": "1M", "compute": "0.1"}).encode(),
                        token=self.good["secret"] if n % 2 else None)
            self.assertLessEqual(self.served_before(refused, mine, people.ALICE, first=n % 3 == 0), FIRST)

    def test_large_ones_ahead(self):
        """Each takes a parser a thousand times as long as another's."""
        body = b'{"memory": [' + b",".join([b"1"] * 30000) + b"]}"
        mine = text("POST", "/v1/vgpus", b'{"name": "a", "memory": "1M", "compute": "0.1"}', token=self.good["secret"])
        self.assertLessEqual(self.served_before(text("POST", "/v1/vgpus", body, token=self.bad["secret"]), mine), FIRST)

    def test_changes_are_rationed(self):
        """Beside others, what a person changes beyond a few is no more than the allowance, however many connections ask."""
        refused = text("DELETE", "/v1/vgpus/none", token=self.bad["secret"])
        hostile, good = [Kept(self.d) for _ in range(8)], Kept(self.d, people.ALICE)
        answered, hers, begin = 0, 0, time.monotonic()
        for caller in hostile:
            caller.send(refused)
        while time.monotonic() < begin + 2:
            good.send(text("GET", "/v1/whoami"))
            self.assertEqual(good.heard()[0], 200)
            hers += 1
            for caller in select.select([c.sock for c in hostile], [], [], 0.01)[0]:
                kept = next(c for c in hostile if c.sock is caller)
                self.assertEqual(kept.heard()[0], 404)
                answered += 1
                kept.send(refused)
        most = OWN + SAVED + (OWN_A_SECOND + A_SECOND) * (time.monotonic() - begin)
        for caller in hostile + [good]:
            caller.close()
        self.assertGreater(hers, 20)
        self.assertLess(answered, most + len(hostile))
        self.assertGreater(answered, OWN + SAVED)

    def test_with_her_name_on_them(self):
        """Whoever knows the id of her token and not its secret does not stand in her queue."""
        forged = self.good["secret"][:-64] + "0" * 64
        mine = text("POST", "/v1/vgpus", b'{"name": "a", "memory": "1M", "compute": "0.1"}', token=self.good["secret"])
        self.assertLessEqual(self.served_before(text("DELETE", "/v1/vgpus/none", token=forged), mine), FIRST)

    def test_all_are_served(self):
        """Nothing that waits is lost: many callers with many requests each, one after the other on each connection."""
        callers = [(Kept(self.d, people.ALICE), None) for _ in range(20)] + [(Kept(self.d), self.bad["secret"]) for _ in range(20)] + \
            [(Kept(self.d), None) for _ in range(20)]
        self.d.process.send_signal(signal.SIGSTOP)
        for caller, token in callers:
            caller.send(text("GET", "/v1/whoami", token=token) * 10)
        self.d.process.send_signal(signal.SIGCONT)
        for caller, _ in callers:
            got = b""
            while got.count(b"HTTP/1.1 200 OK") < 10:
                more = caller.sock.recv(65536)
                self.assertTrue(more, got)
                got += more
            caller.close()

    def test_long_body_in_many_chunks(self):
        """The library hands on all chunks that it has read, whether or not the connection waits for its turn by then."""
        for token in (self.bad["secret"], self.good["secret"]):
            callers = [Kept(self.d) for _ in range(4)]
            head = text("POST", "/v1/vgpus", token=token, Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
            self.d.process.send_signal(signal.SIGSTOP)
            for caller in callers:
                caller.send(head + b"%x\r\n" % 66000 + b"x" * 66000 + b"\r\n" + b"1\r\nx\r\n" * 2000)
            self.d.process.send_signal(signal.SIGCONT)
            for caller in callers:
                caller.send(b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n")
            for caller in callers:
                self.assertEqual(caller.heard()[0], 413)
                caller.close()
        self.assertEqual(self.operator.names(), [])
        self.d.stop()
        self.assertEqual(self.d.process.returncode, 0, self.d.logged())

    def test_end_in_a_flood(self):
        """The daemon ends in good order while requests of all kinds wait, arrive and are being sent."""
        callers = [Kept(self.d, people.ALICE if n % 2 else None) for n in range(40)]
        self.d.process.send_signal(signal.SIGSTOP)
        for n, caller in enumerate(callers):
            caller.send((text("GET", "/v1/devices") + text("GET", "/v1/events?wait=9") + text("GET", "/v1/vgpus")) if n % 3 else
                        text("POST", "/v1/vgpus", b"x" * 60000))
        self.d.process.send_signal(signal.SIGTERM)
        self.d.process.send_signal(signal.SIGCONT)
        self.assertEqual(self.d.process.wait(20), 0, self.d.logged())

    def test_leaving_while_waiting(self):
        """Callers who do not wait for their turn leave nothing behind."""
        hostile = [Kept(self.d) for _ in range(MANY)]
        self.d.process.send_signal(signal.SIGSTOP)
        for caller in hostile:
            caller.send(text("DELETE", "/v1/vgpus/none", token=self.bad["secret"]))
            caller.close()
        self.d.process.send_signal(signal.SIGCONT)
        self.assertEqual(self.operator.names(), [])
        self.d.stop()
        self.assertEqual(self.d.process.returncode, 0, self.d.logged())


class Bodies(people.Case):
    """Bodies that are refused are read to their end, and slowly."""

    def setUp(self):
        super().setUp()
        self.operator.ok("POST", "/v1/users", {"name": "mallory"})
        self.secret = self.operator.ok("POST", "/v1/tokens", {"user": "mallory"})["secret"]

    def head(self, size, is_chunked):
        if is_chunked:
            return text("POST", "/v1/vgpus", token=self.secret, Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
        return text("POST", "/v1/vgpus", token=self.secret).replace(b"Content-Length: 0", b"Content-Length: %d" % size)

    def status_of(self, size, is_chunked):
        """Of a body of so many bytes, all of which lie before the daemon: no time is the caller's. 0: it was cut off without an answer."""
        caller = Kept(self.d)
        caller.sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 * size)
        body = b"".join([b"fa0\r\n" + b"x" * 4000 + b"\r\n"] * (size // 4000) + [b"0\r\n\r\n"]) if is_chunked else b"x" * size
        try:
            caller.send(self.head(size, is_chunked) + body)
        except OSError:
            pass  # it may be answered before its end
        try:
            return caller.heard()[0]
        except OSError:
            return 0
        finally:
            caller.close()


class Refused(Bodies):
    options = {"rate_limit": 0, "request_timeout": 1}

    def test_the_refusal_arrives(self):
        """It takes longer than a request may, but it is the daemon that is slow."""
        for size in (72_000, 1_000_000, 12_000_000):
            self.assertEqual((self.status_of(size, False), self.status_of(size, True)), (413, 413), size)
        self.assertEqual(self.operator.names(), [])


class Allowance(Bodies):
    options = {"rate_limit": 0, "request_timeout": 60}
    READ, SAVED = 8192, 64  # bytes of a read, and so many at once; then one a millisecond

    def test_not_for_ever(self):
        self.assertEqual(self.status_of(20_000_000, True), 0)
        self.assertEqual(self.audit()[0]["status"], 413)
        self.assertEqual(self.operator.names(), [])

    def test_only_the_allowance(self):
        """What the daemon takes of a flood, by the bytes and by the time that went by meanwhile. Where so much went by that all that is
        offered might be taken, it is tried again."""
        self.assertTrue(any(self.is_bounded() for _ in range(5)), "the machine is too slow to tell")

    def is_bounded(self):
        good, flood = Kept(self.d), [Kept(self.d) for _ in range(8)]
        offered = 4_000_000 * len(flood)
        room = 0  # of the sockets, which take it before the daemon does
        begin, left = time.monotonic(), [offered // len(flood)] * len(flood)
        for caller in flood:
            caller.send(self.head(left[0], False))
            caller.sock.setblocking(False)
            room += 2 * caller.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        for _ in range(200):
            for n, caller in enumerate(flood):
                with contextlib.suppress(BlockingIOError):
                    left[n] -= caller.sock.send(b"x" * min(left[n], 1_000_000))
            good.send(text("GET", "/v1/version"))
            self.assertEqual(good.heard()[0], 200)
        reads = self.SAVED + (time.monotonic() - begin) * 1000 + 1
        most = reads * self.READ + room + len(flood) * (65536 + self.READ)
        self.assertLessEqual(offered - sum(left), most)
        for caller in flood + [good]:
            caller.close()
        return most < offered


class Room(Bodies):
    """At the limit, who is kept waiting makes room, with all that still lies before the daemon of his."""

    options = {"rate_limit": 0, "request_timeout": 60, "max_connections": 20}
    BODY = 3_000_000  # some 370 reads of the allowance
    TURNS = 25        # in which a newcomer is served

    def flood(self, count, is_chunked):
        """So many connections, each with a whole body before the daemon."""
        body, hostile = b"fa0\r\n" + b"x" * 4000 + b"\r\n" if is_chunked else b"x" * 4000, []
        for _ in range(count):
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.d.socket)
            s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 * self.BODY)
            s.setblocking(False)
            with contextlib.suppress(OSError):  # whoever makes room for the next of them
                s.sendall(self.head(self.BODY, is_chunked) + body * (self.BODY // 4000))
            hostile.append(s)
        return hostile

    def turns_until_served(self, good):
        """How many requests another has served before a newcomer is."""
        newcomer, turns = Connection(self.d.socket), 0
        newcomer.request("GET", "/v1/version")
        while not select.select([newcomer.sock], [], [], 0)[0]:
            good.send(text("GET", "/v1/version"))
            self.assertEqual(good.heard()[0], 200)
            turns += 1
        self.assertEqual(newcomer.getresponse().status, 200)
        newcomer.close()
        return turns

    def test_who_waits_makes_room(self):
        for is_chunked in (False, True):
            hostile = self.flood(25, is_chunked)
            good = Kept(self.d)
            turns = [self.turns_until_served(good) for _ in range(10)]
            self.assertLessEqual(max(turns), self.TURNS, turns)
            for s in hostile + [good]:
                s.close()


class Long(people.Case):
    """Answers that are written in pieces, between which others are served."""

    options = {"devices": 4}
    COUNT = 2500

    def setUp(self):
        super().setUp()
        c = self.d.connect()
        c.request("POST", "/v1/vgpus", json.dumps({"name": "big", "gpus": self.COUNT, "memory": "64K", "compute": "0.1"}))
        self.made = c.getresponse().read()

    def body(self, path):
        c = self.d.connect()
        c.request("GET", path)
        reply = c.getresponse()
        self.assertEqual(reply.status, 200)
        return reply.read()

    def put_before(self, *requests):
        """All of them at once; their statuses and bodies."""
        callers = [Kept(self.d) for _ in requests]
        self.d.process.send_signal(signal.SIGSTOP)
        harness.wait_until(lambda: harness.state(self.d.process.pid) == "T", "it is stopped")
        for caller, request in zip(callers, requests):
            caller.send(request)
        self.d.process.send_signal(signal.SIGCONT)
        return callers

    def test_same_bytes(self):
        """As the answer to its making, which is written in one piece; in a list, with others, too."""
        self.assertEqual(self.body("/v1/vgpus/big"), self.made)
        small = [self.operator.create(f"s{n}", gpus=1 + n % 3) for n in range(60)]
        listed = self.body("/v1/vgpus")
        self.assertTrue(listed.startswith(b'{"sets": [' + self.made.rstrip(b"\n") + b', {"name": "s0"'), listed[-300:])
        self.assertEqual(json.loads(listed)["sets"][1:], [{k: v for k, v in s.items() if k != "note"} for s in small])
        self.assertEqual(set(json.loads(listed)), {"sets", "now_ns"})
        page = json.loads(self.body("/v1/vgpus?limit=2"))
        self.assertEqual([s["name"] for s in page["sets"]], ["big", "s0"])
        rest = json.loads(self.body("/v1/vgpus?after=" + page["next"]))
        self.assertEqual([s["name"] for s in rest["sets"]], [f"s{n}" for n in range(1, 60)])

    def test_beside_another(self):
        """Then its bytes go out in pieces, too: the same ones, to several at once, while the other is answered before they end."""
        alone, other = self.body("/v1/vgpus/big"), Kept(self.d, people.ALICE)
        for caller in self.put_before(*[text("GET", "/v1/vgpus/big") * 2] * 5):
            other.send(text("GET", "/v1/version"))
            self.assertEqual(other.heard()[0], 200)
            self.assertEqual(list(caller.bodies(2)), [alone, alone])
            caller.close()
        other.close()

    def test_the_end_beside_another(self):
        other = Kept(self.d, people.ALICE)
        callers = self.put_before(*[text("GET", "/v1/vgpus/big")] * 8)
        other.send(text("GET", "/v1/version"))
        self.assertEqual(other.heard()[0], 200)
        for caller in callers[::2]:
            caller.sock.recv(1000)  # its answer has begun; nobody takes the rest
        self.d.process.send_signal(signal.SIGTERM)
        for caller in callers[1::4]:
            caller.close()
        self.assertEqual(self.d.process.wait(20), 0, self.d.logged())

    def test_gone_meanwhile(self):
        self.operator.create("after")
        reader, lister, killer = self.put_before(text("GET", "/v1/vgpus/big"), text("GET", "/v1/vgpus"), text("DELETE", "/v1/vgpus/big"))
        self.assertEqual(killer.heard()[0], 204)
        self.assertIn(reader.heard()[0], (200, 404))  # before or after, and nothing in between
        self.assertEqual(lister.heard()[0], 200)
        self.assertEqual([s["name"] for s in json.loads(self.body("/v1/vgpus"))["sets"]], ["after"])

    def test_changed_meanwhile(self):
        """Never some as before and some as after."""
        for memory in ("32K", "64K", "16K"):
            reader = self.put_before(text("GET", "/v1/vgpus/big"), text("PATCH", "/v1/vgpus/big", json.dumps({"memory": memory}).encode()))[0]
            told = json.loads(next(reader.bodies(1)))["vgpus"]
            self.assertEqual((len(told), len({v["memory"] for v in told})), (self.COUNT, 1))

    def test_the_end(self):
        """Of the daemon, while many are being written; of their readers, too."""
        callers = self.put_before(*[text("GET", "/v1/vgpus")] * 20)
        for caller in callers[::2]:
            caller.close()
        self.d.stop()
        self.assertEqual(self.d.process.returncode, 0, self.d.logged())


class Words(people.Case):
    """What is sent as a name stays a name: of a path, of a row, of a header."""

    options = {"rate_limit": 0}
    INJECTED = ("../../etc/passwd", "..%2f..%2fstore.db", "%2e%2e/%2e%2e", "a%00b", "a%0d%0aX-Evil:%201", "a';DROP%20TABLE%20vgpu;--", "a%22%20OR%20%221%22=%221",
                "red:secret", "red%3Asecret", "red:secret%00", "*", "**", "%2a", "secret/0", "red:secret/0", "%", "%zz", "//", "a" * 5000)
    PATHS = ("/v1/vgpus/{}", "/v1/jobs/{}", "/v1/projects/{}", "/v1/users/{}", "/v1/why/{}", "/v1/vgpus?project={}", "/v1/audit?actor={}",
             "/v1/events?after={}", "/v1/invoices?month={}", "/{}")

    def test_nothing_but_names(self):
        self.populate()
        self.operator.create("secret", project="red")
        before = self.operator.ok("GET", "/v1/vgpus"), self.operator.ok("GET", "/v1/projects"), self.operator.ok("GET", "/v1/users")
        caller, asked = Kept(self.d, people.CAROL), 0
        for word in self.INJECTED:
            for path in self.PATHS:
                for method in ("GET", "DELETE"):
                    caller.send(text(method, path.format(word), Idempotency_Key="x"))
                    status, head = caller.heard()
                    asked += method == "DELETE"
                    self.assertIn(status, (200, 400, 401, 403, 404, 405, 409, 431, 414), (method, path, word))
                    self.assertFalse(status == 200 and method == "DELETE", path)
                    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
                    self.assertLessEqual(names, {b"date", b"content-type", b"content-length", b"allow", b"connection", b"x-content-type-options"}, head)
        rows = [r for r in self.audit() if r["actor"] == "carol"]
        self.assertEqual(len(rows), asked)
        self.assertTrue(all(r["status"] >= 400 for r in rows))
        now = self.operator.ok("GET", "/v1/vgpus"), self.operator.ok("GET", "/v1/projects"), self.operator.ok("GET", "/v1/users")
        for a, b in zip(before, now):
            a.pop("now_ns", None), b.pop("now_ns", None)
            self.assertEqual(a, b)

    def test_in_bodies_and_headers(self):
        self.populate()
        self.operator.create("secret", project="red")
        for word in ("../x", "x\r\nX-Evil: 1", "x'; DELETE FROM audit; --", "x\0y", "red:secret", "\u202ex", "x" * 70000):
            for path, body in (("/v1/vgpus", {"name": word}), ("/v1/vgpus", {"name": "ok", "project": word}), ("/v1/open", {"target": word}),
                               ("/v1/jobs", {"command": ["true"], "name": word}), ("/v1/tokens", {"name": "t", "project": word})):
                status, reply = self.carol.request("POST", path, body)
                self.assertGreaterEqual(status, 400, (path, word))
                self.assertEqual(reply["status"], status)
        for key in ("x'; DROP TABLE reply; --", "y\tz", "k" * 129, "\xff"):
            status, _ = self.carol.request("POST", "/v1/vgpus", {"name": "never", "memory": "nonsense"}, Idempotency_Key=key)
            self.assertEqual(status, 400)
        self.assertEqual(self.operator.names(), ["red:secret"])
        self.assertTrue(all(r["status"] >= 400 for r in self.audit() if r["actor"] == "carol"))


people.require_root()
harness.main()
