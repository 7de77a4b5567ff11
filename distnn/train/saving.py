"""When a run saves itself, and what it saves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distnn.models.model import Model
from distnn.train import checkpoint
from distnn.train.checkpoint import Checkpoint
from distnn.train.progress import Progress
from distnn.train.records import Listener
from distnn.train.step import Step

if TYPE_CHECKING:
    from distnn.config import CheckpointSettings


class Saver:
    """Saves a run's state, on rank 0; the others take part where a state is theirs.

    Arguments:
        folder: the run's ``checkpoints`` folder.
        settings: when to save, and how many to keep.
        run: the resolved run file, as a dictionary.
        model, step: whose parameters and optimiser state are saved.
        environment: what the run runs on.
        listener: hears of every checkpoint; None on ranks other than 0.
    """

    def __init__(
        self,
        folder: Path,
        settings: CheckpointSettings,
        run: dict[str, Any],
        model: Model,
        step: Step,
        environment: dict[str, str],
        listener: Listener | None,
    ) -> None:
        self.folder, self.settings, self.run, self.model, self.step = folder, settings, run, model, step
        self.environment, self.listener = environment, listener
        self.latest: Path | None = None
        self._saved = (-1, -1)
        self._clock = time.monotonic()

    def began_at(self, path: Path, progress: Progress) -> None:
        """The run goes on from the checkpoint at ``path``, which need not be written again."""
        self.latest, self._saved = path, (progress.step, progress.epoch)

    @property
    def overdue(self) -> bool:
        """Whether a number of minutes says to save, by this rank's clock."""
        minutes = self.settings.every_minutes
        return minutes is not None and self.listener is not None and time.monotonic() - self._clock >= 60 * minutes

    def after_step(self, progress: Progress) -> None:
        """Save if a number of steps says so, or if rank 0 told the others in the step that it was `overdue`."""
        steps = self.settings.every_steps
        if self.step.save or (steps and progress.step % steps == 0):
            self.save(progress)

    def after_epoch(self, progress: Progress, best: bool) -> None:
        """Save if a number of epochs says so; ``best`` marks it as the best so far."""
        epochs = self.settings.every_epochs
        if epochs and progress.epoch % epochs == 0:
            self.save(progress, best=best)

    def save(self, progress: Progress, best: bool = False) -> None:
        """Save now, unless this very step and position is saved already; every rank has to call it.

        Raises:
            CheckpointError: if it can't be written; the former checkpoints are intact.
        """
        position = (progress.step, progress.epoch)
        if position == self._saved and not best:
            return
        carried = self.step.carried.collect(self.step.world, self.step.shards) if progress.window else {}
        self._saved, self._clock = position, time.monotonic()
        if self.listener is None:
            return
        parameters = self.step.parameters
        progress.exponents = self.step.gradients.exponents
        state = Checkpoint(
            parameters=parameters.value,
            optimizer={name: parameters.views(vector) for name, vector in self.step.slots.items()},
            progress=progress.to_dict(),
            settings=self.run,
            model={
                "input_shape": list(self.model.input_shape),
                "target_shape": list(self.model.target_shape),
                "task": self.model.task,
                "classes": list(self.model.classes),
                "description": self.model.description,
            },
            environment=self.environment,
            state=carried or {},
        )
        self.latest = checkpoint.save(self.folder, state, keep=self.settings.keep, best=best)
        self._clock = time.monotonic()
        self.listener.saved(self.latest, progress.step)
