"""What every loss is: a sum over the samples, and what it is divided by for its mean."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from distnn.errors import UsageError
from distnn.graph import functions
from distnn.graph.node import Node
from distnn.registry import Family, Registered

#: The tasks that a loss may serve.
TASKS = ("regression", "classification", "segmentation", "language")


class Loss(
    Registered,
    family=Family(
        "loss",
        meaning="auto: squared error for a regression, cross-entropy for classes",
        about="What is minimised; `auto` is squared error for a regression, cross-entropy for classes.",
        default="auto",
    ),
):
    """A kind of loss and its numbers, as a run file's ``[loss]`` has them.

    A loss is a sum over the samples. Its mean is that sum divided by the number of targets or, where not all count
    alike, by their `weight`; both are summed over all shards first.

    Attributes:
        tasks: those that it serves.
        ignore_label: the label that doesn't count, if there is one.
        code_length: whether its mean is the code length of a text, which may be reported in bits.
        unit: of its mean, in words; empty if nobody has said.
    """

    tasks: ClassVar[tuple[str, ...]] = TASKS
    ignore_label: int | None = None
    unit: ClassVar[str] = ""

    @property
    def code_length(self) -> bool:
        """False, unless a subclass knows better."""
        return False

    def serving(self, task: str) -> Loss:
        """This loss, if it serves the task.

        Raises:
            UsageError: if it doesn't.
        """
        if task not in self.tasks:
            kinds = self.family.kinds.items()
            fitting = [kind for kind, loss in kinds if kind != "auto" and task in loss.tasks]  # type: ignore[attr-defined]
            raise UsageError(
                f'loss.kind = "{self.family.named(self)}" is not for {task}; expected one of: {", ".join(fitting)}.'
            ).at("loss")
        return self

    def check(self, weights: Node | None) -> None:
        """Refuse weights that this loss doesn't know.

        Raises:
            UsageError: saying what to do.
        """
        for name in ("__call__", "weight"):
            if weights is not None and "weights" not in inspect.signature(getattr(self, name)).parameters:
                kind = type(self).__name__
                raise UsageError(
                    f"loss: {kind}.{name} knows no weights, but the data have weights or a mask. Give it a further "
                    f"argument *weights by which each target's loss is multiplied, or leave them out of the data."
                )

    @abstractmethod
    def __call__(self, output: Node, target: Node, *weights: Node) -> Node:
        """Σ over the batch, of each target's loss times its weight: a scalar node.

        Arguments:
            weights: one node, of the weights of the samples (N,) or of all targets (N, …), where the data have some.
        """

    def weight(self, target: Node, *weights: Node) -> Node | None:
        """What the loss is to be divided by for its mean; None where it is the number of targets.

        With weights it is their sum, and the mean of those of one sample counts for the sample.
        """
        for each in weights:
            length = math.prod(each.shape[1:])  # type: ignore[arg-type]
            return functions.sum(each) * (1 / length)
        return None

    def count(self, target: Node) -> Node | None:
        """How many targets count; None where all do."""
        return None


class LossFunction(Loss):
    """A function (output, target) → Σ over the batch, a scalar node, as a loss; `distnn.fit` makes it of one.

    Raises:
        UsageError: when called, if the function gives something else.
    """

    def __init__(self, function: Callable[[Node, Node], Any]) -> None:
        self.function = function

    def __call__(self, output: Node, target: Node, *weights: Node) -> Node:
        if weights:
            raise UsageError(
                f"loss: {self.function} knows no weights, but the data have weights or a mask; pass an object of a "
                f"class derived from distnn.losses.Loss, whose __call__(output, target, *weights) counts them."
            )
        found = self.function(output, target)
        if not isinstance(found, Node) or found.shape != ():
            raise UsageError(f"loss: {self.function} gives {found!r}; expected a scalar node, the sum over the batch.")
        return found
