"""From a run file's ``[model]`` to a model for the data at hand."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distnn.errors import RunFileError, UsageError
from distnn.layers import Layer
from distnn.models.char_lstm import char_lstm
from distnn.models.convnet import convnet
from distnn.models.layers import origin, sequence
from distnn.models.linear import linear, logistic, softmax
from distnn.models.loss import Loss
from distnn.models.mlp import mlp
from distnn.models.model import Model, Network
from distnn.models.resnet import resnet

if TYPE_CHECKING:
    from distnn.config import LossSettings, ModelSettings

#: The tasks that a kind of model serves; the others serve classification and regression.
NEEDS = {
    "linear": ("regression",),
    "logistic": ("classification",),
    "softmax": ("classification",),
    "char-lstm": ("language",),
}

#: The builder of each kind; it takes the number of outputs and the kind's own keys.
BUILDERS: dict[str, Callable[..., Layer]] = {
    "linear": linear,
    "logistic": logistic,
    "softmax": softmax,
    "mlp": mlp,
    "convnet": convnet,
    "resnet": resnet,
    "char-lstm": char_lstm,
}


def build(
    settings: ModelSettings,
    input_shape: Sequence[int],
    *,
    task: str,
    classes: Sequence[str] = (),
    target_shape: Sequence[int] = (),
    loss: LossSettings | None = None,
) -> Model:
    """The model that ``settings`` describe, for samples of ``input_shape``, minimising ``loss``.

    Raises:
        RunFileError: if the kind of model doesn't serve the data's task.
        ShapeError: if a layer or the output doesn't fit.
        UsageError: for options that don't fit together. Each has the ``keys`` of the setting that is to blame.
    """
    outputs = math.prod(target_shape) if task == "regression" else len(classes)
    try:
        network = _network(settings, tuple(input_shape), task, outputs)
        return Model(
            network,
            input_shape,
            task=task,
            classes=classes,
            target_shape=target_shape,
            loss=Loss(**loss.model_dump()) if loss else None,
        )
    except UsageError as error:
        if settings.layers:
            # What no layer is blamed for is the output, which doesn't fit the data.
            raise origin(settings.layers, len(settings.layers) - 1).blamed(error) from None
        error.at("model", "factory" if settings.factory else "kind")
        raise


def _network(settings: ModelSettings, input_shape: tuple[int, ...], task: str, outputs: int) -> Network:
    if settings.factory:
        network: Network = _factory(settings.factory)(input_shape, outputs)
        return network
    if settings.layers:
        return sequence(settings.layers, outputs, settings.initialization, flatten=settings.flattens)
    return _kind(settings, task, outputs)


def _kind(settings: ModelSettings, task: str, outputs: int) -> Layer:
    kind = settings.kind or ""
    needs = NEEDS.get(kind, ("regression", "classification"))
    if task not in needs:
        other = "char-lstm" if task == "language" else "mlp"
        raise RunFileError(
            f'model.kind = "{kind}" is for {" or ".join(needs)}, but the data\'s task is {task}; try kind = "{other}".'
        )
    if kind == "logistic" and outputs != 2:
        raise RunFileError(
            f'model.kind = "logistic" parts two classes, but the data has {outputs}; use kind = "softmax".'
        )
    return BUILDERS[kind](*(() if kind == "logistic" else (outputs,)), **settings.arguments)


def _factory(reference: str):  # type: ignore[no-untyped-def]
    """The function that ``module:function`` names; modules in the working directory are found too."""
    module_name, _, function = reference.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise RunFileError(
            f"model.factory = \"{reference}\": there is no module '{module_name}' in the working directory "
            f"({Path.cwd()}) or on Python's path."
        ) from None
    if not callable(getattr(module, function, None)):
        raise RunFileError(f"model.factory = \"{reference}\": module '{module_name}' has no function '{function}'.")
    return getattr(module, function)
