# SPDX-License-Identifier: Apache-2.0
"""Whose jobs are whose: who sees and changes them, as whom they run, what a project's and a user's quotas do to them."""
import base64
import os
import time

import harness
import people
from harness import wait_until

# Jobs run as accounts that the machine knows; these are Debian's, the same on every machine.
people.ALICE, people.BOB, people.CAROL = 5, 6, 7
BOB, CAROL = people.BOB, people.CAROL
BODY = {"memory": "1M", "compute": "1"}


class People(people.Case):
    options = {"MIN_RUN": 0}

    def setUp(self):
        super().setUp()
        self.populate()

    def submit(self, person, script="true", **fields):
        return person.ok("POST", "/v1/jobs", {"command": ["sh", "-c", script], **BODY, **fields})["id"]

    def until(self, id, *states):
        try:
            wait_until(lambda: self.operator.ok("GET", f"/v1/jobs/{id}")["state"] in states, f"job {id} is {states}", 60)
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.operator.ok('GET', '/v1/jobs')}, {self.operator.ok('GET', f'/v1/why/{id}')}, {self.d.logged()}") from None
        return self.operator.ok("GET", f"/v1/jobs/{id}")

    def output(self, id):
        self.until(id, "done", "failed", "cancelled")
        return base64.b64decode(self.operator.ok("GET", f"/v1/jobs/{id}/log?wait=10")["data"]).decode()

    def test_others_jobs_do_not_exist(self):
        job = self.submit(self.bob, "sleep 300", name="secret-name")
        self.until(job, "running")
        for method, tail in (("GET", ""), ("GET", "/log"), ("DELETE", ""), ("POST", "/suspend"), ("POST", "/resume")):
            hidden = self.denied(self.carol, method, f"/v1/jobs/{job}{tail}", None, 404, "not-found")
            never = self.denied(self.carol, method, f"/v1/jobs/4711{tail}", None, 404, "not-found")
            self.assertEqual(hidden["detail"].replace(str(job), "N"), never["detail"].replace("4711", "N"))
        self.denied(self.carol, "GET", f"/v1/why/{job}", None, 404, "not-found")
        self.denied(self.carol, "GET", "/v1/jobs?project=red", None, 404, "not-found")
        self.assertEqual(self.carol.ok("GET", "/v1/jobs")["jobs"], [])
        waits = self.submit(self.carol, "true", memory="1G", compute="100")
        self.assertNotIn("secret", str(self.carol.ok("GET", f"/v1/why/{waits}")))
        self.assertEqual([j["id"] for j in self.alice.ok("GET", "/v1/jobs")["jobs"]], [job])
        self.assertEqual(self.alice.ok("GET", "/v1/jobs?mine=1")["jobs"], [])
        self.assertEqual([j["id"] for j in self.bob.ok("GET", "/v1/jobs?mine=1")["jobs"]], [job])

    def test_who_changes_what(self):
        of_alice, of_bob = self.submit(self.alice, "sleep 300"), self.submit(self.bob, "sleep 300")
        self.denied(self.bob, "DELETE", f"/v1/jobs/{of_alice}", None, 403, "forbidden", "alice")
        self.denied(self.bob, "POST", f"/v1/jobs/{of_alice}/suspend", None, 403, "forbidden")
        viewer = self.token("bob", role="viewer")
        self.denied(viewer, "DELETE", f"/v1/jobs/{of_bob}", None, 403, "forbidden")
        self.denied(viewer, "POST", "/v1/jobs", {"command": ["true"], **BODY}, 403, "forbidden")
        self.assertEqual(viewer.ok("GET", f"/v1/jobs/{of_bob}")["id"], of_bob)
        self.bob.ok("DELETE", f"/v1/jobs/{of_bob}")
        self.until(of_bob, "cancelled")
        self.until(of_alice, "running")
        rows = [(r["actor"], r["action"], r["target"], r["status"]) for r in self.audit("&action=DELETE")]
        self.assertEqual(rows, [("bob", "DELETE /v1/jobs/*", str(of_bob), 200), ("bob", "DELETE /v1/jobs/*", str(of_bob), 403),
                                ("bob", "DELETE /v1/jobs/*", str(of_alice), 403)])

    def test_as_whom_it_runs(self):
        who = "id -u; grep NoNewPrivs /proc/self/status"
        self.assertEqual(self.output(self.submit(self.bob, who)).split()[0], str(BOB))
        self.assertEqual(self.output(self.submit(self.operator, who)).split()[0], "0")
        token = self.token("carol")
        self.assertEqual(self.output(self.submit(token, who)).split()[0], str(CAROL))
        self.operator.ok("PATCH", "/v1/users/carol", {"account": "mail"})
        self.assertEqual(self.output(self.submit(token, who)).split()[0], "8")
        self.assertEqual(self.output(self.submit(self.carol, who)).split()[0], str(CAROL))

    def test_no_account(self):
        """Who has none gets no jobs, and nobody but the operator runs as root."""
        self.operator.ok("POST", "/v1/users", {"name": "dave"})
        self.operator.ok("PUT", "/v1/projects/red/members/dave", {"role": "member"})
        token = self.token("dave")
        body = {"command": ["true"], **BODY}
        self.denied(token, "POST", "/v1/jobs", body, 403, "forbidden", "fastgpu user change dave --account")
        self.operator.ok("PATCH", "/v1/users/dave", {"account": "no-such-account"})
        self.denied(token, "POST", "/v1/jobs", body, 403, "forbidden", "no such account")
        self.operator.ok("PATCH", "/v1/users/dave", {"account": "", "uid": 2000000})
        self.denied(token, "POST", "/v1/jobs", body, 403, "forbidden", "none with that uid")
        self.sql("UPDATE users SET account='root' WHERE name='dave'")
        self.denied(token, "POST", "/v1/jobs", body, 403, "forbidden", "as root")
        self.assertEqual(self.operator.ok("GET", "/v1/jobs")["jobs"], [])

    def test_quota_of_a_user(self):
        self.alice.ok("PUT", "/v1/quotas", {"scope": "user", "project": "red", "user": "bob", "jobs": 1, "queued": 3})
        first, second = self.submit(self.bob, "sleep 300"), self.submit(self.bob, "sleep 300")
        self.until(first, "running")
        why = self.bob.ok("GET", f"/v1/why/{second}")
        self.assertEqual(why["reason"], "quota-jobs")
        self.assertIn("bob", why["text"])
        self.denied(self.bob, "POST", "/v1/jobs", {"command": ["true"], "array": "1-3", **BODY}, 409, "quota", "bob")
        self.until(self.submit(self.alice), "done")
        self.bob.ok("DELETE", f"/v1/jobs/{first}")
        self.until(second, "running")

    def test_who_leaves(self):
        """A user with jobs is not deleted, nor a project; what a disabled one has waiting does not start."""
        runs = self.submit(self.bob, "sleep 300", compute="100")
        self.until(runs, "running")
        waits = self.submit(self.bob)
        self.denied(self.operator, "DELETE", "/v1/users/bob", None, 409, "in-use")
        self.denied(self.operator, "DELETE", "/v1/projects/red", None, 409, "in-use")
        self.operator.ok("PATCH", "/v1/users/bob", {"disabled": True})
        self.operator.ok("DELETE", f"/v1/jobs/{runs}")
        self.until(runs, "cancelled")
        wait_until(lambda: self.operator.ok("GET", f"/v1/why/{waits}")["reason"] == "owner", "its owner holds it")
        self.operator.ok("DELETE", f"/v1/jobs/{waits}")
        self.operator.ok("DELETE", "/v1/users/bob")
        self.assertEqual(self.operator.ok("GET", f"/v1/jobs/{waits}")["owner"], "bob")
        self.operator.ok("DELETE", "/v1/projects/red")
        self.assertEqual(self.operator.ok("GET", "/v1/jobs")["jobs"], [])

    def test_fair_share(self):
        """The project that has had less for its weight goes first, whoever came first."""
        order = os.path.join(self.d.root, "order")
        open(order, "w").close()
        os.chmod(order, 0o666)
        blue, red = (self.sql("SELECT id FROM projects WHERE name=?", (name,))[0][0] for name in ("blue", "red"))
        now = int(time.time() * 1e6)
        self.sql("INSERT INTO standings VALUES(?,?,?)", (red, 3600 * 10 ** 6 * 1024, now))
        self.sql("INSERT INTO standings VALUES(?,?,?)", (blue, 1800 * 10 ** 6 * 1024, now))
        want = ""
        for weight, first in ((1, "bbbrrr"), (100, "rrrbbb")):
            self.operator.ok("PUT", "/v1/quotas", {"scope": "project", "project": "red", "weight": weight})
            blocker = self.submit(self.operator, "sleep 300", memory="1G", compute="100")
            self.until(blocker, "running")
            for person, letter in ((self.bob, "r"), (self.carol, "b")) if weight == 1 else ((self.carol, "b"), (self.bob, "r")):
                for _ in range(3):
                    self.submit(person, f"echo {letter} >> {order}", memory="1G", compute="100")
            self.operator.ok("DELETE", f"/v1/jobs/{blocker}")
            want += first
            wait_until(lambda: os.path.getsize(order) == 2 * len(want), "all ran", 60)
        with open(order) as f:
            self.assertEqual(f.read().replace("\n", ""), want)

    def test_flood(self):
        """Beside jobs without end of a project that has the better claim, another's one begins soon: behind a few of them, not all that the device holds."""
        blue = self.sql("SELECT id FROM projects WHERE name='blue'")[0][0]
        self.sql("INSERT INTO standings VALUES(?,?,?)", (blue, 10 ** 5 * 3600 * 10 ** 6 * 1024, int(time.time() * 1e6)))
        floods = [self.submit(self.bob, array="1-10000") for _ in range(3)]

        def begun():
            counts = [self.operator.ok("GET", f"/v1/jobs/{flood}")["counts"] for flood in floods]
            return sum(c["running"] + c["done"] for c in counts)

        wait_until(lambda: begun() > 3, "the flood has begun")
        for _ in range(5):
            before = begun()
            one = self.submit(self.carol, memory="512M", compute="50")
            wait_until(lambda: self.operator.ok("GET", f"/v1/jobs/{one}")["state"] != "queued", "it begins", 60)
            self.assertLess(begun() - before, 10)
            self.until(one, "done")
        for flood in floods:
            self.operator.ok("DELETE", f"/v1/jobs/{flood}")
            self.assertEqual(self.until(flood, "cancelled")["counts"]["failed"], 0)

    def test_many_at_once(self):
        """What the worker has is stopped and forgotten like what runs."""
        job = self.submit(self.bob, "sleep 300", array="1-60")
        wait_until(lambda: self.operator.ok("GET", f"/v1/jobs/{job}")["counts"]["running"] > 4, "some run")
        self.operator.ok("DELETE", f"/v1/jobs/{job}")
        self.assertEqual(self.until(job, "cancelled")["counts"]["cancelled"], 60)
        self.assertEqual(self.d.names(), [])
        wait_until(lambda: not os.listdir(os.path.join(self.d.state, "jobs")), "their folders are gone")


if __name__ == "__main__":
    people.require_root()
    harness.main()
