"""The pages that are written from the program: the run file's keys, and the command line's help."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from distnn.cli.main import VERBS
from distnn.config.kinds import OneOf
from distnn.config.section import Section
from distnn.config.sections import RunSettings
from distnn.registry import Count

pytest.importorskip("sphinx", reason="the pages' tools are missing; pip install '.[docs]'")
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "extensions"))

import generated
import run_file


class Unexplained(Section):
    """``[unexplained]``: a section for the tests."""

    explained: Count = 3  #: what it is | for whom
    unexplained: Count = 4


def test_every_section_and_key_is_there_with_its_meaning() -> None:
    page = run_file.page()
    for name, field in RunSettings.model_fields.items():
        families = [extra.family for extra in field.metadata if isinstance(extra, OneOf)]
        keys = {key for family in families for made in family.kinds.values() for key in family.keys(made)}
        part = page.partition(f"\n## `[{name}]`\n")[2].partition("\n## ")[0]
        for key in keys or field.annotation.model_fields:
            (row,) = [line for line in part.partition("\n### ")[0].splitlines() if line.startswith(f"| `{key}` |")]
            found = row.removesuffix(" |").replace(r"\|", "").split(" | ")
            assert len(found) == 4 and all(found), row


def test_defaults_and_kinds_are_the_settings_own() -> None:
    page = run_file.page()
    assert '| `batch_size` | an integer of at least 1 or "full" | `64` | ' in page
    assert "| `path` | text in quotation marks | required | " in page
    assert "| `0.0` (sgd); `0.9` (lars) | *sgd, lars*: how much of the last step" in page
    assert "| `every_epochs` | an integer of at least 1 | required | *step*: " in page
    assert "| `bias` | true or false | `true` | false leaves b out |" in page
    assert "| `slope` | a number above 0 and below 1 | `0.1` | s, of leaky_relu below 0 |" in page
    assert '| `factory` | text such as "module:function" | required | ' in page
    assert page.count("\n### `[[model.layers]]`: ") > 12


def test_a_key_without_a_meaning_stops_the_build() -> None:
    from sphinx.errors import ExtensionError

    line = "| `explained` | an integer of at least 1 | `3` | what it is \\| for whom |\n"
    assert run_file.row("explained", ("an integer of at least 1", "`3`", "what it is | for whom")) == line
    with pytest.raises(ExtensionError, match=r"Unexplained\.unexplained has no meaning .* comment that begins with #:"):
        next(run_file.rows(Unexplained))


def test_every_command_prints_its_help_on_the_page() -> None:
    page = generated.command_line()
    for verb in VERBS:
        assert f"\n### distnn {verb}\n" in page
    assert "\n#### distnn data digits\n" in page
    assert page.count("Usage: distnn") == page.count("\n```text\n") == page.count("-h, --help")
