"""How well ranks share a step: all of them together beside as many that train by themselves at the same time.

    mpiexec -n 2 python benchmarks/scaling.py

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
import cases
import numpy as np
from protocol import SCALE, samples_of
from training import training_step

from distnn.checkpoint.environment import blas, cpu
from distnn.data.loader import Loader
from distnn.data.partition import Batching
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.train.step import Step

#: The efficiency to be reached.
GOAL = 0.93


def training(case: cases.Case, world: World, batch: int) -> Step:
    """A step on random samples."""
    random, model = np.random.default_rng(0), case.model
    pixels = random.integers(0, 256, (4 * batch, case.widths[0]), np.uint8)
    x, y = samples_of(case.network, pixels, random.integers(0, case.widths[-1], 4 * batch))
    scale = None if case.network == "char-lstm" else SCALE
    memory = NodeMemory(world.comm) if world.comm.size > 1 else None
    loader = Loader({"x": x.reshape(-1, *model.input_shape), "y": y}, scale)
    return training_step(model, loader, world, Batching(batch, world.comm.size), memory=memory)


def rate(step: Step, everyone: Communicator, seconds: float) -> float:
    """Samples per second of this step while all ranks run theirs; of all ranks together."""
    step.run(0, 0.01)
    everyone.barrier()
    start, samples = time.perf_counter(), 0
    while True:
        for number in range(4):
            step.run(number, 0.01)
        samples += 4 * step.batching.batch_size
        # Together all have to stop after the same step; alone each for itself.
        if step.world.comm.bcast(time.perf_counter() - start > seconds):
            break
    mine = samples / (time.perf_counter() - start)
    everyone.barrier()
    return sum(everyone.allgather(mine)) / step.world.comm.size


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = (*cases.CASES, *cases.SLOW_CASES)
    parser.add_argument("--cases", default=",".join(map(str, every)))
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    world = World.open()
    comm = world.comm
    alone = World.open(comm.mpi.Split(comm.rank))
    result: dict[str, Any] = {"cpu": cpu(), "blas": blas(), "mpi": comm.library, "ranks": comm.size, "cases": {}}
    if comm.root:
        threads = blas_threads.now.count
        print(f"{result['cpu']}, {result['blas']}, {result['mpi']}, {comm.size} ranks of {threads} thread")
        print("samples/s of all ranks together, divided by those of as many that train alone at the same time:")
        print(f"{'':30}{'each with the whole batch':>28}{'each with its share of it':>28}")
    for text in given.cases.split(","):
        case = cases.Case.parse(text)
        steps = {
            "together": training(case, world, case.batch),
            "alone": training(case, alone, case.batch),
            "alone, a share": training(case, alone, case.batch // comm.size),
        }
        rates: dict[str, list[float]] = {way: [] for way in steps}
        for _ in range(given.rounds):
            for way, step in steps.items():
                rates[way].append(rate(step, comm, given.seconds))
        together, *others = rates.values()
        found = [[a / b for a, b in zip(together, other, strict=True)] for other in others]
        result["cases"][text] = rates | {"efficiency": dict(zip(("alone", "alone, a share"), found, strict=True))}
        if comm.root:
            line = "".join(f"{median(each):10.3f} ({min(each):.3f} – {max(each):.3f})" for each in found)
            print(f"{text:30}{line}   goal {GOAL}: {'met' if median(found[0]) >= GOAL else 'missed'}", flush=True)
    if comm.root and given.json:
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
