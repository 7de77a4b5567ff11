"""The index of many files: what it says is what they hold, and what isn't any more is read anew."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data.file import index as module
from distnn.data.file.index import NAME, index
from distnn.errors import DataError
from tests.support.thorough import times

NAMES = ["climate/data", "y"]


def one(path: Path, shape: tuple[int, ...] = (4, 3, 2), dtype: str = "<f4") -> Path:
    with h5py.File(path, "w") as file:
        file["climate/data"] = np.zeros(shape, dtype)
        file["y"] = 1
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened."""
    names: list[str] = []
    real = module.form_of

    def form_of(path: Path, *args: Any, **options: Any) -> Any:
        names.append(path.name)
        return real(path, *args, **options)

    monkeypatch.setattr(module, "form_of", form_of)
    return names


def test_it_is_what_the_files_hold(tmp_path: Path, opened: list[str]) -> None:
    shapes = [(4, 3, 2), (4, 3, 2), (5, 3), (1,)]
    types = ["<f4", ">f4", "<u2", "<f8"]
    paths = [one(tmp_path / f"{k}.h5", *each) for k, each in enumerate(zip(shapes, types, strict=True))]
    with h5py.File(paths[3], "a") as file:
        del file["y"]
    first = index(paths, NAMES)
    assert opened == ["0.h5", "1.h5", "2.h5", "3.h5"]
    for entry, path, shape, dtype in zip(first.entries, paths, shapes, types, strict=True):
        assert entry[:2] == (path.stat().st_size, path.stat().st_mtime_ns)
        assert entry.form["climate/data"] == ([*shape], str(np.dtype(dtype).newbyteorder("=")))
        assert entry.form.get("y") == (None if path == paths[3] else ([], "int64"))
    assert index(paths, NAMES) == first and len(opened) == 4
    assert index(paths[1:3], NAMES).entries == first.entries[1:3] and len(opened) == 4
    assert index(paths, ["y"]).entries[0].form == {"y": ([], "int64")} and len(opened) == 8


def test_what_has_changed_is_read_anew(tmp_path: Path, opened: list[str]) -> None:
    paths = [one(tmp_path / f"{k}.h5") for k in range(4)]
    before = index(paths, NAMES)
    one(paths[1], (7,))
    os.utime(paths[2], (1, 1))
    paths[3].unlink()
    paths = [*paths[:3], one(tmp_path / "4.h5")]
    opened.clear()
    after = index(paths, NAMES)
    assert opened == ["1.h5", "2.h5", "4.h5"]
    assert after.entries[1].form["climate/data"] == ([7], "float32") and after.digest != before.digest
    assert [*json.loads((tmp_path / NAME).read_text())["files"]] == ["0.h5", "1.h5", "2.h5", "4.h5"]


def spoiled(change: Callable[[Any], object]) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        table = json.loads(path.read_text())
        change(table)
        path.write_text(json.dumps(table))

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text(path.read_text()[:-9]),
        spoiled(lambda table: table.pop("files")),
        spoiled(lambda table: table.update(format="another")),
        spoiled(lambda table: table["files"].update({"0.h5": [1, 2]})),
        spoiled(lambda table: table["files"].update({"0.h5": [1, 2, 9]})),
        spoiled(lambda table: table["files"].update({"0.h5": [1, 2, -1]})),
        spoiled(lambda table: table["files"].update({"0.h5": [1, "2", 0]})),
        spoiled(lambda table: table.update(forms=[{"y": [["a"], "int64"]}])),
        spoiled(lambda table: table.update(forms=7)),
        lambda path: (path.unlink(), path.mkdir()),  # nor can it be written, then
    ],
)
def test_an_index_that_is_none_is_made_again(spoil: Callable[[Path], object], tmp_path: Path) -> None:
    paths = [one(tmp_path / "0.h5")]
    good = index(paths, NAMES)
    spoil(tmp_path / NAME)
    assert index(paths, NAMES) == good


def test_an_index_that_leads_elsewhere_is_left_alone(tmp_path: Path) -> None:
    mine, data = tmp_path / "mine", tmp_path / "data"
    mine.write_text("mine")
    data.mkdir()
    (data / NAME).symlink_to(mine)
    assert len(index([one(data / "0.h5")], NAMES).entries) == 1
    assert mine.read_text() == "mine"


def test_an_index_that_is_a_link_is_not_believed(tmp_path: Path, opened: list[str]) -> None:
    path, mine = one(tmp_path / "0.h5"), tmp_path / "mine"
    first = index([path], NAMES)
    (tmp_path / NAME).rename(mine)
    (tmp_path / NAME).symlink_to(mine)
    assert index([path], NAMES) == first and opened == ["0.h5", "0.h5"]


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.0123abcd.tmp").write_text("half")
    index([one(tmp_path / "0.h5")], NAMES)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, "0.h5"]


def test_an_index_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    assert len(index([one(tmp_path / "0.h5")], NAMES).entries) == 1


def test_errors_name_the_file(tmp_path: Path) -> None:
    paths = [one(tmp_path / f"{k}.h5") for k in range(3)]
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    with pytest.raises(DataError, match=r"1\.h5 \(500 bytes\) can't be read as HDF5"):
        index(paths, NAMES)
    with pytest.raises(DataError, match=r"9\.h5 can't be looked up: No such file"):
        index([*paths, tmp_path / "9.h5"], NAMES)
    (tmp_path / "d").mkdir()
    with h5py.File(tmp_path / "d" / "a.h5", "w") as file:
        file["climate"] = h5py.ExternalLink(str(paths[0]), "climate")
    with pytest.raises(DataError, match=r"a\.h5: climate refers to another folder's file, .*0\.h5"):
        index([tmp_path / "d" / "a.h5"], NAMES)


def test_thousands_of_files_take_seconds(tmp_path: Path, opened: list[str]) -> None:
    count = times(200, 10_000)
    model = one(tmp_path / "00000.h5")
    paths = [model, *(Path(shutil.copy(model, tmp_path / f"{k:05}.h5")) for k in range(1, count))]
    start = time.process_time()
    index(paths, NAMES)
    assert len(opened) == count and time.process_time() - start < 0.01 * count
    start = time.process_time()
    assert len(index(paths, NAMES).entries) == len(opened) == count
    assert time.process_time() - start < 0.001 * count
