"""benchmarks/scaling.py and reduction.py on a tiny network; how fast is not asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.launch import mpiexec

TINY = ("--cases", "12-8-4@16", "--rounds", "2", "--seconds", "0.01")


def test_together_and_alone(repository: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    done = mpiexec(2, [sys.executable, repository / "benchmarks" / "scaling.py", *TINY, "--json", found])
    assert done.returncode == 0, done
    case = json.loads(found.read_text())["cases"]["12-8-4@16"]
    for way in ("alone", "alone, a share"):
        ratios = [a / b for a, b in zip(case["together"], case[way], strict=True)]
        assert case["efficiency"][way] == pytest.approx(ratios)
        assert len(ratios) == 2
        assert min(ratios) > 0
    assert "12-8-4@16" in done.stdout


def test_ways_of_reducing(repository: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    command = [sys.executable, repository / "benchmarks" / "reduction.py", *TINY, "--nodes", "2", "--buckets", "1e-4"]
    done = mpiexec(3, [*command, "--json", found])
    assert done.returncode == 0, done
    case = json.loads(found.read_text())["cases"]["12-8-4@16"]
    ways = {"allreduce", "node", "node, as 2 nodes", "buckets of 0.0001 MB", "Allreduce alone"}
    assert set(case) == ways
    assert all(len(times) == 2 and min(times) > 0 for times in case.values())
