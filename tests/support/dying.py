"""The command line of distnn, where ranks die: python -m tests.support.dying RANK:MOMENT:TIME[:HOW][,…] train …

A rank, by the number it was launched with, kills itself when it comes to a moment of the work for that time; or it
stops, or fails, or is told to come to an end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from distnn import checkpoint, runtime
from distnn.cli import main as command_line
from distnn.data.loader import Loader
from distnn.data.stream import _Slot
from distnn.parallel.failure import Failures
from distnn.parallel.reduction.allreduce import Allreduce
from distnn.session import run
from distnn.session.build import Run
from distnn.session.loop import Loop
from distnn.session.saving import Saver
from distnn.train.evaluate import Evaluator

#: By moment what is called then, and whether the rank dies before that or after it.
MOMENTS: dict[str, tuple[Any, str, bool]] = {
    "before the folder is made": (run, "make_folder", False),
    "while data are read": (Loader, "fill", False),
    "while a block is read": (_Slot, "fill", False),
    "before a reduction": (Allreduce, "reduce", False),
    "after a reduction": (Allreduce, "reduce", True),
    "after an update": (Allreduce, "finish", True),
    "before losses are told of": (run._Training, "_report", False),
    "before an evaluation": (Evaluator, "run", False),
    "after an evaluation": (Evaluator, "run", True),
    "before a save": (Saver, "save", False),
    "while a checkpoint is written": (checkpoint, "save", False),
    "while the others regroup": (Failures, "regroup", True),
    "while the state is handed on": (Run, "take_over", False),
    "before the end": (Saver, "finish", False),
    "at the very end": (Loop, "_summary", True),
}


def fail() -> None:
    """Fail as nobody expects."""
    raise ValueError("boom")


HOW: dict[str, Callable[[], object]] = {
    "KILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "STOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "FAIL": fail,
    "TERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
}


def die(moment: str, time: int, how: str = "KILL") -> None:
    """Let this process die when it comes to the moment for that time."""
    owner, name, after = MOMENTS[moment]
    intact = getattr(owner, name)
    calls = 0

    def dying(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        result = intact(*args, **options) if after or calls < time else None
        if calls == time:
            HOW[how]()
        return result

    setattr(owner, name, dying)


def main(argv: list[str]) -> None:
    """Run the command line that follows the deaths."""
    deaths, *arguments = argv
    for death in deaths.split(","):
        rank, moment, time, *how = death.split(":")
        if int(rank) == runtime.launch_rank():
            die(moment, int(time), *how)
    command_line.main(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
