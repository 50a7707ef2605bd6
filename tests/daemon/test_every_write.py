# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every write: at the first, the second, … of each kind of call that changes something on disk, until the request
comes through. What was acknowledged is there, what was not is there whole or not at all, and nothing is stranded."""
import concurrent.futures
import glob
import os
import shutil
import signal
import tempfile

import harness
from harness import MEMORY, Daemon, Runner, wait_until
from strace import require_strace, trace

STORE = ("pwrite64", "fdatasync", "write")
PAGES = ("?mkdir,?mkdirat", "fallocate", "?mknod,?mknodat", "?rename,?renameat,?renameat2", "bind")
MIB = 1 << 20


class EveryWrite(harness.Case):
    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.__exit__)
        self.d.start()

    def strike(self, call, when, act):
        """Has the daemon killed at its when-th `call` while it does what `act` asks for, and starts it again. Whether it had
        acknowledged."""
        tracer = trace(self.d.process.pid, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}")
        self.assertIsNotNone(tracer)
        try:
            acknowledged = act()
        except (OSError, harness.http.client.HTTPException):
            acknowledged = False
        self.d.stop(signal.SIGKILL)
        tracer.communicate(timeout=20)
        self.d.start()
        return acknowledged

    def at_every(self, calls, prepare, act, check):
        """The number of times that the daemon was killed."""
        hits = 0
        for call in calls:
            for when in range(1, 60):
                prepare()
                acknowledged = self.strike(call, when, act)
                with self.subTest(call=call, when=when):
                    check(acknowledged)
                if acknowledged:
                    break  # it takes fewer calls than that
                hits += 1
            self.assertTrue(acknowledged, f"killed at {call} {when} times")
        return hits

    def vgpus(self, name):
        return [(v["memory"], v["share"], v["mode"], v["priority"], v["state"]) for v in self.d.ok("GET", f"/v1/vgpus/{name}")["vgpus"]]

    def free(self):
        device = self.d.ok("GET", "/v1/devices")["devices"][0]
        return device["memory_free"], device["share_free"]

    def assert_nothing_left(self):
        self.assertEqual(self.d.names(), [])
        self.assertEqual(self.free(), (MEMORY, 1000))
        self.assertEqual(glob.glob(self.d.state + "/run/*/*"), [])

    def test_create(self):
        known, number = set(), 0

        def prepare():
            nonlocal number
            number += 1

        def act():
            self.d.create(f"a{number}", gpus=3, memory="1M", compute="0.1")
            return True

        def check(acknowledged):
            names = set(self.d.names())
            self.assertIn(names, [known | {f"a{number}"}] if acknowledged else [known, known | {f"a{number}"}])
            known.update(names)
            for name in names:
                self.assertEqual(self.vgpus(name), [(MIB, 1, "share", "normal", "ready")] * 3)
            self.assertEqual(self.free(), (MEMORY - 3 * MIB * len(names), 1000 - 3 * len(names)))
            self.assertEqual(self.changes(), ([("POST /v1/vgpus", name) for name in self.d.names()],
                                              [("vgpu.created", name) for name in self.d.names()]))
            used = self.d.ok("GET", "/v1/quotas")["quotas"][0]["used"]
            self.assertEqual((used["vgpus"], used["memory"]), (3 * len(names), 3 * MIB * len(names)))

        self.assertGreater(self.at_every(STORE, prepare, act, check), 2)

    def test_suspend_and_resume(self):
        """Suspended or not, the same in the store, the accounts and the page of a program that runs meanwhile."""
        self.d.create("a", memory="1M", compute="4")
        tenant = self.d.tenant(self.d.open("a")["attach"])
        verb = "resume"

        def is_suspended():
            return self.vgpus("a")[0][4] == "suspended"

        def prepare():
            nonlocal verb
            verb = "resume" if is_suspended() else "suspend"

        def act():
            self.d.ok("POST", f"/v1/vgpus/a/{verb}")
            return True

        def check(acknowledged):
            now = is_suspended()
            self.assertIn(now, [verb == "suspend"] if acknowledged else [True, False])
            self.assertEqual((tenant("held", 0), self.free()), (int(now), (MEMORY - MIB, 1000 if now else 960)))
            events = [kind for kind, name in self.changes()[1] if kind in ("vgpu.suspended", "vgpu.resumed")]
            self.assertEqual(events.count("vgpu.suspended") - events.count("vgpu.resumed"), int(now))
            self.assertEqual(len(events), len([a for a, _ in self.changes()[0] if a.endswith(("/suspend", "/resume"))]))

        self.assertGreater(self.at_every(STORE, prepare, act, check), 2)

    def test_resize(self):
        """Old or new, the same for all three, in the store, the accounts and the pages of a program that runs meanwhile."""
        small = {"memory": "1M", "compute": "0.1", "mode": "share", "priority": "normal"}
        large = {"memory": "5M", "compute": "4", "mode": "cap", "priority": "low"}
        value = {"1M": (MIB, 1, "share", "normal", "ready"), "5M": (5 * MIB, 40, "cap", "low", "ready")}
        self.d.create("a", gpus=3, **small)
        tenant = self.d.tenant(self.d.open("a")["attach"])
        old, new = large, small

        def prepare():
            nonlocal old, new
            old, new = (small, large) if self.vgpus("a")[0] == value["1M"] else (large, small)

        def act():
            self.d.ok("PATCH", "/v1/vgpus/a", new)
            return True

        def check(acknowledged):
            got = self.vgpus("a")
            resized = [e for e in self.changes()[1] if e[0] == "vgpu.resized"]
            self.assertEqual(len(resized), self.changes()[0].count(("PATCH /v1/vgpus/*", "a")))
            self.assertIn(got, [[value[body["memory"]]] * 3 for body in ((new,) if acknowledged else (old, new))])
            self.assertEqual(self.free(), (MEMORY - 3 * got[0][0], 1000 - 3 * got[0][1]))
            self.assertEqual([(tenant("quota", i), tenant("share", i)) for i in range(3)], [vgpu[:2] for vgpu in got])

        self.assertGreater(self.at_every(STORE, prepare, act, check), 2)

    def test_delete(self):
        """There, whole and to be opened again, or gone with its pages, its sockets and its place on the device."""
        def prepare():
            if not self.d.names():
                self.d.create("a", gpus=2, memory="1M", compute="0.1")
            self.d.open("a")
            wait_until(lambda: self.d.usage("a")["processes"] == 0, "who opened it is gone")

        def act():
            return self.d.ok("DELETE", "/v1/vgpus/a", status=204) is None

        def check(acknowledged):
            audit, events = self.changes()
            self.assertEqual(audit.count(("DELETE /v1/vgpus/*", "a")), events.count(("vgpu.deleted", "a")))
            self.assertEqual(events.count(("vgpu.created", "a")) - events.count(("vgpu.deleted", "a")), len(self.d.names()))
            if acknowledged or not self.d.names():
                self.assert_nothing_left()
            else:
                self.assertEqual(self.vgpus("a"), [(MIB, 1, "share", "normal", "ready")] * 2)
                self.assertEqual(self.free(), (MEMORY - 2 * MIB, 998))

        self.assertGreater(self.at_every((*STORE, "unlinkat"), prepare, act, check), 4)

    def test_open_of_a_vgpu_for_one_run(self):
        """There and whole while its program lives, or not there; gone with the program."""
        runner = None

        def act():
            nonlocal runner
            runner = Runner(self.d, {"gpus": 2, "memory": "1M", "compute": "0.1"})
            self.addCleanup(runner.kill)
            self.assertTrue(runner.reply is None or "attach" in runner.reply, runner.reply)
            return runner.reply is not None

        def check(acknowledged):
            names = self.d.names()
            self.assertIn(names, ([runner.reply["name"]],) if acknowledged else ([], names[:1]))
            for name in names:
                self.assertEqual(self.vgpus(name), [(MIB, 1, "share", "normal", "ready")] * 2)
            runner.kill()
            wait_until(lambda: self.d.names() == [], "the vGPU of the run is gone")
            self.assert_nothing_left()

        self.assertGreater(self.at_every((*STORE, *PAGES), lambda: None, act, check), 6)

    def tenants(self):
        """Everything that is known of users, projects, members, tokens and quotas."""
        d = self.d
        projects = [d.ok("GET", f"/v1/projects/{p['name']}") for p in d.ok("GET", "/v1/projects")["projects"]]
        quotas = [d.ok("GET", f"/v1/quotas?project={p['name']}") for p in projects] + [d.ok("GET", "/v1/quotas?scope=organisation")]
        return [d.ok("GET", "/v1/users"), projects, d.ok("GET", "/v1/tokens"), quotas]

    def changes(self):
        """What the audit and the events say was changed, oldest first."""
        rows = [(r["action"], r["target"]) for r in self.d.ok("GET", "/v1/audit?limit=1000")["audit"] if r["status"] < 300]
        return rows[::-1], [(e["kind"], e["target"]) for e in self.d.ok("GET", "/v1/events?limit=1000")["events"]]

    def at_every_tenancy(self, method, path, body, undo):
        """Wholly or not at all, and the audit and the events say exactly what was done."""
        for undo_method, undo_path, undo_body in undo:
            self.d.request(undo_method, undo_path, undo_body)
        before = rows = None

        def prepare():
            nonlocal before, rows
            if before is not None and self.tenants() != before:
                for undo_method, undo_path, undo_body in undo:
                    self.d.request(undo_method, undo_path, undo_body)
            before, rows = self.tenants(), self.changes()

        def act():
            status, reply = self.d.request(method, path, body)
            self.assertLess(status, 300, reply)
            return True

        def check(acknowledged):
            done = self.tenants() != before
            audit, events = self.changes()
            self.assertTrue(done or not acknowledged, "acknowledged and lost")
            self.assertEqual(len(audit) - len(rows[0]), done, audit[len(rows[0]):])
            self.assertEqual(len(events) - len(rows[1]), done, events[len(rows[1]):])

        self.assertGreater(self.at_every(STORE, prepare, act, check), 2)

    def test_tenancy(self):
        self.d.ok("POST", "/v1/users", {"name": "alice"})
        self.d.ok("POST", "/v1/projects", {"name": "red"})
        self.d.ok("PUT", "/v1/projects/red/members/alice", {"role": "viewer"})
        quota = {"scope": "user", "project": "red", "user": "alice"}
        for method, path, body, undo in (
                ("POST", "/v1/users", {"name": "bob", "uid": 20001}, [("DELETE", "/v1/users/bob", None)]),
                ("PATCH", "/v1/users/alice", {"admin": True}, [("PATCH", "/v1/users/alice", {"admin": False})]),
                ("DELETE", "/v1/users/carol", None, [("POST", "/v1/users", {"name": "carol"}), ("PUT", "/v1/projects/red/members/carol", {"role": "member"}),
                                                     ("POST", "/v1/tokens", {"user": "carol"})]),
                ("POST", "/v1/projects", {"name": "blue"}, [("DELETE", "/v1/projects/blue", None)]),
                ("DELETE", "/v1/projects/gone", None, [("POST", "/v1/projects", {"name": "gone"}),
                                                       ("PUT", "/v1/projects/gone/members/alice", {"role": "member"}),
                                                       ("PUT", "/v1/quotas", {"scope": "project", "project": "gone", "vgpus": 3}),
                                                       ("POST", "/v1/tokens", {"user": "alice", "project": "gone"})]),
                ("PUT", "/v1/projects/red/members/alice", {"role": "manager"}, [("PUT", "/v1/projects/red/members/alice", {"role": "viewer"})]),
                ("PUT", "/v1/quotas", {**quota, "vgpus": 3, "memory": "1G", "share": 5}, [("PUT", "/v1/quotas", {**quota, "vgpus": 0, "memory": 0, "share": 0})])):
            with self.subTest(request=f"{method} {path}"):
                self.at_every_tenancy(method, path, body, undo)

    def test_token(self):
        """Whoever has its secret gets in; who was told that it is revoked does not. A try that was not acknowledged left a
        token that nobody knows, or none."""
        self.d.ok("POST", "/v1/users", {"name": "alice"})
        held, revoked = [], set()

        def opens(secret):
            return self.d.request("GET", "/v1/whoami", headers={"Authorization": "Bearer " + secret})[0] == 200

        def make():
            held.append(self.d.ok("POST", "/v1/tokens", {"user": "alice"})["secret"])
            return True

        def check(acknowledged):
            self.assertTrue(all(opens(secret) for secret in held if secret not in revoked))
            self.assertFalse(any(opens(secret) for secret in revoked))

        self.assertGreater(self.at_every(STORE, lambda: None, make, check), 2)
        target = None

        def prepare():
            nonlocal target
            target = self.d.ok("POST", "/v1/tokens", {"user": "alice"})["secret"]

        def revoke():
            return self.d.ok("DELETE", "/v1/tokens/" + target.split("_")[1]) is None

        def check_revoked(acknowledged):
            self.assertFalse(acknowledged and opens(target))

        self.assertGreater(self.at_every(STORE, prepare, revoke, check_revoked), 2)

    def test_asked_again_with_the_same_key(self):
        """Killed anywhere and asked again: one vGPU, one answer."""
        number, told = 0, None

        def prepare():
            nonlocal number, told
            number += 1
            told = None

        def act():
            nonlocal told
            status, told = self.d.request("POST", "/v1/vgpus", {"memory": "1M", "compute": "0.1"}, headers={"Idempotency-Key": f"k{number}"})
            self.assertEqual(status, 201)
            return True

        def check(acknowledged):
            before = told
            act()
            self.assertTrue(before is None or before == told)
            self.assertEqual(len(self.d.names()), number)
            self.assertIn(told["name"], self.d.names())

        self.assertGreater(self.at_every(STORE, prepare, act, check), 2)

    def test_full_disk_leaves_no_row(self):
        """What the store refused did not happen, and the audit says that it was refused."""
        self.d.ok("POST", "/v1/users", {"name": "alice"})
        before = self.tenants()
        tracer = trace(self.d.process.pid, "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC")
        self.assertIsNotNone(tracer)
        for method, path, body in (("POST", "/v1/users", {"name": "bob"}), ("POST", "/v1/projects", {"name": "red"}), ("POST", "/v1/vgpus", {}),
                                   ("POST", "/v1/tokens", {"user": "alice"}), ("DELETE", "/v1/users/alice", None),
                                   ("PUT", "/v1/projects/default/members/alice", {"role": "viewer"}), ("PATCH", "/v1/users/alice", {"admin": True}),
                                   ("PUT", "/v1/quotas", {"scope": "organisation", "vgpus": 1})):
            self.refused(self.d, method, path, body, 507, "storage")
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)
        self.assertEqual(self.tenants(), before)
        self.assertEqual(self.d.names(), [])
        rows = self.d.ok("GET", "/v1/audit")["audit"]
        self.assertEqual([(r["status"], r.get("problem")) for r in rows], [(507, "storage")] * 8 + [(201, None)])
        self.assertEqual([e["kind"] for e in self.d.ok("GET", "/v1/events")["events"]], ["user.created"])
        self.d.stop(signal.SIGKILL)
        self.d.start()
        self.assertEqual(self.tenants(), before)

    def test_sync_that_fails(self):
        """Twenty at once, and the disk does not take all: what was acknowledged is there, what was refused is not, now and after a kill."""
        there, made, gone = {f"first{i}" for i in range(10)}, [], []
        for name in sorted(there):
            self.d.create(name, memory="1M", compute="0.1")
            made.append(name)

        def ask(name):
            """Whoever is cut off when the daemon begins anew was not acknowledged: that is not there either."""
            try:
                if name in there:
                    return self.d.request("DELETE", f"/v1/vgpus/{name}")
                return self.d.request("POST", "/v1/vgpus", {"name": name, "memory": "1M", "compute": "0.1"})
            except (OSError, harness.http.client.HTTPException):
                return 507, {"type": "storage"}

        def answers_again():
            """It begins anew, with what is on the disk; meanwhile nothing is said."""
            try:
                return self.d.request("GET", "/v1/version")[0] == 200
            except (OSError, harness.http.client.HTTPException):
                return False

        def check():
            self.assertEqual(set(self.d.names()), there)
            self.assertEqual(self.free(), (MEMORY - MIB * len(there), 1000 - len(there)))

        def check_journal():
            audit, events = self.changes()
            self.assertEqual(sorted(audit), sorted([("POST /v1/vgpus", name) for name in made] + [("DELETE /v1/vgpus/*", name) for name in gone]))
            self.assertEqual(sorted(events), sorted([("vgpu.created", name) for name in made] + [("vgpu.deleted", name) for name in gone]))

        for turn, when in enumerate(("1+", "1", "2", "1+3", "2+2", "1+")):
            names = [*sorted(there)[:10], *(f"t{turn}-{i}" for i in range(10))]
            tracer = trace(self.d.process.pid, "-e", "trace=fdatasync", "-e", f"inject=fdatasync:error=EIO:when={when}")
            self.assertIsNotNone(tracer)
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                answers = list(pool.map(ask, names))
            for name, (status, reply) in zip(names, answers):
                self.assertIn((status, reply and reply.get("type")), [(204, None), (507, "storage")] if name in there else [(201, None), (507, "storage")])
                if status < 300:
                    (gone if name in there else made).append(name)
                    there ^= {name}
            self.assertEqual(any(status < 300 for status, _ in answers), when.startswith("2"))
            self.assertTrue(any(status == 507 for status, _ in answers))
            wait_until(answers_again, "the daemon begins anew")
            with self.subTest(when=when):
                self.assertIsNone(self.d.process.poll())
                check()
                self.d.stop(signal.SIGKILL)  # at once: what the daemon writes next would hide what the refused have left
                tracer.communicate(timeout=20)
                self.d.start()
                check()
                check_journal()

    def test_a_change_asks_the_disk_once(self):
        """Set, audit, event and the answer to be remembered are one transaction: what else would wait for the disk would be waited for by everybody."""
        with tempfile.NamedTemporaryFile("r") as log:
            tracer = trace(self.d.process.pid, "-y", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o", log.name)
            self.assertIsNotNone(tracer)
            for i in range(5):
                self.assertEqual(self.d.request("POST", "/v1/vgpus", {"name": f"a{i}", "memory": "1M"}, headers={"Idempotency-Key": f"k{i}"})[0], 201)
                self.assertEqual(self.d.request("DELETE", f"/v1/vgpus/a{i}")[0], 204)
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=20)
            synced = [line.split("<")[1].split(">")[0] for line in log if "sync(" in line]
        self.assertEqual(synced.count(os.path.join(self.d.state, "store.db-wal")), len(synced))
        self.assertIn(len(synced), (10, 11, 12))  # a minute may end meanwhile, with what was used in it

    def test_full_disk_at_the_end_of_the_last_program(self):
        """What it counted is not lost with the pages, which a reboot takes."""
        self.d.stop()
        self.d.env["FASTGPU_PERSIST_INTERVAL"] = "1"
        self.d.start()
        self.d.create("a", memory="1M", compute="0.1")
        tenant = self.d.tenant(self.d.open("a")["attach"])
        for _ in range(3):
            self.assertNotEqual(tenant("reserve", 0, 2 * MIB), 0)
        tracer = trace(self.d.process.pid, "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC")
        self.assertIsNotNone(tracer)
        tenant.kill()
        wait_until(lambda: "cannot write usage" in self.d.logged(), "the store refused")
        wait_until(lambda: self.d.usage("a")["processes"] == 0, "the program is gone")
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)
        pages = f"/proc/{self.d.process.pid}/maps"
        wait_until(lambda: "/usage" not in open(pages).read(), "the pages are let go once the store took the counters")
        self.d.stop(signal.SIGKILL)
        for folder in glob.glob(self.d.state + "/run/vgpu/*"):
            shutil.rmtree(folder)
        self.d.start()
        self.assertEqual(self.d.usage("a")["refusals"], 3)


require_strace()
harness.main()
