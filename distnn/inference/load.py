"""Restoring a model from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from distnn import checkpoint
from distnn.config import from_dict
from distnn.errors import CheckpointError
from distnn.graph.initial import parameter_nodes
from distnn.inference.restored import FACTS, Restored, built
from distnn.parallel.communicator import Communicator


def restore(path: str | Path, comm: Communicator, *, last: bool = False) -> Restored:
    """The model of a checkpoint, on every rank; only rank 0 reads the file.

    Arguments:
        path: the checkpoint, a link to it such as ``latest``, or a run's folder: its best one, or without a best one
            the latest.
        last: of a folder, take the latest in any case.

    Raises:
        CheckpointError: if there is no good checkpoint, or its model can't be rebuilt.
    """

    def read() -> tuple[Path, checkpoint.Checkpoint]:
        file = checkpoint.resolve(Path(path), best=not last)
        return file, checkpoint.load(file)

    found, saved = comm.on_root(read)

    _check_named(saved.settings, found)
    # Neither is needed for a trained model, nor need the user's own optimiser or schedule still be there.
    settings = from_dict(
        {name: keys for name, keys in saved.settings.items() if name not in ("optimizer", "schedule")}, str(found)
    )
    if missing := [name for name in FACTS if saved.model.get(name) is None]:
        raise CheckpointError(
            f"{found}: the checkpoint doesn't say what its model is for: {', '.join(missing)} is missing. Use another "
            f"checkpoint of that run."
        )
    model = built(settings, **{name: saved.model[name] for name in FACTS})
    # Before memory is taken for what the settings ask for.
    dtype = np.dtype(settings.train.dtype)
    nodes = parameter_nodes([model.output])
    forms = {name: SimpleNamespace(shape=node.shape, dtype=dtype) for name, node in nodes.items()}
    checkpoint.check_fit(saved.parameters, forms, found, what="parameters")
    parameters = model.initialize(settings.train.seed, settings.train.dtype)
    checkpoint.fit_into(saved.parameters, parameters.value, found)
    return Restored(found, model, parameters, settings, saved.progress, saved.data, saved.transforms, saved.settings)


def _check_named(settings: dict[str, Any], path: Path) -> None:
    """Refuse what was made in Python under a name by which it can't be found again."""
    factory = str(settings.get("model", {}).get("factory", ""))
    if factory.startswith("python:"):
        raise CheckpointError(
            f"{path} holds a network that was written in Python and passed to distnn.fit ({factory}); predict with the "
            f"object that fit returns, or put the function into a module and name it in the run file: factory = "
            f'"module:function".'
        )
    kind = str(settings.get("loss", {}).get("kind", ""))
    if kind.startswith("python:"):
        raise CheckpointError(
            f"{path} was trained with a loss that was passed to distnn.fit and whose class isn't in a module ({kind}); "
            f"predict with the object that fit returns, or put the class into a module."
        )
