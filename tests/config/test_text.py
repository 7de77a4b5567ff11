"""The text of a run file: lines of keys, overrides, writing."""

from __future__ import annotations

import tomllib
from typing import Any

from distnn.config.text import apply_override, line_of, parse_override, show, write


def test_lines_in_every_way_of_writing_toml() -> None:
    text = """
data.path = "x"       # dotted
train = {epochs = 3,  seed = 0}
note = '''
[model]
kind = "in a text"
'''
"optimizer".'learning_rate' = 3

[model]
hidden = [  # several lines
  1,
]
[[model.layers]]
units = 1
[[model.layers]]
bias = true
units = 2
"""
    lines = {
        ("data", "path"): 2,
        ("train", "seed"): 3,
        ("optimizer", "learning_rate"): 8,
        ("model", "hidden", 0): 11,
        ("model", "hidden"): 11,
        ("model", "layers", 0, "units"): 15,
        ("model", "layers", 1, "units"): 18,
        ("model", "layers", 1, "kind"): 16,
        ("model", "kind"): 10,
        ("log", "interval"): None,
    }
    assert {keys: line_of(text, keys) for keys in lines} == lines


def test_an_override_makes_the_tables_it_needs_and_nothing_else() -> None:
    target: dict[str, Any] = {"a": {"b": 1}, "list": [1, {"x": 2}]}
    assert apply_override(target, ("a", "b", "c"), 0) == ("a", "b")
    assert apply_override(target, ("list", "x"), 0) == ("list",)
    assert target == {"a": {"b": 1}, "list": [1, {"x": 2}]}
    assert apply_override(target, ("n", "m"), 3) is None
    assert apply_override(target, ("list", 1, "x"), 4) is None
    assert target == {"a": {"b": 1}, "list": [1, {"x": 4}], "n": {"m": 3}}
    assert parse_override("a.b=c=d") == (("a", "b"), "c=d")


def test_writing_toml() -> None:
    value = {"a b": 'x\n"\x7f', "sub": {"t": [1, 2.5], "rows": [{"y": True}, {}]}, "none": {}}
    text = write(value)
    assert tomllib.loads(text) == value
    assert text.startswith('"a b" = "x\\n\\"\\u007f"\n\n[sub]\nt = [1, 2.5]\n\n[[sub.rows]]\ny = true\n')
    assert show({"a": [1e-5, "b"]}) == '{a = [1e-05, "b"]}'
