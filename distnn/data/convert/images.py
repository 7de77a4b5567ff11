"""Folders of images, read by Pillow: a folder for each class, or a table of names and labels."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from distnn.data.convert.extras import needed
from distnn.data.convert.gallery import Gallery, by_folder, by_table
from distnn.data.convert.labels import infer_task, is_number, listed, numbered
from distnn.data.convert.splits import TENTHS, Shares, cut
from distnn.data.convert.table import Tell
from distnn.data.file.opening import check_file
from distnn.data.file.writing import About, write_fields
from distnn.errors import DataError

#: What is read, by its content and whatever its name. Not all that Pillow knows: for EPS it would run Ghostscript.
FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "TGA")
#: Pillow's modes of what is stored, by the mode that it is taken in; 16 bits are grey.
GREY, DEEP = ("1", "L", "LA", "La"), ("I;16", "I;16L", "I;16B", "I;16N")
COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "P", "PA")
#: The tag of EXIF that says how a camera was held, and its values for which width and height change places.
ORIENTATION, ON_SIDE = 0x0112, (5, 6, 7, 8)


@dataclass(frozen=True)
class Look:
    """How images are taken.

    Attributes:
        mode: L (grey), RGB, or RGBA, with transparency; None: as the files have it.
        resize: the width and height to make them of; None: theirs, which must be equal.
        crop: cut off what doesn't fit the shape, rather than stretch it.
        skip_broken: leave out files that can't be read, after reading all of them once.
    """

    mode: str | None = None
    resize: tuple[int, int] | None = None
    crop: bool = False
    skip_broken: bool = False


AS_THEY_ARE = Look()


@dataclass
class Survey:
    """What the files' headers say: sizes, kinds (grey, colour, deep), how many are transparent, turned or animated."""

    sizes: dict[tuple[int, int], list[Path]] = field(default_factory=dict)
    kinds: dict[str, list[Path]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    broken: dict[Path, str] = field(default_factory=dict)

    def add(self, path: Path, *, load: bool) -> None:
        """Note what an image is; with ``load``, read all of it."""
        with opened(path) as image:
            turned = image.format != "PNG" and image.getexif().get(ORIENTATION, 1)  # PNG's would be read whole for it
            kind = _kind(path, image)
            transparent, moving = image.has_transparency_data, getattr(image, "is_animated", False)
            size = image.size[::-1] if turned in ON_SIDE else image.size
            if load:
                image.load()
        self.sizes.setdefault(size, []).append(path)
        self.kinds.setdefault(kind, []).append(path)
        self.counts.update(transparent=transparent, turned=int(turned or 1) > 1, moving=moving)


@dataclass(frozen=True)
class Pictures:
    """Images in files, which can be sliced like an array (N, height, width) or (N, height, width, channels)."""

    paths: Sequence[Path]
    look: Look
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The images of a slice."""
        paths = self.paths[rows]
        values = np.empty((len(paths), *self.shape[1:]), self.dtype)
        for value, path in zip(values, paths, strict=True):
            pixels = self._pixels(path)
            if pixels.shape != value.shape:
                raise DataError(f"{path} has the shape {pixels.shape} once it is read; expected {value.shape}.")
            value[...] = pixels
        return values

    def _pixels(self, path: Path) -> np.ndarray:
        images, operations = needed("PIL.Image", "images"), needed("PIL.ImageOps", "images")
        with opened(path) as image:
            upright = operations.exif_transpose(image)
            if self.look.mode in ("L", "RGB"):
                if upright.has_transparency_data:
                    upright = upright.convert("RGBA")
                    upright = images.alpha_composite(images.new("RGBA", upright.size, "white"), upright)
                upright = upright.convert(self.look.mode)
            elif self.look.mode == "RGBA":
                upright = upright.convert("RGBA")
            if self.look.resize:
                method = images.Resampling.BILINEAR
                if self.look.crop:
                    upright = operations.fit(upright, self.look.resize, method)
                else:
                    upright = upright.resize(self.look.resize, method)
            return np.asarray(upright)


def convert(
    output: str | Path,
    folder: str | Path,
    *,
    labels: str | Path | None = None,
    targets: Sequence[str] = (),
    task: str | None = None,
    look: Look = AS_THEY_ARE,
    cutting: Shares = TENTHS,
    tell: Tell = str,
    force: bool = False,
) -> Path:
    """Make a data file of a folder of images: x (N, height, width[, channels]) uint8 or uint16, scaled to 0..1.

    The images are read, and written, a few at a time.

    Args:
        folder: with a folder for each class, or with folders train, val, test of such folders.
        labels: a CSV table of names and labels instead.
        targets: its columns of labels, of which several are quantities; if empty, the one that is called so.
        task: classification or regression, for a table; None: see `labels.infer_task`.
        look: how images are taken.
        cutting: how images without splits of their own are split.
        tell: called with a line for what was decided, or left out.
    """
    folder = Path(folder)
    gallery = by_folder(folder) if labels is None else by_table(folder, Path(labels), targets, cutting.group)
    check_cutting(folder, gallery, cutting)
    for note in gallery.notes:
        tell(note)
    survey = surveyed(gallery, look, tell)
    look, shape, dtype = decided(folder, survey, look, tell)
    images = {
        split: [(path, texts) for path, texts in pairs if path not in survey.broken]
        for split, pairs in gallery.splits.items()
    }
    flat = [texts for pairs in images.values() for _, texts in pairs]
    task, y, classes = _targets(Path(labels or folder), flat, task or ("classification" if labels is None else None))
    tell(f"{len(classes)} classes: {listed(classes)}" if classes else "labels: quantities")
    paths = np.array([path for pairs in images.values() for path, _ in pairs], object)
    names = [gallery.groups[path] for path in paths] if gallery.groups else []
    groups = np.unique(names, return_inverse=True)[1] if names else None
    rows = parted(folder, images, y if classes else np.zeros(len(y), np.uint8), groups, cutting)
    splits = {
        split: (Pictures(paths[index].tolist(), look, (len(index), *shape), dtype), y[index])
        for split, index in rows.items()
    }
    about, scale = About(task, classes, f"images of {folder.name}"), 1 / float(np.iinfo(dtype).max)
    columns = {"y": gallery.targets} if gallery.targets else {}
    return write_fields(output, splits, about, scale=scale, names=columns, force=force)


def parted(
    folder: Path, images: Mapping[str, Sequence[Any]], labels: np.ndarray, groups: np.ndarray | None, how: Shares
) -> dict[str, np.ndarray]:
    """The numbers of the images of each split: those that they are in, or those that they are cut into."""
    if "all" in images:
        return cut(folder, labels, groups, how)
    stops = np.cumsum([len(each) for each in images.values()])
    return dict(zip(images, np.split(np.arange(len(labels)), stops[:-1]), strict=True))


def check_cutting(folder: Path, gallery: Gallery, cutting: Shares) -> None:
    """Images with splits of their own are not cut; DataError where that is asked for."""
    if "all" not in gallery.splits and cutting[:2] != (None, None):
        raise DataError(
            f"{folder} has its own splits ({', '.join(gallery.splits)}), so fractions for validation and test don't "
            "apply; leave --validation and --test out."
        )


def surveyed(gallery: Gallery, look: Look, tell: Tell) -> Survey:
    """What the images are; DataError for the first that can't be read, unless these are skipped."""
    survey = Survey()
    for path in (path for pairs in gallery.splits.values() for path, _ in pairs):
        try:
            survey.add(path, load=look.skip_broken)
        except DataError as error:
            if not look.skip_broken:
                raise
            survey.broken[path] = str(error)
    if survey.broken:
        names = listed([f"{path.parent.name}/{path.name}" for path in survey.broken])
        tell(f"images left out, that can't be read: {len(survey.broken)}, {names}")
    for split, pairs in gallery.splits.items():
        if all(path in survey.broken for path, _ in pairs):
            raise DataError(f"No image of {split} can be read; the first: {survey.broken[pairs[0][0]]}")
    return survey


def decided(
    folder: Path, survey: Survey, look: Look, tell: Tell
) -> tuple[Look, tuple[int, ...], np.dtype[np.unsignedinteger]]:
    """How the images are taken, the shape of one, and its type.

    Raises:
        DataError: their sizes or their depths differ.
    """
    kinds = {kind: len(paths) for kind, paths in survey.kinds.items()}
    deep = "deep" in kinds
    if deep and (len(kinds) > 1 or look.mode not in (None, "L")):
        raise DataError(
            f"{folder} holds {kinds['deep']} grey images of 16 bits, such as {survey.kinds['deep'][0]}, which can't be "
            f"{'joined with those of 8 bits' if len(kinds) > 1 else f'taken as {look.mode}'}; convert them first."
        )
    mode = look.mode or ("RGB" if "colour" in kinds else "L")
    if len(kinds) > 1:
        tell(f"{kinds['grey']} grey images and {kinds['colour']} in colour: all are taken as {mode}")
    if survey.counts["transparent"] and mode != "RGBA":
        tell(f"{survey.counts['transparent']} images with transparency: on white (--mode RGBA keeps it)")
    if survey.counts["turned"]:
        tell(f"{survey.counts['turned']} photographs turned upright, as their EXIF orientation says")
    if survey.counts["moving"]:
        tell(f"{survey.counts['moving']} images with several frames: the first is taken")
    if look.resize is None and len(survey.sizes) > 1:
        raise _sizes_differ(folder, survey)
    width, height = look.resize or next(iter(survey.sizes))
    if len(survey.sizes) > 1 or (width, height) not in survey.sizes:
        how = "cut to shape and resized" if look.crop else "stretched"
        tell(f"images of {len(survey.sizes)} sizes {how} to {width}x{height}")
    dtype, most = (np.dtype(np.uint16), 65535) if deep else (np.dtype(np.uint8), 255)
    tell(f"{'grey' if mode == 'L' else mode}, values 0..{most}, to be multiplied by 1/{most}")
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    return Look(None if deep else mode, look.resize, look.crop, look.skip_broken), shape, dtype


def _sizes_differ(folder: Path, survey: Survey) -> DataError:
    ordered = sorted(survey.sizes.items(), key=lambda item: -len(item[1]))
    examples = listed(
        [f"{width}x{height} ({len(paths)}, as {paths[0].relative_to(folder)})" for (width, height), paths in ordered]
    )
    width, height = ordered[0][0]
    return DataError(
        f"{folder} holds images of {len(ordered)} sizes: {examples}; expected one. Give the size to make them of, such "
        f"as --resize {width}x{height} (with --crop, what doesn't fit that shape is cut off, and else stretched)."
    )


def _targets(
    source: Path, labels: Sequence[tuple[str, ...]], task: str | None
) -> tuple[str, np.ndarray, tuple[str, ...]]:
    first = [texts[0] for texts in labels]
    several = len(labels[0]) > 1
    task = task or ("regression" if several else infer_task(str(source), sorted(set(first)), len(first)))
    if task == "regression":
        if wrong := [text for texts in labels for text in texts if not is_number(text)]:
            raise DataError(f"{source}: the label {wrong[0]!r} is not a number; expected numbers for a regression.")
        y = np.array([list(map(float, texts)) for texts in labels])
        return task, y if several else y[:, 0], ()
    if several:
        raise DataError(f"{source}: classes are in one column; expected one --target, or --task regression.")
    y, classes = numbered(first)
    if len(classes) < 2:
        raise DataError(f"{source} has only the class {classes[0]!r}; a classification tells at least two apart.")
    return task, y, classes


def _kind(path: Path, image: Any) -> str:
    """Grey, colour, or deep: grey with 16 bits."""
    if image.mode in DEEP:
        return "deep"
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return "grey" if (palette == palette[:, :1]).all() else "colour"
    if image.mode in GREY:
        return "grey"
    if image.mode in COLOUR:
        return "colour"
    raise DataError(f"{path} holds pixels of the kind {image.mode!r}; expected 8 bits a channel, or grey of 16 bits.")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The image, open; DataError for whatever Pillow finds wrong with it."""
    images = needed("PIL.Image", "images")
    try:
        check_file(path, "an image")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", images.DecompressionBombWarning)
            images.init()
            with images.open(path, formats=[name for name in FORMATS if name in images.OPEN]) as image:
                yield image
    except DataError:
        raise
    except (images.DecompressionBombError, images.DecompressionBombWarning) as error:
        raise DataError(
            f"{path} is an image of more than {images.MAX_IMAGE_PIXELS} pixels, which may be made to fill the memory; "
            "shrink or cut it first, or leave it out with --skip-broken."
        ) from error
    except Exception as error:  # Pillow's decoders raise anything for damaged bytes
        raise DataError(
            f"{path} can't be read as an image ({type(error).__name__}: {' '.join(str(error).split())}). Repair or "
            "remove it, or leave such files out with --skip-broken."
        ) from error
