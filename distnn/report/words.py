"""The sentences of a run, as plain text: the header, a line of a log, the summary."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from distnn import __version__
from distnn.session.records import EvaluationRecord, RunInfo, StepRecord, Summary

if TYPE_CHECKING:
    from distnn.metrics import Value


def count(number: int, noun: str) -> str:
    """``count(1200, "step")`` → ``"1,200 steps"``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """``12.34 s``, ``3 min 04 s`` or ``2 h 05 min``: as exact as one wants to know it."""
    if seconds < 99.995:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def scores(loss: float, accuracy: float | None, bits: float | None = None) -> str:
    """Loss to six digits, so that runs can be compared by eye, and where there are any, bits and accuracy."""
    in_bits = f"  {bits:.4f} bits" if bits is not None else ""
    return f"loss {loss:#.6g}{in_bits}" + (f"  accuracy {accuracy:.4f}" if accuracy is not None else "")


def metrics(values: Mapping[str, Value]) -> str:
    """The metrics that are one number; the others are in ``metrics.jsonl``, and `distnn evaluate` prints them."""
    return "".join(f"  {name} {value:.4f}" for name, value in values.items() if isinstance(value, float))


def tables(values: Mapping[str, Value], names: Sequence[str]) -> list[str]:
    """The metrics that are more than one number, in lines: one for each class, or output."""
    lines = []
    for name, value in values.items():
        if isinstance(value, list):
            labels = list(names) if len(names) == len(value) else [str(place) for place in range(len(value))]
            rows = [[_cell(each) for each in row] if isinstance(row, list) else [f"{row:.4f}"] for row in value]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            first = max(map(len, labels))
            lines.append(f"{name}:")
            for label, row in zip(labels, rows, strict=True):
                cells = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
                lines.append(f"  {label:<{first}}  {'  '.join(cells)}")
    return lines


def _cell(number: float) -> str:
    """A count, or a sum of weights."""
    return f"{number:.6g}" if number % 1 else f"{number:.0f}"


def header(info: RunInfo) -> list[str]:
    """What runs, on what, over which data, what it minimises, where it writes: a line each; and remarks on the data."""
    held_out = ", ".join(f"{samples:,} for {split}" for split, samples in info.held_out.items())
    data = (f" (and {held_out})" if held_out else "") + (f" of {info.data}" if info.data else "")
    begin = f", from step {info.start_step:,} (epoch {info.start_epoch})" if info.start_step else ""
    return [
        f"distnn {__version__}: {info.model}, {count(info.parameters, 'parameter')}",
        f"{count(info.ranks, 'rank')} on {count(info.hosts, 'host')}, {count(info.threads, 'thread')} a rank "
        f"({info.threads_reason})",
        f"matrix products by {info.blas or 'numpy'}; compiled kernels: {', '.join(info.kernels) or 'none'}",
        f"{count(info.samples, 'sample')}{data}, batch {info.batch_size:,}, {count(info.epochs, 'epoch')} of "
        f"{count(info.steps_per_epoch, 'step')}{begin}",
        f"loss: {info.loss}, the mean over all targets; best is the "
        f"{'highest' if info.higher_is_better else 'lowest'} {info.monitor}",
        f"into {info.out}",
        *(f"{info.data}: {remark}" for remark in info.remarks),
    ]


def step(record: StepRecord) -> str:
    """One line of a log."""
    return (
        f"epoch {record.epoch}/{record.epochs}  step {record.step} ({record.batch}/{record.batches})  "
        f"{scores(record.loss, record.accuracy, record.bits)}  learning rate {record.learning_rate:.4g}  "
        f"{record.samples_per_s:,.0f} samples/s  " + ", ".join(_shares(_split(record)))
    )


def evaluation(record: EvaluationRecord) -> str:
    """A split's scores, in a log."""
    scored = scores(record.loss, record.accuracy, record.bits)
    best = "  best so far" if record.best else ""
    return f"epoch {record.epoch}  {record.split}  {scored}{metrics(record.metrics)}{best}"


def summary(end: Summary, info: RunInfo | None, last: StepRecord | None) -> list[str]:
    """How it ended: the scores, where the time went, where the files are, and what to do next.

    Arguments:
        end: what the loop says.
        info: the run, for the path of its data.
        last: the last step record, for the training loss where no split was evaluated.
    """
    lines = [f"{end.reason}: epoch {end.epoch}, step {end.step:,}, {duration(end.seconds)}"]
    records = [record for record in (end.train, end.validation, end.test) if record is not None]
    if last is not None and not records:
        lines.append(_row("last steps", scores(last.loss, last.accuracy, last.bits)))
    for record in records:
        text = scores(record.loss, record.accuracy, record.bits) + metrics(record.metrics)
        lines.append(_row(record.split, f"{text}  ({count(record.samples, 'sample')})"))
    if end.best is not None:
        where = f" at step {end.best_step:,}" if end.best_step is not None else ""
        lines.append(_row("best", f"{end.best_of} {end.best:#.6g}{where}"))
    shares = _shares(_split(end) | {"other": end.other_s}, seconds=True)
    lines.append(_row("time", ", ".join(shares)))
    lines.append(_row("speed", f"{end.samples_per_s:,.0f} samples/s"))
    if end.checkpoint is not None:
        lines.append(_row("checkpoint", str(end.checkpoint)))
    lines.append(_row("metrics", str(end.out / "metrics.jsonl")))
    if end.fingerprint:
        lines.append(_row("parameters", f"fingerprint {end.fingerprint}"))
    for place, command in enumerate(_next(end, info)):
        lines.append(_row("" if place else "next", command))
    return lines


def _row(name: str, text: str) -> str:
    return f"  {name:<12}{text}"


def _split(record: StepRecord | Summary) -> dict[str, float]:
    return {"compute": record.spent.compute, "communication": record.spent.comm, "data": record.spent.data}


def _shares(split: dict[str, float], *, seconds: bool = False) -> Iterable[str]:
    """Each part's percentage of the whole, after its seconds if asked."""
    whole = math.fsum(split.values())
    for name, part in split.items():
        share = f"{100 * part / whole if whole > 0 else 0:.0f} %"
        yield f"{name} {duration(part)} ({share})" if seconds else f"{name} {share}"


def _next(end: Summary, info: RunInfo | None) -> Iterable[str]:
    """The commands that a user would type next."""
    if end.checkpoint is None:
        return
    out = shlex.quote(str(end.out))
    if not end.complete:
        yield f"distnn train {shlex.quote(str(end.out / 'run.toml'))} --resume {out}"
    data = shlex.quote(str(info.data)) if info and info.data else "DATA.h5"
    split = "" if end.test else " --split validation" if end.validation else " --split train"
    yield f"distnn evaluate {out} {data}{split}"
    yield f"distnn predict {out} {data} -o predictions.h5{split}"
