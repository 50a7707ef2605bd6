# SPDX-License-Identifier: Apache-2.0
"""Eight streams, each waiting for the one before by an event."""
import torch

from common import check, say

STREAMS, ROUNDS = 8, 100


def main():
    streams = [torch.cuda.Stream(priority=-(i % 2)) for i in range(STREAMS)]
    values = [torch.zeros(1 << 16, device="cuda") for _ in streams]
    torch.cuda.synchronize()
    for _ in range(ROUNDS):
        for i, stream in enumerate(streams):
            with torch.cuda.stream(stream):
                stream.wait_stream(streams[i - 1])
                values[i].add_(values[i - 1]).remainder_(1021).add_(1)
    torch.cuda.synchronize()
    expected = [0] * STREAMS
    for _ in range(ROUNDS):
        for i in range(STREAMS):
            expected[i] = (expected[i] + expected[i - 1]) % 1021 + 1
    check([v.unique().tolist() for v in values] == [[e] for e in expected], "the streams did not wait for each other")
    host = torch.empty(1 << 20, pin_memory=True).fill_(3)
    with torch.cuda.stream(streams[0]):
        there = host.to("cuda", non_blocking=True)
        back = torch.empty_like(host, pin_memory=True)
        back.copy_(there * 2, non_blocking=True)
    streams[0].synchronize()
    check(bool((back == 6).all()), "copies in a stream")
    say(f"{STREAMS} streams, {ROUNDS} rounds, copies from and to pinned memory")


main()
