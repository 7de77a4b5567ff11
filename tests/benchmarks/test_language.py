"""distnn's language model and PyTorch's, trained alike: benchmarks/language.py on a small text."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.runs import babble, run_file

pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")

STEPS = 50
CASES = {
    "streams, the last batch of an epoch a smaller one": {"data": {"batch_size": 7, "streams": True}},
    "two layers": {"model": {"hidden": [24, 16]}, "data": {"batch_size": 16, "streams": True}},
    "clipped, sequences at random": {"train": {"clip_norm": 0.2}, "data": {"batch_size": 16}},
    "simple cells": {"model": {"cell": "rnn"}, "data": {"batch_size": 16, "streams": True}},
}


@pytest.mark.parametrize("case", CASES)
def test_fifty_steps_follow_pytorch(
    case: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {name: dict(keys) for name, keys in CASES[case].items()}
    sections["model"] = {"kind": "char-lstm", "embedding": 8, "hidden": [24]} | sections.get("model", {})
    sections["data"] |= {"path": str(babble(tmp_path / "text.h5", 3000, length=20))}
    sections["train"] = {"epochs": 20} | sections.get("train", {})
    sections |= {"optimizer": {"kind": "adam", "learning_rate": 0.01}, "schedule": {"kind": "cosine"}}
    run = run_file(tmp_path / "run.toml", **sections)
    script = repository / "benchmarks" / "language.py"
    words = [script, run, "--steps", str(STEPS), "--json", tmp_path / "found.json"]
    monkeypatch.setattr(sys, "argv", [*map(str, words)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name="__main__")
    assert end.value.code == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["distnn"]) == len(found["torch"]) == STEPS
    np.testing.assert_allclose(found["distnn"], found["torch"], rtol=1e-4)
    assert np.mean(found["distnn"][-5:]) < 0.9 * found["distnn"][0], "it learns"
    assert found["bits"]["distnn"] == pytest.approx(found["bits"]["torch"], abs=1e-3)
