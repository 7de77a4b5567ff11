"""What tests of drawings share: reading DOT text back, and the mark of those that need Graphviz."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import pytest

needs_dot = pytest.mark.skipif(
    shutil.which("dot") is None, reason="Graphviz's program dot isn't installed; cure: apt install graphviz"
)


def boxes(dot: str) -> dict[str, list[str]]:
    """The rows of each box's label, as one reads them, by the node's id."""
    found = re.findall(r"^\s*(n\d+) \[label=<(.*)>, fillcolor=\"#[0-9a-f]{6}\"\]$", dot, flags=re.MULTILINE)
    return {name: [_text(row) for row in label.split("<BR/>")] for name, label in found}


def _text(row: str) -> str:
    return html.unescape(re.sub(r"<[^<>]*>", "", row)).replace("\xa0", " ")


def edges(dot: str) -> set[tuple[str, str, str]]:
    """(from, to, label) of each edge, by the boxes' first rows."""
    first = {name: rows[0] for name, rows in boxes(dot).items()}
    found = re.findall(r"^  (n\d+) -> (n\d+)(?: \[label=\"(.*)\"\])?$", dot, flags=re.MULTILINE)
    return {(first[source], first[target], label.strip()) for source, target, label in found}


def frames(dot: str) -> dict[str, list[str]]:
    """The first rows of the boxes that each frame holds itself, by the frame's dotted name."""
    first = {name: rows[0] for name, rows in boxes(dot).items()}
    found: dict[str, list[str]] = {}
    inside: list[str] = []
    for line in dot.splitlines():
        if match := re.match(r"\s*subgraph \"cluster_(.*?)\"", line):
            inside.append(match[1])
            found[match[1]] = []
        elif line == "  }":
            inside.pop()
        elif inside and (match := re.match(r"\s*(n\d+) \[", line)):
            found[inside[-1]].append(first[match[1]])
    assert not inside
    return found


def without_dot(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH on which there is no program at all."""
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
