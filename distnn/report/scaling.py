"""The picture of a prediction: what a step is made of, and the efficiency, by nodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distnn.report.figure import drawn
from distnn.scaling.prediction import Prediction

#: More ticks than these run into each other.
TICKS = 12


def plot(predictions: Sequence[Prediction], path: Path, title: str, efficiency: float) -> None:
    """Draw the step's time with its parts, and the efficiency with its least sensible value, to a file.

    Raises:
        UsageError: without matplotlib, or if the file can't be written.
    """
    nodes = [each.nodes for each in predictions]
    with drawn(path, columns=2) as (left, right):
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
            _nodes(axes, nodes)


def _nodes(axes: Any, nodes: Sequence[int]) -> None:
    """The axis of the nodes."""
    axes.set(xlabel="nodes", xscale="log")
    shown = list(nodes)[:: -(-len(nodes) // TICKS)]
    axes.set_xticks(shown, [str(count) for count in shown])
    axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    axes.grid(alpha=0.3)
