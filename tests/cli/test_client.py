#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The client: daemons that answer badly, and daemons that have to be started."""
import os
import socket
import subprocess
import threading
import unittest

from bench import Case
from fake_daemon import Raw, Server

GOOD = b'{"devices": [], "problems": []}'


def reply(body=GOOD, head=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), head, body)


class Answers(Case):
    def raw(self, data, **more):
        server = Raw(f"{self.state}/run", data, **more)
        self.addCleanup(server.close)
        return server

    def test_malformed(self):
        whole = reply()
        for data in (b"garbage", b"\0" * 5000, b"HTTP/1.1 200 OK\r\n\r\nnot json", reply(b"[1, 2"), reply(b'{"a":1,"a":2}'),
                     b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", b"A" * 100000, whole[:20], whole[:-1]):
            server = self.raw(data)
            self.assertRegex(self.refused("devices", code=6), r"not fastgpud, or it broke off")
            server.close()

    def test_hangs_up(self):
        for read in (True, False):
            server = self.raw(b"", read=read)
            self.assertIn("hung up without an answer", self.refused("devices", code=6))
            server.close()

    def test_refusal_without_reason(self):
        self.raw(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops")
        self.assertIn("status 500", self.refused("devices", code=1))

    def test_other_refusals(self):
        for status, code in ((401, 6), (403, 6), (507, 1)):
            body = b'{"type": "x", "detail": "told"}'
            server = self.raw(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
            self.assertEqual(self.refused("devices", code=code), "fastgpu: told\n")
            server.close()

    def test_in_pieces(self):
        self.raw(reply(), piece=1, pause=0.001)
        self.assertEqual(self.json("devices")["devices"], [])

    def test_to_the_end_and_closed(self):
        server = self.raw(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD)
        self.json("devices")
        server.close()
        self.raw(reply(head=b"Connection: close\r\n"))
        self.json("devices")

    def test_large(self):
        body = b'{"devices": [], "x": "' + b"y" * (8 << 20) + b'"}'
        self.raw(reply(body))
        self.assertEqual(len(self.json("devices")["x"]), 8 << 20)

    def test_too_large(self):
        self.raw(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * ((64 << 20) + 1))
        self.refused("devices", code=6)

    def test_chunked_and_kept(self):
        server = Server(f"{self.state}/run", chunked=True)
        self.addCleanup(server.close)
        self.fastgpu("create", "--name", "a")
        before = server.connections
        self.fastgpu("top", "--batch", "3", "--interval", "0.1")
        self.assertEqual(server.connections, before + 1)

    def test_closed_between_requests(self):
        """A daemon that closes after each answer: the client connects again."""
        server = self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n" + b'{"sets": [], "now_ns": 100}')
        self.fastgpu("top", "--batch", "1", "--interval", "0.1")
        self.assertEqual(server.connections, 4)

    def test_socket_without_listener(self):
        os.makedirs(f"{self.state}/run")
        s = socket.socket(socket.AF_UNIX)
        s.bind(f"{self.state}/run/api.sock")
        s.close()
        self.assertIsNone(self.json("version")["daemon"])


class Lost(Case):
    """The connection ends after the daemon has done what was asked and before it has said so."""

    def server(self, drop):
        server = Server(f"{self.state}/run", drop=drop)
        self.addCleanup(server.close)
        return server.fake

    def done(self, fake):
        return [r[1] for r in fake.requests if r[0] == "POST"]

    def test_made_once(self):
        for args, path in ((("create", "--name", "a"), "/v1/vgpus"), (("submit", "-y", "-d", "--", "true"), "/v1/jobs"),
                           (("project", "create", "red"), "/v1/projects"), (("user", "create", "bob"), "/v1/users")):
            fake = self.server(1)
            self.fastgpu(*args)
            self.assertEqual(self.done(fake), [path])  # though it was asked for twice
            self.assertEqual((len(fake.keys), len(set(fake.keys))), (2, 1))
            self.assertRegex(fake.keys[0], "^[0-9a-f]{32}$")

    def test_a_secret_that_was_lost(self):
        fake = self.server(1)
        self.assertIn("fastgpu token revoke ab12", self.refused("token", "create", code=1))
        self.assertEqual(self.done(fake), ["/v1/tokens"])

    def test_each_has_a_key_of_its_own(self):
        fake = self.server(0)
        self.fastgpu("create", "--name", "a")
        self.fastgpu("create", "--name", "b")
        self.assertEqual(len(set(fake.keys)), 2)

    def test_twice_lost(self):
        fake = self.server(2)
        self.assertIn("hung up without an answer", self.refused("create", "--name", "a", code=6))
        self.assertEqual((self.done(fake), len(fake.keys)), (["/v1/vgpus"], 2))

    def test_others_are_asked_for_once(self):
        fake = self.server(0)
        self.fastgpu("create", "--name", "a")
        fake = self.server(1)
        self.assertIn("hung up without an answer", self.refused("suspend", "a", code=6))
        self.assertEqual((self.done(fake), fake.keys), (["/v1/vgpus/a/suspend"], [None]))


class Starting(Case):
    def test_starts_one(self):
        self.fastgpu("devices")
        self.fastgpu("devices")
        started = self.started()
        self.assertEqual(len(started), 1)
        facts = started[0]
        self.assertEqual(facts["argv"], ["--foreground", "--idle-exit", "--ready-fd", "3"])
        self.assertEqual(facts["cwd"], "/")
        self.assertEqual([fd for fd in facts["fds"] if fd > 3], facts["fds"][4:5])  # listing the folder takes one
        self.assertNotEqual(facts["sid"], os.getsid(0))
        self.assertNotEqual(facts["ppid"], os.getpid())
        self.assertTrue(os.path.exists(f"{self.state}/run/daemon.log"))

    def test_not_in_the_callers_vgpu(self):
        self.fastgpu("devices", env={"OPENCL_LAYERS": "/x", "FASTGPU_ATTACH": "/y", "FASTGPU_PROVE": "9"})
        env = self.started()[0]["env"]
        self.assertFalse({"OPENCL_LAYERS", "FASTGPU_ATTACH", "FASTGPU_PROVE"} & set(env))
        self.assertEqual(env["FASTGPU_STATE_DIR"], self.state)

    def test_relative_folder(self):
        self.fastgpu("devices", env={"FASTGPU_STATE_DIR": os.path.basename(self.state)}, cwd=os.path.dirname(self.state))
        self.assertEqual(self.started()[0]["env"]["FASTGPU_STATE_DIR"], self.state)

    def test_long_folder(self):
        deep = self.state + "/d" * 80
        os.makedirs(deep)
        done = self.fastgpu("version", "--json", env={"FASTGPU_STATE_DIR": deep})
        self.assertIn('"daemon": null', done.stdout)
        os.makedirs(f"{deep}/run")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(f"{deep}/run")
        server = Raw(".", reply())
        self.addCleanup(server.close)
        self.fastgpu("devices", env={"FASTGPU_STATE_DIR": deep})
        self.assertEqual(server.connections, 1)

    def many_at_once(self):
        commands = [subprocess.Popen([self.prefix.program, "list"], env=self.environment(), stderr=subprocess.PIPE)
                    for _ in range(8)]
        said = [c.communicate(timeout=60)[1] for c in commands]
        self.assertEqual([c.returncode for c in commands], [0] * 8, said)
        self.assertEqual(len(self.started()), 1)

    def test_many_at_once(self):
        self.many_at_once()

    def test_many_at_once_and_a_slow_daemon(self):
        self.manners("slow")
        self.many_at_once()

    def test_says_why_it_did_not_start(self):
        self.manners("refuse")
        self.assertIn("did not start: the store is broken beyond words", self.refused("list", code=6))

    def test_lock_is_elsewhere(self):
        """Another daemon holds the lock and is about to listen: ours ends, and that one answers."""
        import fcntl
        os.makedirs(f"{self.state}/run")
        lock = os.open(f"{self.state}/run/daemon.lock", os.O_CREAT | os.O_RDWR)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        servers = []
        timer = threading.Timer(0.7, lambda: servers.append(Server(f"{self.state}/run")))
        timer.start()
        self.fastgpu("list")
        timer.join()
        servers[0].close()
        self.assertEqual(self.started(), [])

    def test_no_program(self):
        daemon = f"{self.prefix.root}/bin/fastgpud"
        os.rename(daemon, daemon + ".away")
        self.addCleanup(os.rename, daemon + ".away", daemon)
        self.assertIn(daemon, self.refused("list", code=6))

    def test_folder_that_cannot_be_made(self):
        file = f"{self.state}/file"
        open(file, "w").close()
        self.assertIn(file, self.refused("list", code=6, env={"FASTGPU_STATE_DIR": f"{file}/below"}))


if __name__ == "__main__":
    unittest.main(verbosity=1)
