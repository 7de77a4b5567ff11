"""What each way of summing the gradients costs: whole steps of all ways in the same processes, which take turns.

    mpiexec -n 2 python benchmarks/reduction.py

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
from training import training_step

from distnn.checkpoint.environment import blas, cpu
from distnn.data.loader import Loader
from distnn.data.partition import Batching
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.train.step import Step

#: The way that the others are divided by.
PLAIN = "allreduce"


def training(case: cases.Case, world: World, *, shared: bool, bucket_mb: float | None = None) -> Step:
    """A step on random images."""
    random, model = np.random.default_rng(0), case.model
    samples = 4 * case.batch
    x = random.integers(0, 256, (samples, *model.input_shape), np.uint8)
    memory = NodeMemory(world.comm) if shared else None
    loader = Loader({"x": x, "y": random.integers(0, case.widths[-1], samples)}, 1 / 255)
    return training_step(
        model, loader, world, Batching(case.batch, world.comm.size), memory=memory, bucket_mb=bucket_mb
    )


def seconds(step: Step, count: int) -> float:
    """The mean time of a step, from barrier to barrier."""
    step.world.comm.barrier()
    start = time.perf_counter()
    for number in range(count):
        step.run(number % step.windows, 0.01)
    step.world.comm.barrier()
    return (time.perf_counter() - start) / count


def ways(case: cases.Case, world: World, apart: World, buckets: list[float]) -> dict[str, Step]:
    """The steps to be compared."""
    found = {PLAIN: training(case, world, shared=False), "node": training(case, world, shared=True)}
    if len(apart.comm.nodes) > 1:
        found[f"node, as {len(apart.comm.nodes)} nodes"] = training(case, apart, shared=True)
    return found | {f"buckets of {mb:g} MB": training(case, world, shared=False, bucket_mb=mb) for mb in buckets}


def raw(step: Step, count: int) -> float:
    """The mean time of MPI's Allreduce of the step's message alone."""
    message = np.zeros_like(step.reduction.gradients.message)
    step.world.comm.allreduce(message)
    step.world.comm.barrier()
    start = time.perf_counter()
    for _ in range(count):
        step.world.comm.allreduce(message)
    return (time.perf_counter() - start) / count


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cases", default="784-128-10@256,784-512-512-10@256,784-2048-2048-2048-10@1024,lenet@256,resnet-14@128"
    )
    parser.add_argument("--buckets", default="1,4,25", help="sizes in megabytes")
    parser.add_argument("--nodes", type=int, default=1, help="take the ranks, besides, as those of so many nodes")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=0.4, help="of each measurement")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    world = World.open()
    comm = world.comm
    apart = World.of(Communicator(comm.mpi, comm.mpi.Split(comm.rank * given.nodes // comm.size)))
    result: dict[str, Any] = {"cpu": cpu(), "blas": blas(), "mpi": comm.library, "ranks": comm.size, "cases": {}}
    if comm.root:
        threads = blas_threads.now.count
        print(f"{result['cpu']}, {result['blas']}, {result['mpi']}, {comm.size} ranks of {threads} thread")
    for text in given.cases.split(","):
        case = cases.Case.parse(text)
        steps = ways(case, world, apart, [float(size) for size in given.buckets.split(",")])
        count = int(comm.bcast(max(1, round(given.seconds / seconds(steps[PLAIN], 3)))))
        times: dict[str, list[float]] = {way: [] for way in [*steps, "Allreduce alone"]}
        for number in range(given.rounds):
            for way in [*steps][number % len(steps) :] + [*steps][: number % len(steps)]:
                times[way].append(seconds(steps[way], count))
            times["Allreduce alone"].append(raw(steps[PLAIN], count))
        result["cases"][text] = times
        if comm.root:
            size = steps[PLAIN].reduction.gradients.message.nbytes / 1e6
            print(f"\n{text}, {size:.1f} MB: time of a step, and divided by {PLAIN}")
            for way, found in times.items():
                ratio = [a / b for a, b in zip(found, times[PLAIN], strict=True)]
                line = f"  {way:20}{1e3 * median(found):9.2f} ms   {median(ratio):.3f}"
                print(f"{line} ({min(ratio):.3f} – {max(ratio):.3f})", flush=True)
    if comm.root and given.json:
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
