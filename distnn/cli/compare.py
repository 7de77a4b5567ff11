"""``distnn compare``: runs side by side, in a table and a plot."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distnn.cli import options
from distnn.cli.launch import alone
from distnn.errors import complain
from distnn.report.output import show, show_json
from distnn.report.table import table

if TYPE_CHECKING:
    from distnn.report.comparison import Finding


@click.command(cls=options.Once)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=options.PATH)
@click.option("--plot", type=options.PATH, help="Also draw samples/s by ranks, or the losses, into this file.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, an object for each run.")
@alone
def compare(runs: tuple[Path, ...], plot: Path | None, as_json: bool) -> None:
    """Compare runs by their folders: the settings in which they differ, their speed, their last scores and metrics,
    and the best value of what says which epoch is best, which is marked by a star.

    Where they have different numbers of ranks there is a column for the efficiency: samples/s of each rank, divided
    by those of the run with the fewest ranks.

    \b
    Example:
      distnn compare runs/sweep-1234/*
      distnn compare runs/study/strong-* runs/study/weak-* --plot scaling.png
    """
    from distnn.report import comparison

    findings = [comparison.finding(run) for run in runs]
    if as_json:
        show_json([asdict(each) for each in findings])
    else:
        show(_table(findings))
        show("*: says which epoch is best")
        if not all(each.complete for each in findings):
            show("…: not finished")
    if plot is not None:
        from distnn.report import figures

        figures.runs(findings, plot)
        (complain if as_json else show)(f"drew {plot}")


def _table(findings: list[Finding]) -> str:
    """A row for each run: what differs, how fast it was, its scores."""
    from distnn.report.comparison import differing, efficiencies

    keys, shares = differing(findings), efficiencies(findings)
    splits = [split for split in ("validation", "test") if any(split in each.scores for each in findings)] or ["train"]
    names = dict.fromkeys(name for each in findings for split in splits for name in each.scores.get(split, {}))
    scores = [(split, score) for score in names for split in splits]
    stars = {each.monitor for each in findings}
    best = f"best {stars.copy().pop()}" if len(stars) == 1 else "best *"
    head = ["run", *(key.rpartition(".")[2] for key in keys), "ranks", "samples/s"]
    head += [*(["efficiency"] if shares else []), "seconds", "steps"]
    head += [f"{name} *" if name in stars else name for name in map(" ".join, scores)] + [best]
    rows = []
    for place, each in enumerate(findings):
        row = [each.name, *(str(each.settings.get(key, "")) for key in keys), str(each.ranks)]
        row += [f"{each.samples_per_s:,.0f}", *([f"{shares[place]:.3f}"] if shares else [])]
        row += [f"{each.seconds:.1f}", f"{each.step:,}{'' if each.complete else ' …'}"]
        values = [*(each.scores.get(split, {}).get(score) for split, score in scores), each.best]
        rows.append(row + ["" if value is None else f"{value:.4f}" for value in values])
    return table(head, rows)
