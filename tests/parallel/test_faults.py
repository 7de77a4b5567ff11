"""Nothing hangs: whatever befalls a rank, wherever it is, the job ends within a set time, and the rank is named.

Every phase of a run meets every fault, and each phase and each fault meets every MPI (with DISTNN_TEST_THOROUGH, all
three meet each other): cells that are launched several at a time, since what is left of a job mostly waits. Each has a
hard limit, leaves no process and no damaged checkpoint behind, and its entry in the table that is printed at the end of
the tests.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from distnn import checkpoint
from tests.support import faults
from tests.support.failing import EDGES, PHASES
from tests.support.faults import FAULTS
from tests.support.launch import CURES, Launch, Result, usable
from tests.support.runs import run_file, saved
from tests.support.thorough import THOROUGH
from tests.support.warm import rank

HOST, FAILING = socket.gethostname(), "tests.support.failing"
#: Seconds without work that the ranks bear once the fault has struck; for some, from the beginning.
IMPATIENCE, PATIENCE = 2, 8
#: Seconds until the fault strikes, and from then until nothing is left of the job: hard limits, for a loaded machine.
START, LIMIT = 120, 30
#: So many jobs at once.
JOBS = 4

#: What ends a job beside the ranks' own messages, by what is to be read then.
SIGNS = {"Timeout (0:": "faulthandler", "Alarm clock": "alarm clock"}


class Cell(NamedTuple):
    """What befalls a job of two ranks."""

    phase: str
    fault: str
    launcher: str

    @property
    def culprit(self) -> int:
        """The rank that it befalls; rank 0 writes the checkpoints."""
        return 0 if self.phase == "checkpoint" else 1

    @property
    def begins(self) -> bool:
        """Whether that is before there is any checkpoint."""
        return self.phase in ("launch", "start")

    @property
    def patience(self) -> tuple[float, float]:
        """Seconds that any work may take: once the fault has struck, and from the beginning.

        The latter where a clock is set that can't be changed any more.
        """
        if self.phase in EDGES or self.fault == "locked":
            return PATIENCE, PATIENCE
        return (IMPATIENCE if self.fault in ("stop", "read") else START), START


class Outcome(NamedTuple):
    """What became of it."""

    result: Result
    pid: int
    seconds: float
    orphans: Mapping[int, bytes]
    out: Path

    @property
    def errors(self) -> str:
        """What the ranks that could still speak had to say."""
        return "\n".join(line for line in self.result.stderr.splitlines() if line.startswith("distnn: error"))

    @property
    def ended_by(self) -> str:
        """Who ended the job, in a word or two."""
        waited = re.search(r"rank (\d) of 2 \(host \S+\) has (waited for other ranks|not come on)", self.errors)
        if waited:
            return f"watchdog of rank {waited[1]}"
        told = re.search(r"error on rank (\d) of 2", self.errors)
        if told:
            return f"rank {told[1]} itself"
        text = self.result.stdout + self.result.stderr
        return next((name for sign, name in SIGNS.items() if sign in text), "mpiexec")


SLOW = [*product(("start", "data"), ["locked"]), *product(EDGES, ["stop"])]


def cells() -> list[Cell]:
    """What is tested, the slowest first: phases and faults as on a chessboard, whose colours are the launchers."""
    installed = [launcher for launcher in CURES if usable(launcher)]
    board = enumerate(product(enumerate(PHASES), FAULTS))
    by_turns = [(phase, fault, (row + k % len(FAULTS)) % 2) for k, ((row, phase), fault) in board]
    return [
        *(Cell(*words, launcher) for words in SLOW for launcher in CURES),
        *(
            Cell(phase, fault, launcher)
            for phase, fault, colour in by_turns
            for k, launcher in enumerate(CURES)
            if THOROUGH or k == colour or len(installed) < len(CURES)
        ),
    ]


CELLS = cells()


def befall(cell: Cell, folder: Path) -> Outcome:
    """Launch a job, wait for its end, and see what it left behind."""
    after, before = cell.patience
    run = run_file(
        folder / "run.toml",
        data={"batch_size": 256},
        checkpoint={"every_steps": 2, "on_failure": "stop"},
        parallel={"timeout": before},
    )
    struck, out = folder / "struck", folder / "out"
    # What ends by itself may be a fork; whatever happens to a process, to a new one.
    warm = cell.fault in ("unforeseen", "exit") and cell.phase not in EDGES
    way = rank(cell.launcher, FAILING) if warm else [sys.executable, "-m", FAILING]
    argv = [*way, cell.phase, str(cell.culprit), cell.fault]
    env = {"DISTNN_TEST_STRUCK": str(struck)}
    env |= {"DISTNN_TEST_IMPATIENCE": str(after), "DISTNN_TEST_PATIENCE": str(before)}
    with Launch(2, [*argv, "train", run, "--out", out], launcher=cell.launcher, env=env) as launch:
        wait(lambda: struck.exists() or launch.process.poll() is not None, START)
        assert struck.exists(), f"the fault hasn't come: {launch.output()}"
        pid, when = struck.read_text().split()
        result = launch.wait(LIMIT)
        seconds = time.time() - float(when)
        wait(lambda: not launch.pids(), LIMIT - seconds)
        return Outcome(result, int(pid), seconds, launch.pids(), out)


def wait(over: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not over() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.05)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Cell, Future]]:
    """All cells that are to be tested, under way."""
    items = [item for item in request.session.items if getattr(item, "fspath", None) == request.node.fspath]
    chosen = [item.callspec.params["cell"] for item in items if hasattr(item, "callspec")]  # type: ignore[attr-defined]
    for launcher in {cell.launcher for cell in chosen if usable(cell.launcher)}:
        rank(launcher)  # starts its server once
    with ThreadPoolExecutor(JOBS) as jobs:
        yield {
            cell: jobs.submit(befall, cell, tmp_path_factory.mktemp("-".join(cell)))
            for cell in chosen
            if usable(cell.launcher)
        }
        jobs.shutdown(cancel_futures=True)


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_the_job_ends_and_names_the_rank(
    cell: Cell, outcomes: dict[Cell, Future[Outcome]], record_property: Callable[[str, object], None]
) -> None:
    if not usable(cell.launcher):
        pytest.skip(CURES[cell.launcher])
    outcome = outcomes[cell].result()
    record_property(faults.ENTRY, [*cell, f"{outcome.seconds:5.1f} {outcome.ended_by}"])
    assert outcome.result.returncode not in (0, 75), outcome.result
    assert not outcome.orphans, outcome.result
    (at_the_edge if cell.phase in EDGES else NAMED[cell.fault])(cell, outcome)
    files = sorted((outcome.out / "checkpoints").glob("step-*.h5"))
    for path in files:
        checkpoint.load(path)
    if cell.begins:
        assert not files
    else:
        assert saved(outcome.out).progress["step"] >= 2


def failed(cell: Cell, outcome: Outcome, cause: str) -> None:
    """The rank told of its own failure, once, and in which step that was."""
    step = {"data": ", in step 5", "forward": ", in step 5", "reduce": ", in step 5"}
    step |= {"evaluation": ", in step 6", "finish": ", in the last checkpoint"}
    first = f"distnn: error on rank {cell.culprit} of 2 (host {HOST}){step.get(cell.phase, '')}: "
    assert outcome.errors.startswith(first + cause), outcome.result
    assert outcome.errors.count("\n") == 0, "told once"


def by_an_exception(cell: Cell, outcome: Outcome) -> None:
    if cell.phase == "checkpoint":
        file = outcome.out / "checkpoints" / "step-00000004.h5"
        failed(cell, outcome, f"{file}: the checkpoint can't be saved: ValueError: boom (")
        assert "tests/support/failing.py, line " in outcome.errors, outcome.result
    else:
        failed(cell, outcome, "ValueError: boom")
        assert outcome.result.stderr.count("Traceback (most recent call last)") == 1, outcome.result
        assert "raise FAULTS[fault]()" in outcome.result.stderr, "the traceback says where"


def by_an_exit(cell: Cell, outcome: Outcome) -> None:
    if cell.phase == "checkpoint":
        failed(cell, outcome, "the checkpoint of step 4 can't be saved: SystemExit: 0 (")
    else:
        failed(cell, outcome, "something called sys.exit(0) in the middle of the run")
        assert outcome.result.returncode == 1, outcome.result
    assert "Traceback" not in outcome.result.stderr, outcome.result


def by_the_launcher(cell: Cell, outcome: Outcome) -> None:
    """The kernel ended the rank: the launcher names it (MPICH's its process only), the host, and the signal."""
    text = " ".join((outcome.result.stdout + outcome.result.stderr).split())
    if cell.launcher == "openmpi":
        assert re.search(rf"rank {cell.culprit} with PID {outcome.pid} on node \S+ exited on signal 9", text), text
    else:
        assert f"PID {outcome.pid} RUNNING AT {HOST} " in text, text
        assert "Killed (signal 9)" in text, text


def by_the_others(cell: Cell, outcome: Outcome) -> None:
    """The other rank's watchdog saw that nothing of it ran."""
    seconds, _ = cell.patience
    waiting = rf"rank {1 - cell.culprit} of 2 \(host {HOST}\) has waited for other ranks for {seconds} s, in \w+"
    assert re.search(waiting, outcome.errors), outcome.result
    cause = f"distnn: error: rank {cell.culprit} (host {HOST}) is the cause: nothing of it has run for"
    assert cause in outcome.errors, outcome.result


def by_its_watchdog(cell: Cell, outcome: Outcome) -> None:
    """Its own watchdog told where it is stuck."""
    stuck = rf"rank {cell.culprit} of 2 \(host {HOST}\) has made no progress for {IMPATIENCE} s, in \w+"
    assert re.search(stuck, outcome.errors), outcome.result
    assert 'with open(f"{STRUCK}.fifo") as pipe:' in outcome.result.stderr, outcome.result


def by_both(cell: Cell, outcome: Outcome) -> None:
    """The interpreter's lock is kept: the other rank told whose, and faulthandler its stack, innermost first."""
    by_the_others(cell, outcome)
    assert re.search(r"failing\.py., line \d+ in <lambda>\n.*failing\.py., line \d+ in faulty", outcome.result.stderr)


def at_the_edge(cell: Cell, outcome: Outcome) -> None:
    """Without a watchdog, the other rank ended by a clock that was set for it."""
    if cell.phase == "launch":
        assert f"Timeout (0:00:0{PATIENCE})!" in outcome.result.stderr, outcome.result
        assert re.search(r"world\.py., line \d+ in open\n", outcome.result.stderr), "where the other rank waits"
    else:
        text = outcome.result.stdout + outcome.result.stderr
        assert re.search(r"Alarm clock|signal 14", text), text


NAMED = {
    "unforeseen": by_an_exception,
    "exit": by_an_exit,
    "kill": by_the_launcher,
    "memory": by_the_launcher,
    "stop": by_the_others,
    "read": by_its_watchdog,
    "locked": by_both,
}
