"""What other programs say of their datasets: NetCDF, MATLAB, and pandas with PyTables.

NetCDF: https://docs.unidata.ucar.edu/nug/current/attribute_conventions.html. MATLAB 7.3 marks each dataset with the
attribute MATLAB_class. PyTables pickles lists of names; they are read without running what a pickle may do.
"""

from __future__ import annotations

import pickletools
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn.arrays import Array
from distnn.data.file.attributes import text, texts
from distnn.data.file.rows import Rows, names_of
from distnn.data.file.views import Changed
from distnn.errors import DataError

#: Of a pickled list of texts and numbers: the operations that only put it together, and those that hold an item.
_STRUCTURE = {"PROTO", "FRAME", "MARK", "LIST", "EMPTY_LIST", "APPEND", "APPENDS", "STOP", "PUT", "BINPUT", "MEMOIZE"}
_ITEMS = {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"}
#: What NetCDF reads where no value was ever written.
_UNWRITTEN = 9.969209968386869e36


def names_in(pickled: Any) -> tuple[str, ...]:
    """The names in a pickled list, none if it is anything else; nothing in it is run.

    >>> names_in(b"(lp0\\nVheight\\np1\\naVwidth\\np2\\na."), names_in(b"cos\\nsystem\\n(S'ls'\\ntR.")
    (('height', 'width'), ())
    """
    names = []
    try:
        for operation, argument, _ in pickletools.genops(bytes(pickled)):
            if operation.name in _ITEMS:
                names.append(str(argument))
            elif operation.name not in _STRUCTURE:
                return ()
    except (ValueError, TypeError):
        return ()
    return tuple(names)


def table_columns(table: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The columns of a dataset of a compound type: by name the field, and the place in it if it holds several."""
    columns: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name in table.dtype.names:
        shape = table.dtype[name].shape
        known = names_in(table.attrs.get(f"{name}_kind", b""))
        if shape and len(known) != int(np.prod(shape)):
            known = ()
        for number, place in enumerate(np.ndindex(shape)):
            words = known[number] if known else f"{name}[{','.join(map(str, place))}]" if place else name
            columns[words if shape else name] = (name, place)
    return columns


def place_names(dataset: Any) -> tuple[str, ...]:
    """What the places along the last axis are called: by the attribute ``names``, or by pandas; empty if unknown."""
    names = texts(dataset.attrs.get("names"))
    block = re.fullmatch(r"(block\d+)_values", dataset.name.rpartition("/")[2])
    if names is None and block:
        items = dataset.parent.get(f"{block[1]}_items")
        # What lies in another file isn't read for its names.
        own = isinstance(items, h5py.Dataset) and not items.external and not items.is_virtual and items.size < 1e6
        names = texts(items[...]) if own else None
    width = dataset.shape[-1] if len(dataset.shape) > 1 else 1
    return names if names is not None and len(names) == width else ()


def frame_blocks(group: Any) -> list[str]:
    """The datasets of a data frame that pandas wrote in its format "fixed"; none for another group."""
    if text(group.attrs.get("pandas_type")) != "frame":
        return []
    return [name for name in group if re.fullmatch(r"block\d+_values", name)]


def refuse_matlab(path: Path, thing: Any) -> None:
    """DataError for what MATLAB stores otherwise than as an array of numbers."""
    kind = text(thing.attrs.get("MATLAB_class"))
    what = ""
    if "MATLAB_sparse" in thing.attrs:
        what = "a sparse matrix; write it as full(…)"
    elif "MATLAB_empty" in thing.attrs:
        what = "an empty array, of which only the size is stored"
    elif kind == "char":
        what = "text (char)"
    elif kind == "cell":
        what = "a cell array, whose cells lie elsewhere in the file; write the numbers as one array, such as cat(…)"
    elif kind is not None and isinstance(thing, h5py.Dataset) and thing.dtype.kind == "O":
        what = f"an object of the class {kind}; write the numbers as an array"
    if what:
        raise DataError(f"{path}: {thing.name} is MATLAB's {what}. Expected an array of numbers.")


def as_it_stands(dataset: Any, notes: list[str]) -> None:
    """Say that a matrix of MATLAB is read without turning it, if nothing was said of its layout."""
    if "MATLAB_class" in dataset.attrs and sum(side > 1 for side in dataset.shape) > 1:
        notes.append(
            f"{dataset.name.lstrip('/')} is read as it stands in the file, {dataset.shape}; in MATLAB its dimensions "
            'stand the other way round, which layout = "reversed" restores, and "channels_last" says that it is right'
        )


def as_meant(rows: Rows, dataset: Any, notes: list[str]) -> Rows:
    """Rows with the values that their dataset's attributes say that its numbers stand for."""
    name = dataset.name.lstrip("/")
    if text(dataset.attrs.get("MATLAB_class")) == "logical":
        return Changed(rows, lambda rows, target, start: np.not_equal(rows, 0, out=target), dtype=np.bool_)
    if rows.dtype.kind not in "iuf":
        return rows
    factor, offset = (_number(dataset, each) for each in ("scale_factor", "add_offset"))
    missing = [value for each in ("_FillValue", "missing_value") if (value := _number(dataset, each)) is not None]
    if not missing and "_NCProperties" in dataset.file.attrs and rows.dtype.kind == "f":
        missing = [rows.dtype.type(_UNWRITTEN)]
    missing = [value for value in missing if np.isfinite(value)]
    if odd := [each for each in ("valid_range", "valid_min", "valid_max") if each in dataset.attrs]:
        notes.append(f"the attribute {odd[0]} of {name} is not applied: all of its values are used")
    if factor is None and offset is None and not missing:
        return rows
    if factor is not None or offset is not None:
        notes.append(f"{name} is read as NetCDF packs it: times scale_factor, plus add_offset")
    if any(each in dataset.attrs for each in ("_FillValue", "missing_value")) and missing:
        notes.append(f"where {name} is {' or '.join(map(str, missing))} (its _FillValue), it is read as missing (NaN)")
    dtype = _unpacked_type(rows.dtype, [value for value in (factor, offset) if value is not None])
    return Changed(rows, _Unpack(factor, offset, missing), dtype=dtype, names=names_of(rows))


class _Unpack:
    """``scale_factor · value + add_offset``, and NaN for what is missing."""

    def __init__(self, factor: Any, offset: Any, missing: list[Any]) -> None:
        self._factor, self._offset, self._missing = factor, offset, missing

    def __call__(self, rows: Array, target: Array, start: int) -> None:
        np.copyto(target, rows, casting="unsafe")
        if self._factor is not None:
            target *= target.dtype.type(self._factor)
        if self._offset is not None:
            target += target.dtype.type(self._offset)
        for value in self._missing:
            target[rows == value] = np.nan


def _unpacked_type(stored: np.dtype[Any], parameters: list[Any]) -> np.dtype[Any]:
    """That of the parameters, as the conventions say; without any, the smallest float that holds the values."""
    floats = [value.dtype for value in parameters if value.dtype.kind == "f"]
    if parameters:
        return np.result_type(*floats, np.float32) if floats else np.dtype(np.float64)
    return stored if stored.kind == "f" else np.result_type(stored, np.float32)


def _number(dataset: Any, name: str) -> Any:
    """An attribute that is one number, as numpy has it; None if there is none."""
    value = np.asarray(dataset.attrs.get(name))
    return value.reshape(-1)[0] if value.dtype.kind in "iuf" and value.size == 1 else None


def beside_data(name: str, thing: Any) -> bool:
    """Whether a dataset only describes others, so that nobody misses it: scales of dimensions, indices, cells."""
    words = name.split("/")
    kind = text(thing.attrs.get("CLASS"))
    pandas = re.fullmatch(r"axis\d+|block\d+_items", words[-1]) is not None
    return kind == "DIMENSION_SCALE" or pandas or any(word in ("_i_table", "#refs#", "#subsystem#") for word in words)
