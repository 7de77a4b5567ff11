"""What every loss is: a sum over the samples, and what it is divided by for its mean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from distnn.errors import UsageError
from distnn.graph.node import Node
from distnn.registry import Family, Registered

#: The tasks that a loss may serve.
TASKS = ("regression", "classification", "language")


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

    @abstractmethod
    def __call__(self, output: Node, target: Node) -> Node:
        """Σ over the batch: a scalar node."""

    def weight(self, target: Node) -> Node | None:
        """What the loss is to be divided by for its mean; None where it is the number of targets."""
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

    def __call__(self, output: Node, target: Node) -> Node:
        found = self.function(output, target)
        if not isinstance(found, Node) or found.shape != ():
            raise UsageError(f"loss: {self.function} gives {found!r}; expected a scalar node, the sum over the batch.")
        return found
