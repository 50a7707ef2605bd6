# SPDX-License-Identifier: Apache-2.0
"""Tokens: what they open, what closes them, that they make nothing stronger, and that their secret is nowhere."""
import glob
import os
import signal
import time

import harness
import people
from people import Person


class Tokens(people.Case):
    def setUp(self):
        super().setUp()
        self.populate()

    def make(self, person, **fields):
        return person.ok("POST", "/v1/tokens", fields)

    def test_whole_life(self):
        made = self.make(self.bob, name="laptop", expires="30d")
        self.assertRegex(made["secret"], r"\Afgt_[a-z2-7]{12}_[0-9a-f]{64}\Z")
        self.assertEqual((made["user"], made["name"], made["role"], made["state"]), ("bob", "laptop", "admin", "active"))
        caller = Person(self.d, people.NOBODY, made["secret"])  # who holds it is bob, whatever his uid
        who = caller.ok("GET", "/v1/whoami")
        self.assertEqual((who["name"], who["via"], who["project"], who["role"]), ("bob", "token " + made["id"], "red", "member"))
        caller.create("a")
        self.assertEqual(self.bob.ok("GET", "/v1/vgpus/a")["owner"], "bob")
        listed = self.bob.ok("GET", "/v1/tokens")["tokens"]
        self.assertEqual([(t["id"], "secret" in t) for t in listed], [(made["id"], False)])
        self.restart(signal.SIGKILL)
        self.assertEqual(caller.names(), ["red:a"])
        self.bob.ok("DELETE", "/v1/tokens/" + made["id"])
        self.denied(caller, "GET", "/v1/whoami", None, 401, "unauthorized", made["id"], "revoked")
        self.bob.ok("DELETE", "/v1/tokens/" + made["id"])  # again is fine
        self.restart(signal.SIGKILL)
        self.denied(caller, "GET", "/v1/whoami", None, 401, "unauthorized", "revoked")
        self.assertEqual(self.bob.ok("GET", "/v1/tokens")["tokens"][0]["state"], "revoked")

    def test_bad_ones(self):
        """Each has its own words, none falls back on the uid, and a right id without its secret is as good as none."""
        secret = self.make(self.bob)["secret"]
        token, digits = secret[:17], secret[17:]
        flipped = digits[:-1] + ("0" if digits[-1] != "0" else "1")
        for bad, words in ((token + flipped, "no such token"), (token + "0" * 64, "no such token"), ("fgt_" + "a" * 12 + "_" + digits, "no such token"),
                           (secret[:-1], "form"), (secret + "0", "form"), (token, "form"), ("fgt_", "form"), ("", "form"), ("x" * 3000, "form"),
                           (secret.upper(), "form"), (secret.replace("fgt_", "fgt-"), "form"), (digits, "form"), (secret + " x", "form")):
            reply = self.denied(Person(self.d, people.BOB, bad or " "), "GET", "/v1/whoami", None, 401, "unauthorized", words)
            self.assertNotIn(digits[:20], str(reply))
            time.sleep(0.11)  # so many a second are answered at all
        self.assertEqual(Person(self.d, people.NOBODY, secret).ok("GET", "/v1/whoami")["name"], "bob")

    def test_expires(self):
        made = self.make(self.bob, expires=1)
        caller = Person(self.d, token=made["secret"])
        harness.wait_until(lambda: caller.request("GET", "/v1/whoami")[0] == 401, "it has expired")
        self.denied(caller, "GET", "/v1/whoami", None, 401, "unauthorized", "expired", made["id"])
        self.assertEqual(self.bob.ok("GET", "/v1/tokens")["tokens"][0]["state"], "expired")
        for bad in (0, -1, "0d", "1y", "d", "", "30 d", "9999d", 10**12, "99999999999d", 1.5, None, [], True):
            self.denied(self.bob, "POST", "/v1/tokens", {"expires": bad}, 400, "bad-request", "expires")

    def test_role_is_a_cap(self):
        reader = Person(self.d, token=self.make(self.alice, role="viewer")["secret"])
        self.alice.create("a")
        self.assertEqual(reader.ok("GET", "/v1/vgpus/a")["owner"], "alice")
        self.assertEqual(reader.ok("GET", "/v1/whoami")["role"], "viewer")
        for method, path, body in (("POST", "/v1/vgpus", {"name": "b"}), ("DELETE", "/v1/vgpus/a", None), ("PATCH", "/v1/vgpus/a", {"compute": "1"}),
                                   ("POST", "/v1/open", {"target": "a"}), ("POST", "/v1/tokens", {}), ("DELETE", "/v1/tokens/x", None),
                                   ("PUT", "/v1/projects/red/members/carol", {"role": "viewer"}), ("PUT", "/v1/quotas", {"scope": "project", "vgpus": 1}),
                                   ("POST", "/v1/users", {"name": "x"}), ("DELETE", "/v1/projects/red", None)):
            self.denied(reader, method, path, body, 403, "forbidden")
        member = Person(self.d, token=self.make(self.alice, role="member")["secret"])
        member.create("b")
        self.bob.create("c")
        self.denied(member, "DELETE", "/v1/vgpus/c", None, 403, "forbidden", "bob's")
        self.denied(member, "PUT", "/v1/projects/red/members/carol", {"role": "viewer"}, 403, "forbidden", "with this token")

    def test_never_stronger_than_its_user(self):
        admin = self.make(self.bob, role="admin")["secret"]
        caller = Person(self.d, token=admin)
        self.denied(caller, "POST", "/v1/users", {"name": "x"}, 403, "forbidden")
        self.assertEqual(caller.ok("GET", "/v1/whoami")["role"], "member")
        self.operator.ok("PUT", "/v1/projects/red/members/bob", {"role": "viewer"})
        self.denied(caller, "POST", "/v1/vgpus", {"name": "x"}, 403, "forbidden")
        self.operator.ok("PATCH", "/v1/users/bob", {"admin": True})
        caller.ok("POST", "/v1/users", {"name": "x"})
        self.operator.ok("PATCH", "/v1/users/bob", {"admin": False})
        self.denied(caller, "POST", "/v1/users", {"name": "y"}, 403, "forbidden")

    def test_bound_to_a_project(self):
        self.operator.ok("PUT", "/v1/projects/blue/members/bob", {"role": "manager"})
        self.carol.create("c")
        caller = Person(self.d, token=self.make(self.bob, project="red")["secret"])
        self.bob.create("a", project="red")
        self.assertEqual(caller.names(), ["red:a"])
        self.assertEqual([p["project"] for p in caller.ok("GET", "/v1/whoami")["projects"]], ["red"])
        self.assertEqual([p["name"] for p in caller.ok("GET", "/v1/projects")["projects"]], ["red"])
        for method, path, body in (("GET", "/v1/vgpus/blue:c", None), ("DELETE", "/v1/vgpus/blue:c", None), ("POST", "/v1/vgpus", {"project": "blue"}),
                                   ("GET", "/v1/vgpus?project=blue", None), ("GET", "/v1/projects/blue", None), ("GET", "/v1/audit?project=blue", None)):
            self.denied(caller, method, path, body, 404, "not-found")
        self.denied(caller, "POST", "/v1/tokens", {}, 403, "forbidden", "project")
        self.operator.ok("PATCH", "/v1/users/bob", {"admin": True})
        self.denied(caller, "POST", "/v1/users", {"name": "x"}, 403, "forbidden")  # bound is bound, also an admin's
        self.denied(caller, "GET", "/v1/vgpus/blue:c", None, 404, "not-found")
        self.assertEqual(caller.names(), ["red:a"])
        self.operator.ok("PATCH", "/v1/users/bob", {"admin": False})
        self.operator.ok("DELETE", "/v1/projects/red/members/bob")
        self.assertEqual(caller.names(), [])

    def test_makes_none_that_may_more(self):
        own = self.make(self.alice, role="member", project="red", expires="1h")
        caller = Person(self.d, token=own["secret"])
        for fields, word in (({"role": "manager", "project": "red", "expires": "1m"}, "role"), ({"project": "red", "expires": "1m"}, "role"),
                             ({"role": "member", "expires": "1m"}, "project"), ({"role": "member", "project": "red", "expires": "2h"}, "expires"),
                             ({"role": "member", "project": "red"}, "expires"), ({"user": "bob"}, "admin"), ({"user": "nosuch"}, "admin")):
            self.denied(caller, "POST", "/v1/tokens", fields, 403, "forbidden", word)
        child = self.make(caller, role="viewer", project="red", expires="30m")
        wide = self.make(self.alice)
        self.assertEqual({t["id"] for t in caller.ok("GET", "/v1/tokens")["tokens"]}, {own["id"], child["id"]})
        self.denied(caller, "DELETE", "/v1/tokens/" + wide["id"], None, 404, "not-found")
        caller.ok("DELETE", "/v1/tokens/" + child["id"])

    def test_of_others(self):
        made = self.make(self.alice)
        told = [self.denied(self.bob, "DELETE", "/v1/tokens/" + token, None, 404, "not-found")["detail"].replace(token, "X")
                for token in (made["id"], "a" * 12)]
        self.assertEqual(told[0], told[1])
        self.denied(self.operator, "POST", "/v1/tokens", {}, 400, "bad-request", "user")
        self.operator.ok("DELETE", "/v1/tokens/" + made["id"])
        self.operator.ok("DELETE", "/v1/users/alice")
        self.denied(Person(self.d, token=made["secret"]), "GET", "/v1/whoami", None, 401, "unauthorized", "no such token")

    def test_goes_with_its_project(self):
        caller = Person(self.d, token=self.make(self.bob, project="red")["secret"])
        self.operator.ok("DELETE", "/v1/projects/red")
        self.denied(caller, "GET", "/v1/whoami", None, 401, "unauthorized", "no such token")
        self.restart(signal.SIGKILL)
        self.denied(caller, "GET", "/v1/whoami", None, 401, "unauthorized", "no such token")

    def test_forgotten_when_long_dead(self):
        made = [self.make(self.bob) for _ in range(3)]
        self.sql("UPDATE tokens SET created=1, expires=2 WHERE id=?", (made[0]["id"],))
        self.sql("UPDATE tokens SET created=1, revoked=1 WHERE id=?", (made[1]["id"],))
        last = self.make(self.bob)
        self.assertEqual({t["id"] for t in self.bob.ok("GET", "/v1/tokens")["tokens"]}, {made[2]["id"], last["id"]})

    def test_so_many_and_no_more(self):
        for _ in range(1000):
            self.operator.ok("POST", "/v1/tokens", {"user": "bob"})
        self.denied(self.operator, "POST", "/v1/tokens", {"user": "bob"}, 409, "no-room", "1000")
        self.operator.ok("POST", "/v1/tokens", {"user": "alice"})
        page = self.bob.ok("GET", "/v1/tokens?limit=300")
        seen = [t["id"] for t in page["tokens"]]
        while "next" in page:
            page = self.bob.ok("GET", "/v1/tokens?limit=300&after=" + page["next"])
            seen += [t["id"] for t in page["tokens"]]
        self.assertEqual((len(seen), len(set(seen))), (1000, 1000))

    def test_the_secret_is_nowhere(self):
        """Not in the store, the log, the audit, the events, an answer to anybody, a command line or the environment."""
        made = self.make(self.bob, name="x")
        secret = made["secret"]
        digits = secret[17:].encode()
        caller = Person(self.d, token=secret)
        caller.create("a")
        keyed = self.bob.ok("POST", "/v1/tokens", {"name": "y"}, Idempotency_Key="k1")
        for path in ("/v1/tokens/" + secret, "/v1/vgpus/" + secret, "/v1/users/" + secret, "/v1/projects/" + secret + "/members/" + secret, "/v1/" + secret):
            caller.request("DELETE", path)  # who pastes the whole of it
            caller.request("PATCH", path, {})
        caller.request("POST", "/v1/open", {"target": secret})
        told = str([self.operator.ok("GET", path) for path in ("/v1/audit?limit=1000", "/v1/events?limit=1000", "/v1/tokens", "/v1/users", "/v1/devices")])
        self.assertIn(made["id"], told)
        pid = self.d.process.pid
        places = {f: open(f, "rb").read() for f in (f"/proc/{pid}/cmdline", f"/proc/{pid}/environ", self.d.log)}
        time.sleep(1.2)  # refusals are written by now
        self.d.stop()
        for path in glob.glob(self.d.state + "/**", recursive=True):
            if os.path.isfile(path):
                places[path] = open(path, "rb").read()
        self.assertGreater(len(places), 3)
        for one in (digits, keyed["secret"][17:].encode()):
            self.assertNotIn(one.decode(), told)
            for place, content in places.items():
                self.assertNotIn(one, content, place)
                self.assertNotIn(bytes.fromhex(one.decode()), content, place)

    def test_damaged_rows_open_nothing(self):
        made = self.make(self.bob)
        caller = Person(self.d, token=made["secret"])
        row = self.sql("SELECT user,project,cap,hash,id FROM tokens WHERE id=?", (made["id"],))[0]
        for change in ("user=999", "project=999", "cap=9", "cap=0", "hash=x'00'", "hash=zeroblob(32)", "id='x'"):
            self.sql(f"UPDATE tokens SET {change}")
            self.denied(caller, "GET", "/v1/whoami", None, 401, "unauthorized")
            self.sql("UPDATE tokens SET user=?,project=?,cap=?,hash=?,id=?", row)
            self.assertEqual(caller.ok("GET", "/v1/whoami")["name"], "bob")


if __name__ == "__main__":
    people.require_root()
    harness.main()
