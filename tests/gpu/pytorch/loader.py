# SPDX-License-Identifier: Apache-2.0
"""Batches come from worker processes, forked after CUDA is in use, and through pinned memory."""
import torch

from common import check, say


class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return 4096

    def __getitem__(self, index):
        return torch.full((256,), float(index)), index * index


def total(method):
    loader = torch.utils.data.DataLoader(Squares(), batch_size=128, num_workers=4, pin_memory=True, multiprocessing_context=method)
    first = squares = 0
    for x, y in loader:
        first += x.to("cuda", non_blocking=True)[:, 0].double().sum()
        squares += y.to("cuda", non_blocking=True).sum()
    return int(first.item()), squares.item()


def main():
    torch.zeros(1, device="cuda")
    expected = sum(range(4096)), sum(i * i for i in range(4096))
    for method in ("fork", "spawn"):
        got = total(method)
        check(got == expected, f"{method}: {got} instead of {expected}")
    say("4096 samples each from 4 forked and 4 spawned workers")


if __name__ == "__main__":
    main()
