"""Text and JSON for streams."""

from __future__ import annotations

import io
import json
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.errors import complain
from distnn.report.bar import Bar
from distnn.report.output import show, show_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
)

#: Embeddings, overrides and isolates of Unicode's bidirectional algorithm.
TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def same(written: object, value: object) -> bool:
    """Whether this came back for it: null for NaN and the infinities, lists for tuples."""
    if isinstance(value, dict):
        return isinstance(written, dict) and all(map(same, written.values(), value.values())) and [*written] == [*value]
    if isinstance(value, list | tuple):
        return isinstance(written, list) and len(written) == len(value) and all(map(same, written, value))
    return written is None if isinstance(value, float) and not math.isfinite(value) else written == value


@given(value=VALUES)
def test_json_holds_any_number(value: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        texts: list[str] = []
        patch.setattr("distnn.report.output.show", texts.append)
        show_json(value)
    written = json.loads(texts[0], parse_constant=lambda word: pytest.fail(f"{word} isn't JSON"))
    assert same(written, value)


@pytest.mark.parametrize("way", ["shown", "complained", "above the bar"])
@given(text=st.text(st.characters(codec="utf-8", categories=["Cc", "Cf", "Lu", "Zs"])))
def test_no_name_in_a_file_steers_the_terminal(way: str, text: str) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        ways = {"shown": lambda: show(text, stream), "complained": lambda: complain(text)}
        ways.get(way, lambda: Bar(stream).print(text))()
    steering = {letter for letter in stream.getvalue() if unicodedata.category(letter) == "Cc"} - {"\n", "\t"}
    turning = {letter for letter in stream.getvalue() if unicodedata.bidirectional(letter) in TURNING}
    assert not steering | turning
    if way != "above the bar" and all(letter == " " or letter.isalpha() for letter in text):
        assert stream.getvalue() == text + "\n"
