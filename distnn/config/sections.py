"""What may stand in a run file: one frozen model per section."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from distnn.config.field import Classes, FieldPlace
from distnn.config.kinds import KindSettings, OneOf, choose
from distnn.config.model import ModelSettings
from distnn.config.section import CountOrNever, Number, Section, Seed, Text
from distnn.config.split import SplitSettings
from distnn.config.text import Keys
from distnn.data.file.fields import Description
from distnn.data.transforms import Transform
from distnn.losses import Loss
from distnn.metrics import Metric
from distnn.optim import Optimizer, Schedule
from distnn.registry import Count, CountOrZero, Family, Fraction, NotNegative, Positive


class DataSettings(Section):
    """``[data]``: the HDF5 file, and the global batch (over all ranks) that one step sees."""

    #: the HDF5 file with the samples, or a pattern such as "shards/*.h5" for several, or "{split}/*.h5" where files are
    #: sorted by split; relative to the working directory
    path: Text
    #: each file is one sample: x, y and the others name datasets without an axis of samples
    one_sample_files: bool = False
    #: where the samples lie in the file: a path, or a table with path, columns, channels and layout; train/x,
    #: validation/x and test/x if not given
    x: FieldPlace | None = None
    y: FieldPlace | None = None  #: where the targets lie, likewise; train/y, …
    weight: FieldPlace | None = None  #: where weights of the samples or targets lie, likewise
    mask: FieldPlace | None = None  #: where it lies which targets count, likewise
    #: what a target that is NaN means: refuse: a mistake; mask: it is missing, and left out, in a regression
    missing_targets: Literal["refuse", "mask"] = "refuse"
    #: what the targets are, where the file's attribute task doesn't say it, or wrongly
    task: Literal["classification", "regression", "segmentation", "language"] | None = None
    #: the names of the classes in the order of the labels 0, 1, …, where the file's attribute classes doesn't say them;
    #: or how many there are
    classes: Classes | None = None
    #: samples of a step, of all ranks together; "full": all of them, 1: stochastic gradient descent
    batch_size: Count | Literal["full"] = 64
    shuffle: bool = True  #: a new order of the samples in each epoch
    #: shuffle in two levels: the file's chunks, and then so many samples at a time; any order of all if not given
    shuffle_buffer: Count | None = None
    #: true: load the data once; false: read them anew in each epoch; auto: load them if they take at most half of the
    #: memory that is free on the node
    in_memory: bool | Literal["auto"] = "auto"
    #: read a text as batch_size streams side by side, each with the state that its last sequence left
    streams: bool = False
    follow: bool = False  #: read files of other folders as well, where the data file refers to them
    split: SplitSettings | None = None  #: a section [data.split]: how samples are cut into splits, where they aren't

    def description(self) -> Description:
        """What the section says of the file."""
        fields = {name: getattr(self, name) for name in ("x", "y", "weight", "mask")}
        given = {name: field.location(name) for name, field in fields.items() if field is not None}
        cut = self.split.cut() if self.split else None
        missing = self.missing_targets == "mask"
        return Description(given, self.task, self.classes, missing, one_sample_files=self.one_sample_files, cut=cut)

    def unused(self) -> dict[str, str]:
        """Streams have an order of their own, and what isn't shuffled needs no buffer for it."""
        if self.streams:
            why = "has no meaning with streams = true, which reads each stream in its order; remove it"
            return dict.fromkeys(("shuffle", "shuffle_buffer"), why)
        return {} if self.shuffle else {"shuffle_buffer": "has no meaning with shuffle = false; remove it"}

    def clashes(self) -> list[tuple[Keys, str]]:
        """What is one sample has no axis of samples, and a stream of a single sequence goes nowhere."""
        for name in ("x", "y", "weight", "mask") if self.one_sample_files else ():
            if (field := getattr(self, name)) is not None and field.layout == "samples_last":
                why = 'is "samples_last", but with one_sample_files = true a file is one sample, without such an axis; '
                return [((name, "layout"), why + 'use "reversed" if its dimensions stand the other way round')]
        if self.streams and self.batch_size == "full":
            why = 'is true, but with batch_size = "full" each stream is a single sequence; give a number of streams'
            return [(("streams",), why)]
        if self.streams and self.split and not self.split.by_file:
            why = "picks sequences here and there, which can't be read as streams (data.streams); list files instead"
            return [(("split",), why)]
        return []


class AugmentSettings(Section):
    """``[augment]``: random changes of training images, anew in each epoch; ``shift`` and ``crop`` are in pixels."""

    flip: bool = False  #: turn an image left to right, or not
    shift: CountOrZero = 0  #: move it by up to so many pixels each way, filled up with zeros
    #: cut a window of its own size from the image continued by so many mirrored pixels on each side
    crop: CountOrZero = 0

    def clashes(self) -> list[tuple[Keys, str]]:
        """Both ``shift`` and ``crop`` move the image."""
        if self.shift and self.crop:
            return [(("crop",), "stands beside shift, but each moves the image; keep one of them")]
        return []


class TrainSettings(Section):
    """``[train]``: how long, from which seed, in which precision; and what ends the run early."""

    epochs: Count = 10  #: passes over the training samples
    seed: Seed = 0  #: of the first weights, the order of the samples, dropout and augmentation
    dtype: Literal["float32", "float64"] = "float32"  #: of parameters and computation
    accumulate: Count = 1  #: batches whose gradients are summed before each update
    clip_norm: Positive | None = None  #: the largest norm of the mean gradient; a larger one is scaled down to it
    #: what an infinite or NaN loss or gradient does: end the run, or no update in that step
    on_nan: Literal["stop", "skip"] = "stop"
    #: which value says which epoch is best: loss, accuracy, or a metric of metrics.kinds, such as "f1_micro"; of the
    #: validation split (without one: loss or accuracy in training)
    monitor: Text = "loss"
    #: end once what monitor names is this good: this high, or of a loss or an error this low
    target: Number | None = None
    #: end once the validation accuracy (without such a split: the training accuracy) is this high
    target_accuracy: Fraction | None = None
    #: end once the validation loss (without such a split: the training loss) is this low
    target_loss: Number | None = None
    patience: Count | None = None  #: end after so many epochs in which what monitor names got no better
    min_delta: NotNegative = 0.0  #: for patience, an epoch is better if it is so by more than this

    def unused(self) -> dict[str, str]:
        """Only patience asks by how much an epoch is better."""
        return {} if self.patience else {"min_delta": "has no meaning without patience; give patience, or remove it"}


class ParallelSettings(Section):
    """``[parallel]``: micro-shards of a batch (None: one per rank), how gradients are summed, threads of a rank's BLAS.

    ``reproducible``: the same bits on any number of ranks, from sums in fixed point over the same ``shards``.
    ``check_steps``: finds a flipped bit within so many steps, but not in the one copy that a node's ranks share.
    """

    #: the same bits on any number of ranks, after a resume too; needs shards, and one BLAS thread unless threads is set
    reproducible: bool = False
    shards: Count | None = None  #: pieces of a batch, on any number of ranks the same; one for each rank if not given
    #: how gradients are summed: node: in each node's memory, then by MPI; allreduce: by MPI; auto: node if it can be
    reduction: Literal["auto", "node", "allreduce"] = "auto"
    #: allreduce sends so many megabytes once they are computed; 0: all at the end; if not given, 4 on several nodes
    bucket_mb: NotNegative | None = None
    #: compare the ranks' parameters every so many steps, and not only after each epoch
    check_steps: CountOrNever = None
    #: go on where ranks die; needs Open MPI 5 under mpirun --with-ft ulfm, and sums by MPI
    elastic: bool = False
    #: seconds that a step, or whatever else is done in one go, may take before the run ends with an error; 0: any time
    timeout: NotNegative = 1800.0
    threads: Count | None = None  #: of each rank's BLAS, and to unpack data; chosen at the launch if not given

    @property
    def groups(self) -> int | None:
        """Into how many pieces work is divided that must not follow from the number of ranks; None if it may."""
        return self.shards if self.reproducible else None

    def clashes(self) -> list[tuple[Keys, str]]:
        """What a batch is cut into must not follow from the number of ranks; what is shared may die with one."""
        if self.elastic and self.reduction == "node":
            why = "keeps the parameters and the optimiser's state in slices, which die with a rank; elastic = true"
            return [(("reduction",), f'{why} needs "allreduce", which "auto" chooses then')]
        if self.elastic and self.bucket_mb:
            why = "begins sums that a dying rank leaves half done; leave it out with elastic = true"
            return [(("bucket_mb",), why)]
        if self.reproducible and self.shards is None:
            why = "is true, which needs shards: the number of pieces of each batch, such as shards = 16; at least the "
            return [(("reproducible",), why + "number of ranks, or some have nothing to do")]
        return []


class CheckpointSettings(Section):
    """``[checkpoint]``: when to save (each of these that is given counts), and how many to keep besides the best."""

    every_steps: Count | None = None  #: save after so many steps
    every_epochs: CountOrNever = 1  #: save after so many epochs
    every_minutes: Positive | None = None  #: save after so many minutes
    keep: Count = 3  #: how many of the newest to keep; the best stays, too
    #: keep the epoch that train.monitor says is best, for evaluate and predict to use; false: they use the last one
    best: bool = True
    #: if one can't be saved (a full disk, say): continue: warn, go on, and try again in 1 min, then 2, up to an hour;
    #: stop: end the run at the next step; where the last one can't be saved, it's an error either way
    on_failure: Literal["continue", "stop"] = "continue"


class LogSettings(Section):
    """``[log]``: how often the run tells of itself, and how much."""

    #: seconds between two lines of a log file and of metrics.jsonl; 0: a line for each step
    interval: NotNegative = 10.0
    #: write trace.json, the timeline of the first steps of every rank, for https://ui.perfetto.dev
    trace: bool = False


LossSettings = Annotated[KindSettings, PlainValidator(partial(choose, Loss.family)), OneOf(Loss.family)]
OptimizerSettings = Annotated[KindSettings, PlainValidator(partial(choose, Optimizer.family)), OneOf(Optimizer.family)]
ScheduleSettings = Annotated[KindSettings, PlainValidator(partial(choose, Schedule.family)), OneOf(Schedule.family)]


def _one(family: Family, given: Any) -> KindSettings:
    """The table of one of several, or its kind alone."""
    return choose(family, {"kind": given} if isinstance(given, str) else given)


TransformSettings = Annotated[
    KindSettings,
    PlainValidator(partial(_one, Transform.family)),
    OneOf(Transform.family),
    'a kind of transform such as "standardize", or a table such as {kind = "clip", low = 0.0}',
]
Transforms = Annotated[
    tuple[TransformSettings, ...], Field(strict=False), 'a list such as ["standardize", {kind = "clip", low = 0.0}]'
]


class TransformsSettings(Section):
    """``[transforms]``: what is done to the values of samples and targets before they are used, in this order.

    What is fitted is so over the training samples, and kept in the checkpoint.
    """

    #: of samples, such as ["standardize"] or [{kind = "scale", factor = 0.00392156862745098}]; see the kinds below
    x: Transforms = ()
    #: of targets, undone in predictions and metrics of a regression; the loss is of the transformed targets
    y: Transforms = ()

    def make(self) -> dict[str, list[Transform]]:
        """What the section describes, by field."""
        return {"x": [each.make() for each in self.x], "y": [each.make() for each in self.y]}


MetricSettings = Annotated[
    KindSettings,
    PlainValidator(partial(_one, Metric.family)),
    OneOf(Metric.family),
    'a kind of metric such as "f1", or a table such as {kind = "f1", average = "micro"}',
]


class MetricsSettings(Section):
    """``[metrics]``: what an evaluation computes besides the loss, and of classes the accuracy."""

    #: which, such as ["confusion_matrix", "f1", {kind = "top_k", k = 3}]; see the kinds below
    kinds: Annotated[tuple[MetricSettings, ...], Field(strict=False), 'a list such as ["f1", {kind = "top_k"}]'] = ()

    def make(self) -> list[Metric]:
        """What the section describes."""
        return [each.make() for each in self.kinds]


class RunSettings(Section):
    """A whole run file."""

    model: ModelSettings
    data: DataSettings
    transforms: TransformsSettings = TransformsSettings()
    augment: AugmentSettings = AugmentSettings()
    train: TrainSettings = TrainSettings()
    loss: LossSettings = Field(default_factory=partial(choose, Loss.family))
    metrics: MetricsSettings = MetricsSettings()
    optimizer: OptimizerSettings = Field(default_factory=partial(choose, Optimizer.family))
    schedule: ScheduleSettings = Field(default_factory=partial(choose, Schedule.family))
    parallel: ParallelSettings = ParallelSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    log: LogSettings = LogSettings()
