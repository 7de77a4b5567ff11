"""From a checkpoint back to a model, to evaluate it or to predict with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distnn.data.hdf5 import DataFile
from distnn.data.loader import Loader
from distnn.data.partition import part
from distnn.errors import CheckpointError, DataError
from distnn.models import Model, build
from distnn.ops.op import Array
from distnn.parallel.world import World
from distnn.parameters import Parameters
from distnn.train import checkpoint
from distnn.train.evaluate import Evaluator, Result, predict


@dataclass(frozen=True)
class Restored:
    """A trained model.

    Attributes:
        path: the checkpoint it comes from.
        model: its graph.
        parameters: its values.
    """

    path: Path
    model: Model
    parameters: Parameters

    def evaluate(self, file: DataFile, split: str, world: World) -> Result:
        """The loss and accuracy on a split, computed by all ranks together.

        Raises:
            DataError: if the data don't fit the model.
        """
        self._check(file)
        if file.task != self.model.task or len(file.classes) != len(self.model.classes):
            raise DataError(
                f"{file.path} is for {file.task} with {len(file.classes)} classes, but {self.path} was trained for "
                f"{self.model.task} with {len(self.model.classes)}."
            )
        return Evaluator(self.model, self.parameters, file, split, world).run()

    def predict(self, file: DataFile, split: str, world: World) -> Array | None:
        """Predictions for a split in its order, on rank 0; None elsewhere. Each rank computes a piece.

        Raises:
            DataError: if the data don't fit the model.
        """
        self._check(file)
        piece = part(file.count(split), world.size, world.rank)
        mine = predict(self.model, self.parameters, Loader.read(file, split, piece)) if piece.length else None
        pieces = world.gather(mine)
        return None if pieces is None else np.concatenate([found for found in pieces if found is not None])

    def _check(self, file: DataFile) -> None:
        if file.sample_shape != self.model.input_shape:
            raise DataError(
                f"{file.path} holds samples of shape {file.sample_shape}, but the model of {self.path} takes "
                f"{self.model.input_shape}; use the kind of data it was trained on."
            )


def restore(path: str | Path, world: World) -> Restored:
    """The model of a checkpoint, on every rank; rank 0 alone reads the file.

    Arguments:
        path: a checkpoint, ``latest``, or a run's folder.
        world: the ranks.

    Raises:
        CheckpointError: if there is no good checkpoint, or its model can't be built again.
    """

    def read() -> tuple[Path, checkpoint.Checkpoint]:
        found = checkpoint.resolve(Path(path))
        return found, checkpoint.load(found)

    found, saved = world.on_root(read)
    from distnn.config import from_dict

    settings = from_dict(saved.settings, str(found))
    if settings.model.factory and settings.model.factory.startswith("python:"):
        raise CheckpointError(
            f"{found} holds a network that was written in Python and passed to distnn.fit ({settings.model.factory}); "
            f"predict with the object that fit returns, or put the function into a module and name it in the run file: "
            f'factory = "module:function".'
        )
    facts = saved.model
    model = build(
        settings.model,
        tuple(facts["input_shape"]),
        task=facts["task"],
        classes=facts["classes"],
        target_shape=tuple(facts["target_shape"]),
        loss=settings.loss,
    )
    parameters = model.initialize(settings.train.seed, settings.train.dtype)
    checkpoint.fit_into(saved.parameters, parameters.value, found)
    return Restored(found, model, parameters)
