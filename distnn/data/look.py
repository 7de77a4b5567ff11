"""What a look at some training samples tells of how well a network can learn from them as they come to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from distnn.arrays import Array
from distnn.data.file.checks import of_pixels
from distnn.data.file.reading import DataFile
from distnn.data.partition import Range
from distnn.data.transforms import RefusedError

#: So many blocks of neighbours, spread over the samples, are looked at, of so many samples each and at most such bytes.
BLOCKS, LENGTH, BYTES = 8, 128, 1024 * 1024
#: How far the spreads of features may be apart, or a feature or a target from 1, before that is said.
APART, FEATURE, TARGET = 1e3, 1e3, 30.0
#: Which part of the different numbers may become equal; more, if what rounding does is so small a part of their spread.
EQUAL, ROUNDING = 0.1, 1e-5

STANDARDIZE = '["standardize"]'


def looked_at(file: DataFile) -> list[Range]:
    """The training samples that are looked at."""
    samples, bytes_of_one = file.count("train"), max(1, file.sample_bytes("train"))
    length = min(LENGTH, max(1, BYTES // bytes_of_one), samples)
    starts = sorted({int(start) for start in np.linspace(0, samples - length, BLOCKS)})
    found: list[Range] = []
    for start in starts:
        begin = max(start, found[-1].stop if found else 0)
        if begin < start + length:
            found.append(Range(begin, start + length))
    return found


def warnings(file: DataFile, fields: Mapping[str, Array], dtype: str) -> list[str]:
    """What is to be said of some samples, as a network of this type sees them.

    Arguments:
        fields: stored values of these samples, by field.
    """
    if file.task == "language":
        return []
    found = []
    for field in ("x", "y") if file.task == "regression" else ("x",):
        values = _transformed(file, field, fields[field])
        if values is None:
            continue
        columns, names = values.reshape(len(values), -1), file.names(field)
        table = len(values.shape) <= 2
        if table and field == "x":
            found += _features(columns, names)
        elif field == "y":
            found += _targets(columns)
        if dtype == "float32":
            found += _equal(field, columns if table else columns.reshape(-1, 1), names if table else ())
    if of_pixels(file.x_dtype, file.sample_shape) and file.scale is None and not file.chains.get("x"):
        found.append(
            "x seems to hold images of 8 bits, which are used as they are, 0..255. Say what they are with "
            'transforms.x = [{kind = "scale", factor = 0.00392156862745098}] for 0..1, or ["standardize"]; or with the '
            "attribute `scale` of x in the file."
        )
    return [f"{file.path}: {text}" for text in found]


def _transformed(file: DataFile, field: str, stored: Array) -> Array | None:
    """The values after the field's transforms, in float64; None if they refuse one, which is told where it is used."""
    chain, scale = file.chains.get(field), file.scale if field == "x" else None
    if chain is None:
        return stored.astype(np.float64) * (1.0 if scale is None else scale)
    values = np.empty((len(stored), *chain.shape))
    try:
        chain.apply(stored, values)
    except RefusedError:
        return None
    return values


def _moments(columns: Array) -> tuple[Array, Array]:
    """The mean and the standard deviation of what each column has besides NaN; 0 where that is nothing."""
    known = ~np.isnan(columns)
    count = np.maximum(known.sum(0), 1)
    mean = np.sum(columns, axis=0, where=known) / count
    return mean, np.sqrt(np.sum(np.square(columns - mean), axis=0, where=known) / count)


def _name(names: Sequence[str], column: int) -> str:
    return f"{names[column]!r}" if column < len(names) else f"column {column}"


def _features(columns: Array, names: Sequence[str]) -> list[str]:
    mean, spread = _moments(columns)
    size = np.hypot(mean, spread)
    varying = np.flatnonzero(spread > 1e-12 * size)
    if not len(varying):
        return []
    widest, narrowest = (varying[pick(spread[varying])] for pick in (np.argmax, np.argmin))
    largest = varying[np.argmax(size[varying])]
    if spread[widest] >= APART * spread[narrowest]:
        what = (
            f"features of x differ much in scale: {_name(names, widest)} spreads by {spread[widest]:.3g}, "
            f"{_name(names, narrowest)} by {spread[narrowest]:.3g}"
        )
    elif size[largest] >= FEATURE:
        what = f"features of x are large: {_name(names, largest)} is about {size[largest]:.3g}"
    else:
        return []
    return [f"{what}; networks learn little from such. Set transforms.x = {STANDARDIZE}."]


def _targets(columns: Array) -> list[str]:
    mean, spread = _moments(columns)
    size = np.hypot(spread, mean)
    far = (size > TARGET) | ((spread > 0) & (spread < 1 / TARGET))
    if not far.any():
        return []
    worst = int(np.argmax(np.where(far, np.abs(np.log(np.maximum(spread, 1e-300))), -1)))
    return [
        f"targets are far from a scale of 1: y has the mean {mean[worst]:.3g} and spreads by {spread[worst]:.3g}; a "
        f"network reaches such only slowly. Set transforms.y = {STANDARDIZE}; predictions stay in the units of y."
    ]


def _equal(field: str, columns: Array, names: Sequence[str]) -> list[str]:
    """Columns in which different numbers become equal in float32."""
    wide = np.sort(columns, axis=0)
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    steps = np.diff(wide, axis=0) > 0
    lost = (steps & ~(np.diff(narrow, axis=0) > 0)).sum(0)
    unit = np.spacing(np.abs(narrow).max(0, initial=0)).astype(np.float64)
    bad = np.flatnonzero((lost > EQUAL * steps.sum(0) + 1) & ~(unit <= ROUNDING * _moments(columns)[1]))
    if not len(bad):
        return []
    column = int(bad[0])
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return [
        f"in float32 different numbers of {field} become equal: of {_name(names, column)}{more} {int(lost[column])} of "
        f"{int(steps[:, column].sum()) + 1} that were looked at, such as {wide[-1, column]:.17g}. Set "
        f'transforms.{field} = {STANDARDIZE}, which is computed before they are rounded, or train.dtype = "float64".'
    ]
