"""``metrics.jsonl``: the run's records as JSON lines; and the joining of records where a loop makes too many."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distnn.errors import DistnnError
from distnn.session.records import EvaluationRecord, Listener, Listeners, RunInfo, StepRecord, Summary

__all__ = [
    "EvaluationRecord",
    "Listener",
    "Listeners",
    "MetricsFile",
    "RunInfo",
    "StepRecord",
    "Summary",
    "Thinning",
    "join",
    "mend",
]


class Thinning:
    """Joins step records until ``interval`` seconds have passed, so that a fast loop makes few lines.

    Seconds are those of all joined records. The loss and accuracy are means over those of the last one's epoch, each
    weighted by its number of steps: a mean over many epochs would say little of where the training is.
    """

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval = interval
        self._clock = clock
        self._due = clock() + interval
        self._step = 0
        self._pending: list[StepRecord] = []

    def start(self, step: int) -> None:
        """``step`` steps are done before the first record."""
        self._step = step
        self._due = self._clock() + self.interval

    def add(self, record: StepRecord) -> StepRecord | None:
        """The record of all steps since the last one returned, if it is due."""
        self._pending.append(record)
        return self.flush() if self._clock() >= self._due else None

    def flush(self) -> StepRecord | None:
        """The record of all steps since the last one returned, if there are any."""
        if not self._pending:
            return None
        joined = join(self._pending, self._step)
        self._step = joined.step
        self._due = self._clock() + self.interval
        self._pending.clear()
        return joined


def join(records: Sequence[StepRecord], step: int) -> StepRecord:
    """One record for several in a row, of which the first begins after ``step`` steps."""
    last = records[-1]
    if len(records) == 1:
        return last
    ends = [step, *(record.step for record in records)]
    weights = [max(1, end - start) for start, end in itertools.pairwise(ends)]
    total = sum(weights)
    # A rate is a mean over time: steps over the sum of steps / rate.
    rates = [record.samples_per_s for record in records]
    rate = total / sum(w / r for w, r in zip(weights, rates, strict=True)) if all(r > 0 for r in rates) else rates[-1]

    recent = [(weight, record) for weight, record in zip(weights, records, strict=True) if record.epoch == last.epoch]

    def mean(values: Sequence[float]) -> float:
        steps = sum(weight for weight, _ in recent)
        return sum(weight * value for (weight, _), value in zip(recent, values, strict=True)) / steps

    accuracies = [record.accuracy for _, record in recent if record.accuracy is not None]
    bits = [record.bits for _, record in recent if record.bits is not None]
    return dataclasses.replace(
        last,
        loss=mean([record.loss for _, record in recent]),
        accuracy=mean(accuracies) if len(accuracies) == len(recent) else None,
        bits=mean(bits) if len(bits) == len(recent) else None,
        samples_per_s=rate,
        compute_s=sum(record.compute_s for record in records),
        comm_s=sum(record.comm_s for record in records),
        data_s=sum(record.data_s for record in records),
    )


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
        self._thinning.start(info.start_step)
        self._write("start", dataclasses.asdict(info))

    def stepped(self, record: StepRecord) -> None:
        """A "train" line, if the interval has passed."""
        self._train(self._thinning.add(record))

    def evaluated(self, record: EvaluationRecord) -> None:
        """An "evaluation" line, after the steps before it."""
        self._train(self._thinning.flush())
        self._write("evaluation", dataclasses.asdict(record))

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

    def finished(self, summary: Summary) -> None:
        """An "end" line, after the steps before it.

        Raises:
            DistnnError: there are lines that can't be written.
        """
        self._train(self._thinning.flush())
        self._write("end", dataclasses.asdict(summary))
        if (error := self._append()) is not None:
            raise _unwritable(self.path, error) from error

    def close(self) -> None:
        """Write the steps not yet written, and close the file."""
        if not self._file.closed:
            self._train(self._thinning.flush())
            self._file.close()

    def _train(self, record: StepRecord | None) -> None:
        if record is not None:
            values = dataclasses.asdict(record)
            self._write(
                "train", {key: value for key, value in values.items() if key not in ("epochs", "batch", "batches")}
            )

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
    if not path.exists() or path.stat().st_size == 0:
        return
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        tail = b""
        while size > 0 and b"\n" not in tail:
            start = max(0, size - 65536)
            file.seek(start)
            tail = file.read(size - start) + tail
            size = start
        torn = tail[tail.rfind(b"\n") + 1 :]
        if not torn:
            return
        end = file.seek(0, os.SEEK_END)
        try:
            json.loads(torn)
            file.write(b"\n")
        except ValueError:
            file.truncate(end - len(torn))


def _jsonable(value: Any) -> Any:
    """``value`` with paths as text, and null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unwritable(path: Path, error: OSError) -> DistnnError:
    return DistnnError(
        f"the metrics file {path} can't be written: {error.strerror}. Free space, or choose another --out."
    )
