"""Reading files in a child process: where HDF5 crashes on a damaged one or comes to no end, that is told in words."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distnn import errors
from distnn.errors import DataError, DistnnError
from distnn.runtime import launched_ranks

if TYPE_CHECKING:
    from distnn.data.file.fields import Description

#: So says the work that it goes on, and how many seconds more than usual it may take until it says so again.
Progress = Callable[[float], None]

#: Seconds of a processor in which any data file is surely opened.
OPENING = 20
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


def apart(path: Path, work: Callable[[Progress], Any], limit: int) -> Any:
    """What some work on a file returns, in terms of JSON.

    The limit is the processor's time, not the clock's: a slow file system takes none, and a loop takes all.

    Raises:
        DataError: the work crashed, or has computed for ``limit`` seconds without progress.
        DistnnError: what the work has raised.
    """
    answers, answer = os.pipe()
    try:
        child = os.fork()
    except OSError:  # too many processes, or too little memory: better here than not at all
        os.close(answers)
        os.close(answer)
        return work(lambda more: None)
    if not child:
        _become(answer, work, limit)
    os.close(answer)
    try:
        with open(answers, encoding="utf-8") as stream:
            text = stream.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == -signal.SIGPROF:
        raise DataError(
            f"HDF5 doesn't come to an end reading {path}: it has computed for {limit} s. The file is damaged; copy it "
            f"again, or make it again. If it is only large, `distnn inspect --limit {10 * limit}` shows it."
        )
    if -code in _CRASHES:
        raise DataError(
            f"HDF5 crashed reading {path} ({signal.Signals(-code).name}). The file is damaged; copy it again, or make "
            f"it again."
        )
    if code:
        end = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise DistnnError(f"the process that read {path} {end}.")
    kind, value = json.loads(text)
    if kind:
        raise getattr(errors, kind)(value)
    return value


def foresee(data: str | Path, *, follow: bool = False, description: Description | None = None) -> None:
    """Have a child process open a data file before this one does, so that a crash or a loop there ends in words.

    Whatever else is wrong with the file is told by who opens it. Where ranks were launched together there is no child,
    since forks don't suit all that MPI communicates by: there the watchdog ends a loop, and the stack names the file.

    Arguments:
        data: the file, or a pattern for several.
        follow: read other folders' files as well, where it refers to them.
        description: what a run file says of it. Cutting it into splits is left out, for that may read all labels.

    Raises:
        DataError: HDF5 crashes on the file, or comes to no end.
    """

    def opens(progress: Progress) -> None:
        from distnn.data import DataFile
        from distnn.data.file.fields import AS_USUAL

        said = replace(description or AS_USUAL, cut=None)
        with suppress(Exception):
            DataFile(data, follow=follow, description=said, beat=lambda: progress(0)).close()

    if launched_ranks() == 1:
        apart(Path(data), opens, OPENING)


def _become(answer: int, work: Callable[[Progress], Any], limit: int) -> None:
    """Be the child process: work, answer, and end."""
    code = 1
    try:
        faulthandler.disable()  # the parent tells of it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        signal.signal(signal.SIGPROF, signal.SIG_DFL)

        def progress(more: float) -> None:
            signal.setitimer(signal.ITIMER_PROF, limit + more)

        progress(0)
        try:
            found = ["", work(progress)]
        except DistnnError as error:
            found = [type(error).__name__, str(error)]
        with open(answer, "w", encoding="utf-8") as stream:
            json.dump(found, stream)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
