"""The objects that single sections of a run file describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distnn.data.augment import Augmentation
from distnn.data.hdf5 import DataFile
from distnn.optim import OPTIMIZERS, Optimizer, Schedule

if TYPE_CHECKING:
    from distnn.config import RunSettings, ScheduleSettings


def augmentation(settings: RunSettings, file: DataFile) -> Augmentation | None:
    """What ``[augment]`` does to the training images; None for nothing."""
    given = settings.augment
    if not (given.flip or given.shift or given.crop):
        return None
    return Augmentation(file.count("train"), file.sample_shape, **given.model_dump())


def optimizer(settings: RunSettings) -> Optimizer:
    """What ``[optimizer]`` describes."""
    given = settings.optimizer
    return OPTIMIZERS[given.kind](**given.model_dump(exclude={"kind", *given.unused()}))


def schedule(settings: ScheduleSettings, steps: int, epochs: int) -> Schedule:
    """What ``[schedule]`` describes, for epochs of so many steps."""
    return Schedule(
        settings.kind,
        total_steps=steps * epochs,
        warmup_steps=settings.warmup_steps,
        every_steps=steps * (settings.every_epochs or 0),
        factor=settings.factor,
        final=settings.final,
    )
