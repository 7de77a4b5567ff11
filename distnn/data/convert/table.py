"""Tables: one sample a row; some columns are targets, the others are features. The same for every file format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from distnn.data.convert.columns import KINDS, Categories, Numbers, Table, categories, encode, quantities, words
from distnn.data.convert.labels import MOST_CLASSES, infer_task, listed
from distnn.data.convert.splits import TENTHS, Shares, cut
from distnn.data.file.writing import About, write_fields
from distnn.errors import DataError, nearest

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are for.

    Attributes:
        target: the columns to predict.
        drop: columns that are left out.
        types: column → category, number or date, where its values don't say it.
        missing: what to do about a value that is missing: ``refuse``, ``drop`` its line, or ``keep`` it, as NaN.
        weight: a column of how much each row counts; it isn't a feature.
        group: a column of which no value may be in two splits; it isn't a feature.
        task: classification or regression; None: see `labels.infer_task`.
    """

    target: tuple[str, ...]
    drop: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    missing: str = "refuse"
    weight: str | None = None
    group: str | None = None
    task: str | None = None

    def resolved(self, path: Path, header: Sequence[str], hint: str = "") -> Roles:
        """These, with lists such as ``u,v`` as the columns that they name.

        Raises:
            DataError: there is no such column, one is used for two purposes, or no feature is left.
        """
        there = dict.fromkeys(header)
        target, drop = (_expanded(path, names, there, hint) for names in (self.target, self.drop))
        _expanded(path, [*self.types, *self.others], there, hint, lists=False)
        used = [*target, *drop, *self.others]
        if twice := sorted({name for name in used if used.count(name) > 1}):
            raise DataError(f"{path}: column '{twice[0]}' is named for two purposes; name it for one.")
        for name, kind in self.types.items():
            if kind not in KINDS:
                raise DataError(
                    f"{path}: column '{name}' can't be a {kind}{nearest(kind, KINDS)}; expected {', '.join(KINDS)}."
                )
            if name in target and (kind == "number" or (kind == "category" and self.task == "regression")):
                raise DataError(f"{path}: column '{name}' is a target; --task regression says that it is a number.")
        if not target or len(used) >= len(header):
            left = f"only the columns {listed(header)}" if used else "no target"
            raise DataError(f"{path} has {left}; expected a target and at least one column of features.")
        return replace(self, target=target, drop=drop)

    @property
    def others(self) -> list[str]:
        """The columns that are neither targets nor features."""
        return [name for name in (self.weight, self.group) if name is not None]

    @property
    def texts(self) -> dict[str, str]:
        """The columns whose values are taken as they are written, and the kind of those that have one."""
        named = [*self.target, *([] if self.group is None else [self.group])]
        kinds = {name: kind for name, kind in self.types.items() if kind != "number"}
        return dict.fromkeys(named, "") | kinds


@dataclass(frozen=True)
class Target:
    """What is to be predicted: y (N,) or (N, columns), the names of the classes, and what was said of it."""

    task: str
    y: np.ndarray
    classes: tuple[str, ...]
    note: str


def convert_table(
    output: str | Path, table: Table, columns: Roles, *, cutting: Shares = TENTHS, tell: Tell = str, force: bool = False
) -> Path:
    """Make a data file of a table: x (N, features) float32, or float64 where that is needed; y labels or float64.

    Args:
        output: the file to write.
        table: what was read.
        columns: what its columns are for, `Roles.resolved`.
        cutting: how the rows are split.
        tell: called with a line for each column that isn't taken as plain numbers.
        force: replace an existing file.

    Raises:
        DataError: a value that can't be used, with its line and column, or columns without a meaning.
    """
    features = [name for name in table.frame.columns if name not in {*columns.target, *columns.drop, *columns.others}]
    table = _without_missing(table, columns, features, tell)
    encoded = [encode(table, name, columns.types.get(name)) for name in features]
    target = _target(table, columns)
    tell(target.note)
    for one in encoded:
        if one.note:
            tell(f"column '{one.name}': {one.note}")
    x, names = _joined(encoded)
    fields = {"x": x, "y": target.y} | _counting(table, columns, target.y, tell)
    labels = target.y if target.classes else np.zeros(len(x), np.uint8)
    groups = None if columns.group is None else words(table.frame[columns.group])[0]
    rows = cut(table.path, labels, groups, cutting)
    return write_fields(
        output,
        {split: {name: values[index] for name, values in fields.items()} for split, index in rows.items()},
        About(target.task, target.classes, f"table {table.path.name}"),
        names={"x": names, "y": columns.target},
        missing=columns.missing == "keep",
        force=force,
    )


def _counting(table: Table, columns: Roles, y: np.ndarray, tell: Tell) -> dict[str, np.ndarray]:
    """The fields ``weight`` and ``mask``, if there are weights, or targets that are missing."""
    fields = {}
    if columns.weight is not None:
        fields["weight"] = weight = quantities(table, columns.weight)
        if (weight < 0).any():
            raise DataError(
                f"{table.at(columns.weight, int(np.argmax(weight < 0)))} is not a weight; expected 0 or more."
            )
        tell(f"column '{columns.weight}': how much each {table.unit} counts")
    if (absent := np.isnan(y)).any():
        fields["mask"] = ~absent
        tell(f"missing targets are masked: {np.count_nonzero(absent)} of {absent.size}")
    return fields


def _expanded(
    path: Path, given: Iterable[str], header: Mapping[str, Any], hint: str, *, lists: bool = True
) -> tuple[str, ...]:
    """The columns that are named: each by itself, or several by a list with commas."""
    names = [
        name.strip() if name not in header else name
        for text in given
        for name in (text.split(",") if lists and text not in header else [text])
    ]
    for name in names:
        if name not in header:
            raise DataError(
                f"{path} has no column '{name}'{nearest(name, header)}; its columns are {listed(list(header))}.{hint}"
            )
    return tuple(names)


def _without_missing(table: Table, columns: Roles, features: list[str], tell: Tell) -> Table:
    """The table, without the rows whose values are missing if these are to be dropped."""
    used = [*features, *columns.target, *columns.others]
    absent = table.frame[used].isna()
    rows = absent.to_numpy().any(axis=1)
    if columns.missing == "drop" and rows.any():
        tell(f"{np.count_nonzero(rows)} of {len(rows)} {table.unit}s left out, in which a value is missing")
        if rows.all():
            worst = absent.sum().idxmax()
            raise DataError(
                f"{table.path}: a value is missing in every {table.unit}, most often in column '{worst}'; leave that "
                f"column out with --drop '{worst}'."
            )
        return replace(table, frame=table.frame[~rows])
    kept = {*features, *(columns.target if _may_lack(columns) else ())} if columns.missing == "keep" else set()
    refused = [name for name in used if name not in kept]
    bad = absent[refused].to_numpy()
    if bad.any():
        row, place = np.unravel_index(int(np.argmax(bad)), bad.shape)
        name = refused[place]
        keep = ', --missing keep stores NaN, for x = ["fill"] in [transforms]'
        if name in columns.target:
            keep = ", --missing keep with --task regression masks it"
        if name in columns.others or columns.missing == "keep":
            keep = ""
        text = table.spot(int(table.frame.index[row]), name)[1]
        word = f", --types '{name}=category' takes it for a word" if text and name not in columns.others else ""
        raise DataError(
            f"{table.at(name, int(row))}: the value is missing. --missing drop leaves such {table.unit}s out"
            f"{keep}{word}; or leave the column out with --drop '{name}'."
        )
    counts = absent[features].sum()
    if nothing := [name for name, count in counts.items() if count == len(rows)]:
        raise DataError(
            f"{table.path}: column '{nothing[0]}' has no value in any {table.unit}; leave it out with --drop "
            f"'{nothing[0]}'."
        )
    if told := [f"{name} ({count})" for name, count in counts.items() if count]:
        tell(f'missing values are kept as NaN, for x = ["fill"] in [transforms], of the columns {listed(told)}')
    return table


def _may_lack(columns: Roles) -> bool:
    """Whether targets may be missing: they are quantities, then, and a mask leaves them out."""
    return columns.task == "regression" or len(columns.target) > 1 or "date" in map(columns.types.get, columns.target)


def _target(table: Table, columns: Roles) -> Target:
    if len(columns.target) > 1 or columns.types.get(columns.target[0]) == "date":
        return _quantities(table, columns)
    name = columns.target[0]
    codes, distinct = words(table.frame[name])
    given = "classification" if name in columns.types else columns.task
    task = given or infer_task(f"{table.path}: column '{name}'", distinct, len(codes))
    if task == "regression":
        return _quantities(table, columns)
    found = categories(name, codes, distinct)
    if not 1 < len(found.words) <= MOST_CLASSES:
        raise DataError(
            f"{table.path}: column '{name}' holds "
            + (f"{len(found.words)} different values; too many classes." if len(found.words) > 1 else
               f"the same value, {found.words[0]!r}, in all {len(codes)} {table.unit}s; expected at least two classes.")
        )  # fmt: skip
    return Target(task, found.codes, found.words, f"target '{name}': {len(found.words)} classes, {listed(found.words)}")


def _quantities(table: Table, columns: Roles) -> Target:
    if columns.task == "classification":
        raise DataError(
            f"{table.path}: the targets {listed(columns.target)} can't be classes; expected one column of classes, or "
            "--task regression."
        )
    parts = []
    for name in columns.target:
        if columns.types.get(name) == "date":
            one = encode(table, name, "date")
            assert isinstance(one, Numbers)
            parts.append(one.values)
        else:
            parts.append(quantities(table, name))
    ranges = []
    for name, values in zip(columns.target, parts, strict=True):
        if np.isnan(values).all():
            raise DataError(
                f"{table.path}: column '{name}' has no value in any {table.unit}; expected some to predict."
            )
        ranges.append(f"'{name}' from {np.nanmin(values):g} to {np.nanmax(values):g}")
    y = parts[0] if len(parts) == 1 else np.stack(parts, axis=1)
    return Target("regression", y, (), f"quantities to predict: {', '.join(ranges)}")


def _joined(encoded: Sequence[Numbers | Categories]) -> tuple[np.ndarray, tuple[str, ...]]:
    """x (N, features), and the names of the features."""
    names = tuple(name for one in encoded for name in one.names)
    rows = len(encoded[0].values if isinstance(encoded[0], Numbers) else encoded[0].codes)
    x = np.empty((rows, len(names)), np.float64 if any(one.wide for one in encoded) else np.float32)
    start = 0
    for one in encoded:
        stop = start + len(one.names)
        one.fill(x[:, start:stop])
        start = stop
    return x, names
