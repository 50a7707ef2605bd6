# SPDX-License-Identifier: Apache-2.0
"""Several people on one daemon: each calls by a token or by his uid."""
import os
import sqlite3
import sys
import time

import harness
from harness import Connection, Daemon

ALICE, BOB, CAROL, NOBODY = 20001, 20002, 20003, 20009


def require_root():
    """Only root can call as somebody else."""
    if os.geteuid() != 0:
        print("skipped: only root can call with the uid of others", file=sys.stderr)
        sys.exit(77)


class Person:
    """Who calls: nobody in particular (the test itself, that is the operator), a uid, or a token."""

    def __init__(self, daemon, uid=None, token=None):
        self.daemon, self.uid, self.token = daemon, uid, token

    def request(self, method, path, body=None, **headers):
        """Headers as keywords: Idempotency_Key="x"."""
        send = {k.replace("_", "-"): v for k, v in headers.items()}
        if self.token:
            send["Authorization"] = "Bearer " + self.token
        connection = Connection(self.daemon.socket, uid=self.uid)
        try:
            return self.daemon.request(method, path, body, connection, send)
        finally:
            connection.close()

    def ok(self, method, path, body=None, **headers):
        """As a client would: it waits when it is told that it asks too much, which on a slow disk is soon."""
        for _ in range(20):
            status, reply = self.request(method, path, body, **headers)
            if status != 429:
                break
            time.sleep(reply["retry_after_ms"] / 1000)
        if status >= 400:
            raise AssertionError(f"{method} {path}: {status} {reply}")
        return reply

    def create(self, name, **fields):
        return self.ok("POST", "/v1/vgpus", {"name": name, "memory": "1M", "compute": "0.1", **fields})

    def names(self, query=""):
        return [f"{s['project']}:{s['name']}" for s in self.ok("GET", "/v1/vgpus" + query)["sets"]]


def open_door(daemon):
    """Everybody may connect, as on a node whose users are all in the group."""
    for path in (daemon.root, daemon.state, os.path.join(daemon.state, "run"), os.path.join(daemon.state, "run", "attach")):
        os.chmod(path, 0o711)
    os.chmod(daemon.socket, 0o666)


class Case(harness.Case):
    """Two projects, red and blue. alice manages red, bob is a member there, carol a member of blue."""

    options = {}

    def setUp(self):
        self.d = Daemon(**self.options)
        self.addCleanup(self.d.__exit__)
        self.d.start()
        open_door(self.d)
        self.operator = Person(self.d)

    def populate(self):
        for name, uid in (("alice", ALICE), ("bob", BOB), ("carol", CAROL)):
            self.operator.ok("POST", "/v1/users", {"name": name, "uid": uid})
        for project, members in (("red", {"alice": "manager", "bob": "member"}), ("blue", {"carol": "member"})):
            self.operator.ok("POST", "/v1/projects", {"name": project})
            for user, role in members.items():
                self.operator.ok("PUT", f"/v1/projects/{project}/members/{user}", {"role": role})
        self.alice, self.bob, self.carol = (Person(self.d, uid) for uid in (ALICE, BOB, CAROL))

    def restart(self, how=None):
        self.d.stop(*([how] if how else []))
        self.d.start()
        open_door(self.d)

    def sql(self, statement, values=()):
        """Behind the daemon's back, while it is not there."""
        self.d.stop()
        db = sqlite3.connect(os.path.join(self.d.state, "store.db"))
        rows = db.execute(statement, values).fetchall()
        db.commit()
        db.close()
        self.d.start()
        open_door(self.d)
        return rows

    def token(self, user, **fields):
        return Person(self.d, token=self.operator.ok("POST", "/v1/tokens", {"user": user, **fields})["secret"])

    def denied(self, person, method, path, body, status, kind, *words, **headers):
        got, reply = person.request(method, path, body, **headers)
        self.assertEqual((got, reply and reply.get("type")), (status, kind), (method, path, reply))
        for word in words:
            self.assertIn(word, reply["detail"])
        return reply

    def audit(self, query=""):
        """All rows, newest first."""
        return self.operator.ok("GET", "/v1/audit?limit=1000" + query)["audit"]
