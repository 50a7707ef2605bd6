# SPDX-License-Identifier: Apache-2.0
"""The package as it stands in the source, against a daemon of the test's own."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = os.path.join(ROOT, "python")
sys.path[:0] = [PACKAGE, os.path.join(ROOT, "tests", "daemon")]

import harness  # noqa: E402
from harness import Daemon, wait_until  # noqa: E402,F401

import fastgpu  # noqa: E402


class Case(harness.Case):
    options = {"devices": 2}

    def setUp(self):
        self.d = Daemon(**self.options)
        self.addCleanup(self.d.__exit__)
        self.d.start()
        self.client = self.connect()

    def connect(self, **how):
        client = fastgpu.Client("unix:" + self.d.socket, **how)
        self.addCleanup(client.close)
        return client

    def child_env(self):
        return {**self.d.env, "PYTHONPATH": PACKAGE}

    def nothing_left(self):
        wait_until(lambda: not self.d.names(), "no vGPU is left")

    def raises(self, kind, call, *args, **kwargs):
        """The exception itself."""
        with self.assertRaises(kind) as caught:
            call(*args, **kwargs)
        return caught.exception


main = harness.main
