"""Tables as plain text, which fit a terminal of 80 columns and look the same in a log."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len, chop_cells

#: The columns of a log.
WIDTH = 80
#: Tables aren't made narrower than this, even for a terminal that is.
LEAST = 40
#: What each line begins with.
INDENT = "  "


#: The cells of a column from its head down, each as lines that are as wide as the column.
Column = list[list[str]]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1, width: int | None = None) -> str:
    """A table whose lines are at most ``width`` columns long.

    Columns that don't fit beside the others stand below them, again beside the first one. A cell that is too long goes
    on in the next line; nothing is cut. Two spaces separate columns, or one if all of them fit in that way only.

    Arguments:
        head: the columns' names; ``\\n`` begins another line.
        rows: the cells.
        texts: so many of the first columns hold texts; the others hold numbers, and are aligned to the right.
        width: that of the terminal, or in a log `WIDTH`, if None.
    """
    if width is None:
        width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
    available = max(width, LEAST) - len(INDENT)
    columns = [
        _column(cells, available // 2 - 1, text=place < texts)
        for place, cells in enumerate(zip(head, *rows, strict=True))
    ]
    gap = 1 if _span(columns, 1) <= available < _span(columns, 2) else 2
    return "\n".join(line for block in _blocks(columns, gap, available) for line in ("", *_lines(block, gap))) + "\n"


def _column(cells: Sequence[str], most: int, *, text: bool) -> Column:
    """A column as wide as its longest line, but no wider than ``most``; text is aligned to the left."""
    parts = [cell.split("\n") for cell in cells]
    width = min(max(cell_len(part) for lines in parts for part in lines), most)
    column = []
    for lines in parts:
        pieces = [piece for part in lines for piece in chop_cells(part, width) or [""]]
        blanks = [" " * (width - cell_len(piece)) for piece in pieces]
        column.append([piece + blank if text else blank + piece for piece, blank in zip(pieces, blanks, strict=True)])
    return column


def _span(columns: Sequence[Column], gap: int) -> int:
    """The columns of text that these columns take side by side."""
    return sum(cell_len(column[0][0]) for column in columns) + gap * (len(columns) - 1)


def _blocks(columns: Sequence[Column], gap: int, available: int) -> Iterator[list[Column]]:
    """Which columns stand side by side: each time the first one, and as many of the others as fit."""
    block = [columns[0]]
    for column in columns[1:]:
        if _span([*block, column], gap) > available and len(block) > 1:
            yield block
            block = [columns[0]]
        block.append(column)
    yield block


def _lines(block: Sequence[Column], gap: int) -> Iterator[str]:
    """The lines of columns side by side, with a rule below their heads."""
    blanks = [" " * _span([column], gap) for column in block]
    for place, row in enumerate(zip(*block, strict=True)):
        for pieces in zip_longest(*row):
            yield (
                INDENT + (" " * gap).join(piece or blank for piece, blank in zip(pieces, blanks, strict=True)).rstrip()
            )
        if place == 0:
            yield INDENT + "─" * _span(block, gap)
