"""``[data.split]``: what it describes, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from distnn.config import from_dict, to_dict
from distnn.data.cutting import Cut
from distnn.errors import RunFileError


def cut(**keys: Any) -> Cut:
    settings = from_dict({"model": {"kind": "mlp"}, "data": {"path": "a.h5", "split": keys}}, "it")
    assert from_dict(to_dict(settings)) == settings and settings.data.split
    return settings.data.split.cut()


def test_what_it_describes() -> None:
    assert cut(validation=0.1, test=500, seed=3, stratify=True) == Cut(0.1, 500, 3, stratify=True)
    assert cut(test=0.2, group="id") == Cut(test=0.2, group="id")
    assert cut(train=["a*.h5"], test=["b.h5"]) == Cut(files={"train": ("a*.h5",), "test": ("b.h5",)})
    assert cut(test=1).made == ("test",) and cut(validation=["b"]).made == ("validation",)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "data.split cuts nothing off; give validation, test or both, such as validation = 0.1."),
        ({"train": ["a.h5"]}, "data.split cuts nothing off; give validation, test or both"),
        ({"validation": 0}, "data.split.validation is 0 (an integer), but must be an integer of at least 1 or a frac"),
        ({"validation": 1.0}, "data.split.validation is 1.0 (a float), but must be an integer of at least 1 or a frac"),
        ({"test": ["b.h5"], "validation": 9}, "data.split.validation is a number, but others are lists of files; give"),
        ({"test": ["b.h5"], "seed": 1}, "data.split.seed has no meaning where files are listed; remove it."),
        ({"test": 9, "stratify": True, "group": "g"}, "data.split.stratify can't be met with whole groups (data.spli"),
        (
            {"valid": 0.1, "test": 5},
            "data.split.valid is not a setting (did you mean 'validation'?); [data.split] takes",
        ),
    ],
)
def test_what_it_refuses(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(RunFileError) as caught:
        cut(**keys)
    assert words in str(caught.value)
