#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real daemon over TLS and a real `fastgpu` that has logged in to it; then its key changes."""
import os
import signal
import subprocess

from e2e import FASTGPU, NO_DAEMON, Node, NodeTest, main


class Remote(NodeTest):
    def setUp(self):
        self.node = Node(FASTGPU_LISTEN="127.0.0.1:0")
        self.addCleanup(self.node.close)
        self.node.fastgpu("user", "create", "ann", "--admin", "yes")
        self.token = self.node.fastgpu("token", "create", "--user", "ann").stdout.strip()
        self.elsewhere = {k: v for k, v in self.node.env.items() if not k.startswith("FASTGPU_") and not k.lower().endswith("_proxy")}
        self.elsewhere["XDG_CONFIG_HOME"] = f"{self.node.dir}/config"

    def shown(self):
        return self.node.get("/v1/version")["tls"]

    def far(self, *argv, code=0, **more):
        done = subprocess.run([FASTGPU, *argv], env={**self.elsewhere, **more.pop("env", {})}, capture_output=True, text=True, timeout=120,
                              start_new_session=True, **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertNotIn(self.token[17:], done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_login_and_changed_key(self):
        tls = self.shown()
        url, fingerprint = f"https://{tls['listen']}", tls["fingerprint"]
        self.assertIn(fingerprint, self.node.fastgpu("version").stdout)
        self.assertIn(fingerprint, self.far("login", url, "--token-file", "-", code=2, input=self.token))  # nobody to ask
        self.far("login", url, "--fingerprint", fingerprint, "--token-file", "-", input=self.token)
        self.far("create", "--name", "far", "--memory", "1M", "--compute", "1")
        self.assertEqual([(s["name"], s["owner"]) for s in self.node.json("list")["sets"]], [("far", "ann")])
        self.assertIn("ann, by token", self.far("whoami"))
        self.assertIn("far/0", self.far("inspect", "far"))
        self.far("run", "far", "--", "true", code=NO_DAEMON)
        self.far("top", "--batch", "2", "--interval", "0.1")

        # The same machine with another key, as an impostor would have it.
        self.node.stop_daemon(signal.SIGTERM)
        for name in ("tls-cert.pem", "tls-key.pem"):
            os.unlink(os.path.join(self.node.dir, name))
        self.node.env["FASTGPU_LISTEN"] = tls["listen"]
        self.node.fastgpu("devices")
        changed = self.shown()["fingerprint"]
        self.assertNotEqual(changed, fingerprint)
        said = self.far("list", code=NO_DAEMON)
        for word in (fingerprint, changed, f"fastgpu login {url}"):
            self.assertIn(word, said)
        self.far("login", url, "--fingerprint", changed, "--token-file", "-", input=self.token)
        self.assertIn("far", self.far("list"))
        self.node.fastgpu("token", "revoke", self.token)
        self.assertIn("revoked", self.far("list", code=NO_DAEMON))
        with open(os.path.join(self.node.dir, "run", "daemon.log")) as f:
            self.assertNotIn(self.token[17:], f.read())


if __name__ == "__main__":
    main()
