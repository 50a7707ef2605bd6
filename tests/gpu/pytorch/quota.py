# SPDX-License-Identifier: Apache-2.0
"""Memory runs out at the quota with PyTorch's own error, and the program goes on afterwards."""

import torch

from common import MIB, QUOTA, check, data, perceptron, say, train_step


def fill():
    held = []
    try:
        while not QUOTA or len(held) < 2 * QUOTA // (64 * MIB):
            held.append(torch.empty(64 * MIB, dtype=torch.uint8, device="cuda"))
    except torch.cuda.OutOfMemoryError:
        return held, True
    return held, False


def main():
    if not QUOTA:
        return say("no quota")
    torch.zeros(1, device="cuda")
    free = torch.cuda.mem_get_info()[0]
    held, refused = fill()
    taken = 64 * MIB * len(held)
    check(refused, f"{taken} B were given")
    check(free - 192 * MIB < taken <= free, f"{taken} B were given, {free} B were free")
    del held
    torch.cuda.empty_cache()
    try:
        torch.empty(2 * QUOTA, dtype=torch.uint8, device="cuda")
        check(False, "twice the quota was given")
    except torch.cuda.OutOfMemoryError:
        pass
    model = perceptron("cuda")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    first = train_step(model, optimizer, *data("cuda")).item()
    for _ in range(50):
        last = train_step(model, optimizer, *data("cuda")).item()
    check(last < first, "training does not go on afterwards")
    check(fill()[1], "not refused again")
    say(f"refused after {taken // MIB} of {free // MIB} MiB free, and went on", taken=taken, free=free)


main()
