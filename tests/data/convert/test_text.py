"""Texts: sequences in the order of the text, the vocabulary, and texts that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from distnn.cli.main import distnn as program
from distnn.data import DataFile, write_data
from distnn.data.convert import text
from distnn.errors import DataError
from tests.support.files import contents, one_paragraph

SONG = "".join(f"{bottles} green bottles, hanging on the wall.\n" for bottles in range(99, 0, -1))


def text_file(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_text(tokens: np.ndarray, classes: tuple[str, ...]) -> str:
    return "".join(classes[token] for token in tokens.ravel())


def test_sequences_go_on_where_the_one_before_ends(tmp_path: Path) -> None:
    source = text_file(tmp_path / "a.txt", SONG)
    path = text.convert(tmp_path / "a.h5", source, length=30, validation=0.2, test=0.1)
    with DataFile(path) as file:
        classes = file.classes
        assert (file.task, file.sample_shape, file.target_shape) == ("language", (30,), (30,))
        assert (file.x_dtype, file.scale) == (np.uint8, None)
    assert classes == tuple(sorted(set(SONG)))
    cuts = {"train": 0, "validation": round(len(SONG) * 0.7), "test": round(len(SONG) * 0.9)}
    ends = [*list(cuts.values())[1:], len(SONG)]
    for (split, (x, y)), end in zip(contents(path).items(), ends, strict=True):
        start, used = cuts[split], x.size
        assert as_text(x, classes) == SONG[start : start + used]
        assert as_text(y, classes) == SONG[start + 1 : start + used + 1]
        assert end - (start + used + 1) < 30 and start + used + 1 <= end


def test_streams_side_by_side_are_contiguous(tmp_path: Path) -> None:
    """What the module promises: the k-th sequence of each of B pieces makes a batch, and the next batch goes on."""
    path = text.convert(tmp_path / "a.h5", text_file(tmp_path / "a.txt", SONG), length=25, validation=0, test=0)
    x, y = contents(path)["train"]
    streams = 4
    each = len(x) // streams
    for k in range(each - 1):
        batch, after = (np.arange(streams) * each + step for step in (k, k + 1))
        np.testing.assert_array_equal(y[batch, -1], x[after, 0])


@pytest.mark.parametrize("validation", [0, 0.3])
@pytest.mark.parametrize("test", [0, 0.3])
def test_parts_that_are_not_wanted_are_left_out(tmp_path: Path, validation: float, test: float) -> None:
    source = text_file(tmp_path / "a.txt", SONG)
    path = text.convert(tmp_path / "a.h5", source, length=10, validation=validation, test=test)
    expected = ["train", *["validation"] * (validation > 0), *["test"] * (test > 0)]
    assert list(contents(path)) == expected


def test_the_shortest_text_that_will_do(tmp_path: Path) -> None:
    path = text.convert(tmp_path / "a.h5", text_file(tmp_path / "a.txt", "abc"), length=2, validation=0, test=0)
    x, y = contents(path)["train"]
    np.testing.assert_array_equal(x, [[0, 1]])
    np.testing.assert_array_equal(y, [[1, 2]])


@pytest.mark.parametrize("content", ["a\r\nb\rc\n", "\ufeffa\nb\nc\n"])
def test_line_ends_and_byte_order_marks(tmp_path: Path, content: str) -> None:
    path = text.convert(tmp_path / "a.h5", text_file(tmp_path / "a.txt", content), length=5, validation=0, test=0)
    with DataFile(path) as file:
        assert file.classes == ("\n", "a", "b", "c")


def test_many_characters_need_a_wider_type(tmp_path: Path) -> None:
    content = "".join(map(chr, range(0x4E00, 0x4E00 + 6000))) + "𝄞é"
    path = text.convert(tmp_path / "a.h5", text_file(tmp_path / "a.txt", content), length=6001, validation=0, test=0)
    with DataFile(path) as file:
        assert file.x_dtype == np.uint16 and len(file.classes) == 6002 and file.classes[-1] == "𝄞"
    x, _ = contents(path)["train"]
    assert x[0, 0] == 1 and x[0, -1] == 6001


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("", {}, "is empty; expected a text in UTF-8"),
        ("\ufeff", {}, "is empty; expected a text in UTF-8"),
        (
            "Röschen".encode("latin-1"),
            {},
            "is not a text in UTF-8: byte 1 is 0xf6. If it is a text in another encoding",
        ),
        (b"\x89HDF\r\n", {}, "is not a text in UTF-8: byte 0 is 0x89"),
        ("ab\0c", {}, "is not plain text: character 2 is NUL"),
        (
            "a" * 100,
            {"validation": 0, "test": 0},
            "too short: of its 100 characters 100 are for train, but a sequence takes 101: 100 and the one after them",
        ),
        ("a" * 1000, {}, "of its 1000 characters 50 are for validation, but a sequence takes 101"),
        ("a" * 1000, {"validation": 0}, "of its 1000 characters 50 are for test, but a sequence takes 101"),
        ("a" * 1000, {"validation": 0.5, "test": 0.5}, "leave no text to train on"),
        ("a" * 1000, {"validation": -0.1}, "expected fractions of 0 or more"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: str | bytes, options: dict[str, float], expected: str):
    source = text_file(tmp_path / "a.txt", content)
    with pytest.raises(DataError) as caught:
        text.convert(tmp_path / "a.h5", source, **options)  # type: ignore[arg-type]
    assert expected in one_paragraph(caught, source)
    assert not (tmp_path / "a.h5").exists()


def test_a_text_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no text .*none\.txt; check the path"):
        text.convert(tmp_path / "a.h5", tmp_path / "none.txt")
    with pytest.raises(DataError, match="is a folder; expected a text"):
        text.convert(tmp_path / "a.h5", tmp_path)


def test_the_command(tmp_path: Path) -> None:
    source, path = text_file(tmp_path / "a.txt", SONG), tmp_path / "a.h5"
    result = CliRunner().invoke(program, ["data", "text", str(source), "--length", "40", "-o", str(path)])
    assert result.exit_code == 0, result.output
    counts = [(round(len(SONG) * share) - 1) // 40 for share in (0.9, 0.05)]
    expected = "train {0}, validation {1}, test {1} samples of 40 uint8, ".format(*counts)
    assert result.output == f"wrote {path}: {expected}{len(set(SONG))} characters\n"
    result = CliRunner().invoke(program, ["data", "text", str(source), "--length", "0", "-o", str(path)])
    assert result.exit_code == 2 and "0 is not in the range x>=1" in " ".join(result.output.split())
    listed = CliRunner().invoke(program, ["data", "text", "--help"]).output
    assert "Line ends become \\n." in listed and "distnn data text bible.txt --length 100 -o bible.h5" in listed


X = np.arange(12).reshape(3, 4) % 5


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (X / 2, X, "train/x has the type float64, but tokens of a language are integers"),
        (X, X / 2, "train/y has the type float64, but tokens of a language are integers"),
        (X, X[:, 0], "train/x has the shape (3, 4) but train/y (3,); for a language, expected one shape"),
        (X, X + 1, "train/y[1, 0] is the label 5, but there are 5 classes: expected 0..4"),
        (X - 1, X, "train/x[0, 0] is the label -1, but there are 5 classes"),
    ],
)
def test_bad_tokens_are_refused(tmp_path: Path, x: np.ndarray, y: np.ndarray, expected: str) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(DataError) as caught:
        write_data(path, {"train": (x, y)}, task="language", classes=list("abcde"))
    assert expected in one_paragraph(caught, path)


def test_a_language_needs_its_tokens_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is for language but names no classes"):
        write_data(tmp_path / "a.h5", {"train": (X, X)}, task="language")
