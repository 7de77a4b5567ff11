"""``distnn inspect``: what is in a checkpoint or a data file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distnn.runtime import launch_rank

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Facts = dict[str, Any]

#: A log has no width of its own; wide enough for a table of parameters.
_LOG_WIDTH = 120
_CLASSES_SHOWN = 20


@click.command()
@click.argument("file", metavar="FILE.h5", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(file: Path, as_json: bool) -> None:
    """What is in FILE.h5: a checkpoint (its file, `latest`, or the run's folder) or a data file.

    A checkpoint's checksum is verified.

    \b
    Example:
      distnn inspect data/digits.h5
      distnn inspect runs/digits
      distnn inspect runs/digits/checkpoints/latest --json
    """
    from distnn.cli.contents import contents

    if launch_rank():
        return
    facts = contents(file)
    if as_json:
        click.echo(json.dumps(facts, allow_nan=False))
    else:
        {"checkpoint": _show_checkpoint, "data": _show_data, "other": _show_other}[facts["kind"]](facts)


def _console() -> Console:
    from rich.console import Console

    # Names may hold brackets, which are no markup.
    console = Console(markup=False, highlight=False, emoji=False)
    return console if console.is_terminal else Console(width=_LOG_WIDTH, markup=False, highlight=False, emoji=False)


def _show_checkpoint(facts: Facts) -> None:
    progress, model = dict(facts["progress"]), facts["model"]
    click.echo(f"{facts['path']}: checkpoint, {_size(facts['bytes'])}, checksum ok")
    click.echo(f"step {progress.pop('step', '?')}, epoch {progress.pop('epoch', '?')}  ({_pairs(progress)})")
    click.echo(f"model: {model.get('description', 'without a description')}; {facts['count']:,} parameters")
    click.echo(f"       {_pairs(model, without=('description',))}")
    for section, values in facts["settings"].items():
        text = _pairs(values) if isinstance(values, dict) else _value(values)
        click.echo(f"[{section}] {text}")
    table = _table("parameter", "shape", "dtype", "count", "mean", "std", "min", "max", right=3)
    for entry in facts["parameters"]:
        numbers = (_number(entry[key]) if entry["count"] else "" for key in ("mean", "std", "min", "max"))
        table.add_row(entry["name"], _shape(entry["shape"]), entry["dtype"], f"{entry['count']:,}", *numbers)
    _console().print(table)
    slots = ", ".join(f"{slot} ({count:,})" for slot, count in facts["optimizer"].items())
    click.echo(f"optimizer state: {slots or 'none'}")
    click.echo(f"environment: {_pairs(facts['environment'])}")
    click.echo(f"digest: {facts['digest']}")


def _show_data(facts: Facts) -> None:
    click.echo(f"{facts['path']}: data file, {_size(facts['bytes'])}, {facts['task']}")
    if classes := facts["classes"]:
        more = " …" if len(classes) > _CLASSES_SHOWN else ""
        click.echo(f"{len(classes)} classes: {', '.join(classes[:_CLASSES_SHOWN])}{more}")
    for key in ("source", "licence", "created_by"):
        if facts[key]:
            click.echo(f"{key.replace('_', ' ')}: {facts[key]}")
    if facts["scale"] is not None:
        click.echo(f"x is multiplied by {facts['scale']:.6g} when it is read")
    table = _table("split", "samples", "dataset", "shape", "dtype", "chunks", "compression", "stored", right=7)
    for split, entry in facts["splits"].items():
        for name in ("x", "y"):
            found = entry[name]
            chunks = _shape(found["chunks"]) if found["chunks"] else "contiguous"
            how = (chunks, found["compression"] or "none", _size(found["stored"]))
            table.add_row(split, f"{entry['samples']:,}", name, _shape(found["shape"]), found["dtype"], *how)
    _console().print(table)


def _show_other(facts: Facts) -> None:
    click.echo(
        f"{facts['path']}: an HDF5 file of {_size(facts['bytes'])} that is neither a distnn checkpoint nor a data file"
    )
    click.echo(f"at its top level: {', '.join(facts['top']) or 'nothing'}; {facts['datasets']} datasets in all")
    if facts["attributes"]:
        click.echo(f"root attributes: {_pairs(facts['attributes'])}")


def _table(*columns: str, right: int) -> Table:
    """A table whose columns from ``right`` on hold numbers; long names are folded, never cut."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place >= right else "left", overflow="fold")
    return table


def _pairs(values: Facts, without: tuple[str, ...] = ()) -> str:
    return ", ".join(f"{key} = {_value(value)}" for key, value in values.items() if key not in without)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _shape(shape: list[int]) -> str:
    return " × ".join(map(str, shape)) or "scalar"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def _size(count: int) -> str:
    """Bytes for people: 812 B, 3.4 MB."""
    size, units = float(count), ["B", "KB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.{0 if units[0] == 'B' else 1}f} {units[0]}"
