"""Runs side by side: their settings, their speed, their last scores."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from distnn.errors import UsageError
from distnn.report.figure import drawn


@dataclass(frozen=True)
class Finding:
    """What a run's folder holds.

    Attributes:
        settings: of its run file, by dotted key.
        samples_per_s: of all ranks; the median of its lines.
        seconds: of the whole run, of all its parts if it was resumed.
        losses: (epoch, loss) on the validation split, or else on the training split.
        scores: the last loss and accuracy by split.
        complete: whether it has finished.
    """

    name: str
    settings: dict[str, Any]
    ranks: int
    threads: int
    batch_size: int
    step: int
    samples_per_s: float
    seconds: float
    losses: list[tuple[int, float]]
    scores: dict[str, dict[str, float | None]]
    complete: bool


def finding(folder: Path) -> Finding:
    """Read a run's folder.

    Raises:
        UsageError: if it isn't one, or nothing has been trained in it yet.
    """
    try:
        settings = _flat(tomllib.loads((folder / "run.toml").read_text()))
        lines = (folder / "metrics.jsonl").read_text().split("\n")[:-1]  # behind the last newline is half a line
    except OSError as error:
        raise UsageError(f"{folder} is not a run's folder: {error.strerror}: {error.filename}.") from None
    records = [json.loads(line) for line in lines]
    by_kind = {
        kind: [each for each in records if each["kind"] == kind] for kind in ("start", "train", "evaluation", "end")
    }
    if not by_kind["start"] or not by_kind["train"]:
        raise UsageError(f"{folder}: nothing has been trained there yet.")
    evaluations = by_kind["evaluation"]
    splits = {each["split"]: each for each in evaluations}  # the last of each
    watched = "validation" if "validation" in splits else "train"
    return Finding(
        name=folder.name,
        settings=settings,
        ranks=by_kind["start"][-1]["ranks"],
        threads=by_kind["start"][-1]["threads"],
        batch_size=by_kind["start"][-1]["batch_size"],
        step=by_kind["train"][-1]["step"],
        samples_per_s=median(each["samples_per_s"] for each in by_kind["train"]),
        seconds=sum(each["seconds"] for each in by_kind["end"]),
        losses=[(each["epoch"], each["loss"]) for each in evaluations if each["split"] == watched],
        scores={split: {"loss": each["loss"], "accuracy": each.get("accuracy")} for split, each in splits.items()},
        complete=bool(by_kind["end"]) and by_kind["end"][-1]["complete"],
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """By dotted key."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def differing(findings: Sequence[Finding]) -> list[str]:
    """The keys of run files that not all of these runs have with one value."""
    keys = dict.fromkeys(key for each in findings for key in each.settings)
    return [key for key in keys if len({repr(each.settings.get(key)) for each in findings}) > 1]


def efficiencies(findings: Sequence[Finding]) -> list[float] | None:
    """Samples/s and rank, divided by those of the run on the fewest ranks; None if all have as many.

    With the same batch that is strong scaling, with the same batch a rank weak scaling.
    """
    if len({each.ranks for each in findings}) == 1:
        return None
    first = min(findings, key=lambda each: (each.ranks, each.batch_size))
    return [each.samples_per_s / each.ranks / (first.samples_per_s / first.ranks) for each in findings]


def plot(findings: Sequence[Finding], path: Path) -> None:
    """Draw samples/s by ranks, if these differ, or else the loss by epochs.

    Raises:
        UsageError: without matplotlib, or if the file can't be written.
    """
    with drawn(path) as (axes,):
        if efficiencies(findings) is None:
            _draw_losses(findings, axes)
        else:
            _draw_scaling(findings, axes)
        axes.grid(alpha=0.3)
        axes.legend()


def _draw_losses(findings: Sequence[Finding], axes: Any) -> None:
    for each in findings:
        epochs, losses = zip(*each.losses, strict=True) if each.losses else ((), ())
        axes.plot(epochs, losses, marker=".", label=each.name)
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")


def _draw_scaling(findings: Sequence[Finding], axes: Any) -> None:
    first = min(findings, key=lambda each: (each.ranks, each.batch_size))
    rates = {
        f"strong: batches of {first.batch_size}": [e for e in findings if e.batch_size == first.batch_size],
        f"weak: {first.batch_size / first.ranks:g} samples a rank": [
            e for e in findings if e.batch_size * first.ranks == first.batch_size * e.ranks
        ],
    }
    for label, found in rates.items():
        runs = sorted(found, key=lambda each: each.ranks)
        if len(runs) > 1:
            axes.plot([e.ranks for e in runs], [e.samples_per_s for e in runs], marker="o", label=label)
    ranks = sorted({each.ranks for each in findings})
    ideal = [first.samples_per_s / first.ranks * rank for rank in ranks]
    axes.plot(ranks, ideal, color="grey", linestyle="--", label="ideal")
    axes.set(xlabel="ranks", ylabel="samples/s", xscale="log", yscale="log")
    axes.set_xticks(ranks, [str(rank) for rank in ranks])
    axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
