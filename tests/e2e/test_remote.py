#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real daemon over TLS and a real `fastgpu` that has logged in to it; then its key changes."""
import os
import signal
import subprocess

from e2e import FASTGPU, NO_DAEMON, Node, NodeTest, main

TOKEN = "t0ken"


class Remote(NodeTest):
    def setUp(self):
        self.node = Node(FASTGPU_LISTEN="127.0.0.1:0")
        self.addCleanup(self.node.close)
        self.node.fastgpu("devices")
        self.elsewhere = {k: v for k, v in self.node.env.items() if not k.startswith("FASTGPU_") and not k.lower().endswith("_proxy")}
        self.elsewhere["XDG_CONFIG_HOME"] = f"{self.node.dir}/config"

    def shown(self):
        return self.node.get("/v1/version")["tls"]

    def far(self, *argv, code=0, **more):
        done = subprocess.run([FASTGPU, *argv], env={**self.elsewhere, **more.pop("env", {})}, capture_output=True, text=True, timeout=120,
                              start_new_session=True, **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertNotIn(TOKEN, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_login_and_changed_key(self):
        tls = self.shown()
        url, fingerprint = f"https://{tls['listen']}", tls["fingerprint"]
        self.assertIn(fingerprint, self.node.fastgpu("version").stdout)
        self.assertIn(fingerprint, self.far("login", url, "--token-file", "-", code=2, input=TOKEN))  # nobody to ask
        self.far("login", url, "--fingerprint", fingerprint, "--token-file", "-", input=TOKEN)
        self.far("create", "--name", "far", "--memory", "1M", "--compute", "1")
        self.assertEqual([s["name"] for s in self.node.json("list")["sets"]], ["far"])
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
        self.far("login", url, "--fingerprint", changed, "--token-file", "-", input=TOKEN)
        self.assertIn("far", self.far("list"))
        with open(os.path.join(self.node.dir, "run", "daemon.log")) as f:
            self.assertNotIn(TOKEN, f.read())


if __name__ == "__main__":
    main()
