"""Files on which HDF5 crashes or loops: `distnn inspect` ends in words."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distnn.cli.apart import Progress, apart
from distnn.errors import CheckpointError, DataError, DistnnError
from tests.fuzz import damaged
from tests.support.runs import distnn, some_digits

FILE = Path("some.h5")


def loop(progress: Progress) -> None:
    """As C code does: no handler of Python's runs meanwhile, and nothing can interrupt it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    while True:
        pass


def crash(progress: Progress) -> None:
    ctypes.string_at(0)


def test_what_it_returns_and_raises() -> None:
    assert apart(FILE, lambda progress: {"a": [1, None, "ü", 0.1]}, 5) == {"a": [1, None, "ü", 0.1]}

    def bad(progress: Progress) -> None:
        raise CheckpointError("damaged: ü")

    with pytest.raises(CheckpointError, match="^damaged: ü$"):
        apart(FILE, bad, 5)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (loop, r"HDF5 doesn't come to an end reading some\.h5: it has computed for 1 s\. The file is damaged"),
        (crash, r"HDF5 crashed reading some\.h5 \(SIGSEGV\)\. The file is damaged"),
        (lambda progress: os.abort(), r"HDF5 crashed reading some\.h5 \(SIGABRT\)\. The file is damaged"),
    ],
)
def test_a_loop_and_crashes(work: Callable[[Progress], Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        apart(FILE, work, 1)


def test_an_end_for_another_reason() -> None:
    with pytest.raises(DistnnError, match=r"the process that read some\.h5 was ended by SIGKILL"):
        apart(FILE, lambda progress: os.kill(os.getpid(), signal.SIGKILL), 1)


def test_an_error_of_our_own_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def bug(progress: Progress) -> None:
        raise ZeroDivisionError("a fault of distnn")

    with pytest.raises(DistnnError, match="ended with exit code 1"):
        apart(FILE, bug, 1)
    assert "ZeroDivisionError: a fault of distnn" in capfd.readouterr().err


def test_who_makes_progress_or_waits_is_left_alone() -> None:
    def work(progress: Progress) -> str:
        for _ in range(4):
            end = time.process_time() + 0.6
            while time.process_time() < end:
                pass
            progress(0)
        progress(3)
        end = time.process_time() + 2.5
        while time.process_time() < end:
            pass
        return "done"

    assert apart(FILE, work, 1) == "done"


#: Of the damaged files of `tests.fuzz`, those on which HDF5 2.0.0 comes to no end.
LOOPS = ("loop 391", "loop 804")


@pytest.mark.parametrize("seed", LOOPS)
def test_damaged_files_on_which_hdf5_loops(seed: str, tmp_path: Path) -> None:
    path = some_digits(tmp_path / "a.h5", 60, 20)
    path.write_bytes(damaged(path.read_bytes(), random.Random(seed)))
    done = distnn("inspect", path, "--limit", "1")
    assert done.returncode == 2
    assert done.stderr.startswith("distnn: error:") and "a.h5" in done.stderr and "damaged" in done.stderr
    assert len(done.stderr.splitlines()) == 1
