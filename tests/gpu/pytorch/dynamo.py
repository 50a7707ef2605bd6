# SPDX-License-Identifier: Apache-2.0
"""A compiled training step does the same as the plain one. The compiler's kernels are loaded as modules of their own."""
import copy
import shutil

import torch

from common import check, data, perceptron, say, skip, train_step


def main():
    if not (shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")):
        skip("torch.compile needs a C compiler")
    try:
        import triton  # noqa: F401
    except ImportError:
        skip("torch.compile needs Triton")
    x, y = data("cuda")
    plain = perceptron("cuda")
    compiled = copy.deepcopy(plain)
    fast = torch.compile(compiled)
    a, b = (torch.optim.SGD(m.parameters(), lr=0.05) for m in (plain, compiled))
    for _ in range(20):
        expected, loss = train_step(plain, a, x, y), train_step(fast, b, x, y)
    check(torch.allclose(loss, expected, rtol=1e-2, atol=1e-3), f"loss {loss.item()}, plain {expected.item()}")
    say(f"20 steps, loss {loss.item():.4f}, plain {expected.item():.4f}")


main()
