"""What converters, predictions and the index write: whole or as it was, whichever call of the system fails."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn.data.convert import csv, images, npz, parquet, text
from distnn.data.convert.table import Roles
from distnn.data.file.index import NAME, index
from distnn.data.predictions import datasets, write_predictions
from distnn.data.tables import WRITERS
from distnn.errors import DISK, DataError, exit_code
from tests.fuzz_files import sources

OLD = b"what stood there\n" * 500
COLUMNS = Roles(("kind",), types={"when": "date"})


def predict(path: Path, _: dict[str, Path]) -> None:
    found = datasets(np.full((400, 2), 0.5), ["a", "b"])
    write_predictions(path, [found], classes=["a", "b"], targets=(), about={"data": "d" * 5000}, force=True)


OUTPUTS: dict[str, Callable[[Path, dict[str, Path]], object]] = {
    "csv.h5": lambda path, made: csv.convert(path, made["csv"], COLUMNS, force=True),
    "parquet.h5": lambda path, made: parquet.convert(path, made["parquet"], COLUMNS, force=True),
    "npz.h5": lambda path, made: npz.convert(path, made["npz"], force=True),
    "images.h5": lambda path, made: images.convert(path, made["images"], force=True),
    "text.h5": lambda path, made: text.convert(path, made["csv"], length=5, force=True),
    "predictions.h5": predict,
} | {f"predictions{ending}": predict for ending in WRITERS}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What converters read."""
    return sources(tmp_path_factory.mktemp("sources"))


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_call_that_fails(output: str, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / output
    for call, code in [(call, code) for call in ("fsync", "replace") for code in (errno.EIO, errno.ENOSPC)]:
        path.write_bytes(OLD)
        with monkeypatch.context() as patch, pytest.raises(DataError, match=f"written: {os.strerror(code)}") as caught:
            patch.setattr(os, call, failing(code))
            OUTPUTS[output](path, made)
        assert exit_code(caught.value) == (1 if code in DISK else 2)
        assert os.listdir(tmp_path) == [output] and path.read_bytes() == OLD


def failing(code: int) -> Callable[..., None]:
    """A call of the system that ends with this error."""

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_file_that_can_grow_no_more(output: str, made: dict[str, Path], tmp_path: Path) -> None:
    """As under a quota: a write of the library's own fails, at any place."""
    path = tmp_path / output
    OUTPUTS[output](path, made)
    size, before = path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    path.write_bytes(OLD)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for most in (0, 1, size // 3, size - 1):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
            with pytest.raises(DataError, match="could not be written: .*File too large") as caught:
                OUTPUTS[output](path, made)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert exit_code(caught.value) == 1
        assert os.listdir(tmp_path) == [output] and path.read_bytes() == OLD
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_an_index_that_cannot_be_written_is_done_without(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "0.h5", "w") as file:
        file["y"] = 1
    good = index([tmp_path / "0.h5"], ["y"])
    for old in ("", "no index", None):
        with suppress(FileNotFoundError):
            (tmp_path / NAME).unlink()
        if old is not None:
            (tmp_path / NAME).write_text(old)
        for code in (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EROFS):
            with monkeypatch.context() as patch:
                patch.setattr(os, call, failing(code))
                assert index([tmp_path / "0.h5"], ["y"]) == good
            if call != "open":
                assert {path.name for path in tmp_path.iterdir()} == {"0.h5", *([NAME] if old is not None else [])}
                assert old is None or (tmp_path / NAME).read_text() == old
