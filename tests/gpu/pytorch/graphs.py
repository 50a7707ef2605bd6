# SPDX-License-Identifier: Apache-2.0
"""A training step captured as a CUDA graph does the same as without."""
import copy

import torch

from common import check, data, perceptron, say, train_step


def main():
    x, y = data("cuda")
    plain = perceptron("cuda")
    captured = copy.deepcopy(plain)
    a, b = (torch.optim.SGD(m.parameters(), lr=0.05) for m in (plain, captured))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            train_step(captured, b, x, y)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = train_step(captured, b, x, y)
    for _ in range(200):
        graph.replay()
    torch.cuda.synchronize()
    for _ in range(203):
        expected = train_step(plain, a, x, y)
    check(torch.allclose(loss, expected, rtol=1e-2, atol=1e-3), f"loss {loss.item()}, uncaptured {expected.item()}")
    say(f"200 replays, loss {loss.item():.4f}, uncaptured {expected.item():.4f}")


main()
