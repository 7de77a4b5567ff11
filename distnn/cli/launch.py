"""How a verb runs on the ranks of a launch: on all of them together, or on rank 0 while the others wait for it.

Either way it starts and runs supervised: a rank that is missing, stopped or stuck ends the job, with a message that
names it; a failure on any rank is reported once; all ranks end with the same exit code.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import click

from distnn.errors import UsageError, complain
from distnn.runtime import launch_rank, launched_ranks

if TYPE_CHECKING:
    from distnn.parallel.world import World

P = ParamSpec("P")

#: Exit code of a run that stopped early with a good checkpoint and has more to do (EX_TEMPFAIL of sysexits.h).
MORE_TO_DO = 75
#: Exit code after Ctrl-C.
INTERRUPTED = 130
#: Seconds that the other ranks leave rank 0 for its message.
REPORTING = 1.0
#: How often rank 0 lets those that wait for it know that it makes progress. Seconds.
INTERVAL = 0.5


def together(verb: Callable[Concatenate[World, P], int | None]) -> Callable[P, None]:
    """A verb that all ranks run together; it gets their `World` first, and returns its exit code (None is 0).

    Its work calls `Heartbeat.beat` where it makes progress: without that for too long, the job ends.
    """

    @functools.wraps(verb)
    def run(*args: P.args, **options: P.kwargs) -> None:
        from distnn.parallel.world import World
        from distnn.supervision.guard import guarded
        from distnn.supervision.watchdog import starting

        with starting():
            world = World.open()
        _heed_hangups()
        _tell_of_crashes()  # MPI has handlers of its own, which it sets when it starts
        with guarded(world):
            code = verb(world, *args, **options)
        world.failures.exit(code or 0)

    return run


def alone(verb: Callable[P, None]) -> Callable[P, None]:
    """A verb that one rank runs: under a launcher rank 0, whose outcome is that of all ranks.

    A process without fellow ranks doesn't start MPI for it.
    """

    @functools.wraps(verb)
    def run(*args: P.args, **options: P.kwargs) -> None:
        if launched_ranks() == 1:
            _tell_of_crashes()
            verb(*args, **options)
        else:
            together(lambda world: _on_rank_0(world, functools.partial(verb, *args, **options)))()

    return run


def report_once(text: str) -> None:
    """Print on standard error what every rank has met, on the launcher's rank 0 only.

    The others wait for it: Open MPI's launcher kills all ranks as soon as one has exited with an error.
    """
    if launch_rank() == 0:
        complain(text)
    else:
        time.sleep(REPORTING)


def _on_rank_0(world: World, work: Callable[[], None]) -> None:
    """Rank 0 works; the others wait, and hear from it for as long as it makes progress.

    Raises:
        Exception: on every rank, whatever the work raised.
    """

    def pulsing() -> None:
        try:
            with _pulse(world):
                work()
        except click.ClickException as error:  # whose context can't be sent to other ranks
            raise UsageError(error.format_message()) from None

    comm, heartbeat = world.comm, world.heartbeat
    heartbeat.beat(click.get_current_context().command_path)
    if not comm.root:
        while comm.bcast(None):
            heartbeat.beat()
    comm.on_root(pulsing)


@contextlib.contextmanager
def _pulse(world: World) -> Iterator[None]:
    """This thread's work counts as progress for as long as it uses its processor.

    What waits for a file system, or for a reader of its output, uses none. Converters and readers of files know no
    ranks, and so can't call `Heartbeat.beat`; here it is done for them, in a thread beside them.
    """
    clock, over = time.pthread_getcpuclockid(threading.get_ident()), threading.Event()

    def watch() -> None:
        used: float | None = None
        while not over.wait(INTERVAL):
            before, used = used, time.clock_gettime(clock)
            if used != before:
                world.heartbeat.beat()
                world.comm.bcast(True)

    thread = threading.Thread(target=watch, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        world.comm.bcast(False)


def _tell_of_crashes() -> None:
    """Where a library crashes, print the stack, in which `distnn.data.file.opening.named` has put the file's name."""
    with contextlib.suppress(ValueError, AttributeError, OSError):  # a standard error without a descriptor
        faulthandler.enable()


def _heed_hangups() -> None:
    """A terminal that goes away (SIGHUP) counts as SIGTERM, on which a training saves itself; but not under nohup.

    MPICH's mpiexec ends on a hangup of its own, and kills its ranks: none of them can save itself then.
    UCX, through which MPI may communicate, uses that signal for itself from when it starts.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        with contextlib.suppress(ValueError):  # handlers are for the main thread
            signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
