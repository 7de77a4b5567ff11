"""What every test shares: the checkout on the path of child processes, and which folders are collected when."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# The matrices of the tests are small, and threads that wait for each other take the cores of the other workers.
os.environ.setdefault("OMP_NUM_THREADS", "1")
import distnn  # noqa: F401  (first of all: it sets the BLAS's environment, which numpy reads when it loads)

REPOSITORY = Path(__file__).parents[1]
RANK_TESTS = REPOSITORY / "tests" / "parallel" / "ranks"
BENCHMARKS = REPOSITORY / "tests" / "benchmarks"

# Child processes that tests start, in whatever folder, run this checkout and not another installed distnn.
os.environ["PYTHONPATH"] = str(REPOSITORY)
# There are a thousand of them, and where none may keep what it compiled, each compiles all of distnn.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# On two shared cores a time limit per example fails for no reason; the same examples every time make CI repeatable.
hypothesis.settings.register_profile("distnn", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("distnn")

#: What takes longest, or mostly waits, begins first, so that the rest runs beside it and nothing is left for the end;
#: and what compiles all kernels, which the others then find compiled.
FIRST = (
    "tests/slurm/test_jobs.py",
    "tests/parallel/test_faults.py",
    "tests/kernels",
    "tests/parallel/test_under_mpiexec.py",
    "tests/docs/test_examples.py",
    "tests/parallel",
    "tests/checkpoint",
    "tests/session",
)
#: Files whose tests have nothing in common, and may go to different workers.
SCATTERED = (
    "tests/docs/test_examples.py",
    "tests/parallel/test_reproducible.py",
    "tests/parallel/test_under_mpiexec.py",
)
#: More processes than cores, since many tests wait: for Slurm, for a watchdog, for a time limit.
WAITING = 1


class Schedule(LoadScopeScheduling):
    """Files go to the workers as a whole, for what their tests share is made once then; but for those scattered."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return nodeid if file in SCATTERED else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Schedule:
    """The order is that of the collection."""
    config.option.loadscopereorder = False
    return Schedule(config, log)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process for a few files, which start sooner and print as they go; for whole folders, some."""
    files = [argument.partition("::")[0].endswith((".py", ".md")) for argument in config.args]
    return 0 if all(files) else min(os.cpu_count() or 1, 4) + WAITING


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """As `FIRST` says; else in the order of the folders."""

    def place(item: pytest.Item) -> int:
        return next((k for k, start in enumerate(FIRST) if item.nodeid.startswith(start)), len(FIRST))

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of faults, where there were any."""
    from tests.support.faults import print_table

    print_table(terminalreporter)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests that run on several ranks to `tests/parallel/test_under_mpiexec.py`, which launches them.

    And those of the benchmarks to who asks for them by name, as .ci/run does (pytest asks here about no folder named).
    """
    if collection_path == BENCHMARKS:
        return True
    inside = collection_path == RANK_TESTS or RANK_TESTS in collection_path.parents
    return True if inside and not config.getoption("--with-mpi", default=False) else None


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds the checkout: README.md, data/, jobscripts/ …"""
    return REPOSITORY
