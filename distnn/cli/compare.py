"""``distnn compare``: runs side by side, in a table and a plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distnn.runtime import launch_rank

if TYPE_CHECKING:
    from distnn.report.comparison import Finding

#: A log has no width of its own.
_LOG_WIDTH = 160


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw samples/s by ranks, or the losses, to a file.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, an object for each run.")
def compare(runs: tuple[Path, ...], plot: Path | None, as_json: bool) -> None:
    """Compare runs by their folders: what they were told that differs, how fast they were, how well they ended.

    Where they have different numbers of ranks there is a column for the efficiency: samples/s and rank, divided by
    those of the run with the fewest ranks.

    \b
    Example:
      distnn compare runs/sweep-1234/*
      distnn compare runs/study/strong-* runs/study/weak-* --plot scaling.png
    """
    from distnn.report import comparison

    if launch_rank():
        return
    findings = [comparison.finding(run) for run in runs]
    if as_json:
        click.echo(json.dumps([each.to_dict() for each in findings]))
    else:
        _show(findings)
    if plot is not None:
        comparison.plot(findings, plot)
        click.echo(f"drew {plot}", err=as_json)


def _show(findings: list[Finding]) -> None:
    """The table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from distnn.report.comparison import differing, efficiencies

    keys, shares = differing(findings), efficiencies(findings)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("run")
    splits = [split for split in ("validation", "test") if any(split in each.scores for each in findings)] or ["train"]
    columns = [
        *(key.rpartition(".")[2] for key in keys),
        "ranks",
        "samples/s",
        *(["efficiency"] if shares else []),
        "seconds",
        "steps",
    ]
    for column in [*columns, *(f"{split} loss" for split in splits), *(f"{split} accuracy" for split in splits)]:
        table.add_column(column, justify="right")
    for place, each in enumerate(findings):
        cells = [str(each.settings.get(key, "")) for key in keys] + [str(each.ranks), f"{each.samples_per_s:,.0f}"]
        cells += [f"{shares[place]:.3f}"] if shares else []
        cells += [f"{each.seconds:.1f}", f"{each.step:,}{'' if each.complete else ' …'}"]
        for score in ("loss", "accuracy"):
            found = [each.scores.get(split, {}).get(score) for split in splits]
            cells += ["" if value is None else f"{value:.4f}" for value in found]
        table.add_row(each.name, *cells)
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH, markup=False, highlight=False, emoji=False)
    console.print(table)
    if not all(each.complete for each in findings):
        click.echo("…: not finished")
