# SPDX-License-Identifier: Apache-2.0
"""Quotas: never exceeded, also not by many at once; given back exactly; the same after a restart."""
import signal
import threading

import harness
import people
from people import Person

MIB = 1 << 20


class Quotas(people.Case):
    def setUp(self):
        super().setUp()
        self.populate()

    def put(self, person=None, **fields):
        return (person or self.operator).ok("PUT", "/v1/quotas", fields)

    def used(self, query="?project=red"):
        return self.operator.ok("GET", "/v1/quotas" + query)["quotas"][0]["used"]

    def refused_quota(self, person, method, path, body, **fields):
        reply = self.denied(person, method, path, body, 409, "quota")
        self.assertEqual({k: reply[k] for k in fields}, fields, reply)
        return reply

    def test_each_key_and_scope(self):
        self.put(scope="project", project="red", vgpus=3, memory="10M", share=500)
        self.bob.create("a", gpus=2, memory="2M", compute="10")
        self.assertEqual(self.used(), {"vgpus": 2, "memory": 4 * MIB, "share": 200, "jobs": 0, "queued": 0})
        red = {"scope": "project"}
        self.refused_quota(self.bob, "POST", "/v1/vgpus", {"gpus": 2, "memory": "1M", "compute": "1"}, **red, key="vgpus", limit=3, used=2, wanted=2)
        self.refused_quota(self.bob, "POST", "/v1/vgpus", {"memory": "7M", "compute": "1"}, **red, key="memory", limit=10 * MIB, used=4 * MIB,
                           wanted=7 * MIB)
        self.refused_quota(self.bob, "POST", "/v1/vgpus", {"memory": "1M", "compute": "31"}, **red, key="share", limit=500, used=200, wanted=310)
        self.refused_quota(self.bob, "POST", "/v1/open", {"memory": "7M", "compute": "1"}, **red, key="memory")
        self.refused_quota(self.bob, "PATCH", "/v1/vgpus/a", {"memory": "6M"}, **red, key="memory", wanted=8 * MIB)
        self.refused_quota(self.bob, "PATCH", "/v1/vgpus/a/1", {"compute": "41"}, **red, key="share", wanted=310)
        self.refused_quota(self.alice, "POST", "/v1/vgpus", {"memory": "7M", "compute": "1"}, **red, key="memory")
        self.assertEqual(self.used(), {"vgpus": 2, "memory": 4 * MIB, "share": 200, "jobs": 0, "queued": 0})
        self.bob.ok("PATCH", "/v1/vgpus/a/0", {"memory": "8M", "compute": "40"})
        self.assertEqual(self.used(), {"vgpus": 2, "memory": 10 * MIB, "share": 500, "jobs": 0, "queued": 0})
        self.bob.ok("PATCH", "/v1/vgpus/a", {"memory": "1M", "compute": "1"})
        self.carol.create("c", gpus=4, memory="20M")  # blue has none
        self.bob.ok("DELETE", "/v1/vgpus/a")
        self.assertEqual(self.used(), dict.fromkeys(("vgpus", "memory", "share", "jobs", "queued"), 0))

    def test_a_users_and_the_organisations(self):
        self.put(self.alice, scope="user", project="red", user="bob", vgpus=2)
        self.bob.create("a", gpus=2)
        reply = self.refused_quota(self.bob, "POST", "/v1/vgpus", {"memory": "1M", "compute": "0.1"}, scope="user", key="vgpus", limit=2, used=2, wanted=1)
        self.assertIn('"bob" in the project "red"', reply["detail"])
        self.alice.create("b", gpus=3)
        self.put(scope="organisation", vgpus=6)
        self.refused_quota(self.carol, "POST", "/v1/vgpus", {"gpus": 2, "memory": "1M", "compute": "0.1"}, scope="organisation", used=5, wanted=2)
        self.carol.create("c")
        self.refused_quota(self.operator, "POST", "/v1/vgpus", {"memory": "1M", "compute": "0.1"}, scope="organisation")
        self.assertEqual(self.used("?scope=organisation")["vgpus"], 6)
        self.denied(self.alice, "PUT", "/v1/quotas", {"scope": "project", "project": "red", "vgpus": 1000}, 403, "forbidden", "admin")
        self.denied(self.alice, "PUT", "/v1/quotas", {"scope": "organisation", "vgpus": 1000}, 403, "forbidden")
        self.denied(self.bob, "PUT", "/v1/quotas", {"scope": "user", "project": "red", "user": "bob", "vgpus": 1000}, 403, "forbidden")
        self.denied(self.alice, "PUT", "/v1/quotas", {"scope": "user", "project": "blue", "user": "carol", "vgpus": 1}, 404, "not-found")
        listed = self.alice.ok("GET", "/v1/quotas")["quotas"]
        self.assertEqual([(q["scope"], q.get("user"), q["used"]["vgpus"]) for q in listed],
                         [("project", None, 5), ("user", "alice", 3), ("user", "bob", 2)])

    def test_books_are_the_owners(self):
        """What a manager changes of bob's counts as bob's; what he leaves behind stays counted."""
        self.put(self.alice, scope="user", project="red", user="bob", memory="4M")
        self.bob.create("a", memory="2M")
        self.refused_quota(self.alice, "PATCH", "/v1/vgpus/a", {"memory": "5M"}, scope="user", key="memory", used=2 * MIB, wanted=3 * MIB)
        self.operator.ok("DELETE", "/v1/projects/red/members/bob")
        self.alice.ok("PATCH", "/v1/vgpus/a", {"memory": "5M"})  # his quota went with him
        self.assertEqual(self.used()["memory"], 5 * MIB)
        self.restart(signal.SIGKILL)
        self.assertEqual(self.used()["memory"], 5 * MIB)
        self.alice.ok("DELETE", "/v1/vgpus/a")
        self.assertEqual(self.used()["memory"], 0)
        self.assertEqual(len(self.alice.ok("GET", "/v1/quotas")["quotas"]), 1)

    def test_survives(self):
        self.put(scope="project", project="red", vgpus=3, memory="10M")
        self.put(scope="organisation", share=900)
        self.put(self.alice, scope="user", project="red", user="bob", queued=7, jobs=2)
        self.bob.create("a", gpus=2)
        before = [self.operator.ok("GET", "/v1/quotas" + q) for q in ("?project=red", "?scope=organisation", "?project=red&user=bob")]
        self.restart(signal.SIGKILL)
        self.assertEqual([self.operator.ok("GET", "/v1/quotas" + q) for q in ("?project=red", "?scope=organisation", "?project=red&user=bob")], before)
        self.assertEqual(before[0]["quotas"][0]["limits"], {"vgpus": 3, "memory": 10 * MIB})
        self.put(scope="project", project="red", vgpus=0, memory=None)
        self.restart(signal.SIGKILL)
        self.assertEqual(self.operator.ok("GET", "/v1/quotas?project=red")["quotas"][0]["limits"], {})
        self.bob.create("b", gpus=10)

    def test_below_what_is_used(self):
        """It takes nothing away; only more is refused."""
        self.bob.create("a", gpus=3, memory="2M", compute="1")
        self.put(scope="project", project="red", vgpus=1, memory="1M")
        self.refused_quota(self.bob, "PATCH", "/v1/vgpus/a", {"memory": "3M"}, key="memory")
        self.bob.ok("PATCH", "/v1/vgpus/a", {"memory": "1M", "compute": "2"})
        self.refused_quota(self.bob, "POST", "/v1/vgpus", {"memory": "1M", "compute": "1"}, key="vgpus", limit=1, used=3)
        self.bob.ok("DELETE", "/v1/vgpus/a")
        self.bob.create("b")

    def test_a_vgpu_for_one_run(self):
        self.put(scope="project", project="red", vgpus=1)
        made = self.bob.ok("POST", "/v1/open", {"memory": "1M", "compute": "1"})
        self.assertEqual(self.used()["vgpus"], 1)
        self.refused_quota(self.bob, "POST", "/v1/open", {"memory": "1M", "compute": "1"}, key="vgpus")
        self.assertEqual(self.bob.ok("GET", "/v1/vgpus/" + made["name"])["owner"], "bob")
        self.bob.request("DELETE", f"/v1/vgpus/{made['name']}")  # used by this very process

    def test_many_at_once(self):
        """From many connections and users: exactly as many are made as are allowed."""
        self.put(scope="project", project="red", vgpus=7)
        self.put(self.alice, scope="user", project="red", user="bob", vgpus=5)
        tokens = [self.token(user) for user in ("alice", "bob", "bob", "bob")]
        results = []

        def work(number, caller):
            for i in range(12):
                results.append(caller.request("POST", "/v1/vgpus", {"name": f"r{number}-{i}", "memory": "1M", "compute": "0.1"})[0])

        threads = [threading.Thread(target=work, args=(n, tokens[n % 4])) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual((results.count(201), results.count(409)), (7, 8 * 12 - 7))
        owners = [s["owner"] for s in self.alice.ok("GET", "/v1/vgpus")["sets"]]
        self.assertEqual(len(owners), 7)
        self.assertLessEqual(owners.count("bob"), 5)
        self.assertEqual(self.used()["vgpus"], 7)

    def test_an_empty_name_is_no_way_round(self):
        """A manager sets his users' quotas; a user without a name must not stand for the project."""
        self.denied(self.alice, "PUT", "/v1/quotas", {"scope": "project", "vgpus": 9}, 403, "forbidden")
        self.denied(self.alice, "PUT", "/v1/quotas", {"scope": "user", "user": "", "vgpus": 9}, 400, "bad-request", '"user" is empty')
        self.denied(self.operator, "PUT", "/v1/quotas", {"scope": "project", "project": "", "vgpus": 9}, 400, "bad-request", '"project" is empty')
        self.assertEqual(self.operator.ok("GET", "/v1/quotas?project=red")["quotas"][0]["limits"], {})

    def test_bad_values(self):
        for fields, word in (({}, "scope"), ({"scope": "planet", "vgpus": 1}, "planet"), ({"scope": "project"}, "nothing to set"),
                             ({"scope": "project", "vgpus": -1}, "-1"), ({"scope": "project", "vgpus": 1.5}, "1.5"), ({"scope": "project", "vgpus": "3"}, '"3"'),
                             ({"scope": "project", "memory": "lots"}, "lots"), ({"scope": "project", "memory": 1 << 60}, "memory"),
                             ({"scope": "project", "spend": 3}, "spend"), ({"scope": "user", "vgpus": 1}, "user"),
                             ({"scope": "organisation", "project": "red", "vgpus": 1}, "project"), ({"scope": "project", "user": "bob", "vgpus": 1}, "user")):
            self.denied(self.operator, "PUT", "/v1/quotas", fields, 400, "bad-request", word)
        self.denied(self.operator, "PUT", "/v1/quotas", {"scope": "user", "user": "nosuch", "vgpus": 1}, 404, "not-found", "nosuch")


if __name__ == "__main__":
    people.require_root()
    harness.main()
