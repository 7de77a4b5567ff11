"""Good files of each kind that distnn reads, and what makes damaged, odd and hostile ones of them.

`SUBJECTS` are data sets with a run file, each read through other doors; `odd` changes documents, `odd_data` data files,
and `odd_table`, `odd_archive`, `odd_images` what converters and ``predict`` read.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import os
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.support.runs import run_file, some_digits

#: What is put in place of a value.
ODD: list[Any] = [None, True, -1, 0, 2**63, 10**40, 1e308, float("nan"), "", "x" * 5000, "\0", [], {}, [[]], {"a": {}}]
ODD += ["trap:Trap", "../secret/file.h5", -(2**63), 3.7, ["a"] * 3, "nan", "\x1b[31mred\x9b\u202e", [2**62], [-1, 1e9]]
#: What is put in place of a name.
NAMES = ["", ".", "..", "../secret/file.h5", "a/b", "\x1b]0;title\x07", "a\nb", "\x7f", "x" * 300, "é\u202e", "a" * 3]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The bytes with something flipped, cut, overwritten, or put in."""
    found = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 8, 64])):
        place, length = chance.randrange(len(found)), chance.choice([1, 2, 4, 8, 64, 512])
        way = chance.randrange(6)
        if way == 0:
            found[place] ^= 1 << chance.randrange(8)
        elif way == 1:
            found[place : place + length] = bytes(len(found[place : place + length]))
        elif way == 2:
            found[place : place + length] = chance.randbytes(len(found[place : place + length]))
        elif way == 3:
            found[place : place + length] = b"\xff" * len(found[place : place + length])
        elif way == 4:
            found[place:place] = found[place : place + length]
        elif len(found) > 16:
            del found[chance.randrange(8, len(found)) :]
    return bytes(found)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values within nested tables and lists."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*way, key)
        yield from places(item, (*way, key))


def odd(table: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The table with some values replaced, or gone."""
    found = copy.deepcopy(table)
    for _ in range(chance.choice([1, 1, 2, 4])):
        *way, key = chance.choice([*places(found)] or [("x",)])
        inner: Any = found
        for each in way:
            inner = inner[each]
        if chance.random() < 0.2 and key in (inner if isinstance(inner, dict) else range(len(inner))):
            del inner[key]
        else:
            inner[key] = copy.deepcopy(chance.choice(ODD))
        if not found:
            break
    return found


def odd_arrays(arrays: dict[str, np.ndarray], chance: random.Random) -> dict[str, np.ndarray]:
    """Named arrays, of which one has other values, another shape or type, or is gone or new."""
    found = dict(arrays)
    name = chance.choice([*found] or ["x.0.standardize.mean"])
    old = found.get(name, np.zeros(2)).astype(float)
    new = [old * np.nan, old + np.inf, old * 0, -np.abs(old) - 1, old * 1e300, old[:0], old[..., None], np.float64(1)]
    new += [np.zeros(7), old.astype(complex), old > 0, np.zeros((2, 0)), np.full(old.shape, -(2**31), np.int32)]
    if chance.random() < 0.15:
        found.pop(name, None)
    elif chance.random() < 0.15:
        found["x.0.new\x1b[0m.mean"] = old
    else:
        found[name] = np.asarray(chance.choice(new))
    return found


def declare_much(path: Path, chance: random.Random) -> None:
    """Have an array of a checkpoint be of enormous size, without values."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        names: list[str] = []
        file.visititems(lambda name, thing: names.append(name) if isinstance(thing, h5py.Dataset) else None)
        name = chance.choice(names)
        shape, dtype = (chance.choice([10**8, 10**12, 2**60]), *file[name].shape[1:]), file[name].dtype
        del file[name]
        file.create_dataset(name, shape, dtype)


def odd_data(path: Path, chance: random.Random, secret: Path) -> None:
    """A whole HDF5 file that isn't the data file it seems to be."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, thing: names.append(name) if isinstance(thing, h5py.Dataset) else None)
        name = chance.choice(names)
        way = chance.randrange(10)
        if way == 0:
            odd_attribute(file, chance.choice(["task", "classes", "new", "\x1b[2J"]), chance)
        elif way == 1:
            known = ["scale", "names", "_FillValue", "scale_factor", "add_offset", "MATLAB_class", "CLASS", "valid_min"]
            odd_attribute(file[name], chance.choice(known), chance)
        elif way == 2:
            group = file[name].parent
            group["\x1b]0;title\x07\n"] = np.zeros(len(file[name]) if file[name].shape else 1)
        else:
            odd_dataset(file, name, chance, secret)


def odd_attribute(thing: Any, name: str, chance: random.Random) -> None:
    values = ["", "regression", "language", 7, np.nan, [b"a", b"\xff"], np.zeros((3, 3)), ["x"] * 100, 0, -1, np.inf]
    values += ["1", [1, 2], 1e-300, "\x1b[31m", ["\x1b[31m", "\n"], h5py.Empty("f4"), np.array(2 + 1j)]
    thing.attrs[name] = chance.choice(values)


def odd_dataset(file: h5py.File, name: str, chance: random.Random, secret: Path) -> None:
    """Something else in a dataset's place."""
    shape, dtype, way = file[name].shape, file[name].dtype, chance.randrange(8)
    rest = shape[1:]
    del file[name]
    if way == 0:
        file[name] = h5py.ExternalLink(str(secret), "x")
    elif way == 1:
        file[name] = h5py.SoftLink(chance.choice(["/nowhere", f"/{name}", f"/{name.rpartition('/')[0]}"]))
    elif way == 2:
        file.create_dataset(name, shape, dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    elif way == 3:
        layout = h5py.VirtualLayout(shape, dtype)
        where = chance.choice([str(secret), ".", "gone.h5", "../secret/file.h5"])
        layout[()] = h5py.VirtualSource(where, chance.choice(["x", name]), shape)
        file.create_virtual_dataset(name, layout)
    elif way == 4:
        new = chance.choice([(10**12, *rest), (0, *rest), shape[:1], (*shape, 2), (), (2**62, 2), (3, *rest[::-1])])
        chunks, most = tuple(min(n, 4) or 1 for n in new) or None, (None,) * len(new) or None
        file.create_dataset(name, new, dtype, chunks=chunks, maxshape=most)
    elif way == 5:
        types = ["f2", "c8", "S3", h5py.string_dtype(), "i8", ">f4", np.dtype([("a", "i4")]), "f8", "?", "u8"]
        types += [h5py.ref_dtype, h5py.vlen_dtype("f4"), h5py.opaque_dtype("M8[s]"), h5py.enum_dtype({"\x1b[0m": 1})]
        file.create_dataset(name, shape, chance.choice(types), chunks=True if shape else None)
    elif way == 6:
        columns = [f"c{k}" for k in range(900)] if chance.random() < 0.3 else ["\x1b[31m", "u", "\n"]
        file[name] = np.zeros(shape[:1], [(column, "f4") for column in columns])
    else:
        file.create_group(name)


def odd_index(path: Path, chance: random.Random, secret: Path) -> None:
    """An index of files that says what isn't so, or isn't one."""
    text, way = path.read_bytes(), chance.randrange(4)
    table = json.loads(text)
    path.unlink()
    if way == 0:
        path.symlink_to(secret)
    elif way == 1:
        path.write_bytes(damaged(text, chance))
    else:
        if chance.random() < 0.5:
            table["files"] |= {str(secret): [1, 2, 0], "../../secret/file.h5": [1, 2, 0]}
        path.write_text(json.dumps(odd(table, chance)), encoding="utf-8")


def odd_table(path: Path, chance: random.Random) -> None:
    """A CSV table, with odd cells, lines or names of columns."""
    rows = [*csv.reader(io.StringIO(path.read_text(encoding="utf-8")))]
    cells = [
        "",
        "nan",
        "-inf",
        "1e999",
        "9" * 5000,
        "=1+1",
        "1_000",
        "\x1b[31m",
        "\0",
        '"',
        "x" * 200_000,
        "2024-13-45",
    ]
    cells += ["a\nb", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "1,5", "True", "\u0661", "0x10"]
    for _ in range(chance.choice([1, 1, 3])):
        way, row = chance.randrange(6), chance.choice(rows)
        if way <= 1:
            row[chance.randrange(len(row))] = chance.choice(cells)
        elif way == 2:
            rows[0][chance.randrange(len(rows[0]))] = chance.choice([*NAMES, rows[0][0]])
        elif way == 3:
            row[len(row) - 1 :] = ["1"] * chance.choice([0, 3, 20_000])
        elif way == 4:
            place = chance.randrange(len(rows[0]))
            rows[1:] = [[*each[:place], chance.choice(cells[:8]), *each[place + 1 :]] for each in rows[1:]]
        else:
            del rows[chance.randrange(1, len(rows)) :]
            rows.append(["1"])
    text = io.StringIO()
    csv.writer(text, delimiter=chance.choice(",,,;\t|"), lineterminator="\n").writerows(rows)
    path.write_bytes(text.getvalue().encode(chance.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"])))


def odd_parquet(path: Path, chance: random.Random) -> None:
    """A Parquet table with a column of an odd type or name, or with odd notes about itself."""
    import pyarrow as arrow
    from pyarrow import parquet

    table = parquet.read_table(path)
    count, place = table.num_rows, chance.randrange(table.num_columns)
    values = [[1, 2], {"a": 1}, b"\xff", True, "\x1b[31m", 2**62, None, 1e400, "x" * 100_000, [[None]]]
    columns = [arrow.array([value] * count) for value in values]
    for text in ("decimal128(38, 2)", "duration('ns')", "time64('ns')", "float16()", "date64()", "timestamp('ns')"):
        name, _, rest = text.partition("(")
        argument = [int(each) if each.strip().isdigit() else each.strip("' )") for each in rest.strip(")").split(",")]
        kind = getattr(arrow, name)(*(each for each in argument if each != ""))
        columns.append(arrow.nulls(count, kind))
    columns.append(arrow.array(["a"] * count).dictionary_encode())
    way = chance.randrange(4)
    if way <= 1:
        table = table.set_column(place, table.column_names[place], chance.choice(columns))
    elif way == 2:
        names = [*table.column_names]
        names[place] = chance.choice([*NAMES, names[0]])
        table = table.rename_columns(names)
    else:
        notes = odd({"columns": [{"name": "a", "pandas_type": "object"}], "index_columns": ["tip"]}, chance)
        table = table.replace_schema_metadata({"pandas": json.dumps(notes)})
    parquet.write_table(table, path)


def odd_archive(path: Path, chance: random.Random) -> None:
    """A numpy archive with an odd array, or with a member that is none."""
    with np.load(path) as loaded:
        arrays = dict(loaded)
    name, way = chance.choice([*arrays]), chance.randrange(4)
    old = arrays[name]
    if way == 0:
        new = [
            np.float64(1),
            old[:0],
            old[..., None],
            old.astype(complex),
            np.full(old.shape, "\x1b[31m"),
            old * np.nan,
        ]
        new += [np.zeros(len(old), "M8[s]"), np.zeros(len(old), [("a", "f4")]), np.zeros((len(old), 0)), old == 0]
        arrays[name] = chance.choice(new)
    elif way == 1:
        arrays[chance.choice(NAMES)] = arrays.pop(name)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    if way >= 2:
        heads = ["'|O', 'fortran_order': False, 'shape': (1,)", "'<f4', 'fortran_order': False, 'shape': (10**12,)"]
        heads += [f"'<f4', 'fortran_order': False, 'shape': ({10**12},)", "'<f4', 'shape': (-1,)", "__import__('trap')"]
        heads += [
            f"'<f4', 'fortran_order': 3, 'shape': ({2**63}, 2)",
            "[" * 9000,
            "'<f4', 'fortran_order': 0, 'shape':",
        ]
        head = f"{{'descr': {chance.choice(heads)}}}\n".encode()
        content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + b"ctrap\nTrap\n."
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "a") as file:
            file.writestr(f"{chance.choice(['../x', 'x_new', name])}.npy", content)


def png(width: int, height: int, rows: bytes) -> bytes:
    """A grey PNG image that says it has this size."""

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


def grey(size: int, value: int) -> bytes:
    return png(size, size, (b"\0" + bytes([value]) * size) * size)


def odd_images(folder: Path, chance: random.Random) -> None:
    """A folder of images with an odd one among them."""
    path, way = chance.choice(sorted(folder.rglob("*.png"))), chance.randrange(7)
    if way == 0:
        path.write_bytes(damaged(path.read_bytes(), chance))
    elif way == 1:
        path.write_bytes(png(*chance.choice([(10**5, 10**5), (2**31 - 1, 1), (0, 0), (1, 2**31 - 1)]), bytes(4096)))
    elif way == 2:
        path.rename(path.with_name(chance.choice([name for name in NAMES[5:] if len(name) < 200]) + ".png"))
    elif way == 3:
        path.unlink()
        chance.choice([lambda: os.mkfifo(path), path.mkdir, path.touch, lambda: path.symlink_to(path)])()
    elif way == 4:
        path.parent.rename(path.parent.with_name(chance.choice(["\x1b[31m", "a\nb", "train", ".hidden", "é\u202e"])))
    elif way == 5:
        path.write_bytes(grey(9, 9))
    else:
        path.with_name("circle").symlink_to(folder)


def digits(folder: Path) -> Path:
    """The usual data file."""
    data = some_digits(folder / "digits.h5", 60, 20)
    return run_file(folder / "digits.toml", data={"path": str(data), "batch_size": 30}, train={"epochs": 1})


def fields(folder: Path) -> Path:
    """Features, targets, weights and a mask that a run file has to find in another's file, and transforms."""
    chance, path = np.random.default_rng(0), folder / "fields.h5"
    with h5py.File(path, "w") as file:
        file["in/a"], file["in/b"] = chance.normal(size=40), chance.normal(size=40)
        file["in/a"][::7] = np.nan
        table = np.zeros(40, [("u", "f4"), ("v", "f8"), ("n", "i4")])
        table["u"], table["v"] = chance.normal(size=(2, 40))
        file["out"] = table
        file["aside/weight"], file["aside/mask"] = chance.random(40), chance.random((2, 40)) < 0.8
        file["aside/patient"] = np.arange(40) // 4
    places = {"x": {"path": ["in/a", "in/b"]}, "y": {"path": "out", "columns": ["u", "v"]}}
    aside = {"weight": "aside/weight", "mask": {"path": "aside/mask", "layout": "reversed"}}
    split = {"validation": 0.2, "test": 8, "group": "aside/patient"}
    data = {"path": str(path), "task": "regression", "batch_size": 8, "split": split, **places, **aside}
    return run_file(
        folder / "fields.toml",
        model={"kind": "linear"},
        data=data,
        transforms={"x": [{"kind": "fill"}, "standardize"], "y": ["standardize"]},
        train={"epochs": 2, "monitor": "mae", "patience": 3, "target": 0.0001},
        metrics={"kinds": ["mae", "r2"]},
    )


def maps(folder: Path) -> Path:
    """A file for each sample, with an index beside them, and a class for each of its points."""
    chance = np.random.default_rng(0)
    for split, count in {"train": 4, "validation": 2}.items():
        (folder / "maps" / split).mkdir(parents=True)
        for k in range(count):
            values = chance.normal(size=(3, 6, 4)).astype("float32")
            with h5py.File(folder / "maps" / split / f"{k}.h5", "w") as file:
                file["climate/data"] = values
                file["climate/labels"] = (values[0] > 0).astype("int32")
    x = {"path": "climate/data", "channels": [0, 2], "layout": "channels_first"}
    data = {"path": str(folder / "maps" / "{split}" / "*.h5"), "one_sample_files": True, "x": x, "batch_size": 2}
    about = {"y": "climate/labels", "task": "segmentation", "classes": ["land", "sea"]}
    model = {"kind": "fcn", "channels": [2], "dilations": [1]}
    metrics = {"kinds": ["iou"]}
    return run_file(folder / "maps.toml", model=model, data=data | about, metrics=metrics, train={"epochs": 1})


SUBJECTS: dict[str, Callable[[Path], Path]] = {"digits": digits, "fields": fields, "maps": maps}


def sources(folder: Path) -> dict[str, Path]:
    """What converters read, by their commands."""
    chance = random.Random(0)
    lines = [["tip", "bill", "day", "when", "kind"]]
    for k in range(40):
        when = f"2024-01-{k % 28 + 1:02}"
        lines.append([f"{chance.random():.3f}", str(k), chance.choice(["Sat", "Sun"]), when, "ab"[k % 2]])
    with open(folder / "table.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    import pandas

    pandas.read_csv(folder / "table.csv").to_parquet(folder / "table.parquet")
    x = np.arange(40 * 16, dtype=np.uint8).reshape(40, 4, 4)
    np.savez_compressed(folder / "arrays.npz", x=x, y=np.arange(40) % 2, w=np.ones(40))
    for name in ("cat", "dog"):
        (folder / "images" / name).mkdir(parents=True)
        for k in range(6):
            (folder / "images" / name / f"{k}.png").write_bytes(grey(4, 40 * k))
    names = {"csv": "table.csv", "parquet": "table.parquet", "npz": "arrays.npz", "images": "images"}
    return {command: folder / name for command, name in names.items()}
