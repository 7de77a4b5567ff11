"""What the training loop reports to whoever listens: the records, and the listener's side of the bargain.

The loop knows nothing of consoles and files: on rank 0 it calls the methods of one `Listener`. A listener states in
``interval`` how many seconds it wants between two `StepRecord`; several together get the shortest of their intervals,
and each may join records (`distnn.session.metrics.Thinning`) to come back to its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunInfo:
    """What a run is, known before its first step.

    ``samples`` are those of the training split, ``kernels`` the names of those that are compiled.
    """

    out: Path
    model: str
    parameters: int
    ranks: int
    hosts: int
    threads: int
    threads_reason: str
    samples: int
    batch_size: int
    epochs: int
    steps_per_epoch: int
    start_step: int = 0
    start_epoch: int = 0
    data: Path | None = None
    blas: str = ""
    kernels: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepRecord:
    """The steps since the last record: ``loss`` and ``accuracy`` are means per target, the ``_s`` are seconds.

    A sample has one target, in a language model one for each token. ``bits`` is the loss of a language model in bits.

    ``epoch`` (the current one) and ``step`` (of the whole run, the last one done) count from 1; ``batch`` of
    ``batches`` steps of the epoch are done.
    """

    epoch: int
    epochs: int
    step: int
    batch: int
    batches: int
    loss: float
    accuracy: float | None
    learning_rate: float
    samples_per_s: float
    compute_s: float
    comm_s: float
    data_s: float
    ranks: int
    bits: float | None = None


@dataclass(frozen=True)
class EvaluationRecord:
    """One pass over a split: means per target, and how long it took; ``bits`` as in `StepRecord`."""

    split: str
    epoch: int
    step: int
    samples: int
    loss: float
    accuracy: float | None
    seconds: float
    bits: float | None = None


@dataclass(frozen=True)
class Summary:
    """How a run ended; not ``complete`` where there is more to do (exit code 75); ``best`` is a validation loss."""

    reason: str
    complete: bool
    epoch: int
    step: int
    seconds: float
    compute_s: float
    comm_s: float
    data_s: float
    other_s: float
    samples_per_s: float
    train: EvaluationRecord | None
    validation: EvaluationRecord | None
    test: EvaluationRecord | None
    best: float | None
    best_step: int | None
    checkpoint: Path | None
    out: Path
    fingerprint: str


class Listener:
    """Hears of a run's progress; every method does nothing until a subclass says otherwise."""

    #: Seconds between two calls of `stepped` that the loop aims at; 0 for a call every step.
    interval: float = math.inf

    def started(self, info: RunInfo) -> None:
        """The run begins, or goes on."""

    def stepped(self, record: StepRecord) -> None:
        """Some steps are done."""

    def evaluated(self, record: EvaluationRecord) -> None:
        """A split has been evaluated."""

    def saved(self, path: Path, step: int) -> None:
        """A checkpoint has been written."""

    def resumed(self, path: Path, step: int) -> None:
        """The run goes on from a checkpoint."""

    def warned(self, text: str) -> None:
        """Something the user should know, which doesn't stop the run."""

    def finished(self, summary: Summary) -> None:
        """The run has ended in order."""

    def close(self) -> None:
        """No more calls will come, whether the run finished or failed: release files and the terminal."""


class Listeners(Listener):
    """Reports to several listeners the same, in their order."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.listeners = tuple(listeners)
        self.interval = min((listener.interval for listener in self.listeners), default=math.inf)

    def started(self, info: RunInfo) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.started(info)

    def stepped(self, record: StepRecord) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.stepped(record)

    def evaluated(self, record: EvaluationRecord) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.evaluated(record)

    def saved(self, path: Path, step: int) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.saved(path, step)

    def resumed(self, path: Path, step: int) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.resumed(path, step)

    def warned(self, text: str) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.warned(text)

    def finished(self, summary: Summary) -> None:
        """Pass it on."""
        for listener in self.listeners:
            listener.finished(summary)

    def close(self) -> None:
        """Close each."""
        for listener in self.listeners:
            listener.close()
