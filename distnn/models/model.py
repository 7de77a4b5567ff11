"""A model: one graph from the input to the output, and on to the loss that its task asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distnn.arrays import Array, N, Shape, show
from distnn.errors import DataError, ShapeError, UsageError
from distnn.graph import functions
from distnn.graph.initial import initialize, parameter_nodes
from distnn.graph.memory import BufferPool
from distnn.graph.node import Node, input, topological
from distnn.graph.plan import Plan
from distnn.layers.layer import Layer, name_parameters
from distnn.losses import Auto, Loss
from distnn.losses.loss import TASKS
from distnn.metrics import Metric, Metrics
from distnn.models.description import describe
from distnn.ops.op import Exchange
from distnn.parameters import Parameters
from distnn.sums import FIXED, WEIGHTED, Layout

#: From the input's node to the output's: a layer, or any function of nodes.
Network = Callable[[Node], Node]
#: From the output's node and the targets' to what else is summed over the samples, by name.
FurtherSums = Callable[[Node, Node], Mapping[str, Node]]

#: What to do about an output for each position.
POSITIONS = " Flatten, pool over all positions, or take the last step before the last layer."


class Model:
    """A network with the input it takes and the task it serves.

    The task gives the loss: squared error for regression; for classification cross-entropy on logits (N, C), or
    binary cross-entropy on logits (N, 1) where there are two classes; for a segmentation cross-entropy on the logits
    (N, H, W, C) of each pixel; for a language on the logits (N, T, C) of the next token at each step. ``loss`` may
    choose another. A language model whose network has `Layer.states` takes them as inputs and gives them back, so that
    a text may be read on from sequence to sequence; no gradient flows from one to the next.

    Arguments:
        network: from the input's node to the output's, which for classification are logits.
        input_shape: of one sample, without the batch axis.
        task: one of `distnn.losses.loss.TASKS`.
        classes: the names of the classes in the order of the labels, or of a language's tokens.
        target_shape: of one sample's target, but for classification.
        loss: what is minimised; what the task asks for if None.
        further: what else is summed over the samples, each a node without the batch's axis; nothing if None.
        weights: the shape of one sample's weights: () for one, or that of its target; None where there are none.

    Attributes:
        network: as given.
        criterion: what is minimised, as it serves the task.
        x, y, weights: the input nodes of samples, of targets, and of their weights; weights is None if there are none.
        output, prediction, loss, correct: the nodes of the network's output, of what `predict` reports (class
            probabilities, or the output), of the summed loss, and of the number classified right (None for regression).
        weight, count: the nodes of what the loss is divided by for its mean, and of how many targets count whose label
            isn't ignored; None where that is just the number of targets.
        targets: how many targets one sample has that are counted each: of a sequence its tokens, of an image that is
            segmented its pixels, else 1.
        sums: by name the nodes of all that is summed over the samples: of `distnn.sums.FIXED` what the model computes,
            and what ``further`` has given.
        layout: where these sums lie in a vector.
        states: the vectors of state by name, each as the nodes before the first step and after the last, (N, length).

    Raises:
        ShapeError: if the output's shape doesn't fit the task, or a further sum has the batch's axis.
        UsageError: if the loss doesn't, or a further sum has a name that is taken.
    """

    def __init__(
        self,
        network: Network,
        input_shape: Sequence[int],
        *,
        task: str,
        classes: Sequence[str] = (),
        target_shape: Sequence[int] = (),
        loss: Loss | None = None,
        further: FurtherSums | None = None,
        weights: Sequence[int] | None = None,
    ) -> None:
        self.input_shape, self.target_shape = tuple(input_shape), tuple(target_shape)
        self.task, self.classes = task, tuple(classes)
        self.network = network
        if task not in TASKS:
            raise DataError(f"task '{task}': expected one of: {', '.join(TASKS)}.")
        self.criterion = (loss or Auto()).serving(task)
        self.targets = math.prod(self.target_shape) if task in ("language", "segmentation") else 1
        self.x = input("x", (N, *self.input_shape), integer=task == "language")
        self.output, self.states = self._call(network)
        self.y = self._targets()
        self.weights = None if weights is None else input("weights", (N, *weights))
        self.correct: Node | None = None
        self.prediction = self.output
        if task != "regression":
            self.correct = functions.correct(self.output, self.y, ignore=self.criterion.ignore_label)
            self.prediction = functions.softmax(self.output) if self.y.integer else functions.sigmoid(self.output)
        self.loss, self.weight, self.count = self._losses()
        self.sums = self._all_sums(further(self.output, self.y) if further else {})
        lengths = {name: math.prod(node.shape) for name, node in self.sums.items()}  # type: ignore[arg-type]
        in_bits = task == "language" and self.criterion.code_length
        numbers = math.prod(self.target_shape) if task == "regression" else 1
        self.layout = Layout(lengths, self.targets, numbers=numbers, in_bits=in_bits)
        name_parameters([self.output])
        self.names = list(parameter_nodes([self.output]))

    def _call(self, network: Network) -> tuple[Node, dict[str, tuple[Node, Node]]]:
        """The network's output, and the states of a language model."""
        if self.task != "language" or not isinstance(network, Layer) or not network.states:
            return network(self.x), {}
        starts = {name: input(f"before {name}", (N, units)) for name, units in network.states.items()}
        output, ends = network.unroll(self.x, state=tuple(starts.values()))
        return output, dict(zip(starts, zip(starts.values(), ends, strict=True), strict=True))

    def _targets(self) -> Node:
        """The node of the targets, which the network's output must fit."""
        ways = {
            "classification": self._label,
            "regression": self._target,
            "segmentation": self._pixels,
            "language": self._next_tokens,
        }
        return ways[self.task]()

    def _next_tokens(self) -> Node:
        """The node of the targets of a language, whose output must be a logit for each token at each step."""
        return self._each_labelled(
            f"the data has sequences of {self.input_shape[0]} with {len(self.classes)} different tokens",
            "for each step a logit for each token.",
        )

    def _pixels(self) -> Node:
        """The node of the labels of pixels, each of which must have a logit for each class."""
        return self._each_labelled(
            f"the data has a label for each of {' × '.join(map(str, self.target_shape))} pixels and "
            f"{len(self.classes)} classes",
            'layers that keep height and width (padding = "same", stride 1), and last a dense one, or a convolution of '
            "1 × 1, with an output for each class.",
        )

    def _each_labelled(self, data: str, cure: str) -> Node:
        """The node of several labels of each sample, of which each must have a logit for each class."""
        expected: Shape = (N, *self.target_shape, len(self.classes))
        if self.output.shape != expected:
            raise ShapeError(
                f"the model's output has shape {show(self.output.shape)}, but {data}; expected {show(expected)}: {cure}"
            )
        return input("y", (N, *self.target_shape), integer=True)

    def _label(self) -> Node:
        """The node of the labels; they are numbers, rather than integers, for one logit for two classes."""
        width = self.output.shape[1] if len(self.output.shape) == 2 else None
        binary = width == 1 and len(self.classes) == 2
        if not binary and width != len(self.classes):
            raise ShapeError(
                f"the model's output has shape {show(self.output.shape)}, but the data has {len(self.classes)} "
                f"classes; expected (N, {len(self.classes)}){', or (N, 1)' if len(self.classes) == 2 else ''}."
                f"{POSITIONS if len(self.output.shape) > 2 else ''}"
            )
        return input("y", (N,), integer=not binary)

    def _target(self) -> Node:
        """The node of the targets of a regression."""
        y = input("y", (N, *self.target_shape))
        expected = math.prod(self.target_shape)
        if not all(isinstance(d, int) for d in self.output.shape[1:]) or math.prod(self.output.shape[1:]) != expected:  # type: ignore[arg-type]
            raise ShapeError(
                f"the model's output has shape {show(self.output.shape)}, but the data's targets have shape "
                f"{show(y.shape)}; the last layer needs {expected} outputs."
            )
        return y

    def _losses(self) -> tuple[Node, Node | None, Node | None]:
        """The nodes of the loss, of what it is divided by, and of how many targets count."""
        given = () if self.weights is None else (self.weights,)
        try:
            self.criterion.check(self.weights)
            loss = self.criterion(self.output, self.y, *given)
            return loss, self.criterion.weight(self.y, *given), self.criterion.count(self.y)
        except UsageError as error:
            error.at("loss")
            raise

    def _all_sums(self, further: Mapping[str, Node]) -> dict[str, Node]:
        for name, node in further.items():
            if name in {*FIXED, *WEIGHTED, "x", "y", "weights", "key", "prediction"}:
                raise UsageError(f"a further sum is named '{name}', which has a meaning already; choose another name.")
            if N in node.shape:
                raise ShapeError(f"the further sum '{name}' has shape {show(node.shape)}: sum it over the batch first.")
        fixed = {"loss": self.loss, "correct": self.correct, "weight": self.weight, "count": self.count}
        return {name: node for name, node in fixed.items() if node is not None} | self._hits() | dict(further)

    def _hits(self) -> dict[str, Node]:
        """Of what accuracy is, where there are weights."""
        if self.weights is None or self.correct is None:
            return {}
        ignore = self.criterion.ignore_label
        all_of_them = (
            functions.label_weight(self.y, self.weights, ignore=ignore)
            if self.y.integer
            else functions.sum(self.weights)
        )
        nodes = functions.correct(self.output, self.y, self.weights, ignore=ignore), all_of_them
        return dict(zip(WEIGHTED, nodes, strict=True))

    def metrics(self, metrics: Sequence[Metric]) -> Metrics:
        """These metrics of the model's predictions, whose targets may be weighted.

        Raises:
            UsageError: if one doesn't serve the task or knows no weights, or is there twice.
        """
        width = math.prod(self.target_shape) if self.task == "regression" else len(self.classes)
        return Metrics(metrics, self.task, width, self.criterion.ignore_label, weighted=self.weights is not None)

    @property
    def outputs(self) -> dict[str, Node]:
        """What training and evaluation compute: the sums, and the last states."""
        return self.sums | self._ends

    @property
    def _ends(self) -> dict[str, Node]:
        return {f"after {name}": end for name, (_, end) in self.states.items()}

    @property
    def description(self) -> str:
        """The network in one line, such as ``64-64-32-10, relu`` (`distnn.models.description`)."""
        return describe(self.output, self.input_shape, getattr(self.network, "title", ""))

    def initialize(self, seed: int = 0, dtype: npt.DTypeLike = np.float32, **options: Any) -> Parameters:
        """The model's parameters with their first values (`distnn.graph.initial`)."""
        return initialize([self.output], seed=seed, dtype=dtype, **options)

    def training_plan(
        self,
        batch: int,
        parameters: Parameters,
        pool: BufferPool | None = None,
        exchange: Exchange | None = None,
        *,
        keep: bool = False,
    ) -> Plan:
        """A plan whose ``value`` has ``x``, ``y`` and the `outputs`, and whose backward fills the gradients."""
        return Plan(
            self.outputs,
            batch=batch,
            loss=self.loss,
            parameters=parameters,
            dtype=parameters.dtype,
            pool=pool,
            exchange=exchange,
            keep=keep,
        )

    def inputs(self, plan: Plan) -> dict[str, Array]:
        """The arrays of a training or evaluation plan that are for fields of the samples, by field."""
        arrays = {"x": plan.value["x"], "y": plan.value["y"]}
        return arrays if self.weights is None else arrays | {"weight": plan.value["weights"]}

    @property
    def in_bits(self) -> bool:
        """Whether the loss is the code length of a text, which may be reported in bits."""
        return self.layout.in_bits

    @property
    def exchanges(self) -> bool:
        """Whether ops of the network need sums over all shards of a batch."""
        return any(node.op is not None and node.op.exchanges for node in topological([self.output]))

    def check(self, shard: int, batch: int) -> None:
        """Refuse to train on a micro-shard, or a whole batch, of so few samples (`distnn.ops.op.Op.check`)."""
        for node in topological([self.output]):
            if node.op is not None:
                node.op.check(node.bound(batch if node.op.exchanges else shard))

    @property
    def joins(self) -> set[str]:
        """The names of the kernels that the network and its loss use where others are compiled."""
        return {node.op.joins for node in topological([self.loss]) if node.op is not None and node.op.joins}

    def kernels(self, batch: int) -> set[str]:
        """The names of the kernels that the network's ops use for so many samples."""

        def bound(node: Node) -> tuple[int, ...]:
            return tuple(batch if length is N else int(str(length)) for length in node.shape)

        nodes = [node for node in topological([self.output]) if node.op is not None]
        return {name for node in nodes if node.op for name in node.op.compiles(bound(node), *map(bound, node.inputs))}

    def evaluation_plan(
        self, batch: int, parameters: Parameters, pool: BufferPool | None = None, *, predicts: bool = False
    ) -> Plan:
        """A forward-only plan of the same outputs, and of ``prediction`` where it ``predicts``."""
        outputs = self.outputs | ({"prediction": self.prediction} if predicts else {})
        return Plan(outputs, batch=batch, parameters=parameters, dtype=parameters.dtype, pool=pool)

    def prediction_plan(self, batch: int, parameters: Parameters, pool: BufferPool | None = None) -> Plan:
        """A forward-only plan from ``x`` to ``prediction``, which needs no targets."""
        outputs = {"prediction": self.prediction} | self._ends
        return Plan(outputs, batch=batch, parameters=parameters, dtype=parameters.dtype, pool=pool)
