"""`parallel.elastic`: ranks die, at any moment, and the others go on as if there had never been more of them."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distnn import checkpoint
from tests.support.launch import CURES, Launch, Result, mpiexec, usable
from tests.support.reproducible import SHARDS, prepare
from tests.support.resuming import LIMIT, command, finished
from tests.support.runs import distance, metrics, run_file, saved
from tests.support.thorough import times
from tests.support.warm import warm

needs_open_mpi = pytest.mark.skipif(not usable("openmpi"), reason=CURES["openmpi"])
#: How often the test with deaths at random is done, and how many ranks begin and are left.
TIMES, RANKS, LEFT = times(1, 20), 4, 2
#: Runs of different kinds, each with deaths that take turns: one after the other, until one rank is left.
DEATHS = {
    "MLP, dropout, Adam, clipped": [
        "4:while data are read:1",
        "0:before a reduction:3",
        "2:after a reduction:5",
        "3:before an evaluation:1",
    ],
    "CNN, batch norm, momentum, augmentation": [
        "1:after an update:2",
        "3:while the others regroup:1",
        "0:while a checkpoint is written:2",
        "4:while the state is handed on:2",
    ],
    "LSTM": ["0:before a save:1", "2:after a reduction:12", "1:after an evaluation:2", "3:at the very end:1"],
    "LAMB, float64": [
        "0:before the folder is made:1",
        "2:after an update:3",
        "1:before losses are told of:2",
        "3:before the end:1",
    ],
}


def dying(ranks: int, deaths: str, run: Path, out: Path, *more: str) -> Result:
    """A training whose ranks die at moments of it, as `tests.support.dying` reads them."""
    arguments = [deaths, "train", run, "--out", out, *more]
    return warm(ranks, arguments, launcher="ulfm", module="tests.support.dying", timeout=LIMIT)


def died(out: Path) -> list[str]:
    """Who the run says was lost."""
    texts = [record["text"] for record in metrics(out, "warning")]
    return sorted(name for text in texts if " died " in text for name in re.findall(r"rank \d+", text))


@needs_open_mpi
@pytest.mark.parametrize("name", DEATHS)
def test_those_that_are_left_end_with_the_bits_of_one_undisturbed_rank(name: str, tmp_path: Path) -> None:
    run = prepare(tmp_path, name, parallel=SHARDS | {"elastic": True}, checkpoint={"every_steps": 4})
    alone = finished(1, run, tmp_path / "alone")
    deaths = DEATHS[name]
    result = dying(5, ",".join(deaths), run, tmp_path / "run")
    assert result.returncode == 0, result
    assert "Traceback" not in result.stderr, result
    end = saved(tmp_path / "run")
    assert checkpoint.digest(end) == checkpoint.digest(alone)
    assert end.progress | {"seconds": 0} == alone.progress | {"seconds": 0}
    assert died(tmp_path / "run") == sorted(f"rank {death[0]}" for death in deaths), result
    assert list((tmp_path / "run" / "checkpoints").glob("*.tmp")) == []


@needs_open_mpi
def test_those_that_read_parts_of_a_file_for_each_other(tmp_path: Path) -> None:
    """Blocks of which a rank that has died was to read some, or died while it read them, are read by the others."""
    run = prepare(tmp_path, "MLP, dropout, Adam, clipped", parallel=SHARDS | {"elastic": True})
    streamed = ["--set", "data.in_memory=false", "--set", "data.shuffle_buffer=40"]
    alone = finished(1, run, tmp_path / "alone", *streamed)
    result = dying(3, "1:while a block is read:3,0:before a reduction:5", run, tmp_path / "run", *streamed)
    assert result.returncode == 0, result
    assert "Traceback" not in result.stderr, result
    assert checkpoint.digest(saved(tmp_path / "run")) == checkpoint.digest(alone)
    assert died(tmp_path / "run") == ["rank 0", "rank 1"], result


def victims(launch: Launch, out: Path, chance: random.Random) -> Iterator[int]:
    """Kill ranks at random moments of the training, until few are left."""
    while not metrics(out, "train"):
        time.sleep(0.01)
    for _ in range(RANKS - LEFT):
        time.sleep(chance.uniform(0, 0.6))
        alive = launch.ranks()
        victim = chance.choice(sorted(alive))
        os.kill(alive[victim], signal.SIGKILL)
        while victim in launch.ranks():
            time.sleep(0.01)
        yield victim


@needs_open_mpi
def test_killed_at_random_until_two_are_left(tmp_path: Path) -> None:
    sections = {"train": {"epochs": 60}, "log": {"interval": 0}, "parallel": SHARDS | {"elastic": True}}
    run, chance = run_file(tmp_path / "run.toml", **sections), random.Random(7)
    alone = checkpoint.digest(finished(1, run, tmp_path / "alone"))
    for turn in range(TIMES):
        out = tmp_path / f"run-{turn}"
        with Launch(RANKS, command(run, out), launcher="ulfm") as launch:
            killed = [*victims(launch, out, chance)]
            assert launch.process.poll() is None, f"the run was to last longer: {launch.output()}"
            result = launch.wait(LIMIT)
        assert result.returncode == 0, result
        assert died(out) == sorted(f"rank {victim}" for victim in killed), result
        assert metrics(out, "start")[-1]["ranks"] == LEFT
        assert checkpoint.digest(saved(out)) == alone


@needs_open_mpi
def test_without_fixed_shards_each_sample_still_counts_once(tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", train={"epochs": 3}, parallel={"elastic": True})
    result = dying(3, "0:before a reduction:30", run, tmp_path / "run")
    assert result.returncode == 0, result
    rows = [record for record in metrics(tmp_path / "run", "evaluation") if record["split"] == "train"]
    assert [record["samples"] for record in rows] == [1297] * 3
    alone = finished(1, run, tmp_path / "alone")
    assert distance(saved(tmp_path / "run").parameters, alone.parameters) < 1e-5


@needs_open_mpi
def test_after_a_loss_a_signal_still_ends_the_run_with_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", train={"epochs": 4}, parallel=SHARDS | {"elastic": True})
    alone = checkpoint.digest(finished(1, run, tmp_path / "alone"))
    out = tmp_path / "run"
    events = "0:after an update:10,2:after an update:31:TERM"
    result = dying(3, events, run, out)
    assert result.returncode == 75, result
    assert saved(out).progress["step"] == 32
    end = finished(2, run, out, "--resume", "auto", "--set", "parallel.elastic=false")
    assert checkpoint.digest(end) == alone


@needs_open_mpi
def test_a_rank_that_is_stopped_or_fails_dies_of_it(tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", parallel=SHARDS | {"elastic": True, "timeout": 25})  # for a loaded machine
    alone = checkpoint.digest(finished(1, run, tmp_path / "alone"))
    deaths = "1:after an update:5:STOP,2:before an evaluation:2:FAIL"
    argv = [sys.executable, "-m", "tests.support.dying", deaths, "train", run, "--out", tmp_path / "run"]
    result = mpiexec(3, argv, launcher="ulfm", timeout=LIMIT)
    assert result.returncode == 0, result
    assert "distnn: error: rank 1 (host " in result.stderr, result
    assert "is the cause: nothing of it has run for" in result.stderr, result
    assert "boom" in result.stderr, result
    assert died(tmp_path / "run") == ["rank 1", "rank 2"]
    assert checkpoint.digest(saved(tmp_path / "run")) == alone


@needs_open_mpi
def test_without_the_setting_a_death_ends_the_run(tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml")
    result = dying(3, "1:before an evaluation:1", run, tmp_path / "run")
    assert result.returncode != 0, result
    assert "another rank has died. What is saved is good: go on with --resume auto." in result.stderr, result
    assert "Traceback" not in result.stderr, result


@pytest.mark.parametrize(
    ("launcher", "reason"),
    [
        ("mpich", r"the MPI library in use, MPICH \S+, ends all ranks with it"),
        pytest.param(
            "openmpi",
            r"Open MPI \S+ was started without fault tolerance, and then ends all ranks",
            marks=needs_open_mpi,
        ),
    ],
)
def test_it_is_refused_where_the_mpi_has_no_fault_tolerance(launcher: str, reason: str, tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", parallel={"elastic": True})
    result = mpiexec(2, command(run, tmp_path / "run"), launcher=launcher, timeout=LIMIT)
    assert result.returncode == 2, result
    assert re.search(f"parallel.elastic = true goes on where a rank dies, but {reason}", result.stderr), result
    assert "mpirun --with-ft ulfm" in result.stderr, result
    assert not (tmp_path / "run").exists()


def test_what_does_not_go_with_it(tmp_path: Path) -> None:
    for extra, words in (
        ("reduction=node", "which die with a rank"),
        ("bucket_mb=1.5", "that a dying rank leaves half"),
    ):
        run = run_file(tmp_path / "run.toml")
        argv = [*command(run, tmp_path / "run"), "--set", "parallel.elastic=true", "--set", f"parallel.{extra}"]
        result = mpiexec(1, argv, launcher="none")
        assert result.returncode == 2, result
        assert words in result.stderr, result
