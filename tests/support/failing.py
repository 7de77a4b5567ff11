"""The command line of distnn with a fault put in: python -m tests.support.failing PHASE WHO FAULT VERB …

The fault happens when rank WHO, or all, come to a PHASE of the work. Where DISTNN_TEST_STRUCK names a file, that holds
the process and the time of the fault from then on. DISTNN_TEST_PATIENCE is how long the start may take, and
DISTNN_TEST_IMPATIENCE how long any work may take once the fault has struck: what a loaded machine does slowly before
isn't taken for a hang.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from distnn import runtime
from distnn.checkpoint.draft import Draft
from distnn.cli import main as command_line
from distnn.data.convert import digits
from distnn.data.loader import Loader
from distnn.doctor import facts, rates
from distnn.errors import DataError
from distnn.graph.plan import Plan
from distnn.inference.restored import Restored
from distnn.parallel.reduction.node import NodeReduction
from distnn.parallel.threads import BlasThreads
from distnn.parallel.world import Heartbeat, World
from distnn.session.saving import Saver
from distnn.supervision import watchdog
from distnn.train.evaluate import Evaluator

STRUCK = os.environ.get("DISTNN_TEST_STRUCK", "")
PATIENCE = float(os.environ.get("DISTNN_TEST_PATIENCE", watchdog.PATIENCE))
IMPATIENCE = float(os.environ.get("DISTNN_TEST_IMPATIENCE", watchdog.PATIENCE))

#: By phase: what is called in it, and at which call it fails. "checkpoint" is in the thread of rank 0 that writes one.
PHASES: dict[str, tuple[Any, str, int]] = {
    "start": (BlasThreads, "settle", 1),
    "data": (Loader, "fill", 5),
    "forward": (Plan, "forward", 5),
    "reduce": (NodeReduction, "reduce", 5),
    "evaluation": (Evaluator, "run", 1),
    "checkpoint": (Draft, "seal", 2),
    "finish": (Saver, "finish", 1),
}
#: Like these, but where there is no watchdog yet, or no more.
EDGES: dict[str, tuple[Any, str, int]] = {"launch": (World, "open", 1), "end": (sys, "exit", 1)}
#: In the work of other verbs than `train`: of all ranks, or of rank 0 alone.
VERBS: dict[str, tuple[Any, str, int]] = {
    "convert": (digits, "convert", 1),
    "predict": (Restored, "predict", 1),
    "doctor": (facts, "locking", 1),
    "plan": (rates, "measure_rates", 1),
    "sample": (Restored, "write", 1),
}
#: The memory that a fault takes at most: so many blocks, of so many bytes.
BLOCKS, BLOCK = 16, 4 << 20


def read() -> None:
    """Blocks in the kernel: a pipe that nobody writes to."""
    os.mkfifo(f"{STRUCK}.fifo")
    with open(f"{STRUCK}.fifo") as pipe:
        pipe.read()


def work() -> DataError:
    """Use the processor, now and then, for longer than anybody waits without progress."""
    end = time.monotonic() + IMPATIENCE + 4
    while time.monotonic() < end:
        sum(range(10_000))
        time.sleep(0.01)
    return DataError("slow, but not stuck.")


def allocate() -> None:
    """Take memory until the kernel sends a SIGKILL in the middle of it, as its out-of-memory killer does.

    That one needs a limit which this process may set (of a control group, on most machines nothing that a test may
    touch), or a machine without memory; so here the kernel's reason is a limit of processor time that is over.
    """
    taken: list[Any] = []
    while True:
        taken.append(np.ones(BLOCK, np.uint8))
        if len(taken) == BLOCKS:
            taken.clear()
            second = max(1, int(time.process_time()))
            resource.setrlimit(resource.RLIMIT_CPU, (second, second))


FAULTS: dict[str, Callable[[], Any]] = {
    "unforeseen": lambda: ValueError("boom"),
    "usage": lambda: DataError("boom."),
    "exit": lambda: SystemExit(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "memory": allocate,
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "read": read,
    "work": work,
    "locked": lambda: ctypes.PyDLL(None).sleep(1000),  # which keeps the interpreter's lock
}


def put_in(phase: str, who: str, fault: str) -> None:
    """Make the phase's function fail on the rank that the launcher numbers ``who``."""
    owner, name, due = (PHASES | EDGES | VERBS)[phase]
    intact = getattr(owner, name)
    calls = 0

    def faulty(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == due and who in ("all", str(runtime.launch_rank())):
            strike()
            raise FAULTS[fault]()
        return intact(*args, **options)

    setattr(owner, name, faulty)


def strike() -> None:
    """Note that the fault comes now."""
    if STRUCK:
        note = Path(f"{STRUCK}.{os.getpid()}")
        note.write_text(f"{os.getpid()} {time.time()}")
        note.rename(STRUCK)


def patience(heartbeat: Heartbeat) -> float:
    """Of a `Heartbeat`, once the fault has struck."""
    as_set: float = vars(heartbeat)["patience"]
    return min(as_set, IMPATIENCE) if os.path.exists(STRUCK) else as_set


def main(argv: list[str]) -> None:
    """Run the command line that follows the fault."""
    put_in(*argv[:3])
    watchdog.PATIENCE = PATIENCE
    Heartbeat.patience = property(patience, lambda beat, value: vars(beat).update(patience=value))  # type: ignore
    command_line.main(argv[3:])


if __name__ == "__main__":
    main(sys.argv[1:])
