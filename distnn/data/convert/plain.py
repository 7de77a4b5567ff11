"""Samples to predict for, from a plain array or a table: they become a data file for as long as they are needed."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn.data.convert.columns import DATE, LOGICAL, MISSING
from distnn.data.convert.csv import MARKS
from distnn.data.convert.extras import needed
from distnn.data.convert.npz import UNREADABLE, WORDS
from distnn.data.convert.parquet import read_all
from distnn.data.file.checks import listing
from distnn.errors import DataError, nearest

#: The endings of what isn't HDF5.
ENDINGS = (".npz", ".csv", ".tsv", ".parquet")
DELIMITERS = ",;\t"
SECONDS_A_DAY = 86400


@dataclass(frozen=True)
class Trained:
    """What is known of the data that a network was trained on.

    Arguments:
        features, targets: their names; empty if they aren't known.
        shape, dtype: of one sample as stored.
        task: that of the network.
    """

    features: Sequence[str]
    targets: Sequence[str]
    shape: tuple[int, ...]
    dtype: str
    task: str


@dataclass
class Plain:
    """Samples, what is to be predicted of them where that is there, and what is to be said of both."""

    x: np.ndarray
    y: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)


def convert(source: Path, target: Path, split: str, trained: Trained, name: str | None = None) -> list[str]:
    """Write what a file of arrays or a table holds as one split of a data file, and say how it was read.

    Arguments:
        source: the file; its ending says what it is.
        target: the data file.
        split: of which name.
        trained: what its columns are matched with.
        name: of the array, in an npz file.

    Raises:
        DataError: it can't be read, or hasn't the features that the network was trained on.
    """
    if not source.is_file():
        raise DataError(f"There is no file {source} (looked in {source.absolute().parent}); check the path.")
    if source.suffix.lower() == ".npz":
        found = _archive(source, name)
    elif name is not None:
        raise DataError(f"{source} is a table, whose columns are matched by their names; leave --x out.")
    else:
        found = _table(source, trained)
    found = Plain(_stored(source, "samples", found.x), _answers_stored(source, found), found.notes)
    with h5py.File(target, "w") as file:
        group = file.create_group(split)
        group["x"] = found.x
        if trained.features and found.x.shape[1:] == (len(trained.features),):
            group["x"].attrs["names"] = list(trained.features)
        if found.y is not None:
            group["y"] = found.y
    return found.notes


def _stored(path: Path, what: str, values: np.ndarray) -> np.ndarray:
    """Values as HDF5 stores them; DataError for what are neither numbers nor, of classes, texts, of some samples."""
    if values.dtype.kind == "U" and what == "targets":
        return values.astype(object)
    if values.ndim == 0 or not (values.dtype.kind in "biuf" or (values.dtype.kind in "SO" and what == "targets")):
        raise DataError(
            f"{path}: the {what} have the type {values.dtype} and the shape {values.shape}; expected numbers, for each "
            "sample as in training."
        )
    return values


def _answers_stored(path: Path, found: Plain) -> np.ndarray | None:
    """What is to be predicted, where it is something that can be."""
    try:
        return None if found.y is None else _stored(path, "targets", found.y)
    except DataError as error:
        found.notes.append(f"what is to be predicted is not used: {error}")
        return None


def _archive(path: Path, name: str | None) -> Plain:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("it is a .npy file with one array")
        with loaded as file:
            names = list(file)
            usual = [each for each in names if each.lower() in WORDS["x"]] if len(names) > 1 else names
            wanted = name if name is not None else usual[0] if len(usual) == 1 else None
            if wanted not in names:
                hint = nearest(str(name), names) if name is not None else ""
                what = f"no array '{name}'{hint}" if name is not None else "several arrays"
                raise DataError(f"{path} has {what}: it holds {listing(names)}. Name the samples with --x NAME.")
            x = file[wanted]
            answers = [each for each in names if each.lower() in WORDS["y"] and each != wanted]
            y = file[answers[0]] if len(answers) == 1 else None
    except DataError:
        raise
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} can't be read as a numpy archive ({reason}); save it with numpy.savez.") from error
    return Plain(x, y if y is not None and y.shape[:1] == x.shape[:1] else None)


def _table(path: Path, trained: Trained) -> Plain:
    words = [feature for feature in trained.features if "=" in feature]
    if path.suffix.lower() == ".parquet":
        known = {*trained.features, *trained.targets, *(word[: word.index("=")] for word in words)}
        frame = read_all(path, known)
    else:
        frame = _frame(path, words)
    if not trained.features:
        return _by_order(path, frame, trained)
    notes: list[str] = []
    x = np.empty((len(frame), len(trained.features)))
    for place, feature in enumerate(trained.features):
        home = _home(feature, frame.columns)
        if home is None:
            raise DataError(
                f"{path} has no column '{feature}'{nearest(feature, frame.columns)}, which the network was trained on; "
                f"it has {listing(frame.columns)}."
            )
        series = frame[home]
        if home == feature:
            x[:, place] = _numbers(path, series)
        else:
            x[:, place] = _words(series, _known(home, words)) == feature[len(home) + 1 :]
    homes = {feature: str(_home(feature, frame.columns)) for feature in words}
    for home in dict.fromkeys(homes.values()):
        known = _known(home, words)
        if home not in trained.features and (new := sorted({*_words(frame[home], known)} - known)):
            notes.append(f"column '{home}' has words that weren't there in training, and count as none: {listing(new)}")
    used = {_home(feature, frame.columns) for feature in trained.features} | {*trained.targets}
    if unused := [name for name in frame.columns if name not in used]:
        notes.append(f"not used: {listing(unused)}")
    return Plain(_typed(x.reshape(len(frame), *trained.shape), trained), _answers(path, frame, trained), notes)


def _frame(path: Path, words: Sequence[str]) -> Any:
    """A table of text, as a DataFrame, in which columns of words are texts."""
    pandas = needed("pandas", "tables")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            line = file.readline()
        delimiter = max(DELIMITERS, key=line.count)
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
        texts = {home: str for word in words if (home := _home(word, names)) is not None and home != word}
        header = None if names and all(map(_is_number, names)) else 0
        if doubles := sorted({name for name in names if header == 0 and names.count(name) > 1}):
            raise ValueError(f"the column name '{doubles[0]}' is used twice; name each column once")
        with warnings.catch_warnings():
            # Else pandas takes the first values of lines that are longer than the header for names of the rows, and
            # all others for those of the column before theirs.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            columns = names if header == 0 else range(len(names))
            frame = pandas.read_csv(
                path,
                keep_default_na=False,
                na_values={name: [""] if name in texts else MARKS for name in columns},
                sep=delimiter,
                header=header,
                dtype=texts,
                encoding="utf-8-sig",
                skipinitialspace=True,
                index_col=False,
            )
        frame.columns = [str(name).strip() for name in frame.columns]
        return frame
    except pandas.errors.ParserWarning as error:
        raise DataError(f"{path} has lines with more fields than columns; expected a field for each.") from error
    except (OSError, ValueError, ArithmeticError, csv.Error) as error:
        raise DataError(f"{path} can't be read as a table: {' '.join(str(error).split())}") from error


def _home(feature: str, columns: Sequence[str]) -> str | None:
    """The column of a feature: of its name, or of the name before its word."""
    if feature in columns:
        return feature
    ends = [place for place, letter in enumerate(feature) if letter == "="]
    return next((feature[:end] for end in ends if feature[:end] in columns), None)


def _by_order(path: Path, frame: Any, trained: Trained) -> Plain:
    """Columns without known names, as they follow each other."""
    names = [name for name in frame.columns if name not in trained.targets]
    count = int(np.prod(trained.shape))
    if len(names) != count:
        raise DataError(
            f"{path} has {len(names)} columns, but the network takes {count} numbers for each sample; expected as many "
            "columns, in the order of training."
        )
    x = np.stack([_numbers(path, frame[name]) for name in names], axis=1).reshape(len(frame), *trained.shape)
    said = "the columns are taken in their order, for the names of training aren't known"
    return Plain(_typed(x, trained), _answers(path, frame, trained), [said])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _known(home: str, features: Sequence[str]) -> set[str]:
    """The words of a column, as the features of training name them."""
    return {feature[len(home) + 1 :] for feature in features if feature.startswith(f"{home}=")}


def _words(series: Any, known: set[str]) -> np.ndarray:
    """The texts of a column of words; marks of missing values are words only where they were in training."""
    texts = _texts(series)
    texts[[text in MARKS and text not in known for text in texts]] = MISSING
    return texts


def _texts(series: Any) -> np.ndarray:
    texts: np.ndarray = (
        series.astype(object).where(series.notna(), MISSING).astype(str).str.strip().to_numpy(dtype=object)
    )
    return texts


def _numbers(path: Path, series: Any) -> np.ndarray:
    """A column as float64: numbers, True and False, or dates as days."""
    pandas = needed("pandas", "tables")
    if series.dtype.kind in "biuf":
        return np.asarray(series, np.float64)
    texts = series.astype(object).where(series.notna(), "").astype(str).str.strip()
    if series.dtype.kind == "M" or texts.map(lambda text: DATE.fullmatch(text) is not None).all():
        moments = pandas.to_datetime(series, utc=True)
        return np.asarray((moments - pandas.Timestamp(0, tz="UTC")).dt.total_seconds() / SECONDS_A_DAY, np.float64)
    values = pandas.to_numeric(texts.str.lower().replace(LOGICAL), errors="coerce").where(series.notna())
    bad = np.flatnonzero(np.asarray(values.isna() & series.notna()))
    if len(bad):
        raise DataError(
            f"{path}, row {bad[0]} (from 0), column '{series.name}': {str(series.iloc[bad[0]])[:80]!r} is not a "
            "number, as this feature was in training. Correct it, or leave that row out."
        )
    return np.asarray(values, np.float64)


def _typed(x: np.ndarray, trained: Trained) -> np.ndarray:
    """In the type of training, if that holds them all."""
    if np.dtype(trained.dtype).kind in "biu":
        whole = x.astype(trained.dtype) if np.isfinite(x).all() else x
        return whole if (whole == x).all() else x
    return x.astype(trained.dtype)


def _answers(path: Path, frame: Any, trained: Trained) -> np.ndarray | None:
    """The columns of the targets, if all of them are there; of classes their names."""
    if not trained.targets or any(name not in frame.columns for name in trained.targets):
        return None
    if trained.task == "classification":
        return _texts(frame[trained.targets[0]])
    try:
        columns: Mapping[str, np.ndarray] = {name: _numbers(path, frame[name]) for name in trained.targets}
    except DataError:
        return None
    return np.stack(list(columns.values()), axis=1)
