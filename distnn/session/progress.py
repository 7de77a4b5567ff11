"""How far a run has come: what a checkpoint needs to go on, with nothing in it that belongs to a rank."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distnn.errors import CheckpointError

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
        best, best_step: the lowest validation loss so far, and the step it was reached at.
        stale: epochs since then.
        sums: of the epoch that is under way: loss, hits, weight, targets and samples.
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
    best: float | None = None
    best_step: int | None = None
    stale: int = 0
    seconds: float = 0.0
    sums: list[float] = dataclasses.field(default_factory=lambda: [0.0] * 5)
    exponents: dict[str, int] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return dataclasses.asdict(self)

    def resume(self, saved: Mapping[str, Any], where: str) -> None:
        """Take over the position of a checkpoint.

        Raises:
            CheckpointError: if its seed differs, or, in the middle of an epoch, what a window is: the remaining
                samples of the epoch would not be the ones that are due.
        """
        for key in ORDER if saved.get("window") else ORDER[:1]:
            if saved.get(key, Progress.order if key == "order" else None) != getattr(self, key):
                middle = "" if key == "seed" else " and stands in the middle of an epoch"
                raise CheckpointError(
                    f"{where} was made with {key} = {saved.get(key)}{middle}, but the run now has {key} = "
                    f"{getattr(self, key)}: the order of the samples would break. Set it back to go on with that run, "
                    f"or start a new one in another folder (--out)."
                )
        for field in dataclasses.fields(self):
            if field.name not in ORDER and field.name in saved:
                setattr(self, field.name, saved[field.name])
