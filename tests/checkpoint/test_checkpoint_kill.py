"""Writers killed with SIGKILL, at random moments and right before every system call that matters: nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distnn.checkpoint import clean, load, newest_good
from tests.support import checkpoint_writer
from tests.support.checkpoint_writer import BEST_EVERY, state
from tests.support.checkpoints import same
from tests.support.thorough import times

#: So often, and then on, up to so often, until one has left something behind.
KILLS, MOST = times(5, 12), 12
KEEP = 3


def writer(checkpoints: Path, first: int) -> subprocess.Popen[str]:
    command = [sys.executable, checkpoint_writer.__file__, str(checkpoints), str(first), str(KEEP)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _write(output: int, checkpoints: Path, kill_at: int) -> None:
    sys.stdout = os.fdopen(output, "w")
    checkpoint_writer.main(checkpoints, 1, KEEP, kill_at)


def cut_short(checkpoints: Path, event: int) -> tuple[int | None, int]:
    """How a writer ends, a fork, that is to kill itself at that event, and the last step that it told of."""
    reads, writes = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=_write, args=(writes, checkpoints, event))
    process.start()
    os.close(writes)
    with os.fdopen(reads) as told:
        confirmed = max(map(int, told.read().split()))
    process.join()
    return process.exitcode, confirmed


def check(checkpoints: Path, confirmed: int) -> int:
    """All that a killed writer may leave, and must: the step that `latest` names."""
    found = {int(path.name[5:-3]): path for path in checkpoints.iterdir() if re.fullmatch(r"step-\d{8}\.h5", path.name)}
    for step, path in found.items():
        assert same(load(path), state(step)), f"{path} isn't what was saved"
    latest = load(checkpoints / "latest").progress["step"]
    assert isinstance(latest, int)
    assert latest in (confirmed, confirmed + 1)
    assert max(found) <= confirmed + 1
    for step in range(max(latest - KEEP + 1, 1), latest + 1):
        assert step in found, f"step {step} is lost; latest is {latest}, there are {sorted(found)}"
    if latest >= BEST_EVERY:
        best = load(checkpoints / "best").progress["step"]
        assert best in (latest // BEST_EVERY * BEST_EVERY, confirmed + 1)
    assert len(found) <= KEEP + 3  # the best, and two that a kill kept from being named or removed
    path, _ = newest_good(checkpoints, pytest.fail)
    assert path.name == os.readlink(checkpoints / "latest")
    return latest


def test_killed_at_random_moments_and_resumed(tmp_path: Path) -> None:
    """One folder through many lives: each writer goes on where `latest` says."""
    chance, latest, leftovers = random.Random(1), 0, 0
    for life in range(MOST):
        if life >= KILLS and leftovers:
            break
        with writer(tmp_path, latest + 1) as process:
            assert process.stdout is not None
            confirmed = int(process.stdout.readline())
            time.sleep(chance.uniform(0, 0.15))
            process.kill()
            confirmed = max([confirmed, *map(int, process.stdout.read().split())])
        assert process.returncode == -signal.SIGKILL
        latest = check(tmp_path, confirmed)
        leftovers += len(clean(tmp_path))
        assert not list(tmp_path.glob("*.tmp"))
        assert check(tmp_path, confirmed) == latest
    assert leftovers, "no writer was killed while it wrote: the test tests nothing"


def test_killed_before_every_system_call(tmp_path: Path) -> None:
    """The fourth save, which becomes the best and removes the first, is cut short at each of its events in turn."""
    for event in range(100):
        checkpoints = tmp_path / str(event)
        code, confirmed = cut_short(checkpoints, event)
        check(checkpoints, confirmed)
        clean(checkpoints)
        assert not list(checkpoints.glob("*.tmp"))
        if code == 0:
            break
        assert code == -signal.SIGKILL
    # open to verify, rename, two links of two calls each, opens to sync, one removal: fewer means the hook missed some
    assert event >= 9
