"""A few of the damaged and hostile files of `tests.fuzz`, and that it would find a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import fuzz
from tests.support.thorough import times


def test_each_is_answered_in_words() -> None:
    counts, wrong = fuzz.fuzz(1, dict.fromkeys(fuzz.KINDS, times(12, 400)))
    assert wrong == []
    assert counts["data commands"] >= 4 * 12


def test_a_fault_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = fuzz.Bench(tmp_path)
    work = tmp_path / "work"
    (work / "trap.py").write_text("from pathlib import Path\nPath('sprung').touch()\n", encoding="utf-8")
    assert bench.verdict(["graph", str(bench.run)]) == ""
    trap = ["graph", str(bench.run), "--set", "model.kind=trap:Trap", "--set", "loss.kind=trap:Loss"]
    assert bench.verdict(trap) == ""
    assert bench.verdict([*trap, "--trust-code"]) == "foreign import"
    assert bench.verdict(["inspect", str(bench.secret)]) == "file opened outside"
    monkeypatch.setattr(fuzz, "LIMIT", 0.01)
    assert bench.verdict(["train", str(bench.run), "--out", str(work / "out")]) == "hang"
