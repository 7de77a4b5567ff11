"""Random changes of training images, keyed to the seed, the epoch and the sample, whoever computes it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.errors import RunFileError
from distnn.randomness import generator


class Augmentation:
    """y[i, j] = x[i + d, ±(j) + a]: each image moved by random whole pixels, and turned left to right or not.

    ``shift`` moves by up to that many pixels in each direction, and what moves in is 0; ``crop`` cuts a window of the
    image's own size from the image continued by so many pixels on each side, mirrored at its edge (whose own pixel
    isn't repeated). ``flip`` turns every second image on average. All are drawn once an epoch for all samples of the
    split, so that a sample's image depends on the seed, the epoch and the sample alone. Source: Krizhevsky, Sutskever
    and Hinton, ImageNet classification with deep convolutional neural networks, 2012, section 4.1; moves of a padded
    image as in He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016, section 4.2.

    Arguments:
        samples: in the split.
        shape: of one sample, (H, W) or (H, W, C).
        flip: whether to turn images.
        shift, crop: the furthest move in pixels; at most one of them above 0.

    Raises:
        RunFileError: if the samples aren't images, or are too small to be moved as far.
    """

    def __init__(self, samples: int, shape: tuple[int, ...], *, flip: bool, shift: int = 0, crop: int = 0) -> None:
        _check(shape, shift, crop)
        self._samples, self._flips, self._reach = samples, 1 + flip, max(shift, crop)
        self._border = shift
        self._image = (*shape[:2], shape[2] if len(shape) == 3 else 1)
        height, width = (self._seen(length) for length in shape[:2])
        # Where in its frame (the image with its border) a row begins, and where in its row a pixel is, for each move.
        self._rows = height * (shape[1] + 2 * self._border)
        self._columns = np.concatenate([width, width[:, ::-1]])
        self._down = self._across = np.zeros(samples, np.intp)
        self._rooms: dict[int, _Room] = {}

    def _seen(self, length: int) -> Array:
        """For each move along an axis, the pixels of the frame that the image shows: (moves, length)."""
        frame = np.arange(-self._reach, length + self._reach)
        if self._border:
            frame += self._border
        else:
            frame = length - 1 - np.abs(length - 1 - np.abs(frame))  # mirrored at 0, then at the last pixel
        return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(frame, length).astype(np.intp))

    def draw(self, seed: int, epoch: int) -> None:
        """Choose every sample's move for ``epoch``, from 0."""
        moves, random = len(self._rows), generator(seed, f"augment/{epoch}")
        self._down = random.integers(0, moves, self._samples, dtype=np.intp)
        self._across = random.integers(0, moves * self._flips, self._samples, dtype=np.intp)

    def apply(self, x: Array, index: Array) -> None:
        """Change a batch of images in place, without allocating.

        Arguments:
            x: the images (N, H, W) or (N, H, W, C), contiguous.
            index: which samples of the split they are, (N,).
        """
        room = self._rooms.get(len(x))
        if room is None or room.frames.dtype != x.dtype:
            room = self._rooms[len(x)] = self._room(len(x), x)
        self._down.take(index, out=room.moves, mode="clip")
        self._rows.take(room.moves, axis=0, out=room.rows, mode="clip")
        np.add(room.rows, room.starts, out=room.rows)
        self._across.take(index, out=room.moves, mode="clip")
        self._columns.take(room.moves, axis=0, out=room.columns, mode="clip")
        np.add(room.rows[:, :, None], room.columns[:, None], out=room.places)
        images = x.reshape(room.inside.shape)
        np.copyto(room.inside, images)
        room.pixels.take(room.places, axis=0, out=images, mode="clip")

    def _room(self, images: int, x: Array) -> _Room:
        """Buffers for this many images; the frames' borders stay 0."""
        (height, width, channels), border = self._image, self._border
        frames = np.zeros((images, height + 2 * border, width + 2 * border, channels), x.dtype)
        size = frames.shape[1] * frames.shape[2]
        return _Room(
            frames,
            frames[:, border : border + height, border : border + width],
            frames.reshape(-1, channels),
            np.arange(0, images * size, size, dtype=np.intp)[:, None],
            np.empty(images, np.intp),
            np.empty((images, height), np.intp),
            np.empty((images, width), np.intp),
            np.empty((images, height, width), np.intp),
        )


class _Room(NamedTuple):
    """Buffers for a batch: framed images and two views of them, where frames start, and where each pixel is found."""

    frames: Array
    inside: Array
    pixels: Array
    starts: Array
    moves: Array
    rows: Array
    columns: Array
    places: Array


def _check(shape: tuple[int, ...], shift: int, crop: int) -> None:
    """Refuse what isn't an image, or is smaller than it is to be moved."""
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
