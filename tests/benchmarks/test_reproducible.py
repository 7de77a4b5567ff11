"""What reproducible sums cost: benchmarks/reproducible.py with few steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.launch import mpiexec


def test_both_modes_are_timed_beside_each_other(repository: Path, tmp_path: Path) -> None:
    script, found = repository / "benchmarks" / "reproducible.py", tmp_path / "found.json"
    small = ("--cases", "1", "--rounds", "2", "--steps", "1", "--shards", "4")
    done = mpiexec(2, [sys.executable, str(script), *small, "--json", str(found)], timeout=240)
    assert done.returncode == 0, done
    results = json.loads(found.read_text())
    assert results["ranks"] == 2
    ((name, case),) = results["cases"].items()
    assert f"\n{name}; goal: at most {case['goal']:.2f}" in done.stdout
    modes = ["fast, one shard a rank", "fast, 4 shards", "reproducible, 4 shards"]
    assert list(case["seconds"]) == modes
    assert all(len(times) == 2 and min(times) > 0 for times in case["seconds"].values())
    for mode in modes[:2]:
        ratio = case["reproducible_divided_by"][mode]
        assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
