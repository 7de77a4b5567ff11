"""Files on which HDF5 crashes or loops: `distnn inspect` ends in words."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from distnn.cli.apart import Progress, apart
from distnn.errors import CheckpointError, DataError, DistnnError
from tests.fuzz_files import damaged
from tests.support.launch import environment, mpiexec
from tests.support.runs import DISTNN, distnn, run_file, some_digits

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


def test_where_there_is_no_process_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr("os.fork", refuse)
    before = len(os.listdir("/proc/self/fd"))
    assert apart(FILE, lambda progress: progress(1) or "done", 1) == "done"
    assert len(os.listdir("/proc/self/fd")) == before


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
            end = time.process_time() + 0.4
            while time.process_time() < end:
                pass
            progress(0)
        progress(2)
        end = time.process_time() + 1.5
        while time.process_time() < end:
            pass
        return "done"

    assert apart(FILE, work, 1) == "done"


#: Of the damaged files of `tests.fuzz`, those on which HDF5 2.0.0 comes to no end.
LOOPS = ("loop 391", "loop 804")
where_it_loops = pytest.mark.skipif(
    h5py.version.hdf5_version_tuple != (2, 0, 0), reason="another HDF5 writes other bytes, and ends on others"
)


def looping(path: Path, seed: str = LOOPS[0]) -> Path:
    path.write_bytes(damaged(some_digits(path, 60, 20).read_bytes(), random.Random(seed)))
    return path


def in_words(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("distnn: error:") and "a.h5" in done.stderr and "damaged" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@where_it_loops
@pytest.mark.parametrize("seed", LOOPS)
def test_damaged_files_on_which_hdf5_loops(seed: str, tmp_path: Path) -> None:
    in_words(distnn("inspect", looping(tmp_path / "a.h5", seed), "--limit", "1"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and beside it a file on which HDF5 loops and a run file for that."""
    folder = tmp_path_factory.mktemp("run")
    data = some_digits(folder / "good.h5", 60, 20)
    sections = {"data": {"path": str(data), "batch_size": 30}, "train": {"epochs": 1}, "parallel": {"timeout": 3}}
    done = distnn("train", run_file(folder / "run.toml", **sections), "--out", folder / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    run_file(folder / "a.toml", **sections | {"data": {"path": str(looping(folder / "a.h5")), "batch_size": 30}})
    return folder


SOON = "import distnn.cli.apart, distnn.cli.main; distnn.cli.apart.OPENING = 1; distnn.cli.main.main()"


@where_it_loops
@pytest.mark.parametrize(
    "command",
    [
        "evaluate run a.h5",
        "predict run a.h5 -o p.h5",
        "train a.toml --out out",
        "graph a.toml",
        "plan a.toml --site generic",
        "init --data a.h5 -o b.toml",
    ],
)
def test_other_commands_alone_end_in_words_too(command: str, run: Path) -> None:
    start = [sys.executable, "-c", SOON, *command.split()]
    in_words(
        subprocess.run(start, cwd=run, env=environment("none"), capture_output=True, text=True, timeout=60, check=False)
    )


@where_it_loops
def test_among_ranks_the_stack_names_the_file(run: Path) -> None:
    done = mpiexec(2, [*DISTNN, "evaluate", "run", "a.h5"], cwd=run)
    assert done.returncode != 0
    assert 'File "<a.h5, which is damaged if HDF5 ends here>"' in done.stderr, done


CRASH = """
import ctypes
from distnn.cli.main import main
from distnn.data.file.stored import Stored
Stored._read = lambda *_: ctypes.string_at(0)
main()
"""


def test_a_crash_names_the_file(run: Path) -> None:
    start = [sys.executable, "-c", CRASH, "evaluate", "run", "good.h5"]
    done = subprocess.run(start, cwd=run, env=environment("none"), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGSEGV
    assert 'File "<good.h5, which is damaged if HDF5 ends here>"' in done.stderr
