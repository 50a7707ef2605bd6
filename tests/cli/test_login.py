#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""login and logout: who is believed, what is stored where, and where a token never shows up."""
import json
import os
import pty
import select
import signal
import stat
import subprocess
import time
import unittest

from bench import Case
from fake_tls import TOKEN, Daemon, pair


class Remote(Case):
    """A home of one's own; commands go to no local daemon unless told to."""

    def setUp(self):
        super().setUp()
        self.home = f"{self.state}/home"
        self.file = f"{self.home}/config/fastgpu/login.json"
        os.mkdir(self.home)
        self.token_file = f"{self.home}/token"
        with open(self.token_file, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(TOKEN + "\n")

    def environment(self, **more):
        plain = {k: None for k in os.environ if k.lower().endswith("_proxy")}
        return super().environment(**{"FASTGPU_STATE_DIR": None, "HOME": self.home, "XDG_CONFIG_HOME": f"{self.home}/config",
                                      "XDG_STATE_HOME": f"{self.home}/state", "XDG_RUNTIME_DIR": f"{self.home}/run",
                                      "SSL_CERT_FILE": None, **plain, **more})

    def fastgpu(self, *args, **more):
        """Without a terminal, whatever started the tests."""
        done = super().fastgpu(*args, start_new_session=True, **more)
        self.assertNotIn(TOKEN, done.stdout + done.stderr)
        return done

    def daemon(self, *args, **more):
        d = Daemon(*args, **more)
        self.addCleanup(d.close)
        return d

    def login(self, d, *more, **how):
        return self.fastgpu("login", d.url, "--fingerprint", d.fingerprint, "--token-file", self.token_file, *more, **how)

    def stored(self):
        with open(self.file) as f:
            return json.load(f)


class Login(Remote):
    def test_and_use_and_logout(self):
        d = self.daemon()
        self.assertIn("not logged in", self.fastgpu("login").stdout)
        self.assertIn(f"logged in to {d.url} as alice", self.login(d).stdout)
        self.assertEqual(self.stored(), {"version": 1, "url": d.url, "fingerprint": d.fingerprint, "token": TOKEN})
        self.assertIn(f"logged in to {d.url} as alice", self.fastgpu("login").stdout)
        self.assertEqual(self.json("login"), {"url": d.url, "fingerprint": d.fingerprint, "whoami": {"user": "alice", "role": "member"}})
        self.fastgpu("create", "--name", "a")
        self.assertEqual([s["name"] for s in self.json("list")["sets"]], ["a"])
        self.assertIn(f"at {d.url}", self.fastgpu("version").stdout)
        self.assertEqual(self.json("logout"), {"url": d.url})
        self.assertFalse(os.path.exists(self.file))
        self.assertIn("there was no login", self.fastgpu("logout").stdout)
        self.assertEqual(self.json("login"), {"url": None})
        self.assertEqual(self.started(), [])  # nothing was started here

    def test_modes(self):
        d = self.daemon()
        os.umask(0)
        self.addCleanup(os.umask, 0o077)
        self.login(d)
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(self.file)).st_mode), 0o700)
        self.assertEqual(os.listdir(os.path.dirname(self.file)), ["login.json"])
        for mode in (0o640, 0o604, 0o660, 0o777):
            os.chmod(self.file, mode)
            said = self.refused("list", code=6)
            self.assertIn(f"chmod 600 {self.file}", said)
            self.assertNotIn(TOKEN, said)
        os.chmod(self.file, 0o400)
        self.fastgpu("list")
        if os.geteuid() == 0:
            os.chown(self.file, 12345, -1)
            self.assertIn("user 12345's", self.refused("list", code=6))

    def test_home_without_xdg(self):
        d = self.daemon()
        self.login(d, env={"XDG_CONFIG_HOME": None})
        self.assertTrue(os.path.exists(f"{self.home}/.config/fastgpu/login.json"))
        self.login(d, env={"XDG_CONFIG_HOME": "relative"})
        self.refused("login", d.url, "--fingerprint", d.fingerprint, "--token-file", self.token_file, code=1, env={"XDG_CONFIG_HOME": None, "HOME": None})

    def test_fingerprint_must_match(self):
        d = self.daemon()
        other = pair("b")[2]
        said = self.refused("login", d.url, "--fingerprint", other, "--token-file", self.token_file, code=6)
        for word in (other, d.fingerprint, d.url):
            self.assertIn(word, said)
        self.assertEqual(d.heard, [])
        self.assertFalse(os.path.exists(self.file))
        upper = ":".join(d.fingerprint.upper()[i:i + 2] for i in range(0, 64, 2))
        self.fastgpu("login", d.url, "--fingerprint", f"SHA256:{upper}", "--token-file", self.token_file)
        self.assertEqual(self.stored()["fingerprint"], d.fingerprint)

    def test_without_a_terminal(self):
        d = self.daemon()
        said = self.refused("login", d.url, "--token-file", self.token_file)
        self.assertIn(d.fingerprint, said)
        self.assertIn("--fingerprint", said)
        self.assertIn("--token-file", self.refused("login", d.url, "--fingerprint", d.fingerprint))
        self.assertEqual(d.heard, [])

    def test_token_that_is_refused(self):
        d = self.daemon()
        said = self.refused("login", d.url, "--fingerprint", d.fingerprint, "--token-file", "-", code=6, input="wrong-token\n")
        self.assertIn("not known", said)
        self.assertNotIn("wrong-token", said)
        self.assertFalse(os.path.exists(self.file))
        self.login(d)
        before = self.stored()
        self.refused("login", d.url, "--fingerprint", d.fingerprint, "--token-file", "-", code=6, input="wrong-token\n")
        self.assertEqual(self.stored(), before)

    def test_token_files(self):
        d = self.daemon()
        there = ("login", d.url, "--fingerprint", d.fingerprint, "--token-file")
        self.fastgpu(*there, "-", input=TOKEN + "\r\n")
        self.fastgpu(*there, "-", input=TOKEN)
        for text in ("", "\n", f"{TOKEN}\n{TOKEN}", f"x {TOKEN}", f"{TOKEN}\r\nX-Evil: 1", "x" * 5000, f"{TOKEN}\0", "\u00e4" + TOKEN, TOKEN + "\x1b[31m"):
            said = self.refused(*there, "-", input=text)
            self.assertNotIn(TOKEN, said)
        os.chmod(self.token_file, 0o644)
        self.assertIn("chmod 600", self.refused(*there, self.token_file))
        self.assertIn("/nowhere", self.refused(*there, "/nowhere"))
        self.refused(*there, self.home)
        r, w = os.pipe()
        os.write(w, TOKEN.encode() + b"\n")
        os.close(w)
        self.fastgpu(*there, f"/dev/fd/{r}", pass_fds=[r])  # --token-file <(…)
        os.close(r)

    def test_never_on_a_command_line(self):
        """While a login and then a command wait for an answer."""
        d = self.daemon()
        d.pause = 1.5
        for args in (["login", d.url, "--fingerprint", d.fingerprint, "--token-file", self.token_file], ["list"]):
            heard = len(d.heard)
            p = subprocess.Popen([self.prefix.program, *args], env=self.environment(), stdout=subprocess.DEVNULL, start_new_session=True)
            end = time.monotonic() + 30
            while len(d.heard) == heard and time.monotonic() < end:
                time.sleep(0.01)
            for name in ("cmdline", "environ"):
                with open(f"/proc/{p.pid}/{name}", "rb") as f:
                    self.assertNotIn(TOKEN.encode(), f.read())
            self.assertEqual(p.wait(30), 0)
            self.assertIn(TOKEN, d.heard[-1])
        for args in ((TOKEN,), ("--token", TOKEN), (f"--token={TOKEN}",), ("--toke", TOKEN)):
            self.refused("login", d.url, *args)  # and looks for a token in what is said

    def test_daemon_without_users(self):
        d = self.daemon(whoami=False)
        self.assertIn(f"logged in to {d.url}\n", self.login(d).stdout)

    def test_bad_words(self):
        for args, word in ((["http://x:1"], "https://"), (["x:1"], "https://"), (["https://"], "https://"), (["https://:8443"], "no host"),
                           (["https://x:0"], "no port"), (["https://x:99999"], "65535"), (["https://u:p@x:1"], "too much"), (["https://x:1/path"], "too much"),
                           (["https://x:1?q"], "too much"), (["https://::1:1"], "brackets"), (["https://x:1", "--ca", "mine"], "system"),
                           (["https://x:1", "--ca", "system", "--fingerprint", "ab"], "choose one"), (["https://x:1", "--fingerprint", "abc"], "64 hex"),
                           (["https://x:1", "--fingerprint", "g" * 64], "64 hex"), (["https://x:1", "--fingerprint", "a" * 65], "64 hex"),
                           (["--ca", "system"], "login where"), (["https://" + "a" * 300 + ":1"], "https://")):
            said = self.refused("login", *args)
            self.assertIn(word, said)
            self.assertNotIn("u:p", said)

    def test_nobody_there(self):
        d = self.daemon()
        d.close()
        self.assertIn(f"no daemon answers at {d.url}", self.refused("login", d.url, "--token-file", self.token_file, code=6))
        self.assertIn("no address", self.refused("login", "https://no-such-host.invalid:1", "--token-file", self.token_file, code=6))


class File(Remote):
    def put(self, text):
        os.makedirs(os.path.dirname(self.file), 0o700, exist_ok=True)
        with open(self.file, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(text if isinstance(text, bytes) else text.encode())

    def test_damaged(self):
        good = {"version": 1, "url": "https://localhost:1", "fingerprint": "ab" * 32, "token": TOKEN}
        spoilt = [dict(good, version=2), dict(good, url=7), dict(good, url="http://x"), dict(good, fingerprint="ab"), dict(good, token=""),
                  dict(good, token=TOKEN + "\n"), dict(good, ca="system"), {k: v for k, v in good.items() if k != "token"},
                  {k: v for k, v in good.items() if k != "fingerprint"}, dict(good, token="x" * 5000), [good], {}]
        for text in [json.dumps(s) for s in spoilt] + ["", "{", "garbage", "\0" * 100, json.dumps(good)[:-5], b"\xff\xfe", "[" * 30000, " " * (1 << 20),
                                                       json.dumps(good).replace('"url"', '"token": "a", "url"')]:
            self.put(text)
            said = self.refused("list", code=6)
            self.assertIn(self.file, said)
            self.assertNotIn(TOKEN, said)
        self.fastgpu("logout")
        self.assertFalse(os.path.exists(self.file))

    def test_not_a_file(self):
        os.makedirs(self.file)
        self.assertIn("not a file", self.refused("list", code=6))
        os.rmdir(self.file)
        os.mkfifo(self.file, 0o600)
        self.assertIn("not a file", self.refused("list", code=6))

    def test_folder_that_cannot_be_written(self):
        d = self.daemon()
        with open(f"{self.home}/config", "w"):
            pass
        self.assertIn("config", self.refused("login", d.url, "--fingerprint", d.fingerprint, "--token-file", self.token_file, code=1))


class Precedence(Remote):
    def test_order(self):
        a, b = self.daemon("a"), self.daemon("b")
        self.login(a)
        self.fastgpu("list")
        self.assertIn("GET /v1/vgpus", a.heard[-1])
        there = {"FASTGPU_URL": b.url, "FASTGPU_FINGERPRINT": b.fingerprint, "FASTGPU_TOKEN_FILE": self.token_file}
        self.fastgpu("list", env=there)
        self.assertIn("GET /v1/vgpus", b.heard[-1])
        self.assertIn(f"FASTGPU_URL names {b.url} as alice", self.fastgpu("login", env=there).stdout)
        heard = len(a.heard) + len(b.heard)
        self.fastgpu("list", env={"FASTGPU_STATE_DIR": self.state})
        self.assertEqual(len(self.started()), 1)
        self.assertIn("unset one", self.refused("list", code=6, env={"FASTGPU_STATE_DIR": self.state, **there}))
        self.assertEqual(len(a.heard) + len(b.heard), heard)

    def test_login_lends_what_is_not_said(self):
        """The pin and the token of the login are for its own URL alone."""
        a, b = self.daemon("a"), self.daemon("b")
        self.login(a)
        self.fastgpu("list", env={"FASTGPU_URL": a.url.upper().replace("HTTPS", "https")})
        said = self.refused("list", code=6, env={"FASTGPU_URL": b.url})
        self.assertIn(b.fingerprint, said)
        self.assertEqual(b.heard, [])
        self.refused("list", code=6, env={"FASTGPU_URL": b.url, "FASTGPU_FINGERPRINT": b.fingerprint})
        self.assertNotIn("uthorization", b.heard[-1])

    def test_bad_environment(self):
        d = self.daemon()
        for name, value in (("FASTGPU_URL", "nonsense"), ("FASTGPU_FINGERPRINT", "short"), ("FASTGPU_TOKEN_FILE", "/nowhere")):
            env = {"FASTGPU_URL": d.url, "FASTGPU_FINGERPRINT": d.fingerprint, "FASTGPU_TOKEN_FILE": self.token_file, name: value}
            said = self.refused("list", code=6, env=env)
            self.assertIn(name, said)
            self.assertIn(value, said)

    def test_run_is_for_this_machine(self):
        d = self.daemon()
        self.login(d)
        said = self.refused("run", "--", "true", code=6)
        self.assertIn(d.url, said)
        self.assertIn("FASTGPU_URL=local", said)
        self.assertNotIn("/v1/open", "".join(d.heard))
        self.assertIn("none runs", self.fastgpu("version", env={"FASTGPU_URL": "local"}).stdout)


class Terminal(Remote):
    def talk(self, args, *steps):
        """Runs at a terminal: waits for each text, then types; (exit code, everything that was shown)."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(self.prefix.program, [self.prefix.program, *args], self.environment())
        shown, steps, end = b"", list(steps), time.monotonic() + 60
        while time.monotonic() < end:
            if steps and steps[0][0].encode() in shown:
                time.sleep(0.2)  # it flushes what was typed too early
                os.write(fd, steps.pop(0)[1])
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    shown += os.read(fd, 4096)
                except OSError:
                    break
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        return os.waitstatus_to_exitcode(status), shown.decode()

    def test_asks(self):
        d = self.daemon()
        for yes in (b"yes\n", d.fingerprint.encode() + b"\n"):
            code, shown = self.talk(["login", d.url], ("yes/no", yes), ("Token:", TOKEN.encode() + b"\n"))
            self.assertEqual(code, 0, shown)
            self.assertIn(d.fingerprint, shown)
            self.assertNotIn(TOKEN, shown)
            self.assertEqual(self.stored()["token"], TOKEN)
            self.fastgpu("logout")

    def test_no(self):
        d = self.daemon()
        for no in (b"no\n", b"\n", b"\x04", b"x" * 500 + b"\n"):
            code, shown = self.talk(["login", d.url], ("yes/no", no))
            self.assertEqual(code, 1, shown)
            self.assertIn("not confirmed", shown)
        self.assertEqual(d.heard, [])

    def test_interrupted(self):
        """Ctrl-C at the token ends it, as a signal does."""
        d = self.daemon()
        code, shown = self.talk(["login", d.url, "--fingerprint", d.fingerprint], ("Token:", b"\x03"))
        self.assertEqual(code, -signal.SIGINT, shown)
        self.assertEqual(d.heard, [])

    def test_known_already(self):
        """The same daemon again is no question; another in its place is, with both fingerprints."""
        d = self.daemon()
        self.login(d)
        code, shown = self.talk(["login", d.url], ("Token:", TOKEN.encode() + b"\n"))
        self.assertEqual(code, 0, shown)
        self.assertNotIn("yes/no", shown)
        stored = self.stored()
        stored["fingerprint"] = pair("b")[2]
        with open(self.file, "w") as f:
            json.dump(stored, f)
        code, shown = self.talk(["login", d.url], ("yes/no", b"no\n"))
        self.assertEqual(code, 1)
        for word in ("CAREFUL", d.fingerprint, pair("b")[2]):
            self.assertIn(word, shown)


if __name__ == "__main__":
    unittest.main(verbosity=1)
