"""``distnn inspect``: what is in a checkpoint or a data file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from distnn.cli import options
from distnn.cli.apart import Progress, apart
from distnn.cli.launch import alone
from distnn.report.output import show, show_json
from distnn.report.table import table

Facts = dict[str, Any]

_CLASSES_SHOWN = 20
#: Of what a transform was fitted to.
_VALUES_SHOWN = 8


@click.command(cls=options.Once)
@click.argument("file", metavar="FILE", type=options.PATH)
@click.option("--verify", is_flag=True, help="Read all of a data file; check its checksums and its fingerprint.")
@click.option(
    "--limit", metavar="SECONDS", type=click.IntRange(min=1), default=10, help="How long HDF5 may compute to no avail."
)
@options.as_json
@alone
def inspect(file: Path, verify: bool, limit: int, as_json: bool) -> None:
    """Show what is in FILE: a checkpoint (its file, `latest`, or the run's folder), a data file, or a run file's data.

    Of a run file (.toml), it is shown which samples its [data] describes, cut into splits as [data.split] says.

    A checkpoint's checksum is always verified; a data file, and a file of predictions, with --verify. distnn writes
    them with a checksum for each chunk, and a fingerprint.

    \b
    Example:
      distnn inspect --verify data/digits.h5
      distnn inspect digits.toml
      distnn inspect runs/digits
      distnn inspect runs/digits/checkpoints/latest --json
    """

    def look(progress: Progress) -> Facts:
        from distnn.cli.contents import contents

        return contents(file, progress, verify=verify)

    facts = apart(file, look, limit)
    if as_json:
        show_json(facts)
        return
    shows = {"checkpoint": _show_checkpoint, "data": _show_data, "other": _show_other, "run": _show_run}
    shows[facts["kind"]](facts)
    if "verified" in facts:
        _show_verified(**facts["verified"])


def _show_verified(datasets: int, checksums: int, fingerprint: str | None) -> None:
    sums = f"the checksums of {checksums} are right" if checksums else "there are no checksums"
    whole = "the fingerprint is right" if fingerprint else "there is no fingerprint to compare with"
    show(f"verified: all of {datasets} datasets can be read; {sums}; {whole}")


def _show_checkpoint(facts: Facts) -> None:
    progress, model = dict(facts["progress"]), facts["model"]
    show(f"{facts['path']}: checkpoint, {_size(facts['bytes'])}, checksum ok")
    show(f"step {progress.pop('step', '?')}, epoch {progress.pop('epoch', '?')}  ({_pairs(progress)})")
    show(f"model: {model.get('description', 'without a description')}; {facts['count']:,} parameters")
    show(f"       {_pairs(model, without=('description',))}")
    if facts["data"]:
        _show_meaning(facts["data"])
    for section, values in facts["settings"].items():
        text = _pairs(values) if isinstance(values, dict) else _value(values)
        show(f"[{section}] {text}")
    rows = []
    for entry in facts["parameters"]:
        numbers = (_number(entry[key]) if entry["count"] else "" for key in ("mean", "std", "min", "max"))
        rows.append([entry["name"], _shape(entry["shape"]), entry["dtype"], f"{entry['count']:,}", *numbers])
    show(table(["parameter", "shape", "dtype", "count", "mean", "std", "min", "max"], rows, texts=3))
    for fitted in facts["transforms"]:
        values, shape = fitted["values"], _shape(fitted["shape"])
        more = ", …" if len(values) > _VALUES_SHOWN else ""
        show(f"{fitted['name']} ({shape}): {', '.join(f'{value:g}' for value in values[:_VALUES_SHOWN])}{more}")
    slots = ", ".join(f"{slot} ({count:,})" for slot, count in facts["optimizer"].items())
    show(f"optimizer state: {slots or 'none'}")
    show(f"environment: {_pairs(facts['environment'])}")
    show(f"digest: {facts['digest']}")


def _show_meaning(data: Facts) -> None:
    """Print what a checkpoint knows of the data that it was trained on."""
    show(f"trained on {data.get('path', 'data without a path')}:")
    for split, identity in data.get("identity", {}).items():
        show(f"       {split}: {identity}")
    for name, field in data.get("fields", {}).items():
        scale = f", multiplied by {data['scale']:.6g}" if name == "x" and data.get("scale") is not None else ""
        names = f": {', '.join(field['names'])}" if field.get("names") else ""
        show(f"       {name}: {_shape(field.get('shape', ()))} {field.get('dtype', '')}{scale}{names}")


def _show_data(facts: Facts) -> None:
    show(f"{facts['path']}: data file, {_size(facts['bytes'])}, {facts['task']}")
    if classes := facts["classes"]:
        more = " …" if len(classes) > _CLASSES_SHOWN else ""
        show(f"{len(classes)} classes: {', '.join(classes[:_CLASSES_SHOWN])}{more}")
    for key in ("source", "licence", "created_by", "fingerprint"):
        if facts[key]:
            show(f"{key.replace('_', ' ')}: {facts[key]}")
    if facts["scale"] is not None:
        show(f"x is multiplied by {facts['scale']:.6g} when it is read")
    rows = []
    for split, entry in facts["splits"].items():
        for name, dataset in ((name, each) for name, each in entry.items() if name != "samples"):
            chunks = _shape(dataset["chunks"]) if dataset["chunks"] else "contiguous"
            how = (chunks, dataset["compression"] or "none", _size(dataset["stored"]))
            rows.append([split, f"{entry['samples']:,}", name, _shape(dataset["shape"]), dataset["dtype"], *how])
    head = ["split", "samples", "dataset", "shape", "dtype", "chunks", "compression", "stored"]
    show(table(head, rows, texts=7))
    for remark in facts["remarks"]:
        show(remark)


def _show_run(facts: Facts) -> None:
    show(f"{facts['path']}: a run file for {facts['task']} on {facts['data']}")
    rows = []
    for split, entry in facts["splits"].items():
        counts = ", ".join(f"{count:,}" for count in entry.get("classes", ())[:_CLASSES_SHOWN])
        for name, form in entry["fields"].items():
            rows.append([split, f"{entry['samples']:,}", name, _shape(form["shape"]), form["dtype"], counts])
            counts = ""
    show(table(["split", "samples", "field", "shape of one", "dtype", "samples of each class"], rows, texts=5))
    for remark in facts["remarks"]:
        show(remark)


def _show_other(facts: Facts) -> None:
    show(
        f"{facts['path']}: an HDF5 file of {_size(facts['bytes'])} that is neither a distnn checkpoint nor a data file"
    )
    show(f"at its top level: {', '.join(facts['top']) or 'nothing'}; {facts['datasets']} datasets in all")
    if facts["attributes"]:
        show(f"root attributes: {_pairs(facts['attributes'])}")
    if facts["proposal"]:
        show(f"a run file could train on it by {facts['proposal']}, if that is meant; `distnn init --data` writes one")


def _pairs(values: Facts, without: tuple[str, ...] = ()) -> str:
    return ", ".join(f"{key} = {_value(value)}" for key, value in values.items() if key not in without)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "scalar"


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "not finite"


def _size(count: int) -> str:
    """Bytes for people: 812 B, 3.4 MB."""
    size, units = float(count), ["B", "KB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.{0 if units[0] == 'B' else 1}f} {units[0]}"
