"""Images with a mask each, read by Pillow: a class for each pixel, for a segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from distnn.data.convert.extras import needed
from distnn.data.convert.gallery import Gallery, pictures
from distnn.data.convert.images import (
    AS_THEY_ARE,
    DEEP,
    Look,
    Pictures,
    check_cutting,
    decided,
    opened,
    parted,
    surveyed,
)
from distnn.data.convert.labels import listed
from distnn.data.convert.splits import TENTHS, Shares
from distnn.data.convert.table import Tell
from distnn.data.file.writing import About, write_fields
from distnn.errors import DataError

#: What masks say that tell one thing from its background, and which value says that a pixel has no class.
TWO, VOID = (0, 255), 255
#: What may follow an image's name in that of its mask.
ENDINGS = ("", "_mask", "-mask", "_label", "_seg")


@dataclass(frozen=True)
class Masks:
    """The pixels of masks, which can be sliced like an array (N, height, width).

    Attributes:
        paths: the files.
        look: whose size they are made of, by the nearest pixel.
        shape: (N, height, width).
        table: by what is stored, what is told of it; the values 0 … 255.
    """

    paths: Sequence[Path]
    look: Look
    shape: tuple[int, ...]
    table: np.ndarray

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the table."""
        return self.table.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The masks of a slice."""
        found = np.empty((len(self.paths[rows]), *self.shape[1:]), self.dtype)
        for target, path in zip(found, self.paths[rows], strict=True):
            pixels = stored(path, self.look)
            if pixels.shape != target.shape:
                raise DataError(
                    f"{path} is {pixels.shape[1]}x{pixels.shape[0]} pixels, but its image "
                    f"{target.shape[1]}x{target.shape[0]}; expected a mask of its image's size."
                )
            target[...] = self.table[pixels]
        return found


def convert(
    output: str | Path,
    folder: str | Path,
    masks: str | Path,
    *,
    classes: Sequence[str] = (),
    look: Look = AS_THEY_ARE,
    cutting: Shares = TENTHS,
    tell: Tell = str,
    force: bool = False,
) -> Path:
    """Make a data file of images and masks: x as `images.convert` has it, and y (N, height, width) in uint8.

    A mask's pixels are the numbers of classes 0, 1, …, or 0 and 255 for two. Else 255 is no class: such pixels don't
    count, by a dataset ``mask``.

    Args:
        folder: the images, perhaps within folders train, val, test.
        masks: a folder with an image of the same name for each, at the same place, perhaps with _mask after the name.
        classes: their names; the numbers if not given.
        look, cutting, tell: as for `images.convert`.

    Raises:
        DataError: an image has no mask; a mask is in colour, of another size, or has other numbers than 0, 1, ….
    """
    folder, masks = Path(folder), Path(masks)
    gallery = pictures(folder, masks)
    check_cutting(folder, gallery, cutting)
    of_image = _paired(folder, masks, gallery)
    survey = surveyed(gallery, look, tell)
    look, shape, dtype = decided(folder, survey, look, tell)
    splits = {
        split: [path for path, _ in pairs if path not in survey.broken] for split, pairs in gallery.splits.items()
    }
    paths = np.array([path for images in splits.values() for path in images], object)
    values = sorted({int(value) for path in paths for value in np.unique(stored(of_image[path], None))})
    labels, known, names = _meant(masks, values, classes, tell)
    rows = parted(folder, splits, np.zeros(len(paths), np.uint8), None, cutting)
    fields: dict[str, dict[str, Any]] = {}
    for split, index in rows.items():
        images = paths[index].tolist()
        answers, size = [of_image[path] for path in images], (len(images), *shape[:2])
        x, y = Pictures(images, look, (len(images), *shape), dtype), Masks(answers, look, size, labels)
        fields[split] = {"x": x, "y": y} | ({} if known.all() else {"mask": replace(y, table=known)})
    about, scale = About("segmentation", names, f"images of {folder.name}"), 1 / float(np.iinfo(dtype).max)
    return write_fields(output, fields, about, scale=scale, force=force)


def stored(path: Path, look: Look | None) -> np.ndarray:
    """The numbers of a mask (height, width), which are the places in its palette if it has one.

    Raises:
        DataError: it isn't an image, or in colour, or has numbers beyond 255.
    """
    images, operations = needed("PIL.Image", "images"), needed("PIL.ImageOps", "images")
    with opened(path) as image:
        if image.mode not in ("1", "L", "P", *DEEP, "I"):
            raise DataError(
                f"{path} holds pixels of the kind {image.mode!r}; expected a mask with one number for each pixel: save "
                "it in grey, or with a palette."
            )
        size, method = (look and look.resize) or image.size, images.Resampling.NEAREST
        fitted = operations.fit(image, size, method) if look and look.crop else image.resize(size, method)
        pixels = np.asarray(fitted).astype(np.int64)
    if pixels.size and not 0 <= pixels.min() <= pixels.max() <= VOID:
        raise DataError(f"{path} has the numbers {pixels.min()}..{pixels.max()}; expected classes 0, 1, … below 256.")
    return pixels


def _paired(folder: Path, masks: Path, gallery: Gallery) -> Mapping[Path, Path]:
    """The mask of each image."""
    if not masks.is_dir():
        raise DataError(f"There is no folder {masks}; check the path of --masks.")
    there = {
        path.relative_to(masks).with_suffix(""): path for pairs in pictures(masks).splits.values() for path, _ in pairs
    }
    found = {}
    for path in (path for pairs in gallery.splits.values() for path, _ in pairs):
        name = path.relative_to(folder).with_suffix("")
        mask = next((there[place] for end in ENDINGS if (place := name.with_name(name.name + end)) in there), None)
        if mask is None:
            raise DataError(
                f"{path} has no mask: there is no {masks / name}.png, nor one of another kind of image, nor with _mask "
                "after its name. Expected a mask for each image; move others away."
            )
        found[path] = mask
    return found


def _meant(
    masks: Path, values: Sequence[int], classes: Sequence[str], tell: Tell
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """By what is stored, the label, and whether it counts; and the names of the classes."""
    labels, known = np.arange(VOID + 1, dtype=np.uint8), np.ones(VOID + 1, np.uint8)
    if tuple(values) == TWO:
        labels[VOID] = 1
        tell("masks hold 0 and 255: these are the classes 0 and 1")
        values = (0, 1)
    elif VOID in values:
        labels[VOID], known[VOID] = 0, 0
        tell("masks hold 255 besides other classes: such pixels don't count")
        values = values[:-1]
    count = max(len(classes), max(values, default=0) + 1)
    if classes and len(classes) != count:
        raise DataError(f"{masks} has the class {count - 1}, but --classes names {len(classes)}: {listed(classes)}.")
    if not classes and (absent := sorted(set(range(count)) - set(values))):
        raise DataError(
            f"{masks} has the numbers {listed(list(map(str, values)))}, but not {absent[0]}; expected those of "
            "classes, 0, 1, …. Name all classes with --classes, or write the masks with such numbers."
        )
    names = tuple(classes) or tuple(map(str, range(count)))
    if count < 2:
        raise DataError(f"{masks} has only the class {names[0]!r}; a segmentation tells at least two apart.")
    tell(f"{count} classes: {listed(names)}")
    return labels, known, names
