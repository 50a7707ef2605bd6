#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A daemon that restarts, is slow, talks nonsense or is gone; a program that crashes. Documented exceptions, and no vGPU is left."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from contextlib import suppress

import common
import fastgpu
from common import Case
from fastgpu import target

sys.path.insert(0, os.path.join(common.ROOT, "tests", "daemon"))
import tls  # noqa: E402

HOLDS = ("import sys,os,signal,time,fastgpu\n"
         "with fastgpu.Client() as client, client.create(gpus=2, memory='64M') as mine:\n"
         " print(mine.name, flush=True)\n"
         " {}\n")


class Deaths(Case):
    def hold(self, then):
        """A program that holds two vGPUs and then does what is said."""
        process = subprocess.Popen([sys.executable, "-c", HOLDS.format(then)], env=self.child_env(), stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        name = process.stdout.readline().strip()
        self.assertTrue(name)
        return process, name

    def test_kill(self):
        process, name = self.hold("time.sleep(300)")
        self.assertEqual(self.d.names(), [name])
        process.kill()
        self.nothing_left()

    def test_other_ends(self):
        for then in ("os._exit(3)", "raise ValueError", "os.abort()", "sys.exit(0)", "os.fork() or os._exit(0)"):
            with self.subTest(then):
                self.hold(then)[0].wait(30)
                self.nothing_left()

    def test_interrupt(self):
        """It is this process's to deal with: meanwhile the vGPUs stay."""
        process, _ = self.hold("try: print('inside', flush=True); time.sleep(300)\n except KeyboardInterrupt: time.sleep(0.2); print(len(list(client.list())))")
        self.assertEqual(process.stdout.readline(), "inside\n")
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.stdout.read(), "1\n")
        process.wait(30)
        self.assertEqual(self.d.names(), [])

    def test_without_with(self):
        code = "import fastgpu; fastgpu.Client().create(memory='1M'); print(len(list(fastgpu.Client().list())))"
        done = subprocess.run([sys.executable, "-c", code], env=self.child_env(), capture_output=True, text=True, timeout=60)
        self.assertEqual((done.stdout, done.stderr), ("1\n", ""))
        self.nothing_left()

    def test_who_is_inside_is_spared(self):
        code = ("import fastgpu, os\n"
                "client = fastgpu.Client()\n"
                "with client.create(memory='1M') as mine:\n"
                " client.request('POST', '/v1/open', {'target': mine.name})\n"
                "assert [s.name for s in client.list()] == [mine.name]\n"
                "print('lives')")
        done = subprocess.run([sys.executable, "-c", code], env=self.child_env(), capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "lives\n", ""))
        self.nothing_left()

    def test_fork_gives_nothing_back(self):
        with self.client.create(memory="1M") as mine:
            child = os.fork()
            if not child:
                mine.__exit__(None, None, None)
                os._exit(0)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertEqual(self.d.names(), [mine.name])
        self.assertEqual(self.d.names(), [])

    def test_fork_has_its_own_connection(self):
        self.client.devices()
        parent = self.client._idle[-1]
        child = os.fork()
        if not child:
            ok = self.client.devices() and self.client._idle[-1] is not parent
            os._exit(0 if ok else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.client.devices()
        self.assertIs(self.client._idle[-1], parent)


class Restarts(Case):
    def test_held_across_a_restart(self):
        with self.client.create(gpus=2, memory="64M") as mine:
            for how in (signal.SIGTERM, signal.SIGKILL):
                self.d.stop(how)
                self.d.start()
                self.assertEqual(self.client.inspect(mine)[1].uuid, mine[1].uuid)
        self.assertEqual(self.d.names(), [])

    def test_ended_while_there_is_no_daemon(self):
        mine = self.client.create(memory="64M")
        self.d.stop()
        self.raises(fastgpu.DaemonUnreachable, mine.delete)
        self.d.start()
        self.nothing_left()

    def test_gone(self):
        self.client.create("a", memory="1M")
        self.d.stop(signal.SIGKILL)
        for call in (self.client.devices, lambda: list(self.client.list()), lambda: self.client.create("b"), self.client.create,
                     lambda: self.client.delete("a"), lambda: next(self.client.events())):
            e = self.raises(fastgpu.DaemonUnreachable, call)
            self.assertIn(self.d.socket, e.detail)
        self.d.start()
        self.assertEqual(self.d.names(), ["a"])

    def test_stopped(self):
        """It is there and does not answer: what was to be made is not there afterwards."""
        hasty = self.connect(timeout=0.3)
        self.d.process.send_signal(signal.SIGSTOP)
        try:
            for call in (hasty.devices, hasty.create, lambda: hasty.inspect("a"), lambda: hasty.submit(["true"], cwd="/")):
                self.raises(fastgpu.Timeout, call)
        finally:
            self.d.process.send_signal(signal.SIGCONT)
        self.nothing_left()

    def test_lost_answer_is_asked_for_again(self):
        """The set was made, its answer was lost: the same key brings it, and there is one."""
        lost = []

        def relay(listener):
            for _ in range(2):
                s = listener.accept()[0]
                with s, socket.socket(socket.AF_UNIX) as d:
                    d.connect(self.d.socket)
                    d.sendall(s.recv(65536))
                    answer = d.recv(65536)
                    if lost:
                        s.sendall(answer)
                    lost.append(answer)
        path = os.path.join(self.d.root, "relay")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            thread = threading.Thread(target=relay, args=(listener,), daemon=True)
            thread.start()
            made = fastgpu.Client("unix:" + path).create("a", memory="1M")
            thread.join(20)
        self.assertEqual((made.name, len(lost), self.d.names()), ("a", 2, ["a"]))


class Nonsense(unittest.TestCase):
    def answers(self, *parts):
        """A client of somebody who answers everything with this and hangs up."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(folder.name + "/s")
        listener.listen()

        def answer(s):
            with s, suppress(OSError):
                if s.recv(65536):
                    for part in parts:
                        s.sendall(part)

        def serve():
            while True:
                try:
                    s = listener.accept()[0]
                except OSError:
                    return
                threading.Thread(target=answer, args=(s,), daemon=True).start()
        threading.Thread(target=serve, daemon=True).start()
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)
        return fastgpu.Client("unix:" + folder.name + "/s", timeout=1)

    def test_answers(self):
        ok = b"HTTP/1.1 200 OK\r\n"
        for answer in (b"hello\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", ok, ok + b"Content-Length: 9\r\n\r\n{}",
                       ok + b"Content-Length: -1\r\n\r\n", ok + b"Content-Length: 99999999999\r\n\r\n", ok + b"Content-Length: 3\r\n\r\nabc",
                       ok + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", ok + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
                       b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000):
            with self.subTest(answer[:60]), self.assertRaises(fastgpu.DaemonUnreachable):
                self.answers(answer).version()
            with self.subTest(answer[:60]), self.assertRaises(fastgpu.DaemonUnreachable):
                self.answers(answer).create()

    def test_pieces(self):
        body = b"Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3;x\r\n: 1\r\n1\r\n}\r\n0\r\n\r\n"
        self.assertEqual(self.answers(*(bytes([c]) for c in b"HTTP/1.1 200 OK\r\n" + body)).version(), {"a": 1})

    def test_refusal_that_is_no_problem(self):
        for status, kind in ((401, "Unauthorized"), (404, "NotFound"), (429, "Busy"), (500, "Error"), (503, "Busy")):
            with self.assertRaises(fastgpu.Error) as caught:
                self.answers(b"HTTP/1.1 %d X\r\nContent-Length: 4\r\n\r\noops" % status).version()
            self.assertEqual((type(caught.exception).__name__, caught.exception.status), (kind, status))

    def test_silence(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as s:
            s.bind(folder + "/s")
            s.listen()
            for call in (fastgpu.Client.version, fastgpu.Client.create):
                self.assertRaises(fastgpu.Timeout, call, fastgpu.Client(f"unix:{folder}/s", timeout=0.2))


class Remote(Case):
    options = {"listen": "127.0.0.1:0"}

    def test_over_tls(self):
        shown = self.d.ok("GET", "/v1/version")["tls"]
        url, token = "https://" + shown["listen"], tls.token_of(self.d)
        client = fastgpu.Client(url, token, shown["fingerprint"])
        self.addCleanup(client.close)
        with client.create(memory="64M") as mine:
            self.assertFalse(mine.ephemeral)
            self.assertEqual([s.name for s in client.list()], [mine.name])
        self.assertEqual(self.d.names(), [])
        self.assertRaises(fastgpu.BadRequest, client.create, keep=False)
        for pin, word in (("0" * 64, "not the one"), (None, "does not trust")):
            with self.assertRaises(fastgpu.DaemonUnreachable) as caught:
                fastgpu.Client(url, token, pin).devices()
            self.assertIn(word, str(caught.exception))
        self.d.stop()
        self.assertRaises(fastgpu.DaemonUnreachable, client.devices)


class Found(unittest.TestCase):
    """Which daemon, as the command line finds it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home, before = folder.name, dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        for name in list(os.environ):
            if name.startswith(("FASTGPU_", "XDG_")):
                del os.environ[name]
        os.environ["HOME"] = self.home

    def login(self, **fields):
        os.makedirs(self.home + "/.config/fastgpu", exist_ok=True)
        with open(self.home + "/.config/fastgpu/login.json", "w") as f:
            json.dump({"version": 1, "url": "https://there:8443", "fingerprint": "ab" * 32, "token": "fgt_1_2", **fields}, f)
        os.chmod(f.name, 0o600)
        return f.name

    def test_order(self):
        self.assertEqual(fastgpu.Client()._target.sockets[0], "/run/fastgpu/api.sock")
        path = self.login()
        self.assertEqual(target.find(None, None, None), ((), "there", 8443, "ab" * 32, "fgt_1_2"))
        self.assertEqual(target.find("https://there:8443/", "t", None).token, "t")
        self.assertEqual(target.find("https://other", None, None), ((), "other", 443, "", ""))
        os.environ["FASTGPU_URL"] = "https://[::1]:9"
        self.assertEqual(fastgpu.Client().where, "https://[::1]:9")
        os.environ["FASTGPU_URL"] = "local"
        self.assertFalse(fastgpu.Client().is_remote)
        os.environ["FASTGPU_STATE_DIR"] = self.home
        self.assertEqual(fastgpu.Client().where, self.home + "/run/api.sock")
        os.environ["FASTGPU_URL"] = "https://x"
        self.assertRaises(fastgpu.BadRequest, fastgpu.Client)
        os.environ["FASTGPU_STATE_DIR"] = os.environ["FASTGPU_URL"] = ""
        os.chmod(path, 0o644)
        self.assertRaises(fastgpu.BadRequest, fastgpu.Client)
        self.login(version=2)
        self.assertRaises(fastgpu.BadRequest, fastgpu.Client)

    def test_token_file(self):
        os.environ.update(FASTGPU_URL="https://x", FASTGPU_TOKEN_FILE=self.home + "/token", FASTGPU_FINGERPRINT=":".join(["AB"] * 32))
        self.assertRaises(fastgpu.BadRequest, fastgpu.Client)
        with open(self.home + "/token", "w") as f:
            f.write("fgt_1_2\n")
        os.chmod(f.name, 0o600)
        self.assertEqual(target.find(None, None, None)[3:], ("ab" * 32, "fgt_1_2"))
        os.chmod(f.name, 0o604)
        self.assertRaises(fastgpu.BadRequest, fastgpu.Client)


if __name__ == "__main__":
    common.main()
