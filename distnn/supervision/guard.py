"""What keeps a run from hanging or dying in silence: failures end all ranks, signals end it in order."""

from __future__ import annotations

import contextlib
import signal
import time
import traceback
from collections.abc import Iterator
from types import FrameType

from distnn import runtime
from distnn.errors import DistnnError, complain, exit_code
from distnn.parallel.failure import is_loss
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.supervision import watchdog
from distnn.supervision.watchdog import Watchdog


def _explain(error: BaseException, world: World) -> tuple[str, int]:
    """The message for the user, and the exit code."""
    comm = world.failures.comm
    where = f" on rank {comm.rank} of {comm.size} (host {comm.host})" if comm.size > 1 else ""
    step = f", in {world.heartbeat.doing}" if world.heartbeat.beats else ""
    if isinstance(error, DistnnError):
        return f"distnn: error{where}: {error}", exit_code(error)
    if is_loss(error):
        return (
            f"distnn: error{where}: another rank has died. What is saved is good: go on with --resume auto. With "
            f"parallel.elastic = true the other ranks go on by themselves.",
            1,
        )
    if isinstance(error, KeyboardInterrupt):
        return f"distnn: interrupted{where}", 130
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) and error.code else 1
        return f"distnn: error{where}{step}: something called sys.exit({error.code!r}) in the middle of the run", code
    if isinstance(error, MemoryError):
        return (
            f"distnn: error{where}: there is not enough memory: {error}. A smaller network or "
            f"data.batch_size, a larger train.accumulate, and fewer ranks on a node take less.",
            1,
        )
    trace = "".join(traceback.format_exception(error)).rstrip()
    return f"{trace}\ndistnn: error{where}{step}: {type(error).__name__}: {error}", 1


@contextlib.contextmanager
def guarded(world: World, *, exits: bool = True) -> Iterator[None]:
    """Run a block on every rank such that a failure on any of them ends all of them, with one message.

    If all ranks fail, each ends in order; if only some do, they end the whole job by MPI_Abort, since the others wait
    for them in a reduction. The message names the rank and the host. Work that makes no progress (`Heartbeat.beat`)
    for too long is ended, too.

    Arguments:
        exits: True raises SystemExit with the error's exit code, and says that the process ends soon after the block;
            False lets the error itself through where it can, for Python programs that call distnn.
    """
    heartbeat, failures = world.heartbeat, world.failures
    try:
        heartbeat.expect_within(watchdog.PATIENCE)
        with Watchdog(heartbeat, failures):
            blas_threads.settle(world.comm)  # in here, where a failure of one rank ends all
            yield
        if exits:
            watchdog.leaving(world)
    except BaseException as error:
        message, code = _explain(error, world)
        if exits:
            watchdog.leaving(world)
        reports = failures.meet(f"{type(error).__name__}: {error}")
        failures.prepare_to_leave()  # after the ranks that fail alike have met, for they don't wait long there
        if reports is None:
            complain(message)
            time.sleep(watchdog.FORWARDING)
            failures.abort(code)
        if not exits:
            raise
        if reports:
            complain(message)
        # Open MPI's mpiexec kills all ranks as soon as one has exited with an error: not before the message is out.
        failures.leave_together()
        failures.exit(code)


class StopSignals:
    """SIGTERM and SIGUSR1 as a wish to stop after the current step; batch systems send them before a time limit.

    Use as a context; the former handlers come back at its end. The handler only sets a flag: all ranks learn of it in
    the next step's reduction, whichever of them received it. One that came before (`runtime.note_signals`) counts, too.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._former: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            # Python takes handlers in the main thread only; a run started elsewhere goes without.
            with contextlib.suppress(ValueError):
                self._former[number] = signal.signal(number, self._receive)
        if runtime.EARLY:
            self.received = runtime.EARLY.pop()
        return self

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
