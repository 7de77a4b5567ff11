"""``metrics.jsonl``: the run's records as JSON lines; and the joining of records where a loop makes too many."""

from __future__ import annotations

import dataclasses
import json
import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distnn.errors import DistnnError
from distnn.session.records import EvaluationRecord, Listener, RunInfo, StepRecord, Summary
from distnn.sums import Sums
from distnn.train.accumulate import Seconds


class Thinning:
    """Joins step records until ``interval`` seconds have passed, so that a fast loop makes few lines."""

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval, self._clock = interval, clock
        self._pending: list[StepRecord] = []
        self.start()

    def start(self) -> None:
        """The interval begins now."""
        self._due = self._clock() + self.interval

    def add(self, record: StepRecord) -> StepRecord | None:
        """The record of all steps since the last one returned, if it is due."""
        self._pending.append(record)
        return self.flush() if self._clock() >= self._due else None

    def flush(self) -> StepRecord | None:
        """The record of all steps since the last one returned, if there are any."""
        if not self._pending:
            return None
        joined = join(self._pending)
        self._pending.clear()
        self.start()
        return joined


def join(records: Sequence[StepRecord]) -> StepRecord:
    """One record for several in a row.

    Seconds are those of all records, and the rate is their mean over time. Of the sums only those of the last one's
    epoch count: a mean loss over many epochs would say little of where the training is.
    """
    last = records[-1]
    if len(records) == 1:
        return last
    sums, spent = last.sums.layout.zeros(), Seconds()
    for record in records:
        spent += record.spent
        if record.epoch == last.epoch:
            sums += record.sums
    seconds = sum(record.samples / record.samples_per_s for record in records)
    rate = sum(record.samples for record in records) / seconds
    return dataclasses.replace(last, sums=sums, spent=spent, samples_per_s=rate)


class MetricsFile(Listener):
    """Appends one JSON object a line to ``metrics.jsonl``, each flushed at once.

    ``kind`` is start, train, evaluation, checkpoint, resume, warning or end. NaN and infinity, which JSON lacks, are
    written as null. A run that goes on after a kill repeats the steps since its checkpoint: the last line for a step
    counts. Before anything is appended, a last line that a killed writer left without its newline is mended: completed
    if it is a whole object, removed if it is torn. Lines that can't be written, because the disk is full, are kept in
    memory until they can; a training doesn't end for them.
    """

    def __init__(self, path: str | Path, interval: float = 10.0, warn: Callable[[str], None] = warnings.warn) -> None:
        """Open ``path`` to append, with ``interval`` seconds between train lines; ``warn`` hears of a full disk.

        Raises:
            DistnnError: it can't be opened.
        """
        self.path = Path(path)
        self._warn = warn
        self._unwritten = b""
        self.interval = interval
        self._thinning = Thinning(interval)
        try:
            mend(self.path)
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 (open as long as the run)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def started(self, info: RunInfo) -> None:
        """A "start" line."""
        self._thinning.start()
        self._write("start", _plain(info))

    def stepped(self, record: StepRecord) -> None:
        """A "train" line, if the interval has passed."""
        self._train(self._thinning.add(record))

    def evaluated(self, record: EvaluationRecord) -> None:
        """An "evaluation" line, after the steps before it."""
        self._train(self._thinning.flush())
        self._write("evaluation", _plain(record))

    def saved(self, path: Path, step: int) -> None:
        """A "checkpoint" line, after the steps before it."""
        self._train(self._thinning.flush())
        self._write("checkpoint", {"path": path, "step": step})

    def resumed(self, path: Path, step: int) -> None:
        """A "resume" line."""
        self._write("resume", {"path": path, "step": step})

    def warned(self, text: str) -> None:
        """A "warning" line."""
        self._write("warning", {"text": text})

    def has_warned(self, text: str) -> bool:
        """Whether the file has a "warning" line of this text."""
        return json.dumps({"kind": "warning", "text": text})[:-1].encode() in self.path.read_bytes()

    def finished(self, summary: Summary) -> None:
        """An "end" line, after the steps before it.

        Raises:
            DistnnError: there are lines that can't be written.
        """
        self._train(self._thinning.flush())
        self._write("end", _plain(summary))
        if (error := self._append()) is not None:
            raise _unwritable(self.path, error) from error

    def close(self) -> None:
        """Write the steps not yet written, and close the file."""
        if not self._file.closed:
            self._train(self._thinning.flush())
            self._file.close()

    def _train(self, record: StepRecord | None) -> None:
        if record is not None:
            values = _plain(record)
            for name in ("epochs", "batch", "batches", "samples"):
                del values[name]
            self._write("train", values)

    def _write(self, kind: str, values: dict[str, Any]) -> None:
        line = json.dumps(_jsonable({"kind": kind, **values, "time": round(time.time(), 3)}), allow_nan=False)
        waiting = bool(self._unwritten)
        self._unwritten += line.encode() + b"\n"
        error = self._append()
        if error is not None and not waiting:
            self._warn(f"{_unwritable(self.path, error)} The run goes on, and its lines are kept until they can be.")

    def _append(self) -> OSError | None:
        """Write what isn't written yet; why it isn't all."""
        try:
            while self._unwritten:
                self._unwritten = self._unwritten[self._file.write(self._unwritten) :]
        except OSError as error:
            return error
        return None


def mend(path: Path) -> None:
    """Give the last line of a file of JSON lines its newline, or remove the line if it isn't a whole object."""
    if not path.exists() or path.stat().st_size == 0:  # a device has no size, nor an end
        return
    with open(path, "rb+") as file:
        for last in deque(file, maxlen=1):
            if last.endswith(b"\n"):
                return
            try:
                json.loads(last)
                file.write(b"\n")
            except ValueError:
                file.truncate(file.tell() - len(last))


def _plain(record: RunInfo | StepRecord | EvaluationRecord | Summary) -> dict[str, Any]:
    """A record's values by name; sums as what is told of them."""
    plain: dict[str, Any] = {}
    for name, value in vars(record).items():
        match value:
            case Sums():
                plain |= {name: getattr(record, name) for name in ("samples", "loss", "accuracy", "bits")}
            case Seconds():
                plain |= {f"{name}_s": seconds for name, seconds in vars(value).items()}
            case Mapping() if not value:
                pass  # there are no metrics
            case EvaluationRecord():
                plain[name] = _plain(value)
            case _:
                plain[name] = value
    return plain


def _jsonable(value: Any) -> Any:
    """``value`` with paths as text, and null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unwritable(path: Path, error: OSError) -> DistnnError:
    return DistnnError(
        f"the metrics file {path} can't be written: {error.strerror}. Free space, or choose another --out."
    )
