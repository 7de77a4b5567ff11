"""IDX files, the format of MNIST and its successors: a header, then one array in big-endian byte order.

The header is two zero bytes, a type code, the number of dimensions n, and n sizes of four bytes each.
Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, section "File formats".
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from distnn.data.convert.labels import named_by_number
from distnn.data.convert.splits import last_for_validation
from distnn.data.file.opening import check_file
from distnn.data.file.writing import pixel_scale, write_data
from distnn.errors import DataError

#: Type code of the header → numpy type.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> np.ndarray:
    """The array of an IDX file, plain or gzipped, in this machine's byte order.

    Raises:
        DataError: the file is missing, isn't IDX, or isn't as long as its header says.
    """
    path = Path(path)
    data = _bytes(path)
    if len(data) < 4 or data[0] or data[1] or data[2] not in TYPES or not data[3]:
        raise DataError(
            f"{path} is not an IDX file: it begins with the bytes {data[:4].hex(' ') or '(none)'}; expected 00 00, a "
            f"type code of {', '.join(f'{code:02x}' for code in TYPES)}, and the number of dimensions."
        )
    dtype, dimensions = np.dtype(TYPES[data[2]]), data[3]
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise DataError(f"{path} is truncated: {len(data)} bytes, but the header alone has {start}. Copy it again.")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        state = "is truncated" if len(data) < expected else "is too long"
        raise DataError(
            f"{path} {state}: its header describes an array {shape} of {dtype.itemsize}-byte numbers, {expected} bytes "
            f"in all, but there are {len(data)}. Copy or download it again."
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _bytes(path: Path) -> bytes:
    try:
        check_file(path, "an IDX file")
        data = path.read_bytes()
        # Recognised by its first bytes and not by its name: files lose and gain the ending .gz when they are copied.
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except FileNotFoundError as error:
        raise DataError(f"There is no IDX file {path}; check the path.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a truncated or damaged gzip file ({error}); copy or download it again.") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error


def read_pair(images: str | Path, labels: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, …) and their labels (N,); DataError if the two files don't belong together."""
    x, y = read_idx(images), read_idx(labels)
    if x.ndim < 2:
        raise DataError(
            f"{images} holds an array {x.shape}; expected images (N, height, width) or rows (N, features). "
            "Were images and labels given in the wrong order?"
        )
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise DataError(
            f"{labels} holds an array {y.shape} of {y.dtype}; expected integer labels (N,). "
            "Were images and labels given in the wrong order?"
        )
    if len(x) != len(y):
        raise DataError(
            f"{images} holds {len(x)} images but {labels} {len(y)} labels; expected one label for each image: are the "
            "two files of the same split?"
        )
    return x, y


def convert(
    output: str | Path,
    *,
    train: tuple[Path, Path],
    test: tuple[Path, Path] | None = None,
    validation: int = 0,
    classes: tuple[str, ...] = (),
    source: str = "",
    licence: str = "",
    force: bool = False,
) -> Path:
    """Make a data file of IDX files.

    Args:
        train: the files of the training images and labels.
        test: those of the test images and labels; None: no test split.
        validation: how many of the last training samples to use for validation; 0: no validation split.
        classes: the class names; if empty, the numbers 0, 1, … up to the largest label.
        source: where the data come from; stored in the file. If empty, the names of the files.
        licence: their licence; stored in the file.
    """
    x, y = read_pair(*train)
    splits = last_for_validation(train[0], x, y, validation)
    if test is not None:
        splits["test"] = read_pair(*test)
    return write_data(
        output,
        splits,
        task="classification",
        classes=classes or named_by_number(train[1], *(labels for _, labels in splits.values())),
        source=source or "IDX files " + ", ".join(path.name for path in (*train, *(test or ()))),
        licence=licence,
        scale=pixel_scale(x),
        force=force,
    )
