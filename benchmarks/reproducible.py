"""What `parallel.reproducible` costs: its step beside that of the fast mode, in the same processes.

    mpiexec -n 2 python benchmarks/reproducible.py

See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: F401 (before numpy)

# isort: split
import numpy as np
from training import training_step

from distnn.checkpoint.environment import blas, cpu
from distnn.data.loader import Loader
from distnn.data.partition import Batching
from distnn.kernels.loading import load
from distnn.models import Model, convnet, mlp
from distnn.parallel.memory import NodeMemory
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World

#: (network, input shape, batch, by how much the reproducible step may be longer)
CASES: dict[str, tuple[Any, tuple[int, ...], int, float]] = {
    "MLP 784-2048-2048-2048-10 @1024": (lambda: mlp(10, [2048] * 3), (784,), 1024, 1.25),
    "CNN 28×28, 3×3×32, 3×3×64, dense 128 @256": (
        lambda: convnet(10, (32, 64), hidden=(128,)),
        (28, 28, 1),
        256,
        1.05,
    ),
}


class Trained:
    """A step of one mode, in memory that the ranks share as in `distnn train`."""

    def __init__(self, world: World, case: str, shards: int | None, *, reproducible: bool) -> None:
        network, shape, batch, _ = CASES[case]
        random = np.random.default_rng(0)
        x = random.integers(0, 256, (2 * batch, *shape), np.uint8)
        y = random.integers(0, 10, 2 * batch)
        model = Model(network(), shape, task="classification", classes=[str(k) for k in range(10)])
        memory = NodeMemory(world.comm) if world.comm.size > 1 else None
        batching = Batching(batch, shards or world.comm.size)
        self.step = training_step(
            model, Loader({"x": x, "y": y}, 1 / 255), world, batching, memory=memory, reproducible=reproducible
        )
        self.number = 0

    def seconds(self, steps: int) -> float:
        """The mean time of a step."""
        start = time.perf_counter()
        for _ in range(steps):
            self.step.run(self.number % self.step.windows, 0.01, number=self.number)
            self.number += 1
        return (time.perf_counter() - start) / steps


def measure(world: World, case: str, shards: int, rounds: int, steps: int) -> dict[str, list[float]]:
    """The mean time of a step in each round, by mode; the modes take turns."""
    modes = {
        "fast, one shard a rank": Trained(world, case, None, reproducible=False),
        f"fast, {shards} shards": Trained(world, case, shards, reproducible=False),
        f"reproducible, {shards} shards": Trained(world, case, shards, reproducible=True),
    }
    found: dict[str, list[float]] = {mode: [] for mode in modes}
    for trained in modes.values():
        trained.seconds(2)
    for _ in range(rounds):
        for mode, trained in modes.items():
            world.comm.barrier()
            found[mode].append(trained.seconds(steps))
    return found


def ratios(found: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """The reproducible step's time divided by each fast one's, round by round."""
    *others, mine = found
    by_round = {other: [a / b for a, b in zip(found[mine], found[other], strict=True)] for other in others}
    return {other: {"median": median(r), "min": min(r), "max": max(r)} for other, r in by_round.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", type=int, default=3, help="of each round and mode")
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(CASES)), help="their numbers, from 0")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    world = World.open()
    blas_threads.use(1, "as parallel.reproducible has it")
    result: dict[str, Any] = {"cpu": cpu(), "blas": blas(), "ranks": world.comm.size, "cases": {}}
    result["kernels"] = load("fixed_point").__name__
    if world.comm.root:
        print(f"{result['cpu']}, {result['blas']}, {world.comm.size} ranks of 1 thread, {result['kernels']}")
    for case in [list(CASES)[number] for number in given.cases]:
        found = measure(world, case, given.shards, given.rounds, given.steps)
        compared, goal = ratios(found), CASES[case][3]
        result["cases"][case] = {"seconds": found, "reproducible_divided_by": compared, "goal": goal}
        if world.comm.root:
            print(f"\n{case}; goal: at most {goal:.2f} of the fast mode's time")
            for mode, times in found.items():
                line = f"  {mode:26}{1e3 * median(times):8.1f} ms"
                if ratio := compared.get(mode):
                    line += f"   reproducible ÷ it {ratio['median']:.3f} ({ratio['min']:.3f} – {ratio['max']:.3f})"
                print(line, flush=True)
    if world.comm.root and given.json:
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
