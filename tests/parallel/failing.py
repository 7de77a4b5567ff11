"""The command line of distnn with a fault put in: python -m tests.parallel.failing PHASE WHO train RUN.toml …

The fault is an exception, the end of the process ("kill"), or an end of all work, for good or for as long as the rank
is stopped ("stuck", "locked", "stop"), when rank WHO, or all, come to a PHASE of the work.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from distnn import runtime
from distnn.cli.main import main
from distnn.data.loader import Loader
from distnn.errors import DataError
from distnn.parallel.node import Node
from distnn.parallel.world import World
from distnn.train import watchdog
from distnn.train.evaluate import Evaluator
from distnn.train.saving import Saver
from distnn.train.step import Step

#: By phase: what is called in it, and at which call it fails.
PHASES: dict[str, tuple[Any, str, int]] = {
    "start": (World, "settle_threads", 1),
    "data": (Loader, "fill", 1),
    "step": (Step, "run", 5),
    "evaluation": (Evaluator, "run", 1),
    "checkpoint": (Saver, "save", 1),
    "finish": (Saver, "finish", 1),
}
#: Like these, but where all ranks meet, which those that are intact do in any case.
MEETING = {"reduce": (Node, "reduce", 4)}
FAULTS: dict[str, Callable[[], Any]] = {
    "unforeseen": lambda: ValueError("boom"),
    "usage": lambda: DataError("boom."),
    "exit": lambda: SystemExit(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "stuck": lambda: time.sleep(1000),
    "locked": lambda: ctypes.PyDLL(None).sleep(1000),  # which keeps the interpreter's lock
}


def put_in(phase: str, who: str, fault: str) -> None:
    """Make the phase's function fail on the rank that the launcher numbers ``who``."""
    owner, name, due = (PHASES | MEETING)[phase]
    intact = getattr(owner, name)
    calls = 0

    def faulty(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == due and who in ("all", str(runtime.launch_rank())):
            raise FAULTS[fault]()
        return intact(*args, **options)

    setattr(owner, name, faulty)


if __name__ == "__main__":
    put_in(*sys.argv[1:4])
    watchdog.PATIENCE = float(os.environ.get("DISTNN_TEST_PATIENCE", watchdog.PATIENCE))
    main(sys.argv[4:])
