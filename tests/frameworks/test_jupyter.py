#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu.keras in a Jupyter kernel, by Jupyter's own client: cells that run twice, errors in a cell, restarts. Nothing stays acquired."""
import json
import os
import subprocess

import common
from common import FASTGPU, wait_until

# The front end: lines of JSON come in (a cell, or what is to become of the kernel), what it said goes out.
FRONT = r"""
import json, sys
from jupyter_client import KernelManager
manager = KernelManager()
manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
manager.start_kernel(stdout=sys.stderr)
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=250)
for line in sys.stdin:
    what, code = json.loads(line)
    if what == "restart":
        manager.restart_kernel(now=code == "now")
        client.wait_for_ready(timeout=250)
        out = "ready"
    else:
        said = []
        def hook(message):
            content = message["content"]
            if message["msg_type"] == "error": said.append(content["ename"] + ": " + content["evalue"])
            elif message["msg_type"] == "execute_result": said.append(content["data"]["text/plain"])
        client.execute_interactive(code, timeout=250, output_hook=hook, allow_stdin=False)
        out = said[-1] if said else ""
    print(json.dumps(out), flush=True)
client.stop_channels()
manager.shutdown_kernel()
"""

SCOPE = "import fastgpu.keras\nscope = fastgpu.keras.scope(2, memory='32M', compute=20)\nlen(scope.devices)"


class Jupyter(common.Case):
    environment = {"KERAS_BACKEND": "jax", "PATH": f"{os.path.dirname(FASTGPU)}:{os.environ['PATH']}", "JUPYTER_PLATFORM_DIRS": "1"}

    def setUp(self):
        super().setUp()
        self.node.fastgpu("list")
        env = {**self.node.env, "PYTHONPATH": os.path.join(common.ROOT, "python"),
               **{name: os.path.join(self.node.dir, "jupyter") for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")}}
        self.front = self.node.popen([self.python, "-c", FRONT], cwd=self.node.dir, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def kernel(self, what, code=""):
        self.front.stdin.write(json.dumps([what, code]) + "\n")
        self.front.stdin.flush()
        return json.loads(self.front.stdout.readline())

    def held_by_the_kernel(self):
        (held,) = self.sets()
        self.assertTrue(held["ephemeral"])
        self.assertEqual([v["usage"]["pids"] for v in held["vgpus"]], [[int(self.kernel("run", "import os; os.getpid()"))]] * 2)
        return held["name"]

    def test_restarts(self):
        self.assertEqual(self.kernel("run", SCOPE), "2")
        first = self.held_by_the_kernel()
        self.assertEqual(self.kernel("run", SCOPE), "2")  # the cell once more
        self.assertEqual(self.held_by_the_kernel(), first)
        other = self.kernel("run", "fastgpu.keras.scope(1)")
        self.assertIn("RuntimeError", other)
        self.assertIn("Restart the program or the kernel", other)
        self.assertEqual(self.held_by_the_kernel(), first)
        for how in ("now", "gently"):  # "now" is kill -9
            self.assertEqual(self.kernel("restart", how), "ready")
            wait_until(lambda: not self.sets(), 5, "no vGPU is left")
            self.assertEqual(self.kernel("run", SCOPE), "2")
            self.held_by_the_kernel()
        self.front.stdin.close()
        self.front.wait(60)
        wait_until(lambda: not self.sets(), 5, "no vGPU is left")

    def test_errors_in_a_cell(self):
        self.assertIn("ValueError: Argument `n`", self.kernel("run", "import fastgpu.keras; fastgpu.keras.scope(0)"))
        self.assertIn("RuntimeError", self.kernel("run", "fastgpu.keras.scope(2, memory='900G')"))
        self.assertEqual(self.sets(), [])
        self.assertEqual(self.kernel("run", SCOPE), "2")  # the same kernel may try again
        self.held_by_the_kernel()
        self.assertEqual(self.kernel("restart", "now"), "ready")
        wait_until(lambda: not self.sets(), 5, "no vGPU is left")
        self.kernel("run", "import keras\nkeras.ops.ones(3) + 1")
        late = self.kernel("run", SCOPE)
        self.assertIn("RuntimeError", late)
        self.assertIn("jax has started already", late)
        self.assertIn("Move this line up", late)
        self.assertEqual(self.sets(), [])


if __name__ == "__main__":
    common.main()
