#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of tenancy against the real daemon: what is typed, what comes of it, how it ends."""
import json
import os
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "daemon"))

import people  # noqa: E402
from harness import Daemon  # noqa: E402

CLI = os.environ["FASTGPU_CLI"]


class Case(unittest.TestCase):
    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.__exit__)
        self.d.start()
        people.open_door(self.d)

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGPU_", "OPENCL_"))}
        env.update(FASTGPU_STATE_DIR=self.d.state, **more)
        return env

    def fastgpu(self, *args, uid=None, code=0, **env):
        prefix = ["setpriv", "--reuid", str(uid), "--clear-groups"] if uid else []
        done = subprocess.run([*prefix, CLI, *args], capture_output=True, text=True, timeout=60, env=self.environment(**env))
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        return done

    def json(self, *args, **more):
        return json.loads(self.fastgpu(*args, "--json", **more).stdout)

    def refused(self, *args, code=2, **more):
        done = self.fastgpu(*args, code=code, **more)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Afastgpu: [^\n]+\n\Z")
        return done.stderr

    def populate(self):
        self.fastgpu("user", "create", "alice", "--uid", str(people.ALICE))
        self.fastgpu("user", "create", "bob", "--uid", str(people.BOB))
        self.fastgpu("project", "create", "red", "--description", "vision")
        self.fastgpu("project", "create", "blue")
        self.fastgpu("project", "add", "red", "alice", "--role", "manager")
        self.fastgpu("project", "add", "blue", "bob")


class People(Case):
    def test_whoami(self):
        self.assertIn("there are no users", self.fastgpu("whoami").stdout)
        self.assertIn("there are no users", self.fastgpu("whoami", uid=people.NOBODY).stdout)
        self.populate()
        said = self.fastgpu("whoami", uid=people.ALICE).stdout
        self.assertTrue(said.startswith(f"alice, by uid {people.ALICE}\n") and "red (manager)" in said, said)
        self.assertIn("may do everything", self.fastgpu("whoami").stdout)
        for verb in (["whoami"], ["list"], ["create"], ["events"]):
            self.assertIn(f"--uid {people.NOBODY}", self.refused(*verb, uid=people.NOBODY, code=6))
        self.assertIn("does not know you", self.fastgpu("version", uid=people.NOBODY).stdout)

    def test_users(self):
        self.populate()
        self.assertEqual([u["name"] for u in self.json("user", "list")["users"]], ["alice", "bob"])
        self.assertRegex(self.fastgpu("user", "list").stdout, r"NAME +UID +ACCOUNT +ADMIN +STATE +PROJECTS +TOKENS +SETS\nalice +20001")
        self.assertIn("red (manager)", self.fastgpu("user", "show", "alice").stdout)
        self.assertEqual(self.json("user", "change", "alice", "--account", "www-data", "--admin", "yes")["account"], "www-data")
        self.assertIn("exists", self.refused("user", "create", "alice", code=4))
        self.assertIn("no user", self.refused("user", "show", "carol", code=3))
        self.assertIn("only an admin", self.refused("user", "create", "x", uid=people.BOB, code=6))
        self.assertNotIn("uid", self.json("user", "change", "bob", "--uid", "none", "--disabled", "yes"))
        self.fastgpu("user", "delete", "bob")
        self.refused("user", "delete", "bob", code=3)

    def test_projects_and_names(self):
        self.populate()
        self.fastgpu("create", "--name", "a", "--memory", "1M", "--compute", "1", uid=people.ALICE)
        self.fastgpu("create", "--name", "a", "--memory", "2M", "--compute", "1", uid=people.BOB)
        self.fastgpu("create", "--name", "a", "--memory", "3M", "--compute", "1", "--project", "red", code=4)
        self.fastgpu("create", "--name", "b", "--memory", "3M", "--compute", "1", FASTGPU_PROJECT="red")
        listed = self.fastgpu("list").stdout
        self.assertRegex(listed, r"\APROJECT +OWNER +NAME ")
        self.assertRegex(listed, r"(?m)^blue +bob +a/0 ")
        self.assertEqual([s["name"] for s in self.json("list", "--project", "red")["sets"]], ["a", "b"])
        self.assertEqual([s["name"] for s in self.json("list", uid=people.BOB)["sets"]], ["a"])
        for args, env in ((["red:a"], {}), (["a", "--project", "red"], {}), (["a"], {"FASTGPU_PROJECT": "red"}), (["red:a"], {"FASTGPU_PROJECT": "blue"}),
                          (["a", "-P", "red"], {"FASTGPU_PROJECT": "blue"})):
            self.assertEqual(self.json("inspect", *args, **env)["vgpus"][0]["memory"], 1 << 20)
        self.assertEqual(self.json("inspect", "red:a/0")["name"], "a/0")
        self.fastgpu("resize", "red:a/0", "--memory", "4M")
        self.assertIn("no vGPU", self.refused("inspect", "red:a", uid=people.BOB, code=3))
        self.refused("delete", "red:a", uid=people.BOB, code=3)
        self.assertIn("fastgpu delete red:a", self.refused("delete", "red:a/0"))
        self.assertEqual(self.json("delete", "a", "b", "--project", "red")["deleted"], ["a", "b"])
        self.assertIn("bob (member)", self.fastgpu("project", "show", "blue").stdout)
        self.assertRegex(self.fastgpu("project", "list", uid=people.ALICE).stdout, r"\ANAME.*\nred +manager +1 +0 +vision\n\Z")
        self.fastgpu("project", "change", "red", "--description", "x", uid=people.ALICE)
        self.assertEqual(self.json("project", "set", "red", "--idle-lease", "2h", uid=people.ALICE)["idle_lease"], 7200)
        self.assertIn("idle lease   7200 s", self.fastgpu("project", "show", "red").stdout)
        self.assertIn("none", self.fastgpu("project", "set", "red", "--idle-lease", "0").stdout)
        self.assertIn("43200 s (the daemon's)", self.fastgpu("project", "set", "red", "--idle-lease", "default").stdout)
        self.assertIn("2d", self.refused("project", "set", "red", "--idle-lease", "soon"))
        self.assertIn("--idle-lease", self.refused("project", "set", "red"))
        self.fastgpu("project", "remove", "red", "alice")
        self.refused("create", uid=people.ALICE, code=6)
        self.fastgpu("project", "delete", "red")
        self.assertIn("delete them first", self.refused("project", "delete", "blue", code=4))

    def test_who_pays(self):
        self.populate()
        self.fastgpu("create", "--name", "a", "--memory", "1M", "--compute", "1", uid=people.BOB)
        self.d.ok("PUT", "/v1/vgpus/blue:a/payer", {"workload": "team/web/main"})
        self.assertIn("red", self.refused("project", "pay", "red", "blue:a", uid=people.BOB, code=3))
        self.assertEqual(self.fastgpu("project", "pay", "red", "blue:a").stdout, "red pays for blue:a\n")
        self.assertRegex(self.fastgpu("inspect", "blue:a").stdout, r"(?m)^  paid by +red\n  runs for +team/web/main$")
        said = self.refused("project", "delete", "red", code=4)
        self.assertIn("fastgpu project pay blue blue:a", said)
        self.assertNotIn("payer", self.json("project", "pay", "blue", "blue:a"))
        self.assertNotIn("paid by", self.fastgpu("inspect", "blue:a").stdout)
        self.assertIn("runs for", self.fastgpu("inspect", "blue:a").stdout)
        self.fastgpu("project", "delete", "red")
        self.assertIn("fastgpu project pay PROJECT blue:a", self.refused("project", "pay", "blue", "blue:a/0"))
        self.assertIn("no vGPU", self.refused("project", "pay", "blue", "blue:b", code=3))
        self.refused("project", "pay", "blue")

    def test_quotas(self):
        self.populate()
        shown = self.fastgpu("project", "quota", "red", "--vgpus", "2", "--memory", "10M", "--share", "150").stdout
        self.assertRegex(shown, r"red +vgpus +0 +2\nred +memory +0 B +10 MiB\nred +share +0% +150%")
        self.assertIn("quota of the project", self.refused("create", "--gpus", "3", "--memory", "1M", "--compute", "1", uid=people.ALICE, code=5))
        self.fastgpu("project", "quota", "red", "--user", "alice", "--vgpus", "1", uid=people.ALICE)
        self.refused("create", "--gpus", "2", "--memory", "1M", "--compute", "1", uid=people.ALICE, code=5)
        self.refused("project", "quota", "red", "--vgpus", "9", uid=people.ALICE, code=6)
        self.assertEqual(self.json("project", "quota", "--organisation", "--share", "12.5%", "--jobs", "3")["limits"], {"share": 125, "jobs": 3})
        self.assertEqual(self.json("project", "quota", "red", "--vgpus", "0", "--memory", "0", "--share", "0")["limits"], {})
        self.assertEqual(self.json("project", "quota", "red")["quotas"][1]["user"], "alice")

    def test_tokens(self):
        self.populate()
        done = self.fastgpu("token", "create", "--role", "viewer", "--expires", "1d", "--name", "ci", "--project", "red", uid=people.ALICE)
        self.assertRegex(done.stdout, r"\Afgt_[a-z2-7]{12}_[0-9a-f]{64}\n\Z")  # alone, to be put into a file
        self.assertNotIn(done.stdout[17:60], done.stderr)
        token = self.json("token", "list", uid=people.ALICE)["tokens"][0]
        self.assertEqual((token["name"], token["project"], token["role"]), ("ci", "red", "viewer"))
        self.assertRegex(self.fastgpu("token", "list").stdout, rf"(?m)^{token['id']} +alice +ci +red +viewer ")
        self.refused("token", "revoke", token["id"], uid=people.BOB, code=3)
        self.fastgpu("token", "revoke", done.stdout.strip(), uid=people.ALICE)  # pasted whole
        self.assertEqual(self.json("token", "list", "--user", "alice")["tokens"][0]["state"], "revoked")
        made = self.json("token", "create", "--user", "bob")
        self.assertIn("secret", made)
        self.assertNotIn(made["secret"][17:], json.dumps(self.json("audit")))

    def test_events_and_audit(self):
        self.populate()
        self.fastgpu("create", "--name", "a", "--memory", "1M", "--compute", "1", uid=people.ALICE)
        self.refused("delete", "red:a", uid=people.BOB, code=3)
        lines = self.fastgpu("events", uid=people.ALICE).stdout.splitlines()
        self.assertRegex(lines[-1], r'\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d  red +alice +"a" was made, 1 vGPU\Z')
        self.assertFalse(any("bob" in line for line in lines))
        events = [json.loads(line) for line in self.fastgpu("events", "--json").stdout.splitlines()]
        self.assertEqual(events[-1]["kind"], "vgpu.created")
        self.assertEqual(self.fastgpu("events", "--after", str(events[-1]["seq"])).stdout, "")
        self.assertEqual(len(self.fastgpu("events", "--project", "red").stdout.splitlines()), len(lines))
        rows = self.json("audit", "--rows", "3")["audit"]
        self.assertEqual([(r["actor"], r["status"]) for r in rows][:2], [("bob", 404), ("alice", 201)])
        self.assertEqual(len(rows), 3)
        self.assertEqual(len(self.json("audit", "--actor", "alice", "--action", "POST /v1/vgpus", "--status", "201")["audit"]), 1)
        self.assertRegex(self.fastgpu("audit").stdout, r"\ATIME +ACTOR +VIA +ACTION +TARGET +PROJECT +STATUS +RESULT\n")
        self.refused("audit", uid=people.BOB, code=6)
        self.assertEqual(self.json("audit", "--since", str(int(time.time()) + 9999))["audit"], [])

    def test_follow(self):
        self.populate()
        follower = subprocess.Popen([CLI, "events", "--follow", "--json"], stdout=subprocess.PIPE, text=True, env=self.environment())
        self.addCleanup(follower.stdout.close)
        self.addCleanup(follower.wait)
        self.addCleanup(follower.kill)
        seen = []
        for name in ("x", "y"):
            self.fastgpu("create", "--name", name, "--memory", "1M", "--compute", "1", uid=people.ALICE)
            while not seen or seen[-1]["target"] != name:
                seen.append(json.loads(follower.stdout.readline()))
        self.assertEqual([e["seq"] for e in seen], list(range(1, len(seen) + 1)))  # each once

    def test_typing(self):
        for args, words in ((["user"], "create, list"), (["user", "crate", "x"], "did you mean `fastgpu user create`"), (["user", "create"], "NAME"),
                            (["user", "create", "a", "b"], "type:"), (["user", "list", "--uid", "5"], "takes no --uid"),
                            (["user", "create", "a", "--uid", "x"], "--uid"), (["user", "create", "a", "--uid", "0"], "--uid"),
                            (["user", "create", "a", "--admin", "maybe"], "yes or no"), (["user", "create", "a/b"], "a/b"),
                            (["user", "change", "a"], "nothing to change"), (["project", "add", "red"], "USER"), (["project", "quota"], "whose quota"),
                            (["project", "quota", "red", "--organisation"], "no project"), (["project", "quota", "red", "--share", "lots"], "--share"),
                            (["project", "quota", "red", "--vgpus", "-1"], "vgpus"), (["project", "quota", "red", "--memory", "12Q"], "--memory"),
                            (["token", "revoke", "x"], "id of a token"), (["token", "list", "--user", "a&b"], "--user"),
                            (["events", "--after", "x"], "--after"), (["audit", "--rows", "0"], "--rows"), (["create", "--project", "a/b"], "--project"),
                            (["list", "--project", ""], "--project"), (["inspect", ":a"], "project"), (["inspect", "a:b:c"], "b:c")):
            with self.subTest(args=args):
                self.assertIn(words, self.refused(*args))
        self.assertIn("FASTGPU_PROJECT", self.refused("list", FASTGPU_PROJECT="a/b"))

    def test_completion(self):
        self.populate()
        self.fastgpu("create", "--name", "train", "--memory", "1M", "--compute", "1", uid=people.ALICE)
        offers = lambda *words: self.fastgpu("__complete", *words).stdout.split()
        self.assertEqual(offers("project", "show", "r"), ["red"])
        self.assertEqual(offers("user", "show", ""), ["alice", "bob"])
        self.assertEqual(offers("create", "--project", "b"), ["blue"])
        self.assertEqual(offers("inspect", "red:"), ["red:train"])


if __name__ == "__main__":
    people.require_root()
    unittest.main(verbosity=1)
