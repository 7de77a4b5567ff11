"""What is kept and what begins anew where a run is resumed with other settings than before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distnn import checkpoint
from distnn.config import to_dict
from distnn.config.kinds import choose
from distnn.config.text import show
from distnn.data.file.checks import listing
from distnn.errors import CheckpointError, UsageError
from distnn.optim import Schedule

if TYPE_CHECKING:
    from distnn.session.build import Run

#: Settings on which the course of a training depends: whole sections, or these keys of one. Of the number of epochs
#: only the learning rate may depend.
_COURSE: Mapping[str, tuple[str, ...]] = {
    "optimizer": (),
    "schedule": (),
    "loss": (),
    "augment": (),
    "data": ("batch_size",),
    "train": ("accumulate", "clip_norm", "dtype"),
}
#: By how much the learning rate may change without a word.
_CLOSE = 0.01


def other_settings(saved: checkpoint.Checkpoint, run: Run) -> list[str]:
    """Which settings are others than when the checkpoint was written, what is kept, and what begins anew."""
    changes, effects = list(_changes(saved.settings, to_dict(run.settings))), list(_effects(saved, run))
    if effects:  # which these may have, too
        epochs, samples = saved.settings.get("train", {}).get("epochs"), saved.data.get("counts", {}).get("train")
        pairs = {
            "train.epochs": (epochs, run.settings.train.epochs),
            "the number of training samples": (samples, run.samples),
        }
        for name, (before, now) in pairs.items():
            changes += [f"{name} was {before} and is {now}"] if before not in (None, now) else []
    if not changes:
        return []
    kept = ["the parameters", *sorted(_slots(run) & saved.optimizer.keys()), f"step {run.progress.step}"]
    kept += [f"epoch {run.progress.epoch}"]
    return [f"{'; '.join(changes)}. Kept: {', '.join(kept)}. {' '.join(effects)}".strip()]


def same_meaning(saved: checkpoint.Checkpoint, path: Path, run: Run, data: Mapping[str, Any]) -> None:
    """See that the training data mean what they did: classes, features and targets in their order, and their scale.

    Raises:
        CheckpointError: what the parameters were trained on stands elsewhere, or for something else.
    """
    pairs: list[tuple[str, Any, Any]] = [("the classes", saved.model.get("classes"), list(run.model.classes))]
    before, now = saved.data.get("fields", {}), data["fields"]
    for field, what in (("x", "the features"), ("y", "the targets")):
        pairs.append((what, before.get(field, {}).get("names"), now.get(field, {}).get("names")))
    scales = saved.data.get("scale"), data["scale"]
    floats = np.dtype(now["x"]["dtype"]).kind == "f"  # which may be scaled already
    if saved.data and not (floats and None in scales):
        old, new = ([f"{scale:.6g}"] if scale else [] for scale in scales)
        pairs.append(("the factors of samples", old, new))
    for what, old, new in pairs:
        if old and old != new and (new or what == "the factors of samples"):
            raise CheckpointError(
                f"{path} was trained on other data: {what} were {listing(old)}, and are {listing(new)}. Make the data "
                "as they were, for the parameters know nothing of the change; or start a new run in another folder."
            )


def other_best(saved: checkpoint.Checkpoint, run: Run, data: Mapping[str, Any]) -> list[str]:
    """Why what was best so far can't be compared with what is to come: other samples, or another loss."""
    split = run.monitor.split
    before, now = saved.data.get("identity", {}).get(split), data["identity"].get(split)
    loss = next((text for text in _changes(saved.settings, to_dict(run.settings)) if text.startswith("loss.")), "")
    reasons = [f"the {split} data were {before} and are {now}"] if before not in (None, now) else []
    reasons += [loss] if loss and run.monitor.name == "loss" else []
    if not reasons or saved.progress.get("best") is None:
        return []
    return [f"{'; '.join(reasons)}: what was best until now can't be compared with what follows, and begins anew."]


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs of `_COURSE`; what the checkpoint doesn't know isn't said."""
    for section, keys in _COURSE.items():
        was, is_ = before.get(section), now.get(section, {})
        if not isinstance(was, dict):
            continue
        differing = [key for key in is_ if key in was and was[key] != is_[key] and (not keys or key in keys)]
        for key in ["kind"] if "kind" in differing else differing:
            yield f"{section}.{key} was {show(was[key])} and is {show(is_[key])}"


def _slots(run: Run) -> set[str]:
    return set(run.step.update.slots)


def _effects(saved: checkpoint.Checkpoint, run: Run) -> Iterator[str]:
    if anew := sorted(_slots(run) - saved.optimizer.keys()):
        yield f"Of the optimiser's state, {' and '.join(anew)} begin{'' if len(anew) > 1 else 's'} at 0."
    if dropped := sorted(saved.optimizer.keys() - _slots(run)):
        yield f"Dropped is the former optimiser's {' and '.join(dropped)}."
    with suppress(UsageError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError):  # it may say anything
        windows = _windows(saved, run)
        if windows != run.step.windows:
            yield f"An epoch had {windows} steps and has {run.step.windows}."
        before, now = _rate(saved, windows, run), run.optimizer.learning_rate * run.factor(run.progress.step)
        if not math.isclose(before, now, rel_tol=_CLOSE):
            yield f"The learning rate goes on with {now:.3g} instead of {before:.3g}."


def _windows(saved: checkpoint.Checkpoint, run: Run) -> int:
    """The steps of an epoch as the run was."""
    samples = saved.data.get("counts", {}).get("train", run.samples)
    size, accumulate = (saved.progress.get(key, getattr(run.progress, key)) for key in ("batch_size", "accumulate"))
    return replace(run.step.batching, batch_size=size, accumulate=accumulate).steps(samples)


def _rate(saved: checkpoint.Checkpoint, windows: int, run: Run) -> float:
    """The learning rate of the next step as the run was; a schedule that isn't built in is not imported for it."""
    table, epochs = saved.settings["schedule"], saved.settings["train"]["epochs"]
    same = table == to_dict(run.settings)["schedule"]
    if epochs < 1 or (":" in str(table.get("kind")) and not same):
        raise ValueError(table)
    factor = (run.schedule if same else choose(Schedule.family, table).make()).over(windows, epochs)
    return float(saved.settings["optimizer"]["learning_rate"] * factor(run.progress.step))
