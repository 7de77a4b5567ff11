"""Views of images as their windows see them, in pieces that memcpy copies.

Elementwise functions of numpy copy strided arrays into buffers of their own, slower than this. So what windows see is
copied first, as opaque items, and computed with after, side by side in the cache.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from distnn.arrays import Array, size
from distnn.ops.conv.windows import Windows


def seen(images: Array, over: Windows, groups: int = 1) -> Array:
    """What each window sees, as a view.   images (N, H, W, C), padded → (groups, N, H′, W′, kh, kw, C / groups)."""
    n, _, _, channels = images.shape
    image, row, column, channel = images.strides
    rows, columns = over
    each = channels // groups
    shape = (groups, n, rows.output, columns.output, rows.kernel, columns.kernel, each)
    steps = (rows.stride * row, columns.stride * column, rows.dilation * row, columns.dilation * column)
    return as_strided(images, shape, (each * channel, image, *steps, channel))


def runs(array: Array, axes: int, base: Array) -> Array:
    """``array`` with its last axes, which are one run of memory, as one opaque item.

    Arguments:
        array: a view that starts where ``base`` does.
        axes: how many of them, at least one.
        base: the contiguous array that ``array`` is a view of.
    """
    item = np.dtype(f"V{size(array.shape[-axes:]) * array.itemsize}")
    return np.ndarray(array.shape[:-axes], item, base, 0, array.strides[:-axes])


def joined(array: Array, most: int) -> int:
    """How many of the last axes are one run of memory, up to ``most``."""
    run, axes = array.itemsize * array.shape[-1], 1
    while axes < most and (array.shape[-1 - axes] == 1 or array.strides[-1 - axes] == run):
        run *= array.shape[-1 - axes]
        axes += 1
    return axes


def places(images: Array, over: Windows, *beside: Array) -> list[Array]:
    """What the windows see at each place of the kernel, and arrays like the output, as items that can be copied.

    Arguments:
        images: (N, H, W, C), padded and contiguous.
        over: the windows.
        beside: contiguous arrays (M, H″, W′, C).

    Returns:
        (kh, kw, N, H′) items of a row each, or (kh, kw, N, H′, W′) items of C elements if rows are strided; and
        (M, H″) or (M, H″, W′) of the same items for each of ``beside``.
    """
    view = np.moveaxis(seen(images, over)[0], (3, 4), (0, 1))
    axes = joined(view, 2)
    return [runs(view, axes, images), *(runs(array, axes, array) for array in beside)]
