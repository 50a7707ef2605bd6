# SPDX-License-Identifier: Apache-2.0
"""Every request that would change something leaves one row; every change is an event for those who may see it."""
import signal
import threading
import time

import harness
import people
import tls
from harness import wait_until
from people import Person


class Audit(people.Case):
    def test_one_row_each(self):
        """Accepted or refused, by whom, from where, with what result, in the order of happening."""
        self.populate()
        token = self.token("bob")
        before = self.audit()[0]["seq"]
        wrong = Person(self.d, people.BOB, "fgt_" + "a" * 12 + "_" + "0" * 64)
        steps = [
            (self.bob, "POST", "/v1/vgpus", {"name": "a", "memory": "1M", "compute": "1"}, 201, "a", "red"),
            (self.bob, "POST", "/v1/vgpus", {"name": "a"}, 409, "a", "red"),
            (self.bob, "POST", "/v1/vgpus", "nonsense", 400, "", None),
            (token, "PATCH", "/v1/vgpus/a", {"compute": "2"}, 200, "a", "red"),
            (self.carol, "DELETE", "/v1/vgpus/red:a", None, 404, "red:a", None),
            (self.alice, "POST", "/v1/open", {"target": "a"}, 200, "a", "red"),
            (self.bob, "PUT", "/v1/projects/red/members/carol", {"role": "viewer"}, 403, "red/carol", "red"),
            (self.bob, "POST", "/v1/users", {"name": "x"}, 403, "", None),
            (wrong, "POST", "/v1/users", {"name": "x"}, 401, "", None),
            (Person(self.d, people.NOBODY), "DELETE", "/v1/vgpus/a", None, 403, "a", None),
            (self.operator, "DELETE", "/v1/nosuch", None, 404, "", None),
            (self.operator, "DELETE", "/v1/vgpus", None, 405, "", None),
            (self.operator, "DELETE", "/v1/vgpus/red:a", None, 409, "red:a", "red"),
            (self.operator, "POST", "/v1/tokens", {"user": "bob"}, 201, "bob", None),
        ]
        for caller, method, path, body, status, *_ in steps:
            got, reply = caller.request(method, path, body)
            self.assertEqual(got, status, (method, path, reply))
            self.operator.request("GET", "/v1/vgpus")  # leaves none
        rows = [r for r in reversed(self.audit()) if r["seq"] > before]
        self.assertEqual(len(rows), len(steps), rows)
        actors = {id(self.bob): "bob", id(token): "bob", id(self.carol): "carol", id(self.alice): "alice", id(wrong): "anonymous", id(self.operator): "operator"}
        for row, (caller, method, path, _, status, target, project) in zip(rows, steps):
            with self.subTest(row=row):
                self.assertEqual((row["status"], row["target"], row.get("project")), (status, target, project))
                self.assertEqual(row["actor"], actors.get(id(caller), f"uid {people.NOBODY}"))
                self.assertTrue(row["action"].startswith(method + " "))
                self.assertEqual("problem" in row, status >= 400)
                self.assertRegex(row["from"], r"\Apid \d+ uid \d+\Z")
                self.assertRegex(row["via"], r"\A(uid \d+|token [a-z2-7]{12}|network)\Z")
        self.assertEqual([r["seq"] for r in rows], list(range(before + 1, before + 1 + len(rows))))

    def test_accepted_survives_a_kill_refused_a_second(self):
        self.populate()
        self.bob.create("a")
        self.d.stop(signal.SIGKILL)
        self.d.start()
        people.open_door(self.d)
        self.assertEqual([r["target"] for r in self.audit("&action=POST%20/v1/vgpus")], ["a"])
        self.denied(self.bob, "POST", "/v1/users", {"name": "evil"}, 403, "forbidden")
        time.sleep(1.2)
        self.restart(signal.SIGKILL)
        self.assertEqual([r["status"] for r in self.audit("&action=POST%20/v1/users&actor=bob")], [403])
        self.denied(self.bob, "POST", "/v1/users", {"name": "evil"}, 403, "forbidden")
        self.restart()  # an orderly end writes at once
        self.assertEqual(len(self.audit("&action=POST%20/v1/users&actor=bob")), 2)

    def test_deleting_by_force(self):
        """The row waits for the programs to end, and has the end's result."""
        self.populate()
        self.bob.create("a")
        tenant = self.d.tenant(self.d.open("red:a")["attach"])
        self.assertGreater(tenant.attached, 0)
        self.bob.ok("DELETE", "/v1/vgpus/a?force=1")
        rows = self.audit("&action=DELETE")
        self.assertEqual([(r["actor"], r["target"], r["status"], r["project"]) for r in rows], [("bob", "a", 204, "red")])
        self.assertEqual([(e["actor"], e["kind"]) for e in self.bob.ok("GET", "/v1/events")["events"]][-1], ("bob", "vgpu.deleted"))

    def test_a_failed_open_is_not_an_accepted_one(self):
        """A vGPU that was made for a run that could not be opened: made, taken back, one row with the end's result."""
        import os
        self.populate()
        attach = os.path.join(self.d.state, "run", "attach")
        os.rename(attach, attach + "-gone")
        status, reply = self.bob.request("POST", "/v1/open", {"memory": "1M", "compute": "1"})
        self.assertGreaterEqual(status, 500, reply)
        os.rename(attach + "-gone", attach)
        self.assertEqual(self.bob.names(), [])
        rows = self.audit("&action=/v1/open")
        self.assertEqual([(r["status"], r["problem"]) for r in rows], [(status, reply["type"])])

    def test_filters_and_who_may_read(self):
        self.populate()
        for n in range(5):
            self.bob.create(f"b{n}")
            self.carol.create(f"c{n}")
        self.assertEqual(len(self.audit("&actor=bob")), 5)
        self.assertEqual(len(self.audit("&project=blue&action=POST%20/v1/vgpus")), 5)
        self.assertEqual(len(self.audit("&target=b3")), 1)
        self.assertEqual(len(self.audit("&status=404")), 0)
        self.assertEqual(len(self.audit(f"&via=uid%20{people.CAROL}")), 5)
        self.assertEqual(self.audit(f"&since={int(time.time()) + 1000}"), [])
        self.assertEqual(self.audit("&until=1000"), [])
        everything = self.audit()
        self.assertEqual([r["seq"] for r in everything], sorted((r["seq"] for r in everything), reverse=True))
        mine = self.alice.ok("GET", "/v1/audit?limit=1000")["audit"]
        self.assertEqual({r.get("project") for r in mine}, {"red"})
        self.assertEqual(len([r for r in mine if r["actor"] == "bob"]), 5)
        self.denied(self.bob, "GET", "/v1/audit", None, 403, "forbidden", "manager")
        self.denied(self.alice, "GET", "/v1/audit?project=blue", None, 404, "not-found")

    def test_replays_are_rows_too(self):
        for _ in range(3):
            self.operator.ok("POST", "/v1/projects", {"name": "x"}, Idempotency_Key="k")
        self.denied(self.operator, "POST", "/v1/projects", {"name": "y"}, 409, "idempotency-mismatch", Idempotency_Key="k")
        self.assertEqual([(r["status"], r.get("problem")) for r in self.audit("&action=POST%20/v1/projects")],
                         [(409, "idempotency-mismatch"), (201, "replay"), (201, "replay"), (201, None)])

    def test_bounded(self):
        self.d.stop()
        self.d.env.update(FASTGPU_AUDIT_KEEP="1000", FASTGPU_EVENTS_KEEP="1000")
        self.d.start()
        people.open_door(self.d)
        c = self.d.connect()
        for n in range(1200):
            self.d.request("POST", "/v1/projects", {"name": f"p{n}"}, c)
        page, count = self.operator.ok("GET", "/v1/audit?limit=1000"), 0
        newest = page["audit"][0]
        count = len(page["audit"]) + len(self.operator.ok("GET", "/v1/audit?limit=1000&after=" + page["next"])["audit"])
        self.assertTrue(1000 <= count <= 1064, count)
        self.assertEqual(newest["target"], "p1199")
        seq = newest["seq"]
        self.restart(signal.SIGKILL)
        self.operator.ok("POST", "/v1/projects", {"name": "last"})
        self.assertEqual(self.audit()[0]["seq"], seq + 1)  # goes on where it was


class Attacks(people.Case):
    """What is refused before it is looked at: seen, counted, and never more than a row a minute of each caller."""

    options = {"listen": "127.0.0.1:0", "request_timeout": 2, "rate_limit": 2}
    GARBAGE = (b"GET\r\n\r\n", b"\x01\x02\x03\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n\r\n",
               b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
               b"POST /v1/vgpus HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")

    def counted(self, **wanted):
        rows = [r for r in self.audit() if all(r.get(k) == v for k, v in wanted.items())]
        return len(rows), sum(r.get("count", 1) for r in rows)

    def throw(self, s, data):
        """Sends it, hears it out, and stays: who leaves at the instant at which he is thrown out may have left by himself."""
        self.addCleanup(s.close)
        try:
            s.sendall(data)
            while s.recv(4096):
                pass
        except OSError:
            pass

    def local(self, uid=None):
        c = harness.Connection(self.d.socket, uid=uid)
        c.connect()
        return c.sock

    def test_what_is_no_request(self):
        for _ in range(5):
            for data in self.GARBAGE:
                self.throw(self.local(people.NOBODY), data)
        for uid in (None, people.NOBODY):
            self.local(uid).close()  # who only looks whether somebody is there is no attacker
        rows, count = self.counted(action="?", via=f"uid {people.NOBODY}", actor="anonymous", problem="bad-request")
        self.assertEqual(count, 5 * len(self.GARBAGE))
        self.assertLessEqual(rows, 2)  # answered 400 and 505
        self.assertEqual(self.counted(action="?"), (rows, count))

    def test_over_the_network(self):
        port = tls.port_of(self.d)
        for n in range(4):
            for source in ("127.0.0.2", "127.0.0.3"):
                self.throw(tls.plain(port, source), b"GET / HTTP/1.1\r\n\r\n" if n % 2 else b"\xff" * 99)
                self.throw(tls.wrapped(port, source), self.GARBAGE[n + 1])
        self.assertEqual(self.counted(action="?", via="network", **{"from": "127.0.0.2"})[1], 8)
        self.assertEqual(self.counted(action="?", via="network", **{"from": "127.0.0.3"})[1], 8)
        self.assertLessEqual(self.counted(action="?")[0], 4)

    def test_too_slow(self):
        slow = [self.local(people.NOBODY) for _ in range(7)]
        for s in slow:
            s.sendall(b"GET /v1/version HTTP/1.1\r\nX: ")
        for s in slow:
            self.throw(s, b"y")
        # Each has a time of its own.
        wait_until(lambda: self.counted(status=408, via=f"uid {people.NOBODY}") == (1, 7), "one row for all of them")

    def test_beyond_the_rate(self):
        """Reading too much is seen as well, and a second caller is not hidden behind the first."""
        self.populate()
        refused = {}
        for name, caller, method in (("bob", self.bob, "GET"), ("carol", self.carol, "DELETE")):
            refused[name] = asked = 0
            while refused[name] < 15 and asked < 1000:
                refused[name] += caller.request(method, f"/v1/vgpus/x{asked}")[0] == 429
                asked += 1
            self.assertEqual(refused[name], 15)
        for name in refused:
            self.assertEqual(self.counted(actor=name, status=429), (1, refused[name]))
        self.d.stop(signal.SIGKILL)  # after it was looked at
        self.d.start()
        people.open_door(self.d)
        for name in refused:
            self.assertEqual(self.counted(actor=name, status=429), (1, refused[name]))

    def test_from_everywhere(self):
        """More attackers than there are rows for: the rest share one."""
        port = tls.port_of(self.d)
        for n in range(400):
            self.throw(tls.plain(port, f"127.1.{n // 200}.{n % 200 + 1}"), b"\xff" * 99)
        self.assertEqual(self.counted(action="?")[0], 256)
        self.assertEqual(self.counted(actor="many", status=429), (1, 400 - 256))


class Events(people.Case):
    def kinds(self, caller, query=""):
        return [(e["kind"], e["target"]) for e in caller.ok("GET", "/v1/events?limit=1000" + query)["events"]]

    def test_who_sees_what(self):
        self.populate()
        self.bob.create("a")
        self.bob.ok("PATCH", "/v1/vgpus/a", {"compute": "2"})
        self.carol.create("c")
        self.bob.ok("DELETE", "/v1/vgpus/a")
        self.assertEqual(self.kinds(self.bob)[-3:], [("vgpu.created", "a"), ("vgpu.resized", "a"), ("vgpu.deleted", "a")])
        self.assertNotIn(("vgpu.created", "c"), self.kinds(self.alice))
        self.assertEqual([k for k in self.kinds(self.carol) if k[0].startswith("vgpu")], [("vgpu.created", "c")])
        self.assertNotIn("user.created", [k for k, _ in self.kinds(self.alice)])
        self.assertIn(("user.created", "bob"), self.kinds(self.operator))
        self.assertEqual(self.kinds(self.operator, "&project=blue")[-1], ("vgpu.created", "c"))
        before = self.kinds(self.operator)
        self.restart(signal.SIGKILL)
        self.assertEqual(self.kinds(self.operator), before)
        self.bob.request("POST", "/v1/vgpus", {"memory": "900G"})
        self.assertEqual(self.kinds(self.operator), before)  # what did not happen is none

    def test_devices(self):
        """What happens to a device is the admins' to know, within a second."""
        self.populate()
        self.d.devices(0)
        self.operator.ok("GET", "/v1/devices?rescan=1")
        self.d.devices(1)
        self.operator.ok("GET", "/v1/devices?rescan=1")
        self.assertEqual(self.kinds(self.operator)[-2:], [("device.lost", "opencl/Fake/0"), ("device.returned", "opencl/Fake/0")])
        self.assertNotIn("device.lost", [k for k, _ in self.kinds(self.alice)])
        time.sleep(1.2)
        self.restart(signal.SIGKILL)
        self.assertEqual(self.kinds(self.operator)[-1], ("device.returned", "opencl/Fake/0"))

    def test_read_on(self):
        self.populate()
        for n in range(30):
            self.bob.create(f"b{n}")
            self.carol.create(f"c{n}")
        seen, after = [], 0
        while True:
            page = self.bob.ok("GET", f"/v1/events?after={after}&limit=7")
            if not page["events"]:
                break
            self.assertLessEqual(len(page["events"]), 7)
            seen += [e["target"] for e in page["events"] if e["kind"] == "vgpu.created"]
            after = page["next"]
        self.assertEqual(seen, [f"b{n}" for n in range(30)])

    def wait(self, caller, after, seconds, into):
        thread = threading.Thread(target=lambda: into.append(caller.ok("GET", f"/v1/events?after={after}&wait={seconds}")))
        thread.start()
        return thread

    def test_wait(self):
        self.populate()
        after = self.bob.ok("GET", "/v1/events?limit=1000")["next"]
        his, hers = [], []
        threads = [self.wait(self.token("bob"), after, 60, his), self.wait(self.token("carol"), self.carol.ok("GET", "/v1/events")["next"], 3, hers)]
        time.sleep(0.3)
        self.assertEqual((his, hers), ([], []))
        self.bob.create("a")
        threads[0].join(20)
        self.assertEqual([e["target"] for e in his[0]["events"]], ["a"])
        threads[1].join(20)
        self.assertEqual(hers[0]["events"], [])  # none of hers

    def test_waiting_ends_with_the_right_to(self):
        """Who is thrown out while he waits hears nothing of what comes after."""
        self.populate()
        caller = self.token("bob")
        after = self.operator.ok("GET", "/v1/events?limit=1000")["next"]
        for end in (lambda: self.operator.ok("DELETE", "/v1/projects/red/members/bob"),
                    lambda: self.operator.ok("DELETE", "/v1/tokens/" + caller.token.split("_")[1]),
                    lambda: self.operator.ok("DELETE", "/v1/users/bob")):
            got = []
            caller = self.token("bob")
            thread = self.wait(caller, after, 2, got)
            time.sleep(0.3)
            end()
            self.alice.create(f"x{time.monotonic_ns()}")
            thread.join(20)
            self.assertEqual([e for e in got[0]["events"] if e["kind"].startswith("vgpu")], [])

    def test_waiters_are_bounded_and_let_go(self):
        self.populate()
        after = self.bob.ok("GET", "/v1/events?limit=1000")["next"]
        connections = []
        for _ in range(32):
            c = harness.Connection(self.d.socket, uid=people.BOB)
            c.request("GET", f"/v1/events?after={after}&wait=60")
            connections.append(c)
        harness.wait_until(lambda: self.bob.request("GET", f"/v1/events?after={after}&wait=1")[0] == 429, "too many wait")
        self.carol.ok("GET", "/v1/events?wait=1")
        connections[0].close()
        self.d.stop()  # ends orderly, with an answer to all who still wait
        for c in connections[1:]:
            self.assertEqual(c.getresponse().status, 200)
            c.close()

    def test_bad_queries(self):
        for query in ("wait=61", "wait=-1", "wait=x", "after=x", "limit=0", "project=nosuch"):
            status, _ = self.operator.request("GET", "/v1/events?" + query)
            self.assertIn(status, (400, 404))


if __name__ == "__main__":
    people.require_root()
    harness.main()
