"""Plain text, for language models of characters: sequences of tokens, and after each token the next one.

The sequences of a split are in the order of the text, and each continues where the one before ends. So a split can be
read as B streams side by side: cut its sequences into B contiguous pieces, and the k-th batch is the k-th sequence of
every piece. A recurrent state that is carried from batch to batch then belongs to one stream for the whole epoch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distnn.data.file.opening import check_file
from distnn.data.file.writing import write_data
from distnn.errors import DataError


def convert(
    output: str | Path,
    path: str | Path,
    *,
    length: int = 100,
    validation: float = 0.05,
    test: float = 0.05,
    force: bool = False,
) -> Path:
    """Make a data file of a text: x (N, length), and y, which is x one character later; both index the vocabulary.

    The text is cut into train, validation and test in this order, and each part into sequences; up to ``length``
    characters at the end of a part are left out. No character is in two parts. The vocabulary is the sorted characters
    of the whole text.

    Args:
        path: the text, in UTF-8; line ends of all systems become \\n.
        length: the number of characters in a sequence.
        validation, test: the fractions of the text for them; may be 0.
    """
    path = Path(path)
    tokens, vocabulary = tokenize(read_text(path))
    splits = {name: _sequences(part, length) for name, part in _cut(path, tokens, length, validation, test).items()}
    return write_data(output, splits, task="language", classes=vocabulary, source=f"text {path.name}", force=force)


def read_text(path: Path) -> str:
    """The whole text, with \\n at the ends of lines and without a byte order mark.

    Raises:
        DataError: the file is missing, empty or not UTF-8, or holds the character NUL.
    """
    try:
        check_file(path, "a text")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"There is no text {path}; check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not a text in UTF-8: byte {error.start} is {error.object[error.start]:#04x}. If it is a text "
            f"in another encoding, convert it first, for example with: iconv -f latin1 -t utf-8 {path.name} > utf8.txt."
        ) from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error
    if not text:
        raise DataError(f"{path} is empty; expected a text in UTF-8.")
    if "\0" in text:
        raise DataError(f"{path} is not plain text: character {text.index(chr(0))} is NUL; expected a text in UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def tokenize(text: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Each character's index in the vocabulary, in the smallest unsigned type, and the sorted vocabulary.

    >>> tokenize("banana")
    (array([1, 0, 2, 0, 2, 0], dtype=uint8), ('a', 'b', 'n'))
    """
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    known = np.flatnonzero(np.bincount(codes))
    places = np.zeros(known[-1] + 1, np.min_scalar_type(len(known) - 1))
    places[known] = np.arange(len(known))
    return places[codes], tuple(map(chr, known))


def _cut(path: Path, tokens: np.ndarray, length: int, validation: float, test: float) -> dict[str, np.ndarray]:
    """The parts of the text by split, each long enough for a sequence and the character after it."""
    if min(validation, test) < 0 or validation + test >= 1:
        raise DataError(
            f"{path}: fractions of {validation:g} for validation and {test:g} for test leave no text to train on; "
            "expected fractions of 0 or more whose sum is below 1."
        )
    first, second = (round(len(tokens) * (1 - fraction)) for fraction in (validation + test, test))
    parts = {"train": tokens[:first]}
    if validation > 0:
        parts["validation"] = tokens[first:second]
    if test > 0:
        parts["test"] = tokens[second:]
    for name, part in parts.items():
        if len(part) <= length:
            raise DataError(
                f"{path} is too short: of its {len(tokens)} characters {len(part)} are for {name}, but a sequence "
                f"takes {length + 1}: {length} and the one after them. Choose a smaller --length than {length}, other "
                "fractions (0 for no such part), or a longer text."
            )
    return parts


def _sequences(tokens: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """x (N, length) and y, one token later, for as many whole sequences as there are."""
    count = (len(tokens) - 1) // length * length
    return tokens[:count].reshape(-1, length), tokens[1 : count + 1].reshape(-1, length)
