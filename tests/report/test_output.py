"""Text and JSON for streams."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.report.output import show_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
)


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
