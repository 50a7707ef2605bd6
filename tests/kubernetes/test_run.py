#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a Go program that cannot be built: by go itself, where there is one."""
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import run  # noqa: E402

MODULE = "module example.com/x\n\ngo 1.21\n"


class Build(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fastgpu-tests-")
        self.addCleanup(shutil.rmtree, self.folder)

    def build(self, text, module=MODULE, proxy="off", flags="-mod=mod"):
        """(exit code, what it said)"""
        for name, content in (("main.go", text), ("go.mod", module)):
            with open(f"{self.folder}/{name}", "w") as f:
                f.write(content)
        code = f"import run; run.build({self.folder + '/made'!r}, {self.folder!r}, ('build',))"
        env = {**os.environ, "GOPROXY": proxy, "GOFLAGS": flags, "GONOSUMDB": "*", "GOTOOLCHAIN": "local", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-c", code], cwd=HERE, env=env, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stderr

    def test_a_wrong_source_is_a_failure(self):
        """Whatever it is called."""
        for text, word in (("package main\nfunc main() { proxy(1) }\n", "undefined: proxy"), ("package main\nfunc main() { dial tcp }\n", "unexpected name tcp"),
                           ('package main\nimport _ "example.com/x/proxy"\nfunc main() {}\n', "example.com/x/proxy")):
            code, said = self.build(text, flags="-mod=readonly")  # as the programs here are built: of what go.mod names
            self.assertEqual(code, 1, said)
            self.assertIn(word, said)

    def test_a_registry_that_is_away_is_none(self):
        text = 'package main\nimport _ "example.com/gone"\nfunc main() {}\n'
        module = MODULE + "\nrequire example.com/gone v1.0.0\n"
        for proxy in ("off", "http://127.0.0.1:9"):
            code, said = self.build(text, module, proxy)
            self.assertEqual(code, 77, said)
            self.assertIn("the modules cannot be had", said)

    def test_a_module_that_nobody_has_is_a_failure(self):
        """The registry is there, and says so."""
        for status in (404, 410):
            class Registry(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

                def log_message(self, *_):
                    pass
            with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as registry:
                threading.Thread(target=registry.serve_forever, daemon=True).start()
                code, said = self.build('package main\nimport _ "example.com/gone"\nfunc main() {}\n', MODULE + "\nrequire example.com/gone v1.0.0\n",
                                        f"http://127.0.0.1:{registry.server_address[1]}")
                registry.shutdown()
            self.assertEqual(code, 1, said)
            self.assertIn(f": {status} ", said)


if __name__ == "__main__":
    if not shutil.which("go"):
        run.skip("no go")
    unittest.main()
