"""What every test shares: the checkout on the path of child processes, and which folders are collected when."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

import distnn  # noqa: F401  (first of all: it sets the BLAS's environment, which numpy reads when it loads)

REPOSITORY = Path(__file__).parents[1]
RANK_TESTS = REPOSITORY / "tests" / "parallel" / "ranks"

# Child processes that tests start, in whatever folder, run this checkout and not another installed distnn.
os.environ["PYTHONPATH"] = str(REPOSITORY)

# On two shared cores a time limit per example fails for no reason; the same examples every time make CI repeatable.
hypothesis.settings.register_profile("distnn", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("distnn")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests that run on several ranks to `tests/parallel/test_under_mpiexec.py`, which launches them."""
    inside = collection_path == RANK_TESTS or RANK_TESTS in collection_path.parents
    return True if inside and not config.getoption("--with-mpi", default=False) else None


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds the checkout: README.md, data/, jobscripts/ …"""
    return REPOSITORY
