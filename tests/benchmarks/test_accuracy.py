"""benchmarks/accuracy.py on a few images; who wins is not asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distnn.data import write_data


def test_both_train_alike(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    random = np.random.default_rng(0)
    y = {"train": random.integers(0, 10, 128), "validation": random.integers(0, 10, 64)}
    shade = np.linspace(0, 255, 10).astype(np.uint8)
    splits = {split: (np.tile(shade[labels, None, None], (1, 28, 28)), labels) for split, labels in y.items()}
    classes = [str(k) for k in range(10)]
    data = write_data(tmp_path / "data.h5", splits, task="classification", classes=classes, scale=1 / 255)
    words = ("--rounds", "1", "--epochs", "2", "--batch", "32", "--target", "1.0", "--json", tmp_path / "found.json")
    command = [sys.executable, repository / "benchmarks" / "accuracy.py", data, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads((tmp_path / "found.json").read_text())["rounds"]
    assert found["distnn"]["epochs"] == found["torch DDP"]["epochs"] == 2
    assert found["distnn"]["accuracy"] == pytest.approx(found["torch DDP"]["accuracy"], abs=0.02)
    assert "distnn ÷ torch DDP" in done.stdout
