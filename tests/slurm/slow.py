"""A network whose steps take at least so long, on any machine: ``factory = "tests.slurm.slow:network"``."""

from __future__ import annotations

import os
import time
from functools import wraps
from typing import Any

from distnn.layers import Dense, Flatten, Sequential
from distnn.train.step import Step, StepResult

#: Seconds that every step takes longer.
PAUSE = "DISTNN_TEST_PAUSE"


def network(input_shape: tuple[int, ...], outputs: int) -> Sequential:
    """A small perceptron for the digits; from now on this process's steps are slow."""
    pause, run = float(os.environ.get(PAUSE, "0")), Step.run

    @wraps(run)
    def slow(*arguments: Any, **options: Any) -> StepResult:
        time.sleep(pause)
        return run(*arguments, **options)

    Step.run = slow  # type: ignore[method-assign]
    return Sequential(Flatten(), Dense(16, "relu"), Dense(outputs))
