"""A figure in a file: PNG, SVG or PDF, as its name ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distnn.errors import UsageError


@contextmanager
def drawn(path: Path, columns: int = 1) -> Iterator[list[Any]]:
    """So many axes side by side, to be drawn on; written to ``path`` at the end.

    Raises:
        UsageError: without matplotlib, or if the file can't be written.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise UsageError("a plot needs matplotlib; pip install 'distnn[plot]'.") from None
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(ncols=columns, squeeze=False, figsize=(2 + 5 * columns, 4.5), layout="constrained")
    try:
        yield list(axes[0])
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise UsageError(f"the plot can't be written to {path}: {error}.") from None
    finally:
        plt.close(figure)
