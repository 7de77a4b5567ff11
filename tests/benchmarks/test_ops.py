"""distnn's ops beside PyTorch's: benchmarks/ops.py on few images; it checks that both compute the same itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.launch import environment

pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")


def test_every_op_is_measured_beside_pytorchs(repository: Path, tmp_path: Path) -> None:
    script, found = repository / "benchmarks" / "ops.py", tmp_path / "found.json"
    command = [sys.executable, script, "--batch", "2", "--rounds", "2", "--seconds", "0", "--json", found]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, timeout=240, env=environment("none")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(found.read_text())
    assert {name.split()[0].rstrip(",") for name in results} == {"conv2d", "batchnorm", "relu", "maxpool"}
    for name, contenders in results.items():
        assert list(contenders) == ["distnn", "torch", "torch, channels last"]
        assert all(len(times) == 2 and min(times) > 0 for times in contenders.values()), name
        assert f"\n{name} " in done.stdout
