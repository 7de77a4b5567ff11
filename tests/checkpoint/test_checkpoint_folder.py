"""RUN/checkpoints: what the links name, which files stay, and which one a path finds."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from distnn.checkpoint import clean, folder, load, newest_good, resolve, save
from distnn.errors import CheckpointError
from tests.support.checkpoints import example, same, state, steps, three


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """RUN/checkpoints with steps 1, 2 and 3; `best` names 2."""
    return three(tmp_path)


def names(checkpoints: Path) -> list[str]:
    return sorted(path.name for path in checkpoints.iterdir())


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


# --- links, and what stays


def test_links_are_relative_and_name_newest_and_best(checkpoints: Path) -> None:
    assert os.readlink(checkpoints / "latest") == "step-00000003.h5"
    assert os.readlink(checkpoints / "best") == "step-00000002.h5"
    moved = checkpoints.parent.rename(checkpoints.parents[1] / "moved") / "checkpoints"
    assert same(load(moved / "latest"), example(3))
    assert same(load(moved / "best"), example(2))


def test_keeps_the_newest_and_the_best(checkpoints: Path) -> None:
    for step in (4, 5, 6):
        path = save(checkpoints, example(step), keep=2, best=False)
    assert path == checkpoints / "step-00000006.h5"
    assert names(checkpoints) == ["best", "latest", "step-00000002.h5", "step-00000005.h5", "step-00000006.h5"]
    save(checkpoints, example(7), keep=1, best=True)
    assert names(checkpoints) == ["best", "latest", "step-00000007.h5"]


def test_saving_a_step_again_replaces_it(checkpoints: Path) -> None:
    save(checkpoints, example(3, value=0.75), keep=3, best=True)
    assert steps(checkpoints) == [1, 2, 3]
    assert same(load(checkpoints / "latest"), example(3, value=0.75))
    assert os.readlink(checkpoints / "best") == "step-00000003.h5"


def test_going_back_keeps_the_later_files_and_the_new_ones(checkpoints: Path) -> None:
    for step in (10, 20, 30):
        save(checkpoints, example(step), keep=3, best=False)
    for step in (21, 22, 23):  # resumed from 20
        save(checkpoints, example(step), keep=3, best=False)
    assert steps(checkpoints) == [2, 21, 22, 23, 30]
    spoil(checkpoints / "latest")
    found, _ = newest_good(checkpoints, lambda text: None)
    assert found.name == "step-00000022.h5"
    save(checkpoints, example(40), keep=3, best=False)
    assert steps(checkpoints) == [2, 23, 30, 40]


def test_steps_of_nine_digits(checkpoints: Path) -> None:
    save(checkpoints, example(99_999_999), keep=1, best=False)
    path = save(checkpoints, example(123_456_789), keep=1, best=False)
    assert path.name == "step-123456789.h5"
    assert names(checkpoints) == ["best", "latest", "step-00000002.h5", "step-123456789.h5"]


# --- what is found


def test_resolve_takes_every_form(checkpoints: Path, tmp_path: Path) -> None:
    last = checkpoints / "step-00000003.h5"
    for path in (last, checkpoints / "latest", checkpoints, checkpoints.parent):
        assert resolve(path) == last
        assert resolve(str(path)) == last
    assert resolve(checkpoints / "best") == checkpoints / "step-00000002.h5"
    copy = tmp_path / "copy.h5"
    copy.write_bytes(last.read_bytes())
    assert resolve(copy) == copy


@pytest.mark.filterwarnings("ignore:passing over")
@pytest.mark.parametrize("path", ["checkpoints/latest", "checkpoints", "."])
def test_resolve_with_a_dangling_latest_takes_the_newest_good(checkpoints: Path, path: str) -> None:
    (checkpoints / "step-00000003.h5").unlink()
    spoil(checkpoints / "step-00000002.h5")
    said: list[str] = []
    assert resolve(checkpoints.parent / path, said.append) == checkpoints / "step-00000001.h5"
    assert "passing over step-00000002.h5" in said[0]
    assert said[1] == (
        f"{checkpoints}/latest: the link names step-00000003.h5, which doesn't exist; taking step-00000001.h5, "
        f"the newest good checkpoint."
    )
    with pytest.warns(UserWarning, match=r"the link names step-00000003\.h5, which doesn't exist"):
        resolve(checkpoints.parent)


def test_resolve_without_links(checkpoints: Path) -> None:
    """As after a copy by a program that leaves links out."""
    (checkpoints / "latest").unlink()
    said: list[str] = []
    assert resolve(checkpoints, said.append) == checkpoints / "step-00000003.h5"
    assert "the link is missing; taking step-00000003.h5" in said[0]


def test_resolve_with_a_dangling_best_is_an_error(checkpoints: Path) -> None:
    (checkpoints / "step-00000002.h5").unlink()
    with pytest.raises(CheckpointError, match=r"no such checkpoint \(it is a link to step-00000002\.h5, which doesn't"):
        resolve(checkpoints / "best")


def test_resolve_takes_the_best_of_a_folder_where_it_is_asked_for(checkpoints: Path) -> None:
    for path in (checkpoints, checkpoints.parent):
        assert resolve(path, best=True) == checkpoints / "step-00000002.h5"
    assert resolve(checkpoints / "latest", best=True) == checkpoints / "step-00000003.h5"
    (checkpoints / "step-00000002.h5").unlink()
    said: list[str] = []
    assert resolve(checkpoints, said.append, best=True) == checkpoints / "step-00000003.h5"
    assert said == [
        f"{checkpoints}/best: the link names step-00000002.h5, which doesn't exist; taking latest in its stead."
    ]
    (checkpoints / "best").unlink()
    assert resolve(checkpoints, best=True) == checkpoints / "step-00000003.h5"


def test_resolve_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone: there is no such checkpoint\. Expected a file such as .*latest"):
        resolve(tmp_path / "gone")
    (tmp_path / "checkpoints").mkdir()
    for path in (tmp_path, tmp_path / "checkpoints"):
        with pytest.raises(CheckpointError, match=r"no checkpoint here\. Looked for 'latest' and files such as step-"):
            resolve(path)


def test_newest_good_prefers_latest(checkpoints: Path) -> None:
    said: list[str] = []
    path, found = newest_good(checkpoints, said.append)
    assert path == checkpoints / "step-00000003.h5"
    assert same(found, example(3))
    assert not said
    folder.point(checkpoints / "latest", "step-00000001.h5")
    assert newest_good(checkpoints.parent, said.append)[0] == checkpoints / "step-00000001.h5"


def test_newest_good_falls_back_with_a_warning_each(checkpoints: Path) -> None:
    spoil(checkpoints / "step-00000003.h5")
    (checkpoints / "step-00000002.h5").write_text("no HDF5")
    said: list[str] = []
    path, found = newest_good(checkpoints, said.append)
    assert path == checkpoints / "step-00000001.h5"
    assert same(found, example(1))
    assert len(said) == 2
    assert said[0].startswith("passing over step-00000003.h5 for the checkpoint before it: ")
    assert "damaged or incomplete" in said[0]
    assert "not an HDF5 file" in said[1]


def test_newest_good_of_none(checkpoints: Path, tmp_path: Path) -> None:
    for path in checkpoints.glob("step-*.h5"):
        spoil(path)
    said: list[str] = []
    with pytest.raises(
        CheckpointError, match=r"none of the 3 checkpoints can be read\. Start the run again, or restore"
    ):
        newest_good(checkpoints, said.append)
    assert len(said) == 3
    with pytest.raises(CheckpointError, match=r"gone: there is no checkpoint here"):
        newest_good(tmp_path / "gone", said.append)


def test_clean_removes_leftovers_and_nothing_else(checkpoints: Path, tmp_path: Path) -> None:
    before = state(checkpoints)
    (checkpoints / "step-00000004.h5.123.tmp").write_bytes(b"half")
    (checkpoints / "latest.123.tmp").symlink_to("step-00000004.h5")
    (checkpoints / "notes.tmp").write_text("the user's own")
    removed = clean(checkpoints)
    assert [path.name for path in removed] == ["latest.123.tmp", "step-00000004.h5.123.tmp"]
    assert state(checkpoints) == before | {"notes.tmp": b"the user's own"}
    assert clean(tmp_path / "gone") == []


# --- where something stands in the links' way


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_without_symbolic_links_plain_files_hold_the_names(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """exFAT and shares by CIFS have none."""

    def symlink(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "symlink", symlink)
    checkpoints = three(tmp_path)
    assert (checkpoints / "latest").read_text() == "step-00000003.h5\n"
    assert same(load(resolve(checkpoints / "best")), example(2))
    assert newest_good(checkpoints, pytest.fail)[0].name == "step-00000003.h5"
    for step in (4, 5):
        save(checkpoints, example(step), keep=1, best=False)
    assert names(checkpoints) == ["best", "latest", "step-00000002.h5", "step-00000005.h5"]
    monkeypatch.undo()
    save(checkpoints, example(6), keep=1, best=False)
    assert os.readlink(checkpoints / "latest") == "step-00000006.h5"


def test_a_link_that_cannot_be_replaced_does_not_keep_all_files(checkpoints: Path) -> None:
    (checkpoints / "latest").unlink()
    (checkpoints / "latest").mkdir()
    for step in range(4, 9):
        with pytest.raises(CheckpointError):
            save(checkpoints, example(step), keep=2, best=False)
    assert names(checkpoints) == ["best", "latest", "step-00000002.h5", "step-00000007.h5", "step-00000008.h5"]
    assert same(newest_good(checkpoints, pytest.fail)[1], example(8))
