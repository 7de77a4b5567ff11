"""Nothing hangs: where the work makes no progress for too long the job ends, and says which rank held it up, and where.

Each rank has a thread that looks after its main thread, and a place on a board that the ranks of a node share. A rank
that waits inside MPI waits for others; of a rank that was stopped (or swapped out) the thread doesn't run either, which
the others of its node see on the board. Python's threads can't run where a library keeps the interpreter's lock: then
faulthandler, which needs none, prints the stack and ends the process a little later.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Self

import numpy as np

from distnn.errors import SharedMemoryError, complain
from distnn.parallel.failure import Failures
from distnn.parallel.memory import NodeMemory
from distnn.parallel.world import Heartbeat, World
from distnn.parameters import PrivateMemory

#: How long any piece of work may take, until the run file says so. Seconds.
PATIENCE = 1800.0
#: How much later faulthandler ends a rank whose thread can't run; others that see that wait for its stack. Seconds.
BLOCKED = 2.0
#: How long an abort may take. Seconds.
ABORT = 5.0
#: How long a rank that waits for others leaves those the word. Seconds.
COURTESY = 1.0
#: MPICH's mpiexec drops what it hasn't forwarded yet when a rank aborts: the message's time to get through. Seconds.
FORWARDING = 0.5
#: How often a rank is looked after. Seconds.
INTERVAL = 0.5
#: What of a stack is MPI, and thus waiting for others.
MPI = str(Path(__file__).parents[1] / "parallel")
#: What a rank writes on the board: when its thread last ran, by the host's monotonic clock; and its process.
SEEN, PROCESS, PLACES = range(3)


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """The ranks find each other inside, which has to come to its end: else faulthandler shows where this one waits.

    There is no world yet to say which rank is missing: it is the one that prints nothing.
    """
    _end_in(PATIENCE)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def leaving(world: World) -> None:
    """What is left is to leave MPI, together, and Python: where a rank doesn't, the kernel's alarm ends the others.

    No thread of Python's may live on there, and nothing but the launcher's "Alarm clock" says so.
    """
    if world.failures.comm.size > 1 and world.heartbeat.patience:
        signal.setitimer(signal.ITIMER_REAL, world.heartbeat.patience)


class Watchdog:
    """Ends the job if this rank's work makes no progress for too long; a context, made by every rank together.

    Progress is `Heartbeat.beats`, and too long is its patience; nothing is looked after while that is 0. Where others
    go on without a rank that dies, only the rank that is the cause ends: those that wait for it end it, where it can't
    itself.
    """

    def __init__(self, heartbeat: Heartbeat, failures: Failures) -> None:
        self._heartbeat, self._failures = heartbeat, failures
        self._main = threading.get_ident()
        self._over = threading.Event()
        self._hosts = failures.comm.hosts
        self._mine = PrivateMemory().each(PLACES, np.dtype(np.float64))
        #: The board, and whose rows it has: this rank's only, until the ranks of the node have met.
        self._board = (self._mine[None], [failures.comm.rank])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()  # before the ranks meet: one may never come
        try:
            self._meet()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._heartbeat.changed.set()
        self._thread.join()  # or it might set faulthandler's clock once more
        faulthandler.cancel_dump_traceback_later()

    def _meet(self) -> None:
        """Make the board that the ranks of a node share; without shared memory each keeps its own."""
        comm = self._failures.comm
        memory, ranks = NodeMemory(comm), next(ranks for ranks in comm.nodes if comm.rank in ranks)
        with contextlib.suppress(SharedMemoryError):
            mine = memory.each(PLACES, np.dtype(np.float64))
            mine[:] = time.monotonic(), os.getpid()
            comm.barrier()  # everybody is on the board
            self._mine, self._board = mine, (memory.rows[-1], ranks)

    def _watch(self) -> None:
        heartbeat = self._heartbeat
        beats, since, late = heartbeat.beats, time.monotonic(), 0
        while not self._over.is_set():
            heartbeat.changed.clear()
            now, patience = time.monotonic(), heartbeat.patience
            self._mine[SEEN] = now
            if patience:
                _end_in(patience + BLOCKED)
            else:
                faulthandler.cancel_dump_traceback_later()
            if heartbeat.beats != beats or not patience:
                beats, since, late = heartbeat.beats, now, 0
            elif now - since > patience:
                late += 1
                self._end(now, late)
                since = time.monotonic()
            heartbeat.changed.wait(INTERVAL)

    def _end(self, now: float, late: int) -> None:
        """Report what is the matter, and end the job; or, where others go on, only the rank that is the cause."""
        _end_in(COURTESY + 2 * BLOCKED + FORWARDING + 2 * ABORT)
        frame = sys._current_frames().get(self._main)
        ours = _ours(frame)
        waits = ours is not None and ours.f_code.co_filename.startswith(MPI)
        if waits:
            time.sleep(COURTESY)
        if self._over.is_set():
            return
        silent = self._silent(now)
        for line in self._message(frame, silent, waits=waits):
            complain(line)
        blind = waits and len(self._board[1]) == 1  # another rank may be silent, unseen
        time.sleep(FORWARDING + (blind or bool(silent)) * 2 * BLOCKED)  # on a busy node that stack may come late
        if waits and self._failures.elastic and (silent or late == 1):  # who isn't silent looks after itself
            for rank in silent:
                self._kill(rank)
            return
        threading.Thread(target=self._failures.abort, args=(1,), daemon=True).start()
        time.sleep(ABORT)  # it may hang, too
        os._exit(1)

    def _silent(self, now: float) -> dict[int, float]:
        """The ranks of this node, of those that should live, whose threads don't run, and for how many seconds."""
        rows, ranks = self._board
        since = {rank: now - seen for rank, seen in zip(ranks, rows[:, SEEN].tolist(), strict=True)}
        alive = self._failures.launched
        return {rank: seconds for rank, seconds in since.items() if seconds > 3 * INTERVAL and rank in alive}

    def _kill(self, rank: int) -> None:
        """End another rank of this node."""
        rows, ranks = self._board
        with contextlib.suppress(ProcessLookupError):  # another was faster
            os.kill(int(rows[ranks.index(rank), PROCESS]), signal.SIGKILL)

    def _message(self, frame: FrameType | None, silent: dict[int, float], *, waits: bool) -> list[str]:
        comm, heartbeat = self._failures.comm, self._heartbeat
        where = f"rank {comm.rank} of {comm.size} (host {comm.host})"
        did = "has waited for other ranks" if waits else "has made no progress"
        lines = [
            f"distnn: error: {where} {did} for {heartbeat.patience:g} s, in {heartbeat.doing}; parallel.timeout sets "
            f"how long that may take."
        ]
        lines += [
            f"distnn: error: rank {rank} (host {self._hosts[rank]}) is the cause: nothing of it has run for "
            f"{seconds:.0f} s. It was stopped, swapped out, or ended."
            for rank, seconds in silent.items()
        ]
        if frame is not None and not waits:
            lines.append(_stack(frame))
        return lines + self._threads()

    def _threads(self) -> list[str]:
        """Where our other threads are: the main one may wait for what they read or write."""
        names, rank = {thread.ident: thread.name for thread in threading.enumerate()}, self._failures.comm.rank
        return [
            f"distnn: rank {rank}, meanwhile in its thread '{names.get(thread, thread)}':\n{_stack(frame)}"
            for thread, frame in sys._current_frames().items()
            if thread not in (self._main, threading.get_ident()) and _ours(frame) is not None
        ]


def _end_in(seconds: float) -> None:
    """Set faulthandler's clock, which needs no thread of Python's."""
    # A standard error without a descriptor, or more seconds than a clock has.
    with contextlib.suppress(ValueError, AttributeError, OSError, OverflowError):
        faulthandler.dump_traceback_later(seconds, exit=True)


def _stack(frame: FrameType) -> str:
    return "".join(traceback.format_stack(frame)).rstrip()


def _ours(frame: FrameType | None) -> FrameType | None:
    """The innermost of our functions that runs."""
    while frame is not None and f"{os.sep}distnn{os.sep}" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame
