"""Runs the tests in ranks/ on 4 real ranks under MPICH, on 3 under Open MPI, and most of them on 2 and on 1, too."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.launch import CURES, REPOSITORY, Launch, LaunchTimeout, Result, launchers, mpiexec, usable
from tests.support.thorough import THOROUGH

RANK_TESTS = Path(__file__).parent / "ranks"
#: Those that train at length, where 1 and 2 are numbers like others; whole runs on so many are in test_reproducible.py.
LONG = ("test_models.py", "test_saving.py", "test_step.py", "test_streams.py")


def run_on_ranks(
    launcher: str, n: int, tests: Path, reports: Path, timeout: float = 540, without: Sequence[str] = ()
) -> tuple[Result, list[Any]]:
    """Run pytest over `tests` on `n` ranks: how the job ended, and the report of every rank that wrote one."""
    argv = [sys.executable, "-m", "pytest", "--with-mpi", "-p", "tests.support.rank_report"]
    argv += [
        "-p",
        "no:cacheprovider",
        "--numprocesses=0",
        "-q",
        "--color=no",
        f"--rootdir={REPOSITORY}",
        f"--confcutdir={REPOSITORY}",
        *(f"--ignore={tests / name}" for name in without),
        str(tests),
    ]
    env = {"DISTNN_RANK_REPORTS": str(reports)}
    result = mpiexec(n, argv, launcher=launcher, env=env, timeout=timeout, cwd=REPOSITORY)
    return result, [json.loads(path.read_text()) for path in sorted(reports.glob("rank-*.json"))]


def complaint(n: int, result: Result, reports: list[Any]) -> str:
    """Why this isn't `n` ranks of one world that each ran, and passed, the same tests; nothing if it is."""
    texts = [f"rank {report['rank']} of {report['size']}: {text}" for report in reports for text in report["texts"]]
    if texts:
        return "\n".join(texts)
    if result.returncode != 0:
        return str(result)
    if [(report["rank"], report["size"]) for report in reports] != [(rank, n) for rank in range(n)]:
        return f"expected ranks 0 to {n - 1} of {n}, found {[(r['rank'], r['size']) for r in reports]}\n{result}"
    for report in reports:
        if not report["collected"] or report["collected"] != reports[0]["collected"]:
            return f"rank {report['rank']} collected {report['collected']}, rank 0 {reports[0]['collected']}"
        if report["passed"] != report["collected"]:
            return (
                f"rank {report['rank']} passed {report['passed']} of {report['collected']}, skipped {report['skipped']}"
            )
    return ""


@pytest.mark.parametrize(
    ("launcher", "n"),
    [("mpich", 4), ("openmpi" if usable("openmpi") else "mpich", 3), ("mpich", 2), ("mpich", 1)],
    ids=str,
)
def test_ranks(launcher: str, n: int, tmp_path: Path) -> None:
    if not usable(launcher):
        pytest.skip(CURES[launcher])
    result, reports = run_on_ranks(launcher, n, RANK_TESTS, tmp_path, without=LONG if n < 3 and not THOROUGH else ())
    assert not complaint(n, result, reports), complaint(n, result, reports)


# What follows holds the harness itself to its word: a green run must mean that every rank ran every test.


def written(folder: Path, body: str) -> Path:
    """A test file with one test, `body`, that knows the world."""
    path = folder / "test_written.py"
    path.write_text(f"import pytest\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\n\ndef test_it():\n    {body}\n")
    return path


@pytest.mark.parametrize("launcher", launchers())
def test_a_failure_on_one_rank_ends_the_job_and_names_the_rank(launcher: str, tmp_path: Path) -> None:
    tests = written(tmp_path, "assert world.rank == 0, 'only here'\n    world.Barrier()")
    result, reports = run_on_ranks(launcher, 2, tests, tmp_path, timeout=120)
    assert result.returncode != 0
    assert re.match(r"rank 1 of 2: .*test_it \(call\).*only here", complaint(2, result, reports), flags=re.DOTALL)


@pytest.mark.parametrize(
    ("body", "expected"),
    [("pytest.skip('not today')", r"rank 0 passed \[\] of"), ("raise SystemExit(3)", r"rank \d of 2: .*SystemExit")],
)
def test_tests_that_did_not_pass_are_no_success(body: str, expected: str, tmp_path: Path) -> None:
    result, reports = run_on_ranks("mpich", 2, written(tmp_path, body), tmp_path, timeout=120)
    assert re.match(expected, complaint(2, result, reports), flags=re.DOTALL)


def test_ranks_that_do_not_see_each_other_are_no_success(tmp_path: Path) -> None:
    result, reports = run_on_ranks("none", 1, written(tmp_path, "assert world.size == 1"), tmp_path)
    assert complaint(1, result, reports) == ""
    assert complaint(2, result, reports).startswith("expected ranks 0 to 1 of 2, found [(0, 1)]")


@pytest.mark.parametrize("launcher", launchers())
def test_a_job_at_its_time_limit_leaves_no_process_behind(launcher: str) -> None:
    script = "from mpi4py import MPI; import time; print('rank', MPI.COMM_WORLD.rank, flush=True); time.sleep(60)"
    with Launch(2, [sys.executable, "-c", script], launcher=launcher) as launch:
        while "rank" not in launch.output()[0] and launch.process.poll() is None:
            time.sleep(0.05)
        with pytest.raises(LaunchTimeout, match=r"(?s)still running after 0.5 s, and killed.*rank [01]\n"):
            launch.wait(timeout=0.5)
        assert launch.pids() == {}


@pytest.mark.parametrize("launcher", launchers())
def test_the_ranks_of_a_launch_are_found_by_number(launcher: str, tmp_path: Path) -> None:
    script = (
        "import os, sys, time; from mpi4py import MPI; from pathlib import Path\n"
        "Path(sys.argv[1], str(MPI.COMM_WORLD.rank)).write_text(str(os.getpid()))\n"
        "MPI.COMM_WORLD.Barrier(); print('ready', flush=True); time.sleep(60)"
    )
    with Launch(3, [sys.executable, "-c", script, tmp_path], launcher=launcher) as launch:
        while launch.output()[0].count("ready") < 3 and launch.process.poll() is None:
            time.sleep(0.05)
        assert launch.ranks() == {rank: int((tmp_path / str(rank)).read_text()) for rank in range(3)}
