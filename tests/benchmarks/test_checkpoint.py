"""A checkpoint beside dd: benchmarks/checkpoint.py with few parameters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.launch import environment


def test_a_checkpoint_is_measured_beside_dd(repository: Path, tmp_path: Path) -> None:
    script, found = repository / "benchmarks" / "checkpoint.py", tmp_path / "found.json"
    command = [sys.executable, script, tmp_path, "--parameters", "2000000", "--rounds", "2", "--json", found]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, timeout=300, env=environment("none")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(found.read_text())
    assert abs(results["bytes"] / 8e6 - 1) < 0.01
    assert len(results["rounds"]) == 2
    for values in results["rounds"]:
        assert 0 < values["written"] <= values["verified"] * 1.5
        assert 0 <= values["paused"] < 60
    assert "of dd's speed (goal 0.8)" in done.stdout
    assert list(tmp_path.iterdir()) == [found], "nothing is left behind"
