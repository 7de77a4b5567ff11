"""A run that is killed while it starts, where it makes the memory that its ranks share, leaves none of that behind."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.support.launch import Launch
from tests.support.resuming import LIMIT, command, write
from tests.support.runs import metrics
from tests.support.thorough import times

#: How often a run is killed, on how many ranks.
TIMES, RANKS = times(5, 200), 2


def started(run: Path, out: Path, limit: float = LIMIT) -> tuple[float, set[int]]:
    """Let a run go on to its first steps, or for so long, and kill it: when that was, and its processes."""
    ranks: set[int] = set()
    with Launch(RANKS, command(run, out)) as launch:
        begun = time.monotonic()
        while time.monotonic() < begun + limit and not metrics(out, "train"):
            ranks |= set(launch.ranks().values())  # long before a rank has loaded what it makes memory with
            assert launch.process.poll() is None, launch.output()
            time.sleep(0.01)
        launch.kill()
        return time.monotonic() - begun, ranks


def files(processes: set[int]) -> list[Path]:
    """What these processes have in memory: never what others on the machine have."""
    return [path for number in processes for path in Path("/dev/shm").glob(f"distnn-{number}-*")]


def test_a_run_killed_at_any_moment_of_its_start_leaves_no_memory_behind(tmp_path: Path) -> None:
    run, chance = write(tmp_path, train={"epochs": 100}), random.Random(3)
    whole, _ = started(run, tmp_path / "whole")
    for number in range(TIMES):
        _, processes = started(run, tmp_path / f"run {number}", chance.uniform(0.2, 1.1) * whole)
        assert len(processes) >= RANKS
        assert files(processes) == []
