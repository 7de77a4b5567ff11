"""Saving on disks that are full, read-only or failing: saved files stay, unfinished ones go, the error says why."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from distnn import outputs
from distnn.checkpoint import Checkpoint, clean, load, resolve, save
from distnn.errors import CheckpointError
from tests.support import disks
from tests.support.checkpoints import example, same, state, steps, three


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """RUN/checkpoints with steps 1, 2 and 3; `best` names 2."""
    return three(tmp_path)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writing beyond ``size`` bytes fails inside, as on a full disk (Python ignores the signal that goes with it)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB of its own."""
    with disks.small_disk(tmp_path / "disk", "4m") as disk:
        yield disk


def large(step: int) -> Checkpoint:
    return Checkpoint({"weight": np.full(300_000, step, np.float32)}, {}, {"step": step})


@pytest.mark.parametrize("size", [0, 500, 5_000, 600_000, 1_199_000])
def test_a_write_that_fails_anywhere(tmp_path: Path, size: int) -> None:
    save(tmp_path, large(1), keep=3, best=True)
    before = state(tmp_path)
    with (
        largest_file(size),
        pytest.raises(CheckpointError, match=r"00002\.h5: the checkpoint can't be saved: File too"),
    ):
        save(tmp_path, large(2), keep=1, best=True)
    assert state(tmp_path) == before
    save(tmp_path, large(2), keep=3, best=True)
    assert same(load(tmp_path / "latest"), large(2))


def test_full_disk(small_disk: Path) -> None:
    for step in (1, 2, 3):
        save(small_disk / "checkpoints", large(step), keep=3, best=False)
    before = state(small_disk / "checkpoints")
    with pytest.raises(CheckpointError) as caught:
        save(small_disk / "checkpoints", large(4), keep=3, best=False)
    text = str(caught.value)
    assert "step-00000004.h5: the checkpoint can't be saved: No space left on device. 1 MB are free there." in text
    assert (
        "Free some space, raise your quota, or keep fewer checkpoints ([checkpoint] keep). The checkpoints saved"
        in text
    )
    assert "before are intact, and the run can be resumed from them." in text
    assert state(small_disk / "checkpoints") == before
    (small_disk / "checkpoints" / "step-00000001.h5").unlink()
    save(small_disk / "checkpoints", large(4), keep=3, best=False)
    assert same(load(small_disk / "checkpoints" / "latest"), large(4))


def test_read_only_disk(small_disk: Path) -> None:
    save(small_disk / "checkpoints", large(1), keep=3, best=False)
    (small_disk / "checkpoints" / "step-00000002.h5.7.tmp").touch()
    before = state(small_disk / "checkpoints")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for run in ("checkpoints", "new"):
        with pytest.raises(CheckpointError, match=r"Read-only file system\. Check that the folder exists, is yours"):
            save(small_disk / run, large(2), keep=3, best=False)
    with pytest.raises(CheckpointError, match=r"the leftovers of a killed run can't be removed \(Read-only file"):
        clean(small_disk / "checkpoints")
    assert state(small_disk / "checkpoints") == before
    assert same(load(resolve(small_disk / "checkpoints")), large(1))


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(CheckpointError, match=r"can't be saved: File exists\. Check that the folder exists"):
        save(tmp_path / "checkpoints", example(), keep=3, best=False)


def test_a_disk_that_returns_other_bytes(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is changed between writing and reading back: it never gets its name."""
    before = state(checkpoints)

    def change(descriptor: int) -> None:
        content = os.pread(descriptor, 1 << 20, 0)
        place = content.index(np.arange(4, 16, dtype=np.float32).tobytes())
        os.pwrite(descriptor, bytes([content[place] ^ 1]), place)

    monkeypatch.setattr(os, "fdatasync", change)
    with pytest.raises(
        CheckpointError, match=r"the checkpoint can't be saved: what was read back differs from what was written"
    ):
        save(checkpoints, example(4), keep=1, best=True)
    assert state(checkpoints) == before


@pytest.mark.parametrize("call", ["replace", "symlink", "fsync", "fdatasync", "pwrite"])
def test_a_system_call_that_fails(checkpoints: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Every file and link that was there is good after it, and nothing half done lies about."""
    real, calls = getattr(os, call), 0
    for failing in range(10):
        calls = 0

        def sometimes(*args: object, failing: int = failing) -> object:
            nonlocal calls
            calls += 1
            if calls == failing + 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args)

        monkeypatch.setattr(os, call, sometimes)
        try:
            save(checkpoints, example(4, value=failing), keep=3, best=True)
        except CheckpointError as error:
            assert "can't be saved: Input/output error" in str(error)
        else:
            assert calls <= failing
        assert steps(checkpoints)[:3] in ([1, 2, 3], [2, 3, 4])
        for path in checkpoints.iterdir():
            load(path)
        assert load(checkpoints / "latest").progress["step"] in (3, 4)
    assert load(checkpoints / "latest").parameters["scale"] == 9, "there are fewer calls than that"


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.ENOSPC, errno.EFBIG])
@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_quota_is_reported_like_a_full_disk(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """Some file systems notice it only when the bytes are brought to the disk."""
    before = state(checkpoints)

    def refused(*args: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, refused)
    cure = r"MB are free there\. Free some space, raise your quota, or keep fewer checkpoints \(\[checkpoint\] keep\)\."
    with pytest.raises(CheckpointError, match=f"can't be saved: {os.strerror(code)}.*{cure}"):
        save(checkpoints, example(4), keep=1, best=True)
    assert state(checkpoints) == before


def test_a_folder_that_cannot_be_synced(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some parallel file systems refuse; that is no failure."""

    def refuse(path: Path) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(outputs, "sync", refuse)
    save(checkpoints, example(4), keep=3, best=False)
    assert same(load(checkpoints / "latest"), example(4))


def test_interrupted_by_the_user(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(checkpoints)

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fdatasync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(checkpoints, example(4), keep=1, best=True)
    assert state(checkpoints) == before
