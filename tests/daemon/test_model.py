# SPDX-License-Identifier: Apache-2.0
"""Random requests of random people against a straight-line model of who may what; kill -9 now and then. After each request the
answer is the model's, and whenever the daemon was restarted everything is as the model has it."""
import collections
import random
import os
import signal

import harness
import people
from people import Person

ROLES = ["none", "viewer", "member", "manager", "admin"]
KEYS = ("vgpus", "memory", "share")
USERS = {"ann": 20011, "ben": 20012, "cid": 20013, "dee": 20014}
MIB = 1 << 20
OPERATOR = None


class Caller:
    """A user by his uid, or by one of his tokens."""

    def __init__(self, model, user, person, cap="admin", bound=None, token=None):
        self.model, self.user, self.person, self.cap, self.bound, self.token = model, user, person, cap, bound, token

    def role(self, project):
        if self.bound not in (None, project) or project not in self.model.projects:
            return 0
        if self.user is OPERATOR:
            own = 4
        elif self.model.users[self.user]["admin"]:
            own = 4
        else:
            own = ROLES.index(self.model.roles.get((self.user, project), "none"))
        return min(own, ROLES.index(self.cap))

    def is_admin(self):
        return self.cap == "admin" and not self.bound and (self.user is OPERATOR or self.model.users[self.user]["admin"])

    def writes(self):
        return ROLES.index(self.cap) >= 2

    def home(self):
        if self.bound:
            return self.bound
        for (user, project) in self.model.roles:
            if user == self.user:
                return project
        return "default" if self.user is OPERATOR or self.model.users[self.user]["admin"] else None


class Model:
    def __init__(self):
        self.users = {}    # name: {"admin", "disabled"}
        self.projects = {"default"}
        self.roles = {}    # (user, project): role, in the order of joining
        self.sets = {}     # (project, name): {"owner", "count", "memory", "share"}
        self.limits = {}   # (project or None, user or None): {key: limit}

    def used(self, project=None, user=None):
        mine = [s for (p, _), s in self.sets.items() if project in (None, p) and (user is None or s["owner"] == user)]
        return {"vgpus": sum(s["count"] for s in mine), "memory": sum(s["count"] * s["memory"] for s in mine),
                "share": sum(s["count"] * s["share"] for s in mine)}

    def exceeds(self, project, user, more):
        for scope in ((project, None), (project, user), (None, None)):
            if scope[1] is None and scope != (project, None) and scope != (None, None):
                continue
            used = self.used(*scope)
            for key, limit in self.limits.get(scope, {}).items():
                if limit and more[key] > 0 and used[key] + more[key] > limit:
                    return True
        return False

    def owns(self, user):
        return any(s["owner"] == user for s in self.sets.values())


class Random(people.Case):
    options = {"rate_limit": 0}
    NAMES = ["x", "y", "z"]
    PROJECTS = ["default", "p0", "p1", "p2"]

    def setUp(self):
        super().setUp()
        self.m = Model()
        self.rng = random.Random(int(os.environ.get("SEED", 20261126)))
        self.callers = [Caller(self.m, OPERATOR, self.operator)]
        self.dead = []
        self.seen = collections.Counter()
        for name, uid in USERS.items():
            self.operator.ok("POST", "/v1/users", {"name": name, "uid": uid})
            self.m.users[name] = {"admin": False, "disabled": False}
            self.callers.append(Caller(self.m, name, Person(self.d, uid)))

    def expect(self, caller, method, path, body, status):
        got, reply = caller.person.request(method, path, body)
        self.seen[method, path.split("/")[2].split("?")[0], got] += 1
        self.assertEqual(got, status, (caller.user, caller.cap, caller.bound, method, path, body, reply))
        return reply

    def target(self, caller):
        """A way to name a set, and the project that is meant."""
        name, project = self.rng.choice(self.NAMES), self.rng.choice(self.PROJECTS + [None, "nosuch"])
        if project is None:
            return name, "", caller.home(), name
        if self.rng.random() < 0.5:
            return f"{project}:{name}", "", project, name
        return name, f"?project={project}", project, name

    # --- one request each ---

    def do_create(self, caller):
        name, project = self.rng.choice(self.NAMES), self.rng.choice(self.PROJECTS + [None, "nosuch"])
        count, memory, share = self.rng.choice([1, 1, 2, 3]), self.rng.choice([1, 2, 4]) * MIB, self.rng.choice([1, 5])
        body = {"name": name, "gpus": count, "memory": memory, "compute": str(share / 10)}
        if project:
            body["project"] = project
        project = project or caller.home()
        more = {"vgpus": count, "memory": count * memory, "share": count * share}
        status = 201
        if not caller.writes():
            status = 403
        elif project is None:
            status = 403
        elif not caller.role(project):
            status = 404 if "project" in body or caller.bound is None else 403
        elif caller.role(project) < 2:
            status = 403
        elif (project, name) in self.m.sets or self.m.exceeds(project, caller.user, more):
            status = 409
        self.expect(caller, "POST", "/v1/vgpus", body, status)
        if status == 201:
            self.m.sets[project, name] = {"owner": caller.user, "count": count, "memory": memory, "share": share}

    def touch(self, caller, method, body=None, change=None):
        """PATCH and DELETE: found, of a role that changes, one's own."""
        text, query, project, name = self.target(caller)
        found = self.m.sets.get((project, name)) if project and caller.role(project) else None
        if not caller.writes():
            status = 403
        elif not found:
            status = 404
        elif caller.role(project) < 2 or (caller.role(project) == 2 and found["owner"] != caller.user):
            status = 403
        else:
            status = change(project, name, found)
        self.expect(caller, method, f"/v1/vgpus/{text}{query}", body, status)
        return status, (project, name), found

    def do_resize(self, caller):
        memory, share = self.rng.choice([1, 2, 4]) * MIB, self.rng.choice([1, 5])

        def change(project, name, found):
            more = {"vgpus": 0, "memory": found["count"] * (memory - found["memory"]), "share": found["count"] * (share - found["share"])}
            return 409 if self.m.exceeds(project, found["owner"], more) else 200

        status, _, found = self.touch(caller, "PATCH", {"memory": memory, "compute": str(share / 10)}, change)
        if status == 200:
            found.update(memory=memory, share=share)

    def do_delete(self, caller):
        status, key, _ = self.touch(caller, "DELETE", None, lambda *_: 204)
        if status == 204:
            del self.m.sets[key]

    def do_look(self, caller):
        text, query, project, name = self.target(caller)
        found = self.m.sets.get((project, name)) if project and caller.role(project) else None
        reply = self.expect(caller, "GET", f"/v1/vgpus/{text}{query}", None, 200 if found else 404)
        if found:
            self.assertEqual((reply["project"], reply["owner"], len(reply["vgpus"])), (project, found["owner"] or "operator", found["count"]))

    def do_list(self, caller):
        got = {(s["project"], s["name"]) for s in self.expect(caller, "GET", "/v1/vgpus", None, 200)["sets"]}
        self.assertEqual(got, {key for key in self.m.sets if caller.role(key[0])})
        got = {p["name"]: p["role"] for p in self.expect(caller, "GET", "/v1/projects", None, 200)["projects"]}
        self.assertEqual(got, {p: ROLES[caller.role(p)] for p in self.m.projects if caller.role(p)})

    def do_member(self, caller):
        user, project = self.rng.choice(list(self.m.users)), self.rng.choice(self.PROJECTS)
        role = self.rng.choice(["viewer", "member", "manager", None])
        status = 200 if role else 204
        if not caller.writes():
            status = 403
        elif not caller.role(project):
            status = 404
        elif caller.role(project) < 3:
            status = 403
        elif not role and (user, project) not in self.m.roles:
            status = 404
        path = f"/v1/projects/{project}/members/{user}"
        self.expect(caller, "PUT" if role else "DELETE", path, {"role": role} if role else None, status)
        if status == 200:
            self.m.roles[user, project] = role
        elif status == 204:
            del self.m.roles[user, project]
            self.m.limits.pop((project, user), None)

    def do_project(self, caller):
        project, make = self.rng.choice(self.PROJECTS[1:]), self.rng.random() < 0.7
        if not caller.is_admin():
            status = 403
        elif make:
            status = 409 if project in self.m.projects else 201
        elif project not in self.m.projects:
            status = 404
        else:
            status = 409 if any(p == project for p, _ in self.m.sets) else 204
        self.expect(caller, "POST" if make else "DELETE", "/v1/projects" + ("" if make else "/" + project), {"name": project} if make else None, status)
        if status == 201:
            self.m.projects.add(project)
        elif status == 204:
            self.m.projects.discard(project)
            self.m.roles = {k: r for k, r in self.m.roles.items() if k[1] != project}
            self.m.limits = {k: v for k, v in self.m.limits.items() if k[0] != project}
            self.kill_tokens(lambda c: c.bound == project)

    def kill_tokens(self, which):
        self.dead += [c for c in self.callers if c.token and which(c)]
        self.callers = [c for c in self.callers if not (c.token and which(c))]

    def do_quota(self, caller):
        scope = self.rng.choice(["organisation", "project", "project", "user", "user"])
        project, user = self.rng.choice(self.PROJECTS), self.rng.choice(list(self.m.users))
        limits = {"vgpus": self.rng.choice([0, 2, 5, 9]), "memory": self.rng.choice([0, 6, 20]) * MIB, "share": self.rng.choice([0, 10, 40])}
        if scope == "organisation":
            limits = {"vgpus": self.rng.choice([0, 25]), "memory": 0, "share": 0}
        body = {"scope": scope, **limits, **({"project": project} if scope != "organisation" else {}), **({"user": user} if scope == "user" else {})}
        if not caller.writes():
            status = 403
        elif scope != "organisation" and not caller.role(project):
            status = 404
        elif scope != "organisation" and caller.role(project) < 3:
            status = 403
        else:
            status = 200 if scope == "user" or caller.is_admin() else 403
        self.expect(caller, "PUT", "/v1/quotas", body, status)
        if status == 200:
            key = {"organisation": (None, None), "project": (project, None), "user": (project, user)}[scope]
            self.m.limits[key] = limits

    def do_user(self, caller):
        user, what = self.rng.choice(list(self.m.users)), self.rng.choice(["admin", "admin", "disabled"])
        value = self.rng.random() < 0.3
        status = 200 if caller.is_admin() else 403
        self.expect(caller, "PATCH", f"/v1/users/{user}", {what: value}, status)
        if status == 200:
            self.m.users[user][what] = value

    def do_token(self, caller):
        cap, bound = self.rng.choice(ROLES[1:]), self.rng.choice(self.PROJECTS + [None, None])
        body = {"role": cap, "expires": "1h" if not caller.token else "40m" if caller.token[1] else "30m", **({"project": bound} if bound else {})}
        status = 201
        if not caller.writes():
            status = 403
        elif caller.user is OPERATOR:
            status = 400
        elif bound and not caller.role(bound):
            status = 404
        elif ROLES.index(cap) > ROLES.index(caller.cap) or (caller.bound and bound != caller.bound):
            status = 403
        elif caller.token and caller.token[1]:
            status = 403  # expires before that
        reply = self.expect(caller, "POST", "/v1/tokens", body, status)
        if status == 201:
            person = Person(self.d, people.NOBODY, reply["secret"])
            self.callers.append(Caller(self.m, caller.user, person, cap, bound, (reply["id"], caller.token is not None)))

    def do_revoke(self, caller):
        tokens = [c for c in self.callers if c.token]
        if not tokens:
            return
        other = self.rng.choice(tokens)
        sees = caller.is_admin() or (other.user == caller.user and caller.bound in (None, other.bound))
        status = 403 if not caller.writes() else 204 if sees else 404
        self.expect(caller, "DELETE", f"/v1/tokens/{other.token[0]}", None, status)
        if status == 204:
            self.kill_tokens(lambda c: c is other)

    # --- everything ---

    def check_all(self):
        got = {(s["project"], s["name"]): {"owner": None if s["owner"] == "operator" else s["owner"], "count": len(s["vgpus"]),
                                           "memory": s["vgpus"][0]["memory"], "share": s["vgpus"][0]["share"]}
               for s in self.operator.ok("GET", "/v1/vgpus")["sets"]}
        self.assertEqual(got, self.m.sets)
        users = {u["name"]: {"admin": u["admin"], "disabled": u["disabled"]} for u in self.operator.ok("GET", "/v1/users")["users"]}
        self.assertEqual(users, self.m.users)
        for project in self.m.projects:
            members = {x["user"]: x["role"] for x in self.operator.ok("GET", f"/v1/projects/{project}/members")["members"]}
            self.assertEqual(members, {u: r for (u, p), r in self.m.roles.items() if p == project})
            for quota in self.operator.ok("GET", f"/v1/quotas?project={project}")["quotas"]:
                user = quota.get("user")
                self.assertEqual({k: quota["used"][k] for k in KEYS}, self.m.used(project, user))
                self.assertEqual(quota["limits"], {k: v for k, v in self.m.limits.get((project, user), {}).items() if v})
        whole = self.operator.ok("GET", "/v1/quotas?scope=organisation")["quotas"][0]
        self.assertEqual({k: whole["used"][k] for k in KEYS}, self.m.used())
        for caller in self.dead[-3:]:
            self.assertEqual(caller.person.request("GET", "/v1/whoami")[0], 401)

    def test_many(self):
        steps = [self.do_create] * 6 + [self.do_resize] * 3 + [self.do_delete] * 3 + [self.do_look] * 4 + [self.do_list] * 2 + \
                [self.do_member] * 4 + [self.do_project] * 2 + [self.do_quota] * 2 + [self.do_user, self.do_token, self.do_revoke]
        did = {}
        for n in range(12000):
            caller = self.rng.choice(self.callers + self.callers[:1] * 2)
            if caller.user is not OPERATOR and self.m.users[caller.user]["disabled"]:
                status, reply = caller.person.request("GET", "/v1/vgpus")
                self.assertEqual((status, reply["type"]), (403, "forbidden"))
                continue
            step = self.rng.choice(steps)
            step(caller)
            did[step.__name__] = did.get(step.__name__, 0) + 1
            if len(self.callers) > 14:
                self.kill_one_token()
            if n % 1000 == 999:
                self.restart(signal.SIGKILL)
                self.check_all()
        self.check_all()
        self.assertEqual(len(did), len(set(steps)))
        self.assertGreaterEqual(len(self.seen), 35)  # kinds of requests and results
        self.assertGreater(min(self.seen[k] for k in (("POST", "vgpus", 201), ("PATCH", "vgpus", 200), ("PATCH", "vgpus", 403), ("PATCH", "vgpus", 409),
                                                      ("DELETE", "vgpus", 404), ("POST", "tokens", 201), ("PUT", "projects", 404))), 5)

    def kill_one_token(self):
        victim = next(c for c in self.callers if c.token)
        self.operator.ok("DELETE", f"/v1/tokens/{victim.token[0]}")
        self.kill_tokens(lambda c: c is victim)


if __name__ == "__main__":
    people.require_root()
    harness.main()
