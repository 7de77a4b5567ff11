"""How far a run has come: what a checkpoint needs to go on, with nothing in it that belongs to a rank; and sums over
steps, which a line of the log, or an epoch, reports.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distnn.errors import CheckpointError, described
from distnn.sums import Sums
from distnn.train.accumulate import Seconds
from distnn.train.step import StepResult

#: What decides which samples the next step takes; only the seed does between two epochs.
ORDER = ("seed", "batch_size", "accumulate", "order")


@dataclass
class Progress:
    """The position of a run.

    Attributes:
        seed: of the run; the order of the samples and the first parameters follow from it.
        epoch: completed epochs.
        window: steps done of the epoch that is under way.
        step: steps done in all.
        batch_size, accumulate: what a window is, in samples and batches.
        order: of the samples: the `distnn.data.order.Order`'s name.
        best_of: which value says which epoch is best, such as ``validation loss``.
        best, best_step: the best of these values so far, and the step it was reached at.
        reference: the value of the last epoch that was better by more than ``train.min_delta``.
        stale: epochs since then.
        sums: over the steps done of the epoch that is under way.
        exponents: of the units in which gradients are summed (`distnn.parallel.reduction.fixed_point`).
        seconds: spent training so far, over all parts of the run.
    """

    seed: int
    batch_size: int
    accumulate: int
    order: str = "shuffled"
    epoch: int = 0
    window: int = 0
    step: int = 0
    best_of: str = ""
    best: float | None = None
    best_step: int | None = None
    reference: float | None = None
    stale: int = 0
    seconds: float = 0.0
    sums: Sums = field(kw_only=True)
    exponents: dict[str, int | list[int]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return vars(self) | {"sums": self.sums.to_dict(), "exponents": dict(self.exponents)}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Take over what `to_dict` gave."""
        for name in vars(self).keys() & saved.keys():
            if name == "sums":
                self.sums.load(saved[name])
            else:
                setattr(self, name, saved[name])

    def resume(self, saved: Mapping[str, Any], where: str) -> None:
        """Take over the position of a checkpoint.

        Raises:
            CheckpointError: if it can't be read; if its seed differs, or, in the middle of an epoch, what a window is:
                the remaining samples of the epoch would not be the ones that are due.
        """
        for key in ORDER if saved.get("window") else ORDER[:1]:
            if saved.get(key, Progress.order if key == "order" else None) != getattr(self, key):
                middle = "" if key == "seed" else " and stands in the middle of an epoch"
                raise CheckpointError(
                    f"{where} was made with {key} = {saved.get(key)}{middle}, but the run now has {key} = "
                    f"{getattr(self, key)}: the order of the samples would break. Set it back to go on with that run, "
                    f"or start a new one in another folder (--out)."
                )
        try:
            self.load({key: value for key, value in saved.items() if key not in ORDER})
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{where}: what it says of its progress can't be read ({described(error)}); it is damaged, or another "
                f"program's. Resume from another checkpoint."
            ) from error


@dataclass
class Window:
    """Sums over steps, from now on.

    Attributes:
        sums: to go on from, kept up to date.
        spent: this rank's seconds in these steps.
        since: when it began.
    """

    sums: Sums
    spent: Seconds = field(default_factory=Seconds)
    since: float = field(default_factory=time.perf_counter)

    def add(self, result: StepResult) -> None:
        """Count a step; where nothing was updated, only its time."""
        if not result.bad:
            self.sums += result.sums
        self.spent += result.spent
