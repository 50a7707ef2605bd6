# SPDX-License-Identifier: Apache-2.0
"""Who is who, who may what, and that nobody sees or touches what is not his."""
import itertools
import json
import os
import signal
import socket
import subprocess

import harness
import people
from people import ALICE, BOB, NOBODY, Person


class Door(people.Case):
    """Who is let in."""

    def test_without_users_whoever_connects_is_the_operator(self):
        stranger = Person(self.d, NOBODY)
        self.assertEqual(stranger.ok("GET", "/v1/whoami"), {
            "name": "operator", "operator": True, "admin": True, "via": f"uid {NOBODY}", "tenancy": False, "project": "default",
            "role": "admin"})
        made = stranger.create("a")
        self.assertEqual((made["project"], made["owner"]), ("default", "operator"))
        self.assertEqual(self.operator.names(), ["default:a"])

    def test_the_first_user_closes_it(self):
        stranger = Person(self.d, NOBODY)
        self.operator.ok("POST", "/v1/users", {"name": "alice", "uid": ALICE})
        for method, path in (("GET", "/v1/vgpus"), ("POST", "/v1/vgpus"), ("GET", "/v1/whoami"), ("GET", "/v1/nosuch"), ("GET", "/v1/audit")):
            self.denied(stranger, method, path, None, 403, "forbidden", str(NOBODY), "fastgpu user create NAME --uid")
        self.assertEqual(self.operator.ok("GET", "/v1/whoami")["name"], "operator")
        self.assertEqual(Person(self.d, ALICE).ok("GET", "/v1/whoami")["name"], "alice")
        self.assertEqual(set(stranger.ok("GET", "/v1/version")), {"version", "api"})  # what it takes to talk, nothing of the machine
        self.assertIn("state_dir", self.operator.ok("GET", "/v1/version"))
        self.restart(signal.SIGKILL)
        self.denied(stranger, "GET", "/v1/vgpus", None, 403, "forbidden")

    def test_the_last_user_opens_it_again(self):
        self.operator.ok("POST", "/v1/users", {"name": "alice"})
        self.operator.ok("DELETE", "/v1/users/alice")
        self.assertTrue(Person(self.d, NOBODY).ok("GET", "/v1/whoami")["operator"])

    def test_a_lost_store_does_not_open_it(self):
        self.operator.ok("POST", "/v1/users", {"name": "alice", "uid": ALICE})
        self.d.stop()
        with open(os.path.join(self.d.state, "store.db"), "wb") as f:
            f.write(b"\0" * 8192)
        for _ in range(2):
            self.d.start()
            people.open_door(self.d)
            self.denied(Person(self.d, ALICE), "GET", "/v1/vgpus", None, 403, "forbidden")
            self.assertTrue(self.operator.ok("GET", "/v1/whoami")["operator"])
            self.d.stop()

    def test_disabled(self):
        self.populate()
        self.operator.ok("PATCH", "/v1/users/bob", {"disabled": True})
        token = self.token("bob")
        self.denied(self.bob, "GET", "/v1/whoami", None, 403, "forbidden", "disabled")
        self.denied(token, "GET", "/v1/whoami", None, 403, "forbidden", "disabled")
        self.operator.ok("PATCH", "/v1/users/bob", {"disabled": False})
        self.assertEqual(token.ok("GET", "/v1/whoami")["name"], "bob")

    def test_a_uid_is_one_users(self):
        self.populate()
        for uid, status, kind in ((ALICE, 409, "exists"), (0, 400, "bad-request"), (65534, 400, "bad-request"), (-1, 400, "bad-request"),
                                  (1 << 40, 400, "bad-request"), ("20005", 400, "bad-request"), (True, 400, "bad-request")):
            self.denied(self.operator, "POST", "/v1/users", {"name": "dora", "uid": uid}, status, kind)
        self.operator.ok("PATCH", "/v1/users/alice", {"uid": None})
        self.denied(self.alice, "GET", "/v1/whoami", None, 403, "forbidden")
        self.operator.ok("POST", "/v1/users", {"name": "dora", "uid": ALICE})
        self.assertEqual(self.alice.ok("GET", "/v1/whoami")["name"], "dora")


class Roles(people.Case):
    def test_what_each_may(self):
        """Every request by every role; what is not listed is refused."""
        self.populate()
        self.operator.ok("POST", "/v1/users", {"name": "vera", "uid": 20004})
        self.operator.ok("PUT", "/v1/projects/red/members/vera", {"role": "viewer"})
        self.operator.ok("POST", "/v1/users", {"name": "anna", "uid": 20005, "admin": True})
        self.operator.ok("POST", "/v1/users", {"name": "dora"})
        who = {"viewer": Person(self.d, 20004), "member": self.bob, "manager": self.alice, "admin": Person(self.d, 20005),
               "outsider": self.carol}
        red = {"project": "red"}
        self.operator.create("others", **red)
        number = itertools.count()

        def fresh():
            name = f"n{next(number)}"
            self.operator.create(name, **red)
            return name

        requests = [  # least role, method, path, body
            ("viewer", "GET", "/v1/vgpus/red:others", None),
            ("viewer", "GET", "/v1/projects/red", None),
            ("viewer", "GET", "/v1/projects/red/members", None),
            ("viewer", "GET", "/v1/vgpus?project=red", None),
            ("viewer", "GET", "/v1/quotas?project=red", None),
            ("viewer", "GET", "/v1/events?project=red", None),
            ("member", "POST", "/v1/vgpus", {"memory": "1M", "compute": "0.1", **red}),
            ("manager", "PATCH", "/v1/vgpus/red:others", {"compute": "0.2"}),
            ("manager", "DELETE", lambda: "/v1/vgpus/red:" + fresh(), None),
            ("manager", "PATCH", "/v1/projects/red", {"description": "d"}),
            ("manager", "PUT", "/v1/projects/red/members/carol", {"role": "viewer"}),
            ("manager", "DELETE", "/v1/projects/red/members/carol", None),
            ("manager", "PUT", "/v1/quotas", {"scope": "user", "project": "red", "user": "bob", "vgpus": 100}),
            ("manager", "GET", "/v1/audit?project=red", None),
            ("admin", "PUT", "/v1/quotas", {"scope": "project", "project": "red", "vgpus": 100}),
            ("admin", "PUT", "/v1/quotas", {"scope": "organisation", "vgpus": 1000}),
            ("admin", "GET", "/v1/quotas?scope=organisation", None),
            ("admin", "POST", "/v1/users", lambda: {"name": f"u{next(number)}"}),
            ("admin", "PATCH", "/v1/users/carol", {"account": "nobody"}),
            ("admin", "DELETE", lambda: "/v1/users/" + self.operator.ok("POST", "/v1/users", {"name": f"u{next(number)}"})["name"], None),
            ("admin", "POST", "/v1/projects", lambda: {"name": f"p{next(number)}"}),
            ("admin", "DELETE", lambda: "/v1/projects/" + self.operator.ok("POST", "/v1/projects", {"name": f"p{next(number)}"})["name"], None),
            ("admin", "GET", "/v1/devices?rescan=1", None),
            ("admin", "POST", "/v1/tokens", {"user": "dora", "role": "viewer"}),
            ("admin", "GET", "/v1/tokens?user=dora", None),
            ("admin", "GET", "/v1/users/dora", None),
        ]
        order = ["outsider", "viewer", "member", "manager", "admin"]
        for least, method, path, body in requests:
            for role in order:
                at, what = path() if callable(path) else path, body() if callable(body) else body
                if at.startswith("/v1/projects/red/members/carol"):
                    self.operator.request("DELETE", "/v1/projects/red/members/carol")
                    if method == "DELETE":
                        self.operator.ok("PUT", "/v1/projects/red/members/carol", {"role": "viewer"})
                if role == "outsider" and method == "DELETE" and at.endswith("members/carol"):
                    continue  # he is no outsider now
                status, reply = who[role].request(method, at, what)
                with self.subTest(role=role, method=method, path=at):
                    if order.index(role) >= order.index(least):
                        self.assertLess(status, 300, reply)
                    else:
                        self.assertIn((status, reply["type"]), [(403, "forbidden"), (404, "not-found")], reply)

    def test_a_member_changes_only_his_own(self):
        self.populate()
        self.alice.create("hers")
        self.bob.create("his")
        self.denied(self.bob, "PATCH", "/v1/vgpus/hers", {"compute": "1"}, 403, "forbidden", "alice's")
        self.denied(self.bob, "DELETE", "/v1/vgpus/hers", None, 403, "forbidden")
        self.denied(self.bob, "DELETE", "/v1/vgpus/hers?force=1", None, 403, "forbidden")
        self.assertEqual(self.bob.ok("GET", "/v1/vgpus/hers")["owner"], "alice")
        self.bob.ok("PATCH", "/v1/vgpus/his", {"compute": "1"})
        self.alice.ok("PATCH", "/v1/vgpus/his", {"compute": "2"})
        self.bob.ok("DELETE", "/v1/vgpus/his")
        self.operator.ok("PUT", "/v1/projects/red/members/bob", {"role": "viewer"})
        self.denied(self.bob, "POST", "/v1/vgpus", {"name": "x"}, 403, "forbidden", "bob is viewer")

    def test_a_manager_is_one_in_his_project_only(self):
        self.populate()
        self.denied(self.alice, "PUT", "/v1/projects/blue/members/alice", {"role": "manager"}, 404, "not-found")
        self.denied(self.alice, "PUT", "/v1/projects/red/members/alice", {"role": "admin"}, 400, "bad-request", "admin")
        self.denied(self.alice, "PUT", "/v1/projects/default/members/alice", {"role": "viewer"}, 404, "not-found")
        self.denied(self.alice, "PATCH", "/v1/users/alice", {"admin": True}, 403, "forbidden")
        self.denied(self.alice, "GET", "/v1/audit?project=blue", None, 404, "not-found")

    def test_who_leaves_is_out_at_once(self):
        self.populate()
        self.bob.create("his")
        self.operator.ok("DELETE", "/v1/projects/red/members/bob")
        self.assertEqual(self.bob.names(), [])
        self.denied(self.bob, "GET", "/v1/vgpus/red:his", None, 404, "not-found")
        self.denied(self.bob, "POST", "/v1/vgpus", {"name": "y"}, 403, "forbidden", "in no project")
        self.denied(self.operator, "DELETE", "/v1/users/bob", None, 409, "in-use", "owns 1 set")
        self.denied(self.operator, "DELETE", "/v1/projects/red", None, 409, "in-use")
        self.restart(signal.SIGKILL)
        self.assertEqual(self.operator.ok("GET", "/v1/vgpus/red:his")["owner"], "bob")
        self.operator.ok("DELETE", "/v1/vgpus/red:his")
        self.operator.ok("DELETE", "/v1/users/bob")
        self.operator.ok("DELETE", "/v1/projects/red")
        self.denied(self.operator, "DELETE", "/v1/projects/default", None, 409, "in-use")


class Apart(people.Case):
    """Two tenants: neither sees, touches or learns of the other's."""

    def setUp(self):
        super().setUp()
        self.populate()
        self.secret = self.carol.create("secret", memory="3M")

    def test_the_same_words(self):
        """What is not visible is told exactly as what is not there."""
        for method, path, body in (("GET", "/v1/vgpus/{}", None), ("GET", "/v1/vgpus/{}/0", None), ("PATCH", "/v1/vgpus/{}", {"compute": "1"}),
                                   ("DELETE", "/v1/vgpus/{}", None), ("DELETE", "/v1/vgpus/{}?force=1", None), ("POST", "/v1/open", {"target": "{}"}),
                                   ("POST", "/v1/containers", {"target": "{}"})):
            told = []
            for name in ("blue:secret", "blue:nosuch", "nosuch:secret"):
                at, what = path.format(name), json.loads(json.dumps(body).replace("{}", name)) if body else None
                reply = self.denied(self.bob, method, at, what, 404, "not-found")
                told.append(json.dumps(reply).replace(name, "X"))
            self.assertEqual(len(set(told)), 1, told)
        for path in ("/v1/projects/{}", "/v1/vgpus?project={}", "/v1/events?project={}", "/v1/quotas?project={}", "/v1/projects/{}/members"):
            told = [json.dumps(self.denied(self.alice, "GET", path.format(p), None, 404, "not-found")).replace(p, "X") for p in ("blue", "gone")]
            self.assertEqual(told[0], told[1])
        self.assertEqual(self.carol.ok("GET", "/v1/vgpus/secret"), self.secret)

    def test_the_query_leads_nowhere_else(self):
        for query in ("?project=blue", "?project=%62lue"):
            self.denied(self.bob, "GET", "/v1/vgpus/secret" + query, None, 404, "not-found")
            self.denied(self.bob, "DELETE", "/v1/vgpus/secret" + query, None, 404, "not-found")
        self.denied(self.bob, "POST", "/v1/vgpus", {"name": "x", "project": "blue"}, 404, "not-found")
        self.denied(self.bob, "POST", "/v1/open", {"memory": "1M", "project": "blue"}, 404, "not-found")
        self.denied(self.bob, "POST", "/v1/open", {"target": "secret", "project": "blue"}, 404, "not-found")
        self.denied(self.bob, "POST", "/v1/containers", {"target": "secret", "project": "blue"}, 404, "not-found")
        self.denied(self.bob, "GET", "/v1/vgpus?project=red&project=blue", None, 400, "bad-request")
        self.denied(self.bob, "GET", "/v1/vgpus?owner=carol", None, 400, "bad-request", "project")

    def test_lists(self):
        self.assertEqual((self.bob.names(), self.carol.names()), ([], ["blue:secret"]))
        self.assertEqual([p["name"] for p in self.bob.ok("GET", "/v1/projects")["projects"]], ["red"])
        self.assertEqual([u["name"] for u in self.bob.ok("GET", "/v1/users")["users"]], ["bob"])
        self.assertEqual(self.bob.ok("GET", "/v1/tokens")["tokens"], [])
        told = json.dumps([self.bob.ok("GET", path) for path in ("/v1/vgpus", "/v1/devices", "/v1/events", "/v1/whoami", "/v1/quotas", "/v1/projects/red")])
        for word in ("secret", "blue", "carol"):
            self.assertNotIn(word, told)

    def test_names_do_not_collide(self):
        made = self.bob.create("secret")
        self.assertEqual((made["project"], made["owner"], made["vgpus"][0]["memory"]), ("red", "bob", 1 << 20))
        self.operator.create("secret", memory="5M")
        self.assertEqual(sorted(self.operator.names()), ["blue:secret", "default:secret", "red:secret"])
        self.assertEqual(self.operator.ok("GET", "/v1/vgpus/secret")["project"], "default")
        self.denied(self.bob, "POST", "/v1/vgpus", {"name": "secret"}, 409, "exists")
        attach = {p: self.d.open(f"{p}:secret")["attach"] for p in ("red", "blue", "default")}
        self.assertEqual(len(set(attach.values())), 3)
        tenants = {p: self.d.tenant(path) for p, path in attach.items()}
        self.assertEqual({p: t("quota", 0) for p, t in tenants.items()}, {"red": 1 << 20, "blue": 3 << 20, "default": 5 << 20})
        self.restart(signal.SIGKILL)  # taken over, each into its own
        harness.wait_until(lambda: all(self.operator.ok("GET", f"/v1/vgpus/{p}:secret")["vgpus"][0]["usage"]["processes"] == 1 for p in tenants),
                           "all are taken over")
        self.bob.ok("DELETE", "/v1/vgpus/secret?force=1")
        self.assertEqual(sorted(self.operator.names()), ["blue:secret", "default:secret"])
        self.assertEqual(tenants["blue"]("quota", 0), 3 << 20)

    def test_who_may_attach(self):
        """The socket admits who opened it, whatever its mode."""
        self.d.env["FASTGPU_LOG_LEVEL"] = "debug"
        self.restart(signal.SIGTERM)
        attach = self.d.open("blue:secret")["attach"]
        os.chmod(attach, 0o666)
        reply = self.carol.ok("POST", "/v1/open", {"target": "secret"})
        self.assertEqual(reply["attach"], attach)
        self.denied(self.bob, "POST", "/v1/open", {"target": "blue:secret"}, 404, "not-found")
        self.assertGreaterEqual(self.attach_as(people.CAROL, attach), 0)
        self.assertLess(self.attach_as(BOB, attach), 0)
        self.assertIn(f"refused: user {BOB} has opened nothing of it", self.d.logged())

    def attach_as(self, uid, attach):
        """What the attach of a process of that uid comes to."""
        process = subprocess.run(["setpriv", "--reuid", str(uid), "--clear-groups", harness.TENANT], input=f"attach {attach}\n", text=True,
                                 capture_output=True, timeout=30)
        return int(process.stdout.split()[1])

    def test_odd_names_and_paths(self):
        """Path, SQL and encoding tricks: refused or not found, never carried out."""
        self.bob.create("mine")
        tricks = ["blue%3Asecret", "blue:secret%2F0", "../blue:secret", "%2e%2e/secret", "red:../blue:secret", "blue:secret%00", "secret';--",
                  "secret' OR '1'='1", "%27%3BDROP%20TABLE%20sets%3B--", "blue:secret/../mine", "mine/0/../../secret", ":secret", "blue:", "::",
                  "a:b:c", "%", "%4", "%zz", "red%0d%0aX:secret", "2:secret", "blue\u002fsecret", "*", "red:*", "secret%20", "x" * 4000]
        for trick in tricks:
            for method in ("GET", "PATCH", "DELETE"):
                status, reply = self.bob.request(method, "/v1/vgpus/" + trick.replace(" ", "%20"), {"compute": "1"} if method == "PATCH" else None)
                self.assertIn(status, (400, 404, 405), (trick, reply))
        for name in ("../x", "a/b", "a:b", "a\n", "x" * 64, "", " ", "é", "a'b", "-a", ".", "a\u0000b"):
            for path in ("/v1/vgpus", "/v1/users", "/v1/projects"):
                self.denied(self.operator, "POST", path, {"name": name}, 400, "bad-request")
        self.assertEqual(self.carol.ok("GET", "/v1/vgpus/secret"), self.secret)
        self.assertEqual(self.bob.names(), ["red:mine"])
        self.restart(signal.SIGKILL)
        self.assertEqual(sorted(self.operator.names()), ["blue:secret", "red:mine"])

    def raw(self, data, uid=BOB):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        os.seteuid(uid)
        s.connect(self.d.socket)
        os.seteuid(0)
        with s:
            s.sendall(data)
            return s.recv(65536)

    def test_headers(self):
        """What a caller says of himself in headers makes him nobody else."""
        token = self.operator.ok("POST", "/v1/tokens", {"user": "carol"})["secret"]
        for header in (b"X-Remote-User: carol", b"X-Forwarded-User: carol", b"Remote-User: carol", b"Cookie: token=" + token.encode(),
                       b"X-Authorization: Bearer " + token.encode(), b"From: uid 0", b"X-Uid: 0"):
            reply = self.raw(b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
            self.assertIn(b'"name": "bob"', reply)
        for value in (b"", b"Bearer", b"Bearer ", b"Basic Y2Fyb2w6", b"bob", token.encode(),
                      b"Bearer " + token.encode() + b"x", b"Bearer " + token.encode()[:-1], b"Bearer " + token.encode() + b" ,Bearer x",
                      b"Bearer " + token.upper().encode(), b"Bearer \xff\xfe"):
            reply = self.raw(b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: " + value + b"\r\n\r\n")
            self.assertTrue(reply[:12] in (b"HTTP/1.1 401", b"HTTP/1.1 400", b"HTTP/1.1 429"), (value, reply[:200]))
            self.assertNotIn(b'"name": "bob"', reply)
            self.assertNotIn(token.encode()[17:60], reply)

    def test_long_lists_come_in_pages(self):
        """A user's page ends when it is long, so that nobody waits for it; the operator's does not."""
        for n in range(150):
            self.bob.create(f"n{n}", **({"gpus": 3} if n < 2 else {}))
        seen, after, pages = [], "", []
        while after is not None:
            page = self.bob.ok("GET", "/v1/vgpus?limit=1000" + after)
            pages.append(sum(len(s["vgpus"]) for s in page["sets"]))
            seen += [s["name"] for s in page["sets"]]
            after = "&after=" + page["next"] if "next" in page else None
        self.assertEqual(seen, [f"n{n}" for n in range(150)])
        self.assertEqual(pages, [128, 26])
        self.assertEqual(len(self.operator.ok("GET", "/v1/vgpus?project=red")["sets"]), 150)
        self.assertEqual(len(self.bob.ok("GET", "/v1/vgpus?limit=7")["sets"]), 7)
        self.carol.create("last")
        self.assertNotIn("next", self.bob.ok("GET", "/v1/vgpus?after=" + self.bob.ok("GET", "/v1/vgpus?limit=100")["next"]))  # what follows is carol's

    def test_huge(self):
        for path in ("/v1/vgpus", "/v1/tokens", "/v1/users", "/v1/projects"):
            status, reply = self.bob.request("POST", path, json.dumps({"name": "x" * (1 << 20)}))
            self.assertEqual((status, reply["type"]), (413, "too-large"))
            status, reply = self.bob.request("POST", path, "[" * 500000)
            self.assertEqual((status, reply["type"]), (413, "too-large"))  # 64 KiB; an admin's may have 1 MiB
            status, reply = self.bob.request("POST", path, "[" * 60000)
            self.assertIn(status, (400, 403))
            self.assertEqual(self.operator.request("POST", path, "[" * 500000)[0], 400)
        self.assertEqual(self.bob.names(), [])


if __name__ == "__main__":
    people.require_root()
    harness.main()
