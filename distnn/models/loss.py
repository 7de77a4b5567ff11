"""What a model minimises: the loss its task asks for, or another that serves it."""

from __future__ import annotations

from dataclasses import dataclass

from distnn.errors import UsageError
from distnn.graph import functions
from distnn.graph.node import Node

#: The kinds of loss by task; the first is the one that ``auto`` means.
KINDS = {
    "regression": ("squared_error", "absolute_error", "huber"),
    "classification": ("cross_entropy",),
    "language": ("cross_entropy",),
}


@dataclass(frozen=True)
class Loss:
    """A kind of loss and its numbers, as a run file's ``[loss]`` has them.

    Every loss is a sum over the samples. Its mean is that sum divided by the number of targets or, with class weights
    or an ignored label, by the weight of those that count; both are summed over all shards first (`weight`, `count`).

    Arguments:
        kind: ``auto`` (squared error for a regression, else cross-entropy), or one of `KINDS`.
        delta: Huber's δ, from which on the loss grows linearly.
        label_smoothing: ε of the cross-entropy: the share of a label that is spread evenly over all classes.
        class_weights: of the cross-entropy, one for each class in the order of the labels.
        ignore_label: the label that doesn't count, such as a language's padding.
    """

    kind: str = "auto"
    delta: float = 1.0
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None
    ignore_label: int | None = None

    def __call__(self, task: str, output: Node, target: Node) -> Node:
        """Σ over the batch: a scalar node.

        Raises:
            UsageError: if the kind doesn't serve the task, or the output is one logit, which takes no options.
        """
        try:
            return self._sum(task, output, target)
        except UsageError as error:
            error.at("loss")
            raise

    def _sum(self, task: str, output: Node, target: Node) -> Node:
        kind = KINDS[task][0] if self.kind == "auto" else self.kind
        if kind not in KINDS[task]:
            raise UsageError(f'loss.kind = "{kind}" is not for {task}; expected one of: {", ".join(KINDS[task])}.')
        if kind == "squared_error":
            return functions.squared_error(output, target)
        if kind == "absolute_error":
            return functions.absolute_error(output, target)
        if kind == "huber":
            return functions.huber(output, target, self.delta)
        if output.shape[1:] != (1,):
            return functions.cross_entropy(
                output, target, weights=self.class_weights, smoothing=self.label_smoothing, ignore=self.ignore_label
            )
        if self != Loss(self.kind):
            raise UsageError(
                "loss: label_smoothing, class_weights and ignore_label need one output per class, but the model has "
                'one for both classes together; use two, as model.kind = "softmax" has.'
            )
        return functions.binary_cross_entropy(output, target)

    def weight(self, target: Node) -> Node | None:
        """What the loss is to be divided by, where it isn't the number of targets."""
        if self.class_weights is None and self.ignore_label is None:
            return None
        return functions.label_weight(target, weights=self.class_weights, ignore=self.ignore_label)

    def count(self, target: Node) -> Node | None:
        """How many targets count, where they don't all."""
        return None if self.ignore_label is None else functions.label_weight(target, ignore=self.ignore_label)
