"""A pytest plugin (`-p tests.support.rank_report`) for pytest sessions that run side by side on the ranks of a job.

Each rank writes what it did as ``rank-R.json`` into the folder that DISTNN_RANK_REPORTS names, so the launching test
need not find its way through the ranks' mingled output. The first failure on any rank ends the whole job at once: the
other ranks would wait in their next collective call for a rank that no longer comes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from mpi4py import MPI

_done: dict[str, list[str]] = {"passed": [], "skipped": [], "failed": []}
_texts: list[str] = []
_collected: list[str] = []


def _write() -> None:
    """Write this rank's report, or what there is of it before an abort."""
    world = MPI.COMM_WORLD
    report = {"rank": world.rank, "size": world.size, "collected": _collected, "texts": _texts, **_done}
    path = Path(os.environ["DISTNN_RANK_REPORTS"], f"rank-{world.rank}.json")
    # At once: another rank's abort may end this one while it writes.
    path.with_suffix(".tmp").write_text(json.dumps(report))
    path.with_suffix(".tmp").rename(path)


def _end_job() -> None:
    """Write the report and end all ranks."""
    _write()
    MPI.COMM_WORLD.Abort(1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what this rank is about to run: it must be the same on every rank."""
    _collected.extend(item.nodeid for item in session.items)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that can't be imported on one rank would leave the others waiting."""
    if report.failed:
        _texts.append(f"{report.nodeid}: {report.longreprtext}")
        _end_job()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count a test's outcome; a failure ends the job."""
    if report.failed:
        _done["failed"].append(report.nodeid)
        _texts.append(f"{report.nodeid} ({report.when}): {report.longreprtext}")
        _end_job()
    elif report.skipped or report.when == "call":
        _done["skipped" if report.skipped else "passed"].append(report.nodeid)


def pytest_sessionfinish() -> None:
    """Every rank reports, also one that ran nothing."""
    _write()
