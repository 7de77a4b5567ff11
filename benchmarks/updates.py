"""The optimisers' updates beside PyTorch's fused ones and beside a copy of memory, on one thread, taken in turns.

    python benchmarks/updates.py

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
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: F401 (before numpy)

# isort: split
import numpy as np
import torch

from distnn.kernels.loading import compiled_kernels
from distnn.optim import SGD, Adam, AdamW, Optimizer
from distnn.parallel.threads import blas_threads

#: The part of a copy's speed that Adam should reach.
GOAL = 0.7
RATE = 0.001
#: distnn's rule, and PyTorch's fused one.
RULES: dict[str, tuple[Optimizer, Callable[[Any], Any]]] = {
    "sgd": (SGD(RATE), lambda p: torch.optim.SGD(p, RATE, fused=True)),
    "sgd, momentum": (SGD(RATE, 0.9), lambda p: torch.optim.SGD(p, RATE, 0.9, fused=True)),
    "adam": (Adam(RATE), lambda p: torch.optim.Adam(p, RATE, fused=True)),
    "adamw": (AdamW(RATE), lambda p: torch.optim.AdamW(p, RATE, fused=True)),
}


def ours(rule: Optimizer, values: np.ndarray, slopes: list[np.ndarray]) -> Callable[[int], object]:
    """A step of distnn's, which changes ``values``."""
    gradients, slots = np.empty_like(values), {name: np.zeros_like(values) for name in rule.slots}
    update = rule.bind(values, gradients, slots, {"dense1.weight": slice(0, len(values))})

    def step(number: int) -> None:
        np.copyto(gradients, slopes[number % len(slopes)])
        clock = time.perf_counter()
        update(1.0, RATE, number)
        step.seconds = time.perf_counter() - clock  # type: ignore[attr-defined]

    return step


def theirs(make: Callable[[Any], Any], values: np.ndarray, slopes: list[np.ndarray]) -> Callable[[int], object]:
    """A step of PyTorch's, which changes ``values``."""
    parameter = torch.nn.Parameter(torch.from_numpy(values))
    rule, gradients = make([parameter]), [torch.from_numpy(slope) for slope in slopes]

    def step(number: int) -> None:
        parameter.grad = gradients[number % len(slopes)]
        clock = time.perf_counter()
        rule.step()
        step.seconds = time.perf_counter() - clock  # type: ignore[attr-defined]

    return step


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write every number here")
    given = parser.parse_args()
    blas_threads.use(1, "as PyTorch has it here")
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    start, *slopes = random.normal(size=(3, given.parameters)).astype(np.float32)
    source, target = start.copy(), np.zeros_like(start)
    results: dict[str, Any] = {}
    way = "compiled" if compiled_kernels("updates") else "numpy"
    print(f"{given.parameters / 1e6:g} million parameters, {way} updates")
    print(f"{'ms':16}{'distnn':>9}{'torch':>9}   torch / distnn          speed / a copy's")
    for name, (rule, make) in RULES.items():
        values = start.copy(), start.copy()
        steps = ours(rule, values[0], slopes), theirs(make, values[1], slopes)
        rows = []
        for number in range(given.rounds + 1):
            clock = time.perf_counter()
            np.copyto(target, source)
            rows.append({"copy": time.perf_counter() - clock})
            for who, step in zip(("distnn", "torch"), steps, strict=True):
                step(number)
                rows[-1][who] = step.seconds  # type: ignore[attr-defined]
        if np.abs(values[0] - values[1]).max() > 1e-5:
            raise SystemExit(f"{name}: distnn and PyTorch have updated to other values; their times mean nothing.")
        rows = rows[1:]
        # Each vector is read, and all but the gradient written; a copy reads one, and writes one that it reads first.
        passes, copied = 3 + 2 * len(rule.slots), 3
        ratios = sorted(row["torch"] / row["distnn"] for row in rows)
        speeds = sorted(passes / copied * row["copy"] / row["distnn"] for row in rows)
        mine, other = (1e3 * median(row[who] for row in rows) for who in ("distnn", "torch"))
        met = f"   goal {GOAL}: {'met' if median(speeds) >= GOAL else 'missed'}" if name == "adam" else ""
        spreads = [f"{median(r):5.2f}  ({r[0]:.2f} – {r[-1]:.2f})" for r in (ratios, speeds)]
        print(f"{name:16}{mine:9.1f}{other:9.1f}   {spreads[0]}    {spreads[1]}{met}", flush=True)
        results[name] = {"rounds": rows, "torch / distnn": median(ratios), "speed / copy": median(speeds)}
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
