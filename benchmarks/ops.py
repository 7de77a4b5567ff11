"""Single ops beside PyTorch's, forward and backward, each on one thread in one process.

    python benchmarks/ops.py

See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: F401 (before numpy)

# isort: split
import numpy as np
import torch
from torch.nn import functional

from distnn.ops.activation import ReLU
from distnn.ops.batch_norm import BatchNorm
from distnn.ops.conv.convolution import Conv2D
from distnn.ops.op import Op
from distnn.ops.pooling import MaxPool2D
from distnn.parallel.threads import blas_threads

Pass = Callable[[], object]


class Case(NamedTuple):
    """An op, the shapes of its inputs (images first, with their channels last), and the same in PyTorch."""

    name: str
    op: Op
    shapes: list[tuple[int, ...]]
    torch: Callable[..., Any]


def convolution(batch: int, side: int, channels: int, outputs: int, stride: int = 1) -> Case:
    """A 3 × 3 convolution without a bias, as in a ResNet."""
    shapes = [(batch, side, side, channels), (3, 3, channels, outputs)]

    def theirs(x: Any, weight: Any) -> Any:
        return functional.conv2d(x, weight, None, stride, 1)

    name = f"conv2d 3×3, {side}×{side}×{channels} → {outputs}{f', stride {stride}' if stride > 1 else ''}"
    return Case(name, Conv2D(stride, 1), shapes, theirs)


def pixelwise(batch: int, side: int, channels: int) -> list[Case]:
    """What stands between convolutions."""
    x, vector = (batch, side, side, channels), (channels,)

    def normalised(x: Any, gain: Any, bias: Any, mean: Any, variance: Any) -> Any:
        return functional.batch_norm(x, mean.detach().clone(), variance.detach().abs(), gain, bias, training=True)

    return [
        Case(f"batchnorm, {side}×{side}×{channels}", BatchNorm(), [x, *[vector] * 4], normalised),
        Case(f"relu, {side}×{side}×{channels}", ReLU(), [x], functional.relu),
        Case(f"maxpool 2×2, {side}×{side}×{channels}", MaxPool2D(2), [x], lambda x: functional.max_pool2d(x, 2)),
    ]


def cases(batch: int) -> list[Case]:
    """The ops of small ResNets and convolutional networks on images of 28 × 28."""
    sizes = [(28, 1, 32), (28, 16, 16), (28, 16, 32, 2), (28, 64, 64), (14, 32, 32), (14, 128, 128), (7, 64, 64)]
    convolutions = [convolution(batch, *size) for size in sizes]
    return [*convolutions, *pixelwise(batch, 28, 16), *pixelwise(batch, 14, 64)]


def ours(case: Case, arrays: list[Any], dy: Any) -> Pass:
    """A forward and a backward of distnn's op, whose buffers are bound once."""
    y, outs = np.empty_like(dy), [np.empty_like(array) for array in arrays]
    asked = case.op.work(y.shape, *(array.shape for array in arrays))
    work = {name: np.empty(w.shape, w.dtype or y.dtype) for name, w in asked.items()}
    upper = dy.copy()  # an op may spoil it
    forward, backward = case.op.bind(work, y, *arrays, upper, *outs)

    def run() -> object:
        forward()
        backward()
        return outs[0]

    return run


def theirs(case: Case, arrays: list[Any], dy: Any, *, last: bool) -> Pass:
    """The same in PyTorch, with channels in memory where distnn has them (``last``), or second."""
    layout = torch.channels_last if last else torch.contiguous_format

    def tensor(array: Any) -> Any:
        axes = {4: (3, 2, 0, 1) if array is not arrays[0] and array is not dy else (0, 3, 1, 2), 1: (0,)}
        found = torch.from_numpy(array).permute(axes[array.ndim])
        return found.contiguous(memory_format=layout) if array.ndim == 4 else found.clone()

    given = [tensor(array).requires_grad_() for array in arrays]
    upper = tensor(dy)
    wanted = given[:3] if len(given) == 5 else given  # no gradient flows to running means

    def run() -> object:
        return torch.autograd.grad(case.torch(*given), wanted, upper)[0].permute(0, 2, 3, 1)

    return run


def contenders(case: Case) -> dict[str, Pass]:
    """distnn's and PyTorch's, which give the same gradient of the images."""
    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=shape).astype(np.float32) for shape in case.shapes]
    dy = generator.normal(size=case.op.shape(*case.shapes)).astype(np.float32)
    found = {"distnn": ours(case, arrays, dy)}
    found |= {
        "torch": theirs(case, arrays, dy, last=False),
        "torch, channels last": theirs(case, arrays, dy, last=True),
    }
    expected = np.asarray(found["torch"]())
    if np.abs(np.asarray(found["distnn"]()) - expected).max() > 1e-4 * np.abs(expected).max():
        raise SystemExit(f"{case.name}: distnn and PyTorch give different gradients, so that their times mean nothing.")
    return found


def seconds(run: Pass, least: float) -> float:
    """Processor time of one call, the mean over ``least`` seconds; so other programs hardly disturb it."""
    calls, start = 0, time.process_time()
    while (spent := time.process_time() - start) < least or not calls:
        run()
        calls += 1
    return spent / calls


def main() -> None:
    """Measure, and print a table; PyTorch counts with the faster of its two layouts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64, help="images (64)")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each (7)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of each measurement (0.1)")
    parser.add_argument("--json", type=Path, help="write every number here")
    given = parser.parse_args()
    blas_threads.use(1, "as PyTorch has it here")
    torch.set_num_threads(1)
    results = {}
    print(f"{'ms, forward and backward':44}{'distnn':>9}{'torch':>9}   torch / distnn")
    for case in cases(given.batch):
        runs = contenders(case)
        times = [{name: 1e3 * seconds(run, given.seconds) for name, run in runs.items()} for _ in range(given.rounds)]
        results[case.name] = {name: [each[name] for each in times] for name in runs}
        fastest = min(list(runs)[1:], key=lambda name: median(results[case.name][name]))
        ratios = sorted(each[fastest] / each["distnn"] for each in times)
        mine, other = (median(results[case.name][name]) for name in ("distnn", fastest))
        spread = f"{median(ratios):.2f}  ({ratios[0]:.2f} – {ratios[-1]:.2f})"
        print(f"{case.name:44}{mine:9.2f}{other:9.2f}   {spread}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
