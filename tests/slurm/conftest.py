"""One cluster for all tests of this folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, missing

#: Set (by CI) to make a missing Slurm a failure; without it, these tests are skipped.
REQUIRE = "DISTNN_REQUIRE_SLURM"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes."""
    if why := missing():
        if os.environ.get(REQUIRE):
            pytest.fail(why)
        pytest.skip(f"no Slurm: {why}")
    # Not below pytest's own folder: munged asks that everybody may look into all folders above its socket.
    with tempfile.TemporaryDirectory(prefix="distnn-slurm-") as folder, Cluster(Path(folder)) as found:
        yield found


@pytest.fixture
def checkout(tmp_path: Path, repository: Path) -> Path:
    """A folder to submit from, with what a checkout has."""
    for name in ("jobscripts", "data"):
        (tmp_path / name).symlink_to(repository / name)
    return tmp_path
