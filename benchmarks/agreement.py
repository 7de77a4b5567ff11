"""What it costs at a run's start that the ranks compare what they were given, and with the file already open.

    mpiexec -n 4 python benchmarks/agreement.py [RUN.toml]

See README.md in this folder.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from distnn.checkpoint.environment import versions
from distnn.config import read, to_dict
from distnn.data import DataFile
from distnn.parallel.agreement import agree
from distnn.parallel.world import World
from distnn.session.samples import agree_on

REPOSITORY = Path(__file__).resolve().parents[1]
ROUNDS = 51
#: The most that both may take together on 4 ranks. Milliseconds.
GOAL = 5.0


def main() -> None:
    """Measure, and print milliseconds: of the first time, which is a run's, and the median of later ones.

    "nothing" is the bare reduction of 8 integers, without which no comparison can do.
    """
    world = World.open()
    assert world.comm.nodes  # the watchdog has asked for them before
    settings = read(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "data" / "digits.toml")
    with DataFile(settings.data.path) as file:
        nothing = np.zeros(8, np.int64)
        parts = {
            "nothing": lambda: world.comm.maximum(nothing),
            "settings": lambda: agree(world.comm, {"settings": to_dict(settings), "versions": versions()}),
            "data": lambda: agree_on(file, world.comm),
        }
        spent: dict[str, list[float]] = {name: [] for name in parts}
        for _ in range(ROUNDS):
            for name, part in parts.items():
                world.comm.barrier()
                start = time.perf_counter()
                part()
                spent[name].append(1000 * max(world.comm.allgather(time.perf_counter() - start)))
    if world.comm.root:
        print(f"{'':10}{'first':>8}{'median':>8}   ms on {world.comm.size} ranks; goal for both: {GOAL}")
        for name, times in spent.items():
            print(f"{name:10}{times[0]:8.2f}{median(times):8.2f}")


if __name__ == "__main__":
    main()
