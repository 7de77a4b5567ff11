"""Random changes of training images, which depend on the seed, the epoch and the sample, and not on the rank."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.errors import RunFileError
from distnn.randomness import generator

NONE: Mapping[str, tuple[int, ...]] = MappingProxyType({})


class Augmentation:
    """y[i, j] = x[i + d, ±(j) + a]: each image is moved by random whole pixels, and flipped left to right or not.

    ``shift`` moves an image by up to that many pixels in each direction, filling with 0. ``crop`` extends the image by
    that many pixels on each side, mirrored at its edge (the edge's own pixel isn't repeated), and cuts out a window of
    the image's size. ``flip`` flips every second image on average. All changes are drawn once an epoch for all samples
    of the split, so that a sample's image depends only on the seed, the epoch and the sample. Sources: Krizhevsky,
    Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012, section 4.1; for moves
    of a padded image, He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016, section 4.2.

    Arguments:
        samples: the number of samples in the split.
        shape: the shape of one sample, (H, W) or (H, W, C).
        flip: whether to flip images.
        shift, crop: the largest move in pixels; at most one of them may be above 0.
        along: by name, the shapes of other fields whose pixels belong to those of the images, such as labels: their
            changes are the same.

    Raises:
        RunFileError: if the samples aren't images, or are too small to be moved that far; if labels of pixels, or
            images to be predicted, would be filled with 0.
    """

    def __init__(
        self,
        samples: int,
        shape: tuple[int, ...],
        *,
        flip: bool,
        shift: int = 0,
        crop: int = 0,
        along: Mapping[str, tuple[int, ...]] = NONE,
    ) -> None:
        _check(shape, shift, crop)
        if along and shift:
            raise RunFileError(
                "augment.shift fills with 0 what an image's move leaves empty, but nobody knows the targets of these "
                "pixels; use augment.crop, which mirrors the image and its targets at the edge."
            )
        self.along = {
            name: Augmentation(samples, other, flip=flip, shift=shift, crop=crop) for name, other in along.items()
        }
        self._samples, self._flips, self._reach = samples, 1 + flip, max(shift, crop)
        self._border = shift
        self._image = (*shape[:2], shape[2] if len(shape) == 3 else 1)
        height, width = (self._seen(length) for length in shape[:2])
        # For each move: where in its frame (the image with its border) a row begins, and where in its row a pixel is.
        self._rows = height * (shape[1] + 2 * self._border)
        self._columns = np.concatenate([width, width[:, ::-1]])
        self._down = self._across = np.zeros(samples, np.intp)
        self._buffers: dict[int, _Buffers] = {}

    def _seen(self, length: int) -> Array:
        """For each move along an axis, the pixels of the frame that make up the image: (moves, length)."""
        frame = np.arange(-self._reach, length + self._reach)
        if self._border:
            frame += self._border
        else:
            frame = length - 1 - np.abs(length - 1 - np.abs(frame))  # mirrored at 0, then at the last pixel
        return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(frame, length).astype(np.intp))

    def draw(self, seed: int, epoch: int) -> None:
        """Draw the changes of every sample for ``epoch``, counted from 0; the same for all fields."""
        moves, random = len(self._rows), generator(seed, f"augment/{epoch}")
        self._down = random.integers(0, moves, self._samples, dtype=np.intp)
        self._across = random.integers(0, moves * self._flips, self._samples, dtype=np.intp)
        for other in self.along.values():
            other.draw(seed, epoch)

    def apply(self, x: Array, index: Array) -> None:
        """Change a batch of images in place, without allocating.

        Arguments:
            x: the images (N, H, W) or (N, H, W, C), contiguous.
            index: their positions in the split, (N,).
        """
        scratch = self._buffers.get(len(x))
        if scratch is None or scratch.inside.dtype != x.dtype:
            scratch = self._buffers[len(x)] = self._allocate(len(x), x)
        self._down.take(index, out=scratch.moves, mode="clip")
        self._rows.take(scratch.moves, axis=0, out=scratch.rows, mode="clip")
        np.add(scratch.rows, scratch.starts, out=scratch.rows)
        self._across.take(index, out=scratch.moves, mode="clip")
        self._columns.take(scratch.moves, axis=0, out=scratch.columns, mode="clip")
        np.add(scratch.rows[:, :, None], scratch.columns[:, None], out=scratch.places)
        images = x.reshape(scratch.inside.shape)
        np.copyto(scratch.inside, images)
        scratch.pixels.take(scratch.places, axis=0, out=images, mode="clip")

    def _allocate(self, images: int, x: Array) -> _Buffers:
        """Allocate scratch buffers for ``images`` images; the frames' borders stay 0."""
        (height, width, channels), border = self._image, self._border
        frames = np.zeros((images, height + 2 * border, width + 2 * border, channels), x.dtype)
        size = frames.shape[1] * frames.shape[2]
        return _Buffers(
            frames[:, border : border + height, border : border + width],
            frames.reshape(-1, channels),
            np.arange(0, images * size, size, dtype=np.intp)[:, None],
            np.empty(images, np.intp),
            np.empty((images, height), np.intp),
            np.empty((images, width), np.intp),
            np.empty((images, height, width), np.intp),
        )


class _Buffers(NamedTuple):
    """Scratch buffers for a batch: two views of the framed images, where frames start, and each pixel's place."""

    inside: Array
    pixels: Array
    starts: Array
    moves: Array
    rows: Array
    columns: Array
    places: Array


def _check(shape: tuple[int, ...], shift: int, crop: int) -> None:
    """Refuse samples that aren't images, or that are smaller than the move."""
    if len(shape) not in (2, 3):
        raise RunFileError(
            f"[augment] changes images, of shape (height, width) or (height, width, channels), but the data's samples "
            f"have shape {shape}; remove the section, or store the images with their height and width."
        )
    height, width = shape[:2]
    least = min(height, width)
    for key, value in (("shift", shift), ("crop", crop)):
        if value >= least:
            raise RunFileError(
                f"augment.{key} is {value}, but the data's images are only {height} × {width} pixels; "
                f"choose {f'at most {least - 1}' if least > 1 else '0'}."
            )
