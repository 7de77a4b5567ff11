"""What `log.trace` costs: the whole step with a timeline and without, in the same processes, which take turns.

    mpiexec -n 2 python benchmarks/trace.py

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

from distnn.data.loader import Loader
from distnn.data.partition import Batching
from distnn.parallel.memory import NodeMemory
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.train import timeline
from distnn.train.step import Step
from distnn.train.timeline import Timeline

#: The part of a step's time that recording it may take.
GOAL = 0.03
SAMPLES = 4096


def training(case: cases.Case, world: World, timeline: Timeline | None = None) -> Step:
    """A step on random images."""
    random, model = np.random.default_rng(0), case.model
    x = random.integers(0, 256, (SAMPLES, *model.input_shape), np.uint8)
    memory = NodeMemory(world.comm) if world.comm.size > 1 else None
    loader = Loader({"x": x, "y": random.integers(0, case.widths[-1], SAMPLES)}, 1 / 255)
    return training_step(model, loader, world, Batching(case.batch, world.comm.size), memory=memory, timeline=timeline)


def seconds(step: Step, count: int, world: World) -> float:
    """Of so many steps, from barrier to barrier."""
    world.comm.barrier()
    start = time.perf_counter()
    for number in range(count):
        step.run(number % (SAMPLES // step.batching.batch_size), 0.01)
    world.comm.barrier()
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="784-128-10@256,784-512-512-10@256,lenet@256,resnet-14@128")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement (0.5)")
    parser.add_argument("--json", type=Path, help="write every number here")
    given = parser.parse_args()
    world = World.open()
    blas_threads.settle(world.comm)
    timeline.EVENTS = 10**9  # so that none is left out
    results: dict[str, Any] = {}
    for case in map(cases.Case.parse, given.cases.split(",")):
        line = Timeline(world.comm)
        plain, traced = training(case, world), training(case, world, line)
        each = min(seconds(step, 2, world) / 2 for _ in range(2) for step in (plain, traced))
        count = int(world.comm.bcast(max(1, round(given.seconds / each))))
        rounds = []
        for turn in range(given.rounds):
            steps = {"plain": plain, "traced": traced}
            order = list(steps) if turn % 2 else list(steps)[::-1]
            rounds.append({name: seconds(steps[name], count, world) / count for name in order})
        ratios = sorted(found["traced"] / found["plain"] - 1 for found in rounds)
        events = len(line.events) / (count * given.rounds + 4)
        results[str(case)] = {"rounds": rounds, "cost": median(ratios)}
        if world.comm.root:
            spread = f"({100 * ratios[0]:+.1f} – {100 * ratios[-1]:+.1f})"
            print(
                f"{case!s:20} {1e3 * median(found['plain'] for found in rounds):7.2f} ms a step, {events:4.0f} events: "
                f"{100 * median(ratios):+.1f} % {spread}; goal {100 * GOAL:.0f} %: "
                f"{'met' if median(ratios) <= GOAL else 'missed'}",
                flush=True,
            )
    if given.json and world.comm.root:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
