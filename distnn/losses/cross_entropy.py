"""The loss of classes, and the one that a task asks for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

from distnn.errors import UsageError
from distnn.graph import functions
from distnn.graph.node import Node
from distnn.losses.errors import SquaredError
from distnn.losses.loss import TASKS, Loss
from distnn.registry import BelowOne, CountOrZero, Weights


@dataclass(frozen=True)
class CrossEntropy(Loss, kind="cross_entropy"):
    """−Σ ln softmax(z)[t] for logits z (N, …, C) and labels t (N, …); with one logit for two classes −Σ ln σ(±z).

    With a smoothing ε the share ε of each label is spread evenly over all classes; with class weights w each term
    counts w[t], in the mean as well (`distnn.ops.classification`).

    Raises:
        UsageError: for numbers outside their range; when called on one logit for two classes, for any of the options.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "segmentation", "language")
    unit = "nats"

    label_smoothing: BelowOne = 0.0  #: the share of the probability that is spread evenly over all classes
    class_weights: Weights | None = None  #: how much a sample of each class counts; all alike if not given
    ignore_label: CountOrZero | None = None  #: the label of what is not to be counted

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.class_weights is not None and not any(self.class_weights):
            raise UsageError(
                f"{type(self).__name__}: class_weights holds no number above 0, so nothing would be learned."
            ).at("class_weights")

    @property
    def _given(self) -> list[str]:
        """The options that make a difference."""
        smoothing = self.label_smoothing or None
        found = {"label_smoothing": smoothing, "class_weights": self.class_weights, "ignore_label": self.ignore_label}
        return [name for name, value in found.items() if value is not None]

    @property
    def code_length(self) -> bool:
        return self.class_weights is None and not self.label_smoothing

    def __call__(self, output: Node, target: Node, *weights: Node) -> Node:
        if output.shape[1:] != (1,):
            smoothing, ignore = self.label_smoothing, self.ignore_label
            return functions.cross_entropy(
                output, target, *weights, weights=self.class_weights, smoothing=smoothing, ignore=ignore
            )
        if self._given:
            raise UsageError(
                "loss: label_smoothing, class_weights and ignore_label need one output per class, but the model has "
                'one for both classes together; use two, as model.kind = "softmax" has.'
            )
        return functions.binary_cross_entropy(output, target, *weights)

    def weight(self, target: Node, *weights: Node) -> Node | None:
        if self.class_weights is None and self.ignore_label is None and (not weights or not target.integer):
            return super().weight(target, *weights)
        return functions.label_weight(target, *weights, weights=self.class_weights, ignore=self.ignore_label)

    def count(self, target: Node) -> Node | None:
        return None if self.ignore_label is None else functions.label_weight(target, ignore=self.ignore_label)


@dataclass(frozen=True)
class Auto(CrossEntropy, kind="auto"):
    """The squared error for a regression, and the cross-entropy, whose numbers it takes, for classes."""

    tasks = TASKS

    def serving(self, task: str) -> Loss:
        if task != "regression":
            return CrossEntropy(**asdict(self))
        for name in self._given:
            raise UsageError(
                f"loss.{name} is for classes, but the data's task is regression, whose loss is the squared error; "
                f"remove it."
            ).at("loss", name)
        return SquaredError()
