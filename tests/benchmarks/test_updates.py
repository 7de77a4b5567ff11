"""benchmarks/updates.py on short vectors; that distnn's updates and PyTorch's agree it checks itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.launch import environment

pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")


def test_every_rule_is_measured(repository: Path, tmp_path: Path) -> None:
    script, found = repository / "benchmarks" / "updates.py", tmp_path / "found.json"
    command = [sys.executable, script, "--parameters", "70000", "--rounds", "3", "--json", found]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, timeout=300, env=environment("none")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(found.read_text())
    assert list(results) == ["sgd", "sgd, momentum", "adam", "adamw"]
    for result in results.values():
        assert len(result["rounds"]) == 3
        assert all(set(row) == {"copy", "distnn", "torch"} and min(row.values()) > 0 for row in result["rounds"])
