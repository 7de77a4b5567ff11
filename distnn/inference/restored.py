"""A trained model: data for it are opened and matched by name; it evaluates, predicts, and writes text."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.checkpoint.environment import versions
from distnn.config import DataSettings, RunSettings
from distnn.config.field import FieldSettings
from distnn.data import DataFile
from distnn.data.convert import plain
from distnn.data.file import collective
from distnn.data.file.fields import SPLIT, Purpose, canonical
from distnn.data.meaning import meaning
from distnn.data.partition import Range, batches, part
from distnn.data.stream import source
from distnn.data.transforms.shift_labels import places
from distnn.errors import DataError, UsageError, complain
from distnn.inference.predictions import Predictions
from distnn.inference.sampling import sample
from distnn.metrics import Value
from distnn.models import Model, build
from distnn.parallel.communicator import Communicator
from distnn.parallel.world import World
from distnn.parameters import Parameters
from distnn.session.beginning import keep_scale
from distnn.session.parts import data_file
from distnn.session.samples import agree_on, roomy
from distnn.sums import Sums
from distnn.train.evaluate import Evaluator, chunk, predict

#: What a model is for, as `distnn.models.build` wants to know it.
FACTS = ("input_shape", "target_shape", "task", "classes")


@dataclass(frozen=True)
class Restored:
    """A trained model, the checkpoint that it was restored from, and the run file with which it was trained.

    Attributes:
        progress: how far the run was, as the checkpoint says.
        data: what it says of the data that it was trained on (`distnn.data.meaning`); empty for older checkpoints.
        fitted: what its transforms were fitted to, by name.
        written: the run file as the checkpoint has it.
    """

    path: Path
    model: Model
    parameters: Parameters
    settings: RunSettings
    progress: Mapping[str, Any]
    data: Mapping[str, Any]
    fitted: Mapping[str, Array]
    written: Mapping[str, Any]

    @property
    def origin(self) -> str:
        """Which checkpoint it is, for people."""
        step, best = self.progress["step"], self.progress.get("best")
        of = self.progress.get("best_of") or "loss"
        if best is None or self.progress.get("best_step") != step:
            return f"checkpoint {self.path}, step {step}"
        return f"checkpoint {self.path}, step {step}, the best of its run so far: {of} {best:.6g}"

    @contextmanager
    def as_data_file(self, path: Path, folder: Path, split: str, x: str | None, comm: Communicator) -> Iterator[Path]:
        """A file of plain arrays, or a table, as a data file, which is there for the block; another file as it is.

        Where the system has /proc, its name goes once all ranks hold it: nothing is left of a job that is killed.

        Arguments:
            path: of the file.
            folder: where the data file is written, for all ranks to see.
            split: of its samples.
            x: which array of an npz file holds them.
            comm: of the ranks, all of which must call it.

        Raises:
            DataError: on every rank, as `distnn.data.convert.plain.convert` does.
        """
        if path.suffix.lower() not in plain.ENDINGS:
            yield path
            return
        fields = self.data.get("fields", {})
        of_x, of_y = (fields.get(name, {}) for name in "xy")
        shape, dtype = tuple(of_x.get("shape", self.model.input_shape)), of_x.get("dtype", "float32")
        trained = plain.Trained(of_x.get("names", ()), of_y.get("names", ()), shape, dtype, self.model.task)
        target = Path(comm.bcast(str(folder / f".{path.name[:50]}.{secrets.token_hex(4)}.tmp.h5")))
        try:
            for text in comm.on_root(lambda: plain.convert(path, target, canonical(split), trained, x)):
                if comm.root:
                    complain(f"{path}: {text}")
            with open(target, "rb") as held:
                comm.barrier()  # all ranks hold it
                link = Path(f"/proc/self/fd/{held.fileno()}")
                nameless = link.exists() and not (comm.size > 1 and collective.available())  # which takes a name
                if nameless and comm.root:
                    target.unlink()
                yield link if nameless else target
                comm.barrier()  # none reads it any more
        finally:
            if comm.root:
                target.unlink(missing_ok=True)

    def opened(
        self,
        path: str | Path,
        mpi: Any = None,
        *,
        split: str,
        answers: bool,
        follow: bool = False,
        x: str | None = None,
        place: Path | None = None,
    ) -> DataFile:
        """A data file to use the model on: one split, laid out as the training data, and matched with them by name.

        Arguments:
            path: of the file, or a pattern for several.
            mpi: an mpi4py communicator of ranks that open it together.
            split: any group of the file.
            answers: whether it must have what is to be predicted, too.
            follow: read other folders' files as well, where it refers to them.
            x: the path of the samples in the file, in which {split} stands for the split; None: as in training.
            place: of the data file that was made of it, if there is one.

        Raises:
            DataError: what is needed isn't there, or isn't what the model was trained on.
        """
        fields = self.data.get("fields", {})
        names = {name: tuple(field.get("names", ())) for name, field in fields.items()}
        shape = tuple(fields.get("y", {}).get("shape", self.model.target_shape))
        facts = self.model.task, tuple(self.model.classes), shape, self.data.get("scale"), names
        data = self.settings.data.model_copy(update={"follow": follow})
        if x is not None:
            data = data.model_copy(update={"x": (data.x or FieldSettings()).model_copy(update={"path": x})})
        if data.split and (file := self._cut(data, path, mpi)):
            return file
        settings = self.settings.model_copy(update={"data": data.model_copy(update={"split": None})})
        alike = data.one_sample_files or SPLIT in str(path)  # files laid out as for training, if they are several
        purpose = None if alike and not Path(path).is_file() else Purpose(canonical(split), answers, *facts, place)
        file = data_file(settings, mpi, path, purpose)
        if data.split:
            file.notes.append("other data than in training, so [data.split] is not applied: all samples are used")
        return file

    def _cut(self, data: DataSettings, path: str | Path, mpi: Any) -> DataFile | None:
        """The data cut into splits as in training; None for other data, of which nothing was held out."""
        file, same = None, False
        with suppress(DataError):
            file = data_file(self.settings.model_copy(update={"data": data}), mpi, path)
            train = meaning(file, file.identity())["identity"]["train"]
            same = train == self.data.get("identity", {}).get("train")
        if all(mpi.allgather(same)) if mpi else same:
            return file
        if file:
            file.close()
        return None

    def evaluate(self, file: DataFile, split: str, world: World) -> tuple[Sums, Mapping[str, Value]]:
        """The sums over a split, of which come loss and accuracy, and the run's metrics, by all ranks together.

        Raises:
            DataError: if the data don't fit the model.
            UsageError: on every rank, if they weren't given the same data.
        """
        split = canonical(split)
        self._check(file, split, world.comm)
        if file.task != self.model.task or len(file.classes) != len(self.model.classes):
            raise DataError(
                f"{file.path} is for {file.task} with {len(file.classes)} classes, but {self.path} was trained for "
                f"{self.model.task} with {len(self.model.classes)}."
            )
        if file.classes != self.model.classes and sorted(file.classes) == sorted(self.model.classes):
            pairs = enumerate(zip(file.classes, self.model.classes, strict=True))
            label, there, here = next((label, *pair) for label, pair in pairs if pair[0] != pair[1])
            raise DataError(
                f"{file.path} has the classes of {self.path} in another order: label {label} is {there!r}, but was "
                f"{here!r} in training. Make the file with the classes in the model's order."
            )
        if file.task == "language" and file.classes != self.model.classes:
            raise DataError(
                f"{file.path} has other characters than the text that {self.path} was trained on; make both data files "
                f"from one text, so that they share its characters."
            )
        groups, in_memory = self.settings.parallel.groups, roomy(file.bytes(split), world.comm)
        metrics = self.settings.metrics.make()
        facts = {name: getattr(self.model, name) for name in FACTS}
        model = self.model if file.weight_shape is None else built(self.settings, weights=file.weight_shape, **facts)
        evaluator = Evaluator(model, self.parameters, file, split, world, groups, in_memory=in_memory, metrics=metrics)
        with closing(evaluator):
            return evaluator.run(), evaluator.values

    def predict(self, file: DataFile, split: str, world: World) -> Predictions:
        """Predictions for a split, of which each rank computes a part; the same bits on any number of ranks.

        Raises:
            DataError: if the data don't fit the model.
            UsageError: on every rank, if they weren't given the same data.
        """
        split = canonical(split)
        self._check(file, split, world.comm)
        total = file.count(split)
        size = chunk(total, file.sample_shape)
        comm, beat = world.comm, world.heartbeat.beat
        mine = Range(*(min(edge * size, total) for edge in part(batches(total, size), comm.size, comm.rank)))
        beat(f"the predictions for {split}")
        with closing(source(file, split, mine, in_memory=roomy(file.bytes(split), comm))) as samples:
            rows = predict(self.model, self.parameters, samples, size, beat=beat) if mine.length else None
        shape, dtype = comm.bcast((rows.shape[1:], rows.dtype) if rows is not None else None)
        rows = np.empty((0, *shape), dtype) if rows is None else rows
        targets = self.data.get("fields", {}).get("y", {}).get("names", ())
        truth, remarks = self._truth(file, split, mine, comm)
        numbers = file.numbers(split, *mine)
        return Predictions(rows, mine.start, total, self.model.classes, targets, truth, remarks, numbers)

    def _truth(self, file: DataFile, split: str, mine: Range, comm: Communicator) -> tuple[Array | None, list[str]]:
        """The targets of these samples, None on every rank where they make no sense on one, and why."""
        if file.task != self.model.task or file.classes != self.model.classes:
            return None, []
        truth, reason = None, ""
        try:
            truth = file.answers(split, *mine)
            chain = file.chains.get("y")
            if truth is not None and chain and chain.labels is not None:
                truth = places(truth, chain.labels)  # as predictions are told
        except DataError as error:
            reason = f"what is to be predicted is not used: {error}"
        reasons = [each for each in comm.allgather(reason) if each]
        return (None if reasons else truth), reasons[:1]

    def write(self, prompt: str, length: int, *, temperature: float, seed: int = 0) -> Iterator[str]:
        """The prompt and the ``length`` characters with which a language model continues it, one by one.

        Raises:
            UsageError: if it isn't a language model, or the prompt is empty or has characters unknown to it.
        """
        if self.model.task != "language":
            raise UsageError(
                f"{self.path} was trained for {self.model.task}; only a language model writes text, such as "
                f'model.kind = "char-lstm" trained on a file of `distnn data text`.'
            )
        known = {name: token for token, name in enumerate(self.model.classes)}
        for place, character in enumerate(prompt, 1):
            if character not in known:
                raise UsageError(
                    f"the prompt's character {place} is {character!r}, which the text that {self.path} was trained on "
                    f"doesn't have; it has {_listed(self.model.classes)}."
                )
        facts = {"task": self.model.task, "classes": self.model.classes}
        model = built(self.settings, input_shape=(1,), target_shape=(1,), **facts)
        tokens = [known[character] for character in prompt]
        written = sample(model, self.parameters, tokens, length, temperature=temperature, seed=seed)
        return itertools.chain(prompt, (model.classes[token] for token in written))

    def _check(self, file: DataFile, split: str, comm: Communicator) -> None:
        agree_on(file, comm, split=split, versions=versions())
        keep_scale(file, self.data, self.written)
        file.chains.load(self.fitted, str(self.path))
        shape = file.chains.shape("x", file.sample_shape)
        if shape != self.model.input_shape:
            raise DataError(
                f"{file.path} holds samples of shape {shape}, but the model of {self.path} takes "
                f"{self.model.input_shape}; use the kind of data it was trained on."
            )


def _listed(characters: Sequence[str], most: int = 100) -> str:
    """Characters for a message: the first ones if there are many."""
    more = f" and {len(characters) - most} more" if len(characters) > most else ""
    return " ".join(repr(character)[1:-1] for character in characters[:most]) + more


def built(settings: RunSettings, **facts: Any) -> Model:
    """The model that these settings describe, for data of which `build` wants to know these facts."""
    return build(settings.model.table(), loss=settings.loss.make(), **facts)
