"""The same network in PyTorch, eagerly, in one process: the loop of its tutorials, its samples in memory."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from protocol import Case, serve
from torch import nn
from torch_networks import Convolution, build, load

threads = int(os.environ["OMP_NUM_THREADS"])
torch.set_num_threads(threads)


class Torch:
    """A trainer for one of several ranks; ``wrap`` is what makes a network of many processes one."""

    rank, ranks = 0, 1

    def __init__(self, case: Case, wrap: Callable[[nn.Module], nn.Module] = lambda network: network) -> None:
        self.case = case
        # As float32 from the start: as fast as bytes that are converted batch by batch (both were tried), and usual.
        self.x = torch.from_numpy(case.x)
        self.x = self.x.long() if case.scale is None else self.x.float().mul_(case.scale)
        self.y = torch.from_numpy(case.y).long()
        self.plain = build(case.network, case.widths)
        if case.network not in ("mlp", "char-lstm"):
            self.x = self.x.reshape(-1, 1, 28, 28)
            self.plain = self.plain.to(memory_format=torch.channels_last)
        self.model = wrap(self.plain)
        self.loss_function = nn.CrossEntropyLoss()
        parameters = self.model.parameters()
        self.optimizer = torch.optim.SGD(parameters, lr=case.learning_rate, momentum=case.momentum)
        self.epoch = 0

    def reset(self) -> None:
        load(self.plain, self.case.first)
        self.optimizer.state.clear()

    def run(self, steps: int) -> None:
        for step in range(steps):
            window = step % self.case.steps
            if window == 0:
                order = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(self.epoch))
                self.epoch += 1
            self.step(order, window)

    def losses(self, steps: int) -> list[float]:
        order = torch.from_numpy(self.case.order)
        Convolution.exact = True
        found = [self.step(order, step).item() for step in range(steps)]
        Convolution.exact = False
        return found

    def step(self, order: torch.Tensor, window: int) -> torch.Tensor:
        start, stop, _ = self.case.share(window, self.rank, self.ranks)
        index = order[start:stop]
        x, y = self.x.index_select(0, index), self.y.index_select(0, index)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_function(self.model(x).flatten(0, -2), y.flatten())
        loss.backward()
        self.optimizer.step()
        return loss.detach()


if __name__ == "__main__":
    serve(Torch, lambda: None, {"rank": 0, "torch": torch.__version__, "threads": threads}, torch.from_numpy)
