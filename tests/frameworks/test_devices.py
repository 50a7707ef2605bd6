#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu.torch and fastgpu.jax: devices and memory, in vGPUs and without."""
import os

import common
from common import MIB

TORCH = r"""
import json, torch, fastgpu.torch as ft
out = {"devices": [str(d) for d in ft.devices()], "one": len(ft.devices(1)), "memory": [ft.memory(0), ft.memory("cuda:1"), ft.memory(torch.device("cuda"))],
       "fraction": ft.fraction("8M"), "started": torch.cuda.is_initialized(), "errors": []}
for call in (lambda: ft.devices(3), lambda: ft.devices(0), lambda: ft.devices("2"), lambda: ft.memory(2), lambda: ft.fraction("1G"), lambda: ft.fraction(0)):
    try: call(); out["errors"].append("accepted")
    except ValueError as e: out["errors"].append(str(e))
print(json.dumps(out))
"""

JAX = r"""
import json, sys, fastgpu.jax as fj
out = {"memory": [fj.memory(0), fj.memory(1)], "fraction": fj.fraction("8M"), "started": fj.Jax.started(), "errors": []}
found = fj.devices()
import jax, jax.numpy as np
out.update(devices=len(found), kinds=[type(d).__name__ for d in found], of=fj.memory(found[1]).total)
mesh = jax.sharding.Mesh(found, "x")
put = jax.device_put(np.arange(8.0), jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x")))
out["sum"], out["spread"] = float((put * 2).sum()), len(put.sharding.device_set)
for call in (lambda: fj.devices(3), lambda: fj.devices(0), lambda: fj.memory(2), lambda: fj.memory("0"), lambda: fj.fraction("1G")):
    try: call(); out["errors"].append("accepted")
    except ValueError as e: out["errors"].append(str(e))
print(json.dumps(out))
"""

NONE = r"""
import json, sys, warnings
caught = []
warnings.showwarning = lambda message, *rest: caught.append(str(message))
import importlib
module = importlib.import_module("fastgpu." + sys.argv[1])
try: module.memory(0); told = "accepted"
except RuntimeError as e: told = str(e)
print(json.dumps([len(module.devices(2)), told, caught]))
"""

LATE = r"""
import jax
jax.devices()
import fastgpu.jax
fastgpu.jax.devices(2)
"""


class Devices(common.Case):
    def test_torch(self):
        out = self.said(self.program(TORCH, run=("--gpus", "2", "--memory", "32M,16M", "--compute", "20")))
        self.assertEqual((out["devices"], out["one"], out["fraction"], out["started"]), (["cpu", "cpu"], 1, 0.25, False))
        self.assertEqual([m[0] for m in out["memory"]], [32 * MIB, 16 * MIB, 32 * MIB])
        for said, word in zip(out["errors"], ("3 vGPUs wanted", "Argument `n`", "Argument `n`", "no device 2", "A part of", "Argument `memory`"), strict=True):
            self.assertIn(word, said)

    def test_jax(self):
        out = self.said(self.program(JAX, run=("--gpus", "2", "--memory", "32M,16M", "--compute", "20")))
        self.assertEqual((out["started"], out["devices"], out["of"], out["fraction"]), (False, 2, 16 * MIB, 0.25))
        self.assertEqual([m[0] for m in out["memory"]], [32 * MIB, 16 * MIB])
        self.assertEqual((out["sum"], out["spread"]), (56.0, 2))
        for said, word in zip(out["errors"], ("3 vGPUs wanted", "Argument `n`", "no device 2", "Argument `device`", "A part of"), strict=True):
            self.assertIn(word, said)

    def test_without(self):
        where = os.path.join(common.ROOT, "python")
        for name in ("torch", "jax"):
            found, told, caught = self.said(self.program(NONE, name, run=None, PYTHONPATH=where))
            self.assertEqual((found, len(caught)), (2, 1))
            self.assertIn("in no vGPU", told)
            self.assertIn("in no vGPU", caught[0])

    def test_late(self):
        done = self.program(LATE)
        self.assertIn("JAX has started with 1 of 2 devices. Move this line up", done.stderr)
        self.assertIn("p.py:5: `fastgpu.jax.devices(2)`", done.stderr)


if __name__ == "__main__":
    common.main()
