"""Tables: as wide as a terminal, or 80 columns, and never wider."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from distnn.report.table import table

HEAD = ["run", "batch_size", "ranks", "samples/s", "seconds", "test\naccuracy"]
ROWS = [["one", "32", "1", "1,234", "1.5", "0.9"], ["strong", "32", "2", "2,345", "0.8", ""]]


def test_columns_stand_side_by_side() -> None:
    assert table(HEAD, ROWS, width=80) == (
        "\n"
        "  run     batch_size  ranks  samples/s  seconds      test\n"
        "                                                 accuracy\n"
        "  " + "─" * 55 + "\n"
        "  one             32      1      1,234      1.5       0.9\n"
        "  strong          32      2      2,345      0.8\n"
    )


def test_a_narrower_gap_comes_before_a_second_block() -> None:
    lines = table(HEAD, ROWS, width=55).splitlines()
    assert len(lines) == 6
    assert lines[1] == "  run    batch_size ranks samples/s seconds     test"


def test_columns_that_do_not_fit_stand_below() -> None:
    lines = table(HEAD, ROWS, width=45).splitlines()
    assert lines[1] == "  run     batch_size  ranks  samples/s"
    assert lines[6].split() == ["run", "seconds", "test"]
    assert lines[-1].split() == ["strong", "0.8"]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_wider_or_cut(width: int) -> None:
    name, value = "dense.weight." * 20, "字" * 50
    text = table(["name", "value", "count"], [[name, value, "1"], ["", "", ""]], texts=2, width=width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert text.count("字") == 50
    first = text.split("\n\n")[0].splitlines()
    half = width // 2
    assert "".join(line[2:half].split("  ")[0].strip() for line in first[3:]) == name


def test_a_log_has_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # some shells export it
    text = table(["a", "b", "c"], [["x" * 30, "y" * 30, "z" * 30]])
    assert max(map(len, text.splitlines())) <= 80
