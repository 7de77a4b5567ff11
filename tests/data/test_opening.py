"""Whether files can be locked in a folder is found out there, with HDF5 itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from distnn.data.file.opening import library, locking
from tests.support.launch import REPOSITORY


def test_locks_work_on_a_local_disk(tmp_path: Path) -> None:
    assert locking(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["/proc", "/absent"])
def test_a_folder_that_cannot_be_written(folder: str) -> None:
    assert locking(Path(folder)).startswith("can't write there: ")


def test_locks_that_are_switched_off(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from distnn.data.file.opening import locking; print(locking(pathlib.Path(sys.argv[1])))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=os.environ | {"HDF5_USE_FILE_LOCKING": "FALSE"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "switched off by HDF5_USE_FILE_LOCKING"


def test_the_library() -> None:
    assert library().startswith(f"{h5py.version.hdf5_version}, h5py {h5py.__version__} with")
