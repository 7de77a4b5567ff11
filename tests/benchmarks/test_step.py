"""benchmarks/step.py runs, its contenders agree, and its JSON says what it measured; how fast is not asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.launch import CURES, REQUIRE

CASE = "12-8-4@16"
MPIEXEC = Path(sys.executable).parent / "mpiexec"
needs_mpiexec = pytest.mark.skipif(not MPIEXEC.exists() and not os.environ.get(REQUIRE), reason=CURES["mpich"])


def run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "benchmarks" / "step.py"), "--torch-python", "none", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


@needs_mpiexec
def test_a_tiny_case(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "step.json"
    tiny = ("--cases", CASE, "--samples", "100", "--rounds", "3", "--seconds", "0.01", "--json", str(path))
    done = run(repository, *tiny)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the first 7 losses agree" in done.stdout
    assert "bare loop" in done.stdout.split(CASE)[-1], "the table has a line for each contender"
    result = json.loads(path.read_text())
    assert result["ranks"] == 2
    found = result["cases"][CASE]
    assert set(found["samples_per_s"]) == {"distnn", "bare loop"}
    assert all(speed > 0 for each in found["samples_per_s"].values() for speed in each["rounds"])
    mine, its = (found["samples_per_s"][name]["rounds"] for name in ("distnn", "bare loop"))
    ratio = found["distnn_divided_by"]["bare loop"]
    assert ratio["rounds"] == pytest.approx([a / b for a, b in zip(mine, its, strict=True)])
    assert len(ratio["rounds"]) == 3
    assert ratio["min"] <= ratio["median"] <= ratio["max"]
    assert ratio["goal"] == 0.9


def test_a_case_that_cannot_be_compared_is_refused(repository: Path) -> None:
    done = run(repository, "--cases", "12-8-4@15")
    assert done.returncode == 2
    assert "12-8-4@15: 2 ranks must be able to share the batch" in done.stderr


def test_what_is_no_case_is_refused(repository: Path) -> None:
    done = run(repository, "--cases", "784x10")
    assert done.returncode == 2
    assert "expected widths and global batch, such as 784-128-10@256" in done.stderr


def test_a_missing_torch_is_said(repository: Path) -> None:
    code = "import step; step.having('torch==2.13.0', '/bin/false')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository / "benchmarks", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "torch is skipped" in done.stdout
    assert "pip install torch==2.13.0" in done.stdout
