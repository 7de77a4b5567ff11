"""A run's folder has one writer: as long as it lives, and no longer."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from distnn.errors import DistnnError, RunFileError
from distnn.session import lock
from distnn.session.lock import FolderLock
from tests.support.launch import Launch
from tests.support.resuming import command, finished, train, write
from tests.support.runs import metrics
from tests.support.thorough import times

NO_MATTER: Any = None


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "INTERVAL", 0.05)
    monkeypatch.setattr(lock, "WATCH", 0.5)
    monkeypatch.setattr(lock, "SETTLING", 0.2)


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    """A file system that has none, as some network shares."""

    def flock(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)


def test_another_is_refused_until_it_is_released(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    with pytest.raises(RunFileError, match=rf"in use: another run \(process {os.getpid()} on .*--force"):
        FolderLock(tmp_path)
    first.release()
    first.release()
    assert [*tmp_path.iterdir()] == []
    FolderLock(tmp_path).release()


def test_the_same_run_may_have_it_on_another_rank(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    second = FolderLock(tmp_path, token=first.token)
    second.release()
    first.release()
    assert [*tmp_path.iterdir()] == []


def test_force_takes_it(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    second = FolderLock(tmp_path, force=True)
    first.release()
    assert (tmp_path / "lock").exists(), "it is the other one's"
    second.release()
    assert [*tmp_path.iterdir()] == []


def test_a_heartbeat_counts_where_there_are_no_locks(tmp_path: Path, without_locks: None) -> None:
    first = FolderLock(tmp_path)
    with pytest.raises(RunFileError, match="in use"):
        FolderLock(tmp_path)
    first._over.set()  # as if its host had failed
    first._thread.join()
    start = time.monotonic()
    FolderLock(tmp_path).release()
    assert time.monotonic() - start >= 0.5, "it has been watched"


def test_another_hosts_heartbeat_counts_where_locks_are_one_hosts(
    tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = FolderLock(tmp_path)
    fcntl.flock(first._file, fcntl.LOCK_UN)  # whose kernel knows nothing of the other's
    monkeypatch.setattr(lock.socket, "gethostname", lambda: "elsewhere")
    with pytest.raises(RunFileError, match="in use"):
        FolderLock(tmp_path)
    first.release()
    FolderLock(tmp_path).release()


@pytest.mark.parametrize("how", ["locks", "no locks"])
def test_of_those_that_begin_at_once_one_gets_it(how: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if how == "no locks":
        request.getfixturevalue("without_locks")
    for turn in range(10 if how == "locks" else 3):
        folder, together = tmp_path / str(turn), threading.Barrier(4)
        folder.mkdir()
        got: list[FolderLock] = []

        def begin(folder: Path = folder, together: threading.Barrier = together, got: list[Any] = got) -> None:
            together.wait()
            with contextlib.suppress(RunFileError):
                got.append(FolderLock(folder))

        threads = [threading.Thread(target=begin) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        got[0].release()
        assert [*folder.iterdir()] == []


def _hold(folder: Path) -> None:
    FolderLock(folder)
    time.sleep(60)


def test_kills_at_any_moment_leave_nothing_in_the_way(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    turns = times(25, 100)
    for turn in range(turns):
        owner = context.Process(target=_hold, args=(tmp_path,))
        owner.start()
        time.sleep(0.04 * turn / turns)
        owner.kill()
        owner.join()
        start = time.monotonic()
        FolderLock(tmp_path).release()
        assert time.monotonic() - start < 5, "not watched, for the kernel knows"
        assert [*tmp_path.iterdir()] == []


def test_a_second_run_is_refused_and_a_killed_one_taken_over(tmp_path: Path) -> None:
    run, out = write(tmp_path, train={"epochs": 10**6}), tmp_path / "run"
    with Launch(1, command(run, out), launcher="none") as launch:
        while not metrics(out, "checkpoint"):
            assert launch.process.poll() is None, launch.output()
            time.sleep(0.02)
        for more in (["--resume", "auto"], ["--resume", out], []):
            refused = train(2, run, out, *more)
            assert refused.returncode == 2, refused
            assert f"the output folder {out} is in use: another run (process {launch.process.pid} on " in refused.stderr
        launch.process.send_signal(signal.SIGKILL)
        launch.wait(60)
    assert (out / "lock").exists()
    finished(2, run, out, "--resume", "auto", "--set", f"train.epochs={metrics(out, 'train')[-1]['epoch'] + 1}")
    assert not (out / "lock").exists()


@pytest.mark.parametrize("how", ["taken", "taken and left", "removed"])
def test_who_has_lost_it_is_told_at_a_step(how: str, tmp_path: Path, impatient: None) -> None:
    first = FolderLock(tmp_path)
    first.stepped(NO_MATTER)
    if how == "removed":
        (tmp_path / "lock").unlink()
    else:
        second = FolderLock(tmp_path, force=True)
        if how == "taken and left":
            second.release()
    first._thread.join(10)
    with pytest.raises(DistnnError, match="with --force" if how == "taken" else "the lock is gone"):
        first.stepped(NO_MATTER)
    first.release()
    assert (tmp_path / "lock").exists() == (how == "taken")


def test_a_run_whose_folder_is_taken_by_force_ends_and_writes_no_more(tmp_path: Path) -> None:
    run, out = write(tmp_path, train={"epochs": 10**6}), tmp_path / "run"
    with Launch(2, command(run, out)) as launch:
        while not metrics(out, "train"):
            assert launch.process.poll() is None, launch.output()
            time.sleep(0.02)
        taken = FolderLock(out, force=True)
        result = launch.wait(60)
    taken.release()
    assert result.returncode == 1, result
    assert f"the output folder {out} is no longer this run's: another run (process {os.getpid()} on" in result.stderr
    assert metrics(out, "end") == []
