"""The objects that single sections of a run file describe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distnn.config import RunSettings
from distnn.config.sections import ParallelSettings
from distnn.data import DataFile
from distnn.data.augment import Augmentation
from distnn.data.file.fields import Description, Purpose
from distnn.errors import DataError, RunFileError, ShapeError
from distnn.graph.node import topological
from distnn.losses import Loss
from distnn.metrics import Metric
from distnn.models import Model, build
from distnn.models.model import Network
from distnn.ops.conv.convolution import Conv2D
from distnn.optim import Optimizer, Schedule
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parameters import Memory, PrivateMemory

#: The buckets on several nodes, in megabytes: large enough that a network's latency doesn't show.
BUCKET_MB = 4.0


@dataclass(frozen=True)
class Given:
    """Objects made in Python, each to be used instead of what its section of the settings describes."""

    network: Network | None = None
    loss: Loss | None = None
    optimizer: Optimizer | None = None
    schedule: Schedule | None = None
    metrics: Sequence[Metric] | None = None


NOTHING = Given()


def model(settings: RunSettings, file: DataFile, given: Given = NOTHING) -> Model:
    """What ``[model]`` describes, for these data and with the loss of ``[loss]``.

    Raises:
        RunFileError, ShapeError: if the model doesn't fit the data.
        DataError: it is for images, and the channels of these seem to come first.
    """
    input_shape, target_shape = file.chains.shape("x", file.sample_shape), file.chains.shape("y", file.target_shape)
    facts: dict[str, Any] = {"task": file.task, "classes": file.classes, "target_shape": target_shape}
    facts["weights"] = file.weight_shape
    loss = given.loss or settings.loss.make()
    if file.weight_shape and file.weight_shape == file.target_shape != target_shape:
        raise DataError(
            f"{file.path} has weights or a mask for each number of a target of the shape {file.target_shape}, but "
            f"transforms.y makes targets of the shape {target_shape}. Give one for each sample, or leave those out."
        ).at("transforms", "y")
    labels = file.chains.get("y")
    if loss.ignore_label is not None and labels and labels.labels is not None:
        raise RunFileError(
            "loss.ignore_label doesn't go with shift_labels in transforms.y, after which labels have other numbers. "
            "Leave such samples out by a dataset `mask` beside y, with 0 for them."
        ).at("loss", "ignore_label")
    try:
        if given.network is not None:
            found = Model(given.network, input_shape, loss=loss, **facts)
        else:
            found = build(settings.model.table(), input_shape, loss=loss, **facts)
    except ShapeError as error:
        if file.channels_first:
            raise ShapeError(f"{error} {_channels(file)}").at(*error.keys) from None
        raise
    if file.channels_first and any(isinstance(node.op, Conv2D) for node in topological([found.output])):
        raise DataError(_channels(file)).at("data", "x")
    if settings.data.streams and not found.states:
        why = "the model has no state to carry along them" if file.task == "language" else f"the task is {file.task}"
        raise RunFileError(
            f"data.streams = true is for recurrent language models on text, but with {file.path} {why}; remove it."
        )
    return found


def _channels(file: DataFile) -> str:
    """What to say of images whose channels seem to come first."""
    first, *rest = map(str, file.sample_shape)
    return (
        f"The samples of {file.path} have the shape ({first}, {', '.join(rest)}), which seems to be {first} channels "
        f"of {' × '.join(rest)}, channels first; networks take channels last. Say in the run file which it is: "
        f'data.x = {{layout = "channels_first"}}, or "channels_last" for samples that are {first} × '
        f"{' × '.join(rest[:-1])} with {rest[-1]} channels."
    )


def data_file(
    settings: RunSettings,
    mpi: Any = None,
    path: str | Path | None = None,
    purpose: Purpose | None = None,
    beat: Callable[[], object] = lambda: None,
    loss: Loss | None = None,
) -> DataFile:
    """The file that ``[data]`` describes, open; by the ranks of an mpi4py communicator together, if there is one.

    Arguments:
        path: another file than ``data.path`` that is laid out alike.
        purpose: what a trained network is to do with it; None: training.
        beat: called after each of several files that was opened.
        loss: to be used instead of what ``[loss]`` describes.

    Raises:
        DataError: if it isn't a good data file.
    """
    data = settings.data
    said = replace(description(settings, loss), purpose=purpose)
    return DataFile(path or data.path, mpi, follow=data.follow, description=said, beat=beat)


def description(settings: RunSettings, loss: Loss | None = None) -> Description:
    """What ``[data]``, ``[transforms]`` and ``[loss]``, or a loss instead of it, say of a data file."""
    ignore = (loss or settings.loss.make()).ignore_label
    return replace(settings.data.description(), transforms=settings.transforms.make(), ignore=ignore)


def loss_in_words(model: Model, settings: RunSettings) -> tuple[str, str]:
    """What is minimised, and the unit of its mean, which is empty if nobody has said."""
    criterion = model.criterion
    changed = model.task == "regression" and settings.transforms.y
    unit = criterion.unit.replace("of y", "of the transformed y") if changed else criterion.unit
    return criterion.family.named(criterion), unit


def batch_size(settings: RunSettings, file: DataFile) -> int:
    """The samples of a batch, of all ranks together.

    Raises:
        DataError: if there are fewer.
    """
    samples = file.count("train")
    if settings.data.batch_size == "full":
        return samples
    if settings.data.batch_size > samples:
        raise DataError(
            f"data.batch_size is {settings.data.batch_size}, but {file.path} has only {samples} training samples; "
            f'choose at most that many, or batch_size = "full" for batch gradient descent.'
        )
    return settings.data.batch_size


def augmentation(settings: RunSettings, file: DataFile) -> Augmentation | None:
    """What ``[augment]`` does to the training images; None for nothing."""
    given = settings.augment
    if not (given.flip or given.shift or given.crop):
        return None
    shape = file.chains.shape("x", file.sample_shape)
    image = shape[:2]
    along = {name: form.shape for name, form in file.forms("train").items() if form.shape[:2] == image and name != "x"}
    if file.weight_shape is not None:  # the product of weight and mask
        along.pop("mask", None)
        along |= {"weight": file.weight_shape} if file.weight_shape[:2] == image else {}
    return Augmentation(file.count("train"), shape, along=along, **given.model_dump())


def bucket_mb(settings: ParallelSettings, comm: Communicator) -> float | None:
    """The size of the buckets: on one node they gain nothing (benchmarks/reduction.py)."""
    if settings.bucket_mb is None:
        return BUCKET_MB if len(comm.nodes) > 1 else None
    return settings.bucket_mb or None


def memories(reduction: str, comm: Communicator, optimizer: Optimizer) -> list[Memory]:
    """The kinds of memory to try, by the way of reducing: shared by the ranks of a node where any has several.

    Raises:
        RunFileError: if ``node`` is asked for and the optimiser can't be sliced.
    """
    if reduction == "node" and optimizer.layerwise:
        name = optimizer.family.named(optimizer)
        raise RunFileError(
            f'parallel.reduction = "node" cuts the parameters into slices, but optimizer.kind = "{name}" '
            f'looks at each one whole; use "auto" or "allreduce".'
        )
    if reduction == "allreduce" or optimizer.layerwise or max(map(len, comm.nodes)) == 1:
        return [PrivateMemory()]
    return [NodeMemory(comm)] if reduction == "node" else [NodeMemory(comm), PrivateMemory()]
