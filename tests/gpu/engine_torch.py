# SPDX-License-Identifier: Apache-2.0
"""The same work through PyTorch: matrix products for the shares, training steps of a small network for the ratio."""
import torch

SIZE = 4096


class Torch:
    """`work`: side of the matrices."""

    def __init__(self, work=0, device=0):
        self.device = torch.device("cuda", device)
        torch.cuda.set_device(self.device)
        self.half = torch.float16
        self.held = []
        self.set_work(work or SIZE)
        self.model = None

    def set_work(self, size):
        self.work = size
        self.a = torch.randn(size, size, device=self.device, dtype=self.half)
        self.b = torch.randn(size, size, device=self.device, dtype=self.half)
        self.c = torch.empty_like(self.a)

    def launch(self):
        torch.mm(self.a, self.b, out=self.c)

    def start_training(self):
        torch.manual_seed(1)
        width = 1024
        self.model = torch.nn.Sequential(*[layer for _ in range(4) for layer in (torch.nn.Linear(width, width), torch.nn.ReLU())]).to(
            self.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3)
        self.x = torch.randn(1024, width, device=self.device)

    def step(self):
        if not self.model:
            self.start_training()
        self.optimizer.zero_grad(set_to_none=True)
        loss = (self.model(self.x) - self.x).square().mean()
        loss.backward()
        self.optimizer.step()

    def mark(self):
        event = torch.cuda.Event()
        event.record()
        return event

    def wait(self, event):
        event.synchronize()

    def sync(self):
        torch.cuda.synchronize()

    def alloc(self, size):
        try:
            self.held.append(torch.empty(size, dtype=torch.uint8, device=self.device))
        except torch.cuda.OutOfMemoryError:
            return None
        return len(self.held)

    def info(self):
        return list(torch.cuda.mem_get_info())

    def devices(self):
        return [torch.cuda.get_device_properties(d).total_memory for d in range(torch.cuda.device_count())]
