"""benchmarks/trace.py on a tiny network; what the timeline costs is not asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.launch import mpiexec


def test_both_are_measured(repository: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    tiny = ("--cases", "12-8-4@16", "--rounds", "2", "--seconds", "0.01", "--json", str(found))
    done = mpiexec(2, [sys.executable, str(repository / "benchmarks" / "trace.py"), *tiny])
    assert done.returncode == 0, done
    (result,) = json.loads(found.read_text()).values()
    assert len(result["rounds"]) == 2
    assert all(set(each) == {"plain", "traced"} and min(each.values()) > 0 for each in result["rounds"])
    assert "12-8-4@16" in done.stdout
