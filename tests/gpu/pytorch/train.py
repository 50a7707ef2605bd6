# SPDX-License-Identifier: Apache-2.0
"""Two small networks are trained on every device; their losses fall."""
import torch

from common import DEVICES, check, data, perceptron, say, train_step


def convolutions(device):
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Unflatten(1, (1, 8, 8)), torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.BatchNorm2d(16),
                               torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(16, 32, 3, padding=1), torch.nn.ReLU(),
                               torch.nn.Flatten(), torch.nn.Linear(512, 10)).to(device)


def train(device, make):
    model = make(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, y = data(device)
    first = train_step(model, optimizer, x, y).item()
    for _ in range(100):
        last = train_step(model, optimizer, x, y)
    check(last.item() < 0.5 * first, f"the loss goes from {first} to {last.item()} on {device}")
    return first, last.item()


def main():
    check(torch.cuda.device_count() == DEVICES, f"{torch.cuda.device_count()} devices")
    losses = [train(torch.device("cuda", d), make) for d in range(DEVICES) for make in (perceptron, convolutions)]
    # A result that went through every device and the host.
    a = torch.arange(1024.0)
    b = a
    for d in range(DEVICES):
        b = b.to(f"cuda:{d}") + 1
    check(torch.equal(b.cpu(), a + DEVICES), "a tensor moved from device to device")
    say("losses " + ", ".join(f"{first:.2f} → {last:.2f}" for first, last in losses), losses=losses)


main()
