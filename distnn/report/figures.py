"""Figures in files, PNG, SVG or PDF as their names end: runs side by side, and the prediction of a run."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distnn import outputs
from distnn.errors import UsageError
from distnn.report.comparison import Finding, efficiencies
from distnn.scaling.prediction import Prediction

#: More ticks than these run into each other.
TICKS = 12


def runs(findings: Sequence[Finding], path: Path) -> None:
    """Draw samples/s by ranks, if these differ, or else the loss by epochs.

    Raises:
        UsageError: without matplotlib, or if the file can't be written.
    """
    with _drawn(path) as (axes,):
        if efficiencies(findings) is None:
            _draw_losses(findings, axes)
        else:
            _draw_scaling(findings, axes)
        axes.grid(alpha=0.3)
        axes.legend()


def prediction(predictions: Sequence[Prediction], path: Path, title: str, efficiency: float) -> None:
    """Draw the step's time with its parts, and the efficiency with its least sensible value, by nodes.

    Raises:
        UsageError: without matplotlib, or if the file can't be written.
    """
    nodes = [each.nodes for each in predictions]
    with _drawn(path, columns=2) as (left, right):
        left.figure.suptitle(title)
        left.plot(nodes, [1e3 * each.step for each in predictions], color="black", marker="o", label="step")
        for part in ("compute", "reduce", "update"):
            times = [1e3 * getattr(each, part) for each in predictions]
            if any(times):
                left.plot(nodes, times, marker=".", label=part)
        ideal = [1e3 * predictions[0].step * nodes[0] / count for count in nodes]
        left.plot(nodes, ideal, color="grey", linestyle="--", label="ideal")
        left.set(ylabel="ms a step", yscale="log")
        left.legend()
        right.plot(nodes, [each.efficiency for each in predictions], color="black", marker="o")
        right.axhline(efficiency, color="grey", linestyle="--", label=f"asked for: {efficiency:g}")
        right.set(ylabel="efficiency", ylim=(0, 1.05 * max(1.0, *(each.efficiency for each in predictions))))
        right.legend(loc="lower left")
        for axes in (left, right):
            _count_along(axes, "nodes", nodes[:: -(-len(nodes) // TICKS)])
            axes.grid(alpha=0.3)


@contextmanager
def _drawn(path: Path, columns: int = 1) -> Iterator[list[Any]]:
    """So many axes side by side, to be drawn on; written to ``path`` at the end.

    Raises:
        UsageError: without matplotlib, or if the file can't be written.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise UsageError("a plot needs matplotlib; pip install 'distnn[plot]'.") from None
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(ncols=columns, squeeze=False, figsize=(2 + 5 * columns, 4.5), layout="constrained")
    try:
        yield list(axes[0])
        figure.savefig(picture := io.BytesIO(), format=path.suffix[1:] or "png", dpi=150)
    except ValueError as error:
        raise UsageError(f"the plot can't be written to {path}: {error}.") from None
    else:
        outputs.write(path if path.suffix else path.with_suffix(".png"), picture.getvalue(), force=True)
    finally:
        plt.close(figure)


def _count_along(axes: Any, name: str, numbers: Sequence[int]) -> None:
    """The axis of so many ranks or nodes: in equal ratios, with a tick for each of these numbers."""
    axes.set(xlabel=name, xscale="log")
    axes.set_xticks(numbers, [str(number) for number in numbers])
    axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)


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
        series = sorted(found, key=lambda each: each.ranks)
        if len(series) > 1:
            axes.plot([e.ranks for e in series], [e.samples_per_s for e in series], marker="o", label=label)
    ranks = sorted({each.ranks for each in findings})
    ideal = [first.samples_per_s / first.ranks * rank for rank in ranks]
    axes.plot(ranks, ideal, color="grey", linestyle="--", label="ideal")
    axes.set(ylabel="samples/s", yscale="log")
    _count_along(axes, "ranks", ranks)
