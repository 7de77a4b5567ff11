"""Tables as plain text, which fit a terminal of 80 columns and look the same in a log."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

#: The columns of a log.
WIDTH = 80
#: Tables aren't made narrower than this, even for a terminal that is.
LEAST = 40
#: What each line begins with.
INDENT = "  "


@dataclass
class _Column:
    """One column: its cells from the head down, its width, and whether it holds text, which is aligned to the left."""

    cells: list[str]
    width: int
    text: bool

    def lines(self, row: int) -> list[str]:
        """The lines of a cell, each as wide as the column."""
        from rich.cells import cell_len, chop_cells

        pieces = [piece for part in self.cells[row].split("\n") for piece in chop_cells(part, self.width) or [""]]
        blanks = [" " * (self.width - cell_len(piece)) for piece in pieces]
        return [
            f"{piece}{blank}" if self.text else f"{blank}{piece}" for piece, blank in zip(pieces, blanks, strict=True)
        ]


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
    from rich.cells import cell_len

    available = max(width or _terminal(), LEAST) - len(INDENT)
    columns = []
    for place, cells in enumerate(zip(head, *rows, strict=True)):
        widest = max(cell_len(part) for cell in cells for part in cell.split("\n"))
        columns.append(_Column(list(cells), min(widest, available // 2 - 1), place < texts))
    gap = 1 if _span(columns, 1) <= available < _span(columns, 2) else 2
    return "\n".join(line for block in _blocks(columns, gap, available) for line in ("", *_lines(block, gap))) + "\n"


def _terminal() -> int:
    """The columns of the terminal that is the standard output, or of a log."""
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def _span(columns: Sequence[_Column], gap: int) -> int:
    """The columns of text that these columns take side by side."""
    return sum(column.width for column in columns) + gap * (len(columns) - 1)


def _blocks(columns: Sequence[_Column], gap: int, available: int) -> Iterator[list[_Column]]:
    """Which columns stand side by side: each time the first one, and as many of the others as fit."""
    block = [columns[0]]
    for column in columns[1:]:
        if _span([*block, column], gap) > available and len(block) > 1:
            yield block
            block = [columns[0]]
        block.append(column)
    yield block


def _lines(block: Sequence[_Column], gap: int) -> Iterator[str]:
    """The lines of columns side by side, with a rule below their heads."""
    for row in range(len(block[0].cells)):
        blank = [" " * column.width for column in block]
        for pieces in zip_longest(*(column.lines(row) for column in block)):
            whole = (piece if piece is not None else space for piece, space in zip(pieces, blank, strict=True))
            yield INDENT + (" " * gap).join(whole).rstrip()
        if row == 0:
            yield INDENT + "─" * _span(block, gap)
