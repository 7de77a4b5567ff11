"""A few of the damaged files of `tests.fuzz` and `tests.fuzz_readers`, and that these would find a fault."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import fuzz, fuzz_readers
from tests.support.thorough import times


def test_each_is_answered_in_words() -> None:
    counts, wrong = fuzz.fuzz(1, dict.fromkeys(fuzz.KINDS, times(6, 400)), processes=times(1, 2))
    assert wrong == []
    assert counts["data commands"] >= 3 * 6


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


@pytest.mark.parametrize("kind", fuzz_readers.READERS)
def test_each_reader_refuses_in_words_or_reads(kind: str) -> None:
    assert fuzz_readers.by_chance(kind, times(300, 10_000), seed=2) == []


def stuck(path: Path) -> None:
    while True:
        pass


def crash(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def confuse(path: Path) -> None:
    raise KeyError("y")


@pytest.mark.parametrize(
    ("fault", "told"), [(stuck, "a hang, or an exc"), (crash, "killed by signal 11"), (confuse, "a hang, or an exc")]
)
def test_a_readers_fault_would_be_found(
    fault: Callable[[Path], object], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fuzz_readers, "LIMIT", 0.2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the file that was bad is kept
    good, read = fuzz_readers.good("run-file", tmp_path), fuzz_readers.READERS["run-file"]
    monkeypatch.setitem(
        fuzz_readers.READERS, "run-file", lambda path: read(path) if path.read_bytes() == good else fault(path)
    )
    (text,) = fuzz_readers.by_chance("run-file", 1, seed=1)
    assert told in text
