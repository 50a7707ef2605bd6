# SPDX-License-Identifier: Apache-2.0
"""Idempotency keys, limits on the rate of requests, and pages of lists."""
import signal
import time

import harness
import people
from people import Person

CREATES = [("/v1/vgpus", {"memory": "1M", "compute": "0.1"}), ("/v1/users", {"name": "dora"}), ("/v1/projects", {"name": "green"})]


class Keys(people.Case):
    def test_the_same_again(self):
        """The same answer, one thing made: at once, after a restart and a kill."""
        for path, body in CREATES:
            made = self.operator.request("POST", path, body, Idempotency_Key="k" + path)
            self.assertEqual(made[0], 201)
            self.assertEqual(self.operator.request("POST", path, body, Idempotency_Key="k" + path), made)
            self.restart(signal.SIGKILL)
            self.assertEqual(self.operator.request("POST", path, body, Idempotency_Key="k" + path), made)
        self.assertEqual(len(self.operator.names()), 1)
        self.assertEqual(len(self.operator.ok("GET", "/v1/users")["users"]), 1)

    def test_another_request(self):
        self.operator.ok("POST", "/v1/vgpus", {"memory": "1M", "compute": "1"}, Idempotency_Key="k")
        for path, body in (("/v1/vgpus", {"memory": "2M", "compute": "1"}), ("/v1/vgpus", {"compute": "1", "memory": "1M"}),
                           ("/v1/projects", {"name": "x"}), ("/v1/vgpus", "")):
            self.denied(self.operator, "POST", path, body, 409, "idempotency-mismatch", "another request", Idempotency_Key="k")
        self.assertEqual(len(self.operator.names()), 1)

    def test_a_refusal_is_not_kept(self):
        body = {"name": "a", "memory": "900M", "compute": "1"}
        self.operator.create("b", memory="800M")
        self.denied(self.operator, "POST", "/v1/vgpus", body, 409, "no-capacity", Idempotency_Key="k")
        self.operator.ok("DELETE", "/v1/vgpus/b")
        self.assertEqual(self.operator.request("POST", "/v1/vgpus", body, Idempotency_Key="k")[0], 201)
        self.operator.ok("DELETE", "/v1/vgpus/a")
        self.assertEqual(self.operator.request("POST", "/v1/vgpus", body, Idempotency_Key="k")[0], 201)  # as it was answered then
        self.assertEqual(self.operator.names(), [])

    def test_keys_are_ones_own(self):
        self.populate()
        body = {"memory": "1M", "compute": "0.1"}
        callers = [self.operator, self.alice, self.bob, self.carol, self.token("bob"), self.token("bob")]
        made = [c.ok("POST", "/v1/vgpus", body, Idempotency_Key="same") for c in callers]
        self.assertEqual(len({(m["project"], m["name"]) for m in made}), len(callers))
        self.assertEqual([c.ok("POST", "/v1/vgpus", body, Idempotency_Key="same") for c in callers], made)
        self.assertEqual(len(self.operator.names()), len(callers))

    def test_who_may_no_more_gets_no_answer(self):
        self.populate()
        body = {"memory": "1M", "compute": "0.1"}
        token = self.token("bob")
        token.ok("POST", "/v1/vgpus", body, Idempotency_Key="k")
        self.operator.ok("DELETE", "/v1/tokens/" + token.token.split("_")[1])
        self.denied(token, "POST", "/v1/vgpus", body, 401, "unauthorized", Idempotency_Key="k")

    def test_a_tokens_answer_has_its_secret_once(self):
        self.populate()
        made = self.bob.ok("POST", "/v1/tokens", {"name": "a"}, Idempotency_Key="k")
        again = self.bob.ok("POST", "/v1/tokens", {"name": "a"}, Idempotency_Key="k")
        self.assertIn("secret", made)
        del made["secret"]
        self.assertEqual(again, made)
        self.assertEqual(len(self.bob.ok("GET", "/v1/tokens")["tokens"]), 1)

    def test_a_long_answer(self):
        """It is too long to keep: it is told again from what there is."""
        body = {"name": "big", "gpus": 200, "memory": "64K", "compute": "0.1"}
        made = self.operator.ok("POST", "/v1/vgpus", body, Idempotency_Key="k")
        again = self.operator.request("POST", "/v1/vgpus", body, Idempotency_Key="k")
        self.assertEqual(again, (201, made))
        self.operator.ok("DELETE", "/v1/vgpus/big")
        status, again = self.operator.request("POST", "/v1/vgpus", body, Idempotency_Key="k")
        self.assertEqual((status, again["name"], again["vgpus"]), (201, "big", []))
        self.assertEqual(self.operator.names(), [])

    def test_old_ones_go(self):
        body = {"memory": "1M", "compute": "0.1"}
        first = self.operator.ok("POST", "/v1/vgpus", body, Idempotency_Key="k")
        self.sql("UPDATE replies SET time=time-86401")
        second = self.operator.ok("POST", "/v1/vgpus", body, Idempotency_Key="k")
        self.assertNotEqual(first["name"], second["name"])
        self.assertEqual(self.operator.ok("POST", "/v1/vgpus", body, Idempotency_Key="k"), second)

    def test_bad_keys(self):
        for key in ("", " ", "x" * 129, "a b", "a\tb", "\xe9"):
            self.denied(self.operator, "POST", "/v1/vgpus", {}, 400, "bad-request", "Idempotency-Key", Idempotency_Key=key)
        self.operator.ok("POST", "/v1/vgpus", {"memory": "1M", "compute": "1"}, Idempotency_Key="x" * 128)
        made = self.operator.create("b")
        self.assertEqual(self.operator.ok("PATCH", "/v1/vgpus/b", {"compute": "1"}, Idempotency_Key="p")["name"], made["name"])  # needs none

    def test_only_so_many_are_kept(self):
        for n in range(4096 + 200):
            status, _ = self.d.request("POST", "/v1/projects", {"name": f"p{n}"}, headers={"Idempotency-Key": f"k{n}"})
            self.assertEqual(status, 201)
        kept = self.sql("SELECT count(*) FROM replies")[0][0]
        self.assertLessEqual(kept, 4096 + 64)
        self.assertGreaterEqual(kept, 4096)


class Rates(people.Case):
    options = {"rate_limit": 5}

    def test_a_user_has_so_many(self):
        """Twice the rate at once, then no more until time has passed; others and the operator go on."""
        self.populate()
        begin = time.monotonic()
        answers = [self.bob.request("GET", "/v1/whoami") for _ in range(40)]
        spent = time.monotonic() - begin
        passed = sum(status == 200 for status, _ in answers)
        self.assertGreaterEqual(passed, 10)
        self.assertLessEqual(passed, 10 + int(spent * 5) + 1)
        status, reply = [a for a in answers if a[0] != 200][-1]  # each refusal takes a while, so now and then one passes
        self.assertEqual((status, reply["type"]), (429, "rate-limited"))
        self.assertTrue(1 <= reply["retry_after_ms"] <= 1000, reply)
        self.assertEqual(self.carol.request("GET", "/v1/whoami")[0], 200)
        self.assertEqual({self.operator.request("GET", "/v1/whoami")[0] for _ in range(40)}, {200})
        token = self.token("bob")  # one user, one limit
        self.assertEqual(sum(token.request("GET", "/v1/whoami")[0] == 200 for _ in range(3)) < 3, True)
        time.sleep(reply["retry_after_ms"] / 1000 + 1)
        self.assertEqual(self.bob.request("GET", "/v1/whoami")[0], 200)

    def test_bad_credentials(self):
        self.populate()
        refused = 0
        stranger, guesser = Person(self.d, people.NOBODY), Person(self.d, people.CAROL, "fgt_" + "a" * 12 + "_" + "0" * 64)
        for caller, refusal in ((stranger, 403), (guesser, 401)):
            begin = time.monotonic()
            got = [caller.request("POST", "/v1/vgpus", {})[0] for _ in range(60)]
            spent = time.monotonic() - begin
            self.assertEqual(set(got), {refusal, 429})
            self.assertLessEqual(got.count(refusal), 20 + int(spent * 10) + 1)
            refused += got.count(429)
        self.assertEqual(self.carol.request("GET", "/v1/whoami")[0], 200)  # the right one is never mistaken for a guess
        rows = [r for r in self.audit() if r["status"] == 429]
        self.assertEqual(sum(r.get("count", 1) for r in rows), refused)
        self.assertLess(len(rows), 20)  # a flood is a few rows

    def test_off(self):
        self.d.stop()
        self.d.env["FASTGPU_RATE_LIMIT"] = "0"
        self.d.start()
        people.open_door(self.d)
        self.populate()
        self.assertEqual({self.bob.request("GET", "/v1/whoami")[0] for _ in range(200)}, {200})


class Pages(people.Case):
    def all_of(self, caller, path, field, limit):
        seen, after = [], ""
        for _ in range(1000):
            page = caller.ok("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}{after}")
            self.assertLessEqual(len(page[field]), limit)
            seen += page[field]
            if "next" not in page:
                return seen
            after = "&after=" + page["next"]
        raise AssertionError("no end")

    def test_lists(self):
        self.populate()
        for n in range(23):
            self.bob.create(f"v{n}")
            self.operator.ok("POST", "/v1/users", {"name": f"u{n}"})
            self.operator.ok("POST", "/v1/projects", {"name": f"p{n}"})
            self.operator.ok("PUT", f"/v1/projects/red/members/u{n}", {"role": "viewer"})
            self.operator.ok("PUT", f"/v1/projects/p{n}/members/bob", {"role": "viewer"})
            if n % 3 == 0:
                self.carol.create(f"c{n}")
        for limit in (1, 7, 23, 24, 1000):
            self.assertEqual([s["name"] for s in self.all_of(self.bob, "/v1/vgpus", "sets", limit)], [f"v{n}" for n in range(23)])
            self.assertEqual(len(self.all_of(self.operator, "/v1/vgpus", "sets", limit)), 23 + 8)
            self.assertEqual(len(self.all_of(self.operator, "/v1/vgpus?project=blue", "sets", limit)), 8)
            self.assertEqual([u["name"] for u in self.all_of(self.operator, "/v1/users", "users", limit)][3:], [f"u{n}" for n in range(23)])
            self.assertEqual([p["name"] for p in self.all_of(self.operator, "/v1/projects", "projects", limit)][3:], [f"p{n}" for n in range(23)])
            self.assertEqual([p["name"] for p in self.all_of(self.bob, "/v1/projects", "projects", limit)], ["red"] + [f"p{n}" for n in range(23)])
            self.assertEqual(len(self.all_of(self.bob, "/v1/projects/red/members", "members", limit)), 25)
            self.assertEqual(len(self.all_of(self.operator, "/v1/audit", "audit", limit)), len(self.audit()))
        page = self.bob.ok("GET", "/v1/vgpus?limit=5")
        self.bob.ok("DELETE", "/v1/vgpus/v4")  # the one that the cursor names
        self.assertEqual(self.bob.ok("GET", f"/v1/vgpus?limit=1&after={page['next']}")["sets"][0]["name"], "v5")

    def test_bad_pages(self):
        for path in ("/v1/vgpus", "/v1/users", "/v1/projects", "/v1/tokens", "/v1/audit", "/v1/events"):
            for query in ("limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "after=x", "after=-1", "after=9999999999999999999999", "limit=1&limit=2",
                          "nosuch=1", "limit", "=", "limit=1&&limit", "limit=%", "limit=%31%00"):
                self.denied(self.operator, "GET", f"{path}?{query}", None, 400, "bad-request")


if __name__ == "__main__":
    people.require_root()
    harness.main()
