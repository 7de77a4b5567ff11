"""The guard on one rank, and on one of three that exists on paper only. (Real ones: tests/parallel/test_failure.py.)"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import nullcontext

import pytest

from distnn.errors import DataError, DistnnError
from distnn.parallel.communicator import Communicator
from distnn.parallel.failure import Failures
from distnn.parallel.threads import BlasThreads
from distnn.parallel.world import Heartbeat, World
from distnn.supervision import guard, watchdog
from distnn.supervision.guard import StopSignals, guarded
from tests.support.runs import alone


class Aborted(BaseException):
    """What the stand-in does where a real world ends the process."""


class Paper(Failures):
    """Of rank 1 of 3, whose fellows answer as told: True, False (another rank reports), or None (they go on)."""

    def __init__(self, answer: bool | None) -> None:
        super().__init__(Communicator())
        self.comm.rank, self.comm.size, self.comm.host, self.answer = 1, 3, "node7", answer
        self.calls: list[str] = []

    def meet(self, message: str) -> bool | None:
        self.calls.append(f"meet: {message}")
        return self.answer

    def prepare_to_leave(self) -> None:
        self.calls.append("prepare")

    def leave_together(self) -> None:
        self.calls.append("leave")

    def abort(self, code: int) -> None:
        self.calls.append(f"abort {code}")
        raise Aborted


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "FORWARDING", 0.0)
    # These speak with the other ranks, which don't exist. Real ones: tests/parallel/test_faults.py.
    monkeypatch.setattr(guard, "Watchdog", lambda heartbeat, failures: nullcontext())
    monkeypatch.setattr(BlasThreads, "settle", lambda self, comm: None)


def world(failures: Failures) -> World:
    return World(failures.comm, Heartbeat(), failures)


def ended(world: World, error: BaseException) -> int | str | None:
    with pytest.raises(SystemExit) as caught, guarded(world):
        raise error
    return caught.value.code


def test_nothing_happens_where_nothing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    paper = Paper(None)
    with guarded(world(paper)):
        pass
    assert paper.calls == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("x is missing."), 2, "distnn: error: x is missing.\n"),
        (DistnnError("it diverged."), 1, "distnn: error: it diverged.\n"),
        (KeyboardInterrupt(), 130, "distnn: interrupted\n"),
        (SystemExit(5), 5, "distnn: error: something called sys.exit(5) in the middle of the run\n"),
        (SystemExit(0), 1, "distnn: error: something called sys.exit(0) in the middle of the run\n"),
        (
            MemoryError("unable to allocate 149 GiB"),
            1,
            "distnn: error: there is not enough memory: unable to allocate 149 GiB. A smaller network or "
            "data.batch_size, a larger train.accumulate, and fewer ranks on a node take less.\n",
        ),
        (SystemExit("bye"), 1, "distnn: error: something called sys.exit('bye') in the middle of the run\n"),
    ],
)
def test_what_distnn_explains_comes_without_a_traceback(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(alone(), error) == code
    assert capsys.readouterr() == ("", text)


def test_what_nobody_foresaw_comes_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(alone(), ZeroDivisionError("division by zero")) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "distnn: error: ZeroDivisionError: division by zero"


def test_an_embedding_program_gets_the_error_itself(capsys: pytest.CaptureFixture[str]) -> None:
    error = DataError("x is missing.")
    with pytest.raises(DataError) as caught, guarded(alone(), exits=False):
        raise error
    assert caught.value is error
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("exits", [True, False])
def test_a_rank_that_fails_alone_reports_and_ends_the_job(exits: bool, capsys: pytest.CaptureFixture[str]) -> None:
    paper = Paper(None)
    with pytest.raises(Aborted), guarded(world(paper), exits=exits):
        raise ValueError("boom")
    assert paper.calls == ["meet: ValueError: boom", "prepare", "abort 1"]
    assert capsys.readouterr().err.endswith("\ndistnn: error on rank 1 of 3 (host node7): ValueError: boom\n")


@pytest.mark.parametrize("reports", [True, False])
def test_of_ranks_that_fail_together_one_reports_and_all_leave(
    reports: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    paper = Paper(reports)
    assert ended(world(paper), DataError("x is missing.")) == 2
    assert paper.calls == ["meet: DataError: x is missing.", "prepare", "leave"]
    text = "distnn: error on rank 1 of 3 (host node7): x is missing.\n"
    assert capsys.readouterr().err == (text if reports else "")


def test_a_failure_to_settle_the_threads_is_guarded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: BlasThreads, comm: Communicator) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(BlasThreads, "settle", fail)
    with pytest.raises(Aborted), guarded(world(Paper(None))):
        pytest.fail("the block must not begin")
    assert "distnn: error on rank 1 of 3 (host node7): OSError: no such library\n" in capsys.readouterr().err


def test_what_is_to_be_done_before_leaving_is_done_even_where_the_user_interrupts_it() -> None:
    failures, done = Failures(Communicator()), []

    def interrupted() -> None:
        raise KeyboardInterrupt

    failures.before_leaving(interrupted)
    failures.before_leaving(lambda: done.append("saved"))
    with pytest.raises(DataError), guarded(world(failures), exits=False):
        raise DataError("x is missing.")
    assert done == ["saved"]


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_a_wish(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopSignals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number.name
    assert signal.getsignal(number) is before


def test_handlers_come_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    with pytest.raises(ValueError), StopSignals():
        raise ValueError
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


def test_a_run_in_a_thread_goes_without_signals() -> None:
    outcomes: list[object] = []

    def work() -> None:
        with StopSignals() as signals:
            outcomes.append(signals.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcomes == [None]


def test_each_piece_of_work_has_half_an_hour() -> None:
    single = alone()
    with guarded(single):
        assert single.heartbeat.patience == 1800
