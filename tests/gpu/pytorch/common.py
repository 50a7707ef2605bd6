# SPDX-License-Identifier: Apache-2.0
"""Common to the programs here. Each takes the number of devices that it should see and the quota of each (0: none), and prints a line
of JSON at its end; exit code 77 and a line on standard error where the machine lacks what it needs."""
import json
import sys

import torch

DEVICES, QUOTA = (int(word) for word in sys.argv[1:3])
MIB = 1 << 20


def check(right, what):
    if not right:
        sys.exit(f"wrong: {what}")


def skip(why):
    print(why, file=sys.stderr)
    sys.exit(77)


def say(text, **data):
    print(json.dumps({"said": text, "torch": torch.__version__, **data}), flush=True)


def perceptron(device):
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)).to(device)


def data(device, count=512):
    """Points whose class is the nearest of ten centres: learnt in a few steps."""
    generator = torch.Generator().manual_seed(2)
    centres = torch.randn(10, 64, generator=generator)
    kinds = torch.randint(0, 10, (count,), generator=generator)
    return (centres[kinds] + 0.1 * torch.randn(count, 64, generator=generator)).to(device), kinds.to(device)


def train_step(model, optimizer, x, y):
    optimizer.zero_grad(set_to_none=False)
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss
