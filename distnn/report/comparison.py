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


@dataclass(frozen=True)
class Finding:
    """What a run's folder holds."""

    name: str
    settings: dict[str, Any]  #: of its run file, by dotted key
    ranks: int
    threads: int
    batch_size: int
    step: int
    samples_per_s: float  #: of all ranks; the median of its lines
    seconds: float  #: of the whole run, of all its parts if it was resumed
    losses: list[tuple[int, float]]  #: (epoch, loss) on the validation split, or else on the training split
    scores: dict[str, dict[str, float | None]]  #: the last loss, accuracy, and metrics of one number, by split
    monitor: str  #: which value says which epoch is best, such as "validation loss"
    best: float | None  #: the best of these values; None if nobody has said
    complete: bool  #: whether it has finished


def finding(folder: Path) -> Finding:
    """Read a run's folder.

    Raises:
        UsageError: if it isn't one, it is damaged, or nothing has been trained in it yet.
    """
    try:
        return _finding(folder)
    except OSError as error:
        raise UsageError(f"{folder} is not a run's folder: {error.strerror}: {error.filename}.") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{folder}: its run.toml or metrics.jsonl is damaged ({type(error).__name__}: {error}). Copy it again from "
            f"an intact copy, or leave this run out."
        ) from None


def _finding(folder: Path) -> Finding:
    settings = _flat(tomllib.loads((folder / "run.toml").read_text(encoding="utf-8")))
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in text.split("\n")[:-1]]  # behind the last newline is half a line
    by_kind = {
        kind: [each for each in records if each["kind"] == kind] for kind in ("start", "train", "evaluation", "end")
    }
    if not by_kind["start"] or not by_kind["train"]:
        raise UsageError(f"{folder}: nothing has been trained there yet.")
    evaluations = by_kind["evaluation"]
    splits = {each["split"]: each for each in evaluations}  # the last of each
    watched = "validation" if "validation" in splits else "train"
    split, _, name = (monitor := by_kind["start"][-1].get("monitor", f"{watched} loss")).partition(" ")
    best = [_scores(each)[name] for each in evaluations if each.get("best") and each["split"] == split]
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
        scores={split: _scores(each) for split, each in splits.items()},
        monitor=monitor,
        best=best[-1] if best else None,
        complete=bool(by_kind["end"]) and by_kind["end"][-1]["complete"],
    )


def _scores(evaluation: Mapping[str, Any]) -> dict[str, float | None]:
    """The loss, the accuracy, and each metric that is one number; None for what is no number."""
    metrics = {name: value for name, value in evaluation.get("metrics", {}).items() if not isinstance(value, list)}
    found = {"loss": evaluation["loss"], "accuracy": evaluation.get("accuracy")} | metrics
    return {name: None if value is None else float(value) for name, value in found.items()}


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
