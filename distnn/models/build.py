"""From a run file's ``[model]`` to a model for the data at hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from distnn.errors import RunFileError, UsageError
from distnn.losses import Loss
from distnn.models.kinds import DENSE, MODELS, TASKS
from distnn.models.layers import origin, plain, sequence
from distnn.models.model import Model, Network
from distnn.registry import load


def build(
    settings: Mapping[str, Any],
    input_shape: Sequence[int],
    *,
    task: str,
    classes: Sequence[str] = (),
    target_shape: Sequence[int] = (),
    loss: Loss | None = None,
    weights: Sequence[int] | None = None,
) -> Model:
    """The model that ``settings``, the keys of ``[model]``, describe, for samples of ``input_shape``.

    Raises:
        RunFileError: if the kind of model doesn't serve the data's task.
        ShapeError: if a layer or the output doesn't fit.
        UsageError: for options that don't fit together. Each has the ``keys`` of the setting that is to blame.
    """
    own = target_shape[2:] if settings.get("kind") in DENSE else target_shape  # of each pixel
    outputs = math.prod(own) if task == "regression" else len(classes)
    try:
        network = _network(settings, tuple(input_shape), task, outputs)
        facts: dict[str, Any] = {"task": task, "classes": classes, "target_shape": target_shape, "weights": weights}
        return Model(network, input_shape, loss=loss, **facts)
    except UsageError as error:
        if tables := settings.get("layers"):
            # What no layer is blamed for is the output, which doesn't fit the data.
            raise origin(tables, len(tables) - 1).blamed(error) from None
        error.at("model", "factory" if "factory" in settings else "kind")
        raise


def _network(settings: Mapping[str, Any], input_shape: tuple[int, ...], task: str, outputs: int) -> Network:
    network: Network
    if reference := settings.get("factory"):
        try:
            factory = load(reference, "function")
        except RunFileError as error:
            raise RunFileError(f"model.factory = {error}") from None
        network = factory(input_shape, outputs)
        return network
    if tables := settings.get("layers"):
        return sequence(tables, outputs, settings.get("initialization", "auto"), flatten=plain(tables))
    kind = settings["kind"]
    if task not in TASKS[kind]:
        other = {"language": "char-lstm", "segmentation": "fcn"}.get(task, "mlp")
        raise RunFileError(
            f'model.kind = "{kind}" is for {" or ".join(TASKS[kind])}, but the data\'s task is {task}; try kind = '
            f'"{other}".'
        )
    network = MODELS.find(kind)(outputs, **{key: value for key, value in settings.items() if key != "kind"})
    return network
