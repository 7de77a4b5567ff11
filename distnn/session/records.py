"""What the training loop reports to whoever listens: the records, and the listener's side of the bargain.

The loop knows nothing of consoles and files: on rank 0 it calls the methods of one `Listener`. A listener states in
``interval`` how many seconds it wants between two `StepRecord`; several together get the shortest of their intervals,
and each may join records (`distnn.session.metrics.Thinning`) to come back to its own.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what only says something, such as `distnn.report.words`, loads neither numpy nor h5py
    from distnn.metrics import Value
    from distnn.sums import Sums
    from distnn.train.accumulate import Seconds


@dataclass(frozen=True)
class RunInfo:
    """What a run is, known before its first step.

    ``samples`` are those of the training split, ``held_out`` those of each other one, ``kernels`` the names of those
    that are compiled; ``loss`` is what is minimised, with its unit, ``monitor`` which value says which epoch is best,
    and ``higher_is_better`` how; ``remarks`` are what is to be said once of how the data are read.
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
    held_out: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    loss: str = ""
    monitor: str = "validation loss"
    higher_is_better: bool = False


class Scored:
    """A record with sums over samples, of which it gives the means per target.

    A sample has one target, in a language model one for each token; a regression's loss is the mean over the numbers of
    a target too.
    """

    sums: Sums

    @property
    def loss(self) -> float:
        """The mean loss."""
        return self.sums.mean_loss

    @property
    def accuracy(self) -> float | None:
        """The share of the targets that were classified right; None for a regression."""
        return self.sums.accuracy

    @property
    def bits(self) -> float | None:
        """The mean loss of a language model in bits; None for other losses."""
        return self.sums.bits

    @property
    def samples(self) -> int:
        """How many samples were summed over."""
        return self.sums.samples


@dataclass(frozen=True)
class StepRecord(Scored):
    """The steps since the last record.

    ``epoch`` (the current one) and ``step`` (of the whole run, the last one done) count from 1; ``batch`` of
    ``batches`` steps of the epoch are done.
    """

    epoch: int
    epochs: int
    step: int
    batch: int
    batches: int
    sums: Sums
    learning_rate: float
    samples_per_s: float
    spent: Seconds
    ranks: int


@dataclass(frozen=True)
class EvaluationRecord(Scored):
    """One pass over a split, how long it took, and the metrics by name; ``best`` if no epoch's was better so far."""

    split: str
    epoch: int
    step: int
    sums: Sums
    seconds: float
    metrics: Mapping[str, Value] = field(default_factory=dict)
    best: bool = False


@dataclass(frozen=True)
class Summary:
    """How a run ended; not ``complete`` where there is more to do (exit code 75).

    ``best`` is the best value so far of what ``best_of`` says, such as ``validation loss``.
    """

    reason: str
    complete: bool
    epoch: int
    step: int
    seconds: float
    spent: Seconds
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
    best_of: str = "validation loss"


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
        self.interval = min((listener.interval for listener in listeners), default=math.inf)
        for name, _ in inspect.getmembers(Listener, inspect.isfunction):
            setattr(self, name, partial(_tell, [getattr(listener, name) for listener in listeners]))


def _tell(methods: Sequence[Callable[..., None]], *arguments: object) -> None:
    for method in methods:
        method(*arguments)
