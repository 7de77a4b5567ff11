"""PyTorch's DistributedDataParallel until it classifies enough of the validation split right; an epoch a line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from protocol import Case
from torch import distributed
from torch_ddp import TorchDDP

#: Samples of one forward of an evaluation.
BATCH = 256


@torch.no_grad()
def accuracy(racer: TorchDDP, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share of a split that is classified right, of which each process counts a part."""
    mine = slice(len(x) * racer.rank // racer.ranks, len(x) * (racer.rank + 1) // racer.ranks)
    pairs = zip(x[mine].split(BATCH), y[mine].split(BATCH), strict=True)
    right = sum((racer.plain(images).argmax(1) == labels).sum() for images, labels in pairs)
    total = torch.as_tensor(right)
    distributed.all_reduce(total)
    return total.item() / len(x)


def main() -> None:
    """Train as the folder says."""
    folder = Path(sys.argv[1])
    recipe = json.loads((folder / "recipe.json").read_text())
    x, y, orders, x_validation, y_validation = (
        np.load(folder / f"{name}.npy") for name in ("x", "y", "orders", "x_validation", "y_validation")
    )
    with np.load(folder / "first.npz") as first:
        values = [first[key] for key in sorted(first)]
    rule = recipe["learning_rate"], recipe["momentum"]
    racer = TorchDDP(Case((784, 10), recipe["batch"], *rule, x, y, orders[0], values, "lenet"))
    racer.reset()
    images = torch.from_numpy(x_validation).float().mul_(racer.case.scale).reshape(-1, 1, 28, 28)
    images = images.to(memory_format=torch.channels_last)
    for epoch, order in enumerate(orders, 1):
        places = torch.from_numpy(order)
        for window in range(racer.case.steps):
            racer.step(places, window)
        found = accuracy(racer, images, torch.from_numpy(y_validation).long())
        if racer.rank == 0:
            print(json.dumps({"epoch": epoch, "accuracy": found}), flush=True)
        if found >= recipe["target"]:
            break
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
