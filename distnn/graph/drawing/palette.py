"""The colours of drawings, told apart by readers who are colour-blind, too; the lecture's figures have the same."""

#: Values, which go forward; positive weights; what learns.
BLUE = "#0d58b5"
#: Derivatives, which come backward; negative weights.
RED = "#bd1e11"
ORANGE = "#cf7703"
GREY = "#6d798a"
#: A browser's own sans-serif may be wider than Helvetica, for which `width` holds.
FONT = "Helvetica, Arial, sans-serif"
#: How wide Helvetica's letters are, in thousandths of the font's size; those that aren't here are 556.
_WIDTHS = {
    letter: width
    for letters, width in (
        ("ijlI|'", 222), (" ft.,:;/()[]!", 300), ("r-−", 333), ("cksvxyzJ", 500), ("+=<>·×", 584), ("FTZ", 611),
        ("ABEKPSVXY", 667), ("CDHNRUw", 722), ("GOQ", 778), ("mM", 833), ("W@…", 950),
    )
    for letter in letters
}  # fmt: skip


def width(text: str, size: float) -> float:
    """About how wide a text is, in the unit of the font's size; with some room for other fonts than Helvetica."""
    return 1.1 * size * sum(_WIDTHS.get(letter, 556) for letter in text) / 1000
