"""benchmarks/plan.py on few images; how near the prediction comes is not asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_predicted_and_measured(repository: Path, tmp_path: Path) -> None:
    words = ("--cases", "cnn", "--ranks", "2", "--rounds", "1", "--samples", "256", "--json", tmp_path / "found.json")
    command = [sys.executable, repository / "benchmarks" / "plan.py", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (case,) = json.loads((tmp_path / "found.json").read_text())["cases"].items()
    name, found = case
    assert name == "cnn@2"
    assert len(found["predicted"]) == len(found["measured"]) == 1
    assert min(*found["predicted"], *found["measured"]) > 0.1
    assert "cnn      2" in done.stdout
