"""Predictions as tables, and the files that hold tables: CSV, Parquet, and npz."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.data.convert.extras import needed
from distnn.errors import DataError

#: The columns of a table, in their order: (N,) each.
Columns = Mapping[str, Array]
#: How many rows of a CSV file are made at a time.
ROWS = 65536


def columns(path: Path, found: Mapping[str, Array], classes: Sequence[str], targets: Sequence[str]) -> Columns:
    """The columns of `distnn.data.predictions.datasets` as a table.

    For classes ``row``, ``prediction`` (the class's name), ``probability_NAME`` of each class, and ``truth`` (the name)
    where it is known. For a regression ``row``, ``prediction`` and ``truth``; of several targets ``prediction_NAME``
    and ``truth_NAME`` each, with their number from 0 where they have no names.

    Raises:
        DataError: predictions that aren't one number, or one class, for each sample and target.
    """
    predicted, truth = found["y_pred"], found.get("y_true")
    if predicted.ndim > (1 if classes else 2):
        shape = " × ".join(map(str, predicted.shape[1:]))
        raise DataError(
            f"{path}: there are {shape} predictions for each sample, which don't fit into the columns of a table; "
            "write them to a file that ends in .h5."
        )
    if len(set(classes)) < len(classes):
        raise DataError(f"{path}: some classes have the same name, as columns can't; write a file that ends in .h5.")
    table: dict[str, Array] = {"row": found["row"]}
    if not classes:
        count = int(np.prod(predicted.shape[1:]))
        for name, values in (("prediction", predicted), ("truth", truth)):
            if values is not None:
                table |= _by_target(name, values.reshape(len(values), count), targets)
        return table
    names = np.array(classes)
    table["prediction"] = names[predicted]
    table |= {f"probability_{name}": found["probabilities"][:, place] for place, name in enumerate(classes)}
    if truth is None:
        return table
    known = (truth >= 0) & (truth < len(names))  # others are labels that don't count
    return table | {"truth": np.where(known, names[np.where(known, truth, 0)], "")}


def _by_target(name: str, values: Array, targets: Sequence[str]) -> dict[str, Array]:
    if values.shape[1] == 1:
        return {name: values[:, 0]}
    known = targets if len(targets) == values.shape[1] else [str(place) for place in range(values.shape[1])]
    return {f"{name}_{target}": values[:, place] for place, target in enumerate(known)}


def _write_csv(path: Path, tables: Sequence[Columns], _: Mapping[str, str]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(tables[0])
        for table in tables:
            for start in range(0, len(table["row"]), ROWS):
                # numpy's text of a number is the shortest that gives its bits again, in float32 as well.
                cells = [values[start : start + ROWS].astype(str).tolist() for values in table.values()]
                writer.writerows(zip(*cells, strict=True))


def _write_parquet(path: Path, tables: Sequence[Columns], about: Mapping[str, str]) -> None:
    arrow, parquet = needed("pyarrow", "tables"), needed("pyarrow.parquet", "tables")
    first = arrow.table(dict(tables[0])).replace_schema_metadata(dict(about))
    with parquet.ParquetWriter(path, first.schema) as writer:
        for table in tables:
            writer.write_table(arrow.table(dict(table)).cast(first.schema))


def _write_npz(path: Path, tables: Sequence[Columns], _: Mapping[str, str]) -> None:
    whole: dict[str, Any] = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    with open(path, "wb") as file:
        np.savez(file, **whole)


#: What writes a file of tables that follow each other and have the same columns, by its ending.
WRITERS: dict[str, Callable[[Path, Sequence[Columns], Mapping[str, str]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".npz": _write_npz,
}
