"""A pipeline beside a plain read: benchmarks/data.py with a small file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.launch import mpiexec


def test_the_pipeline_is_measured_beside_a_plain_read(repository: Path, tmp_path: Path) -> None:
    script, found = repository / "benchmarks" / "data.py", tmp_path / "found.json"
    small = ("--gib", "0.06", "--rounds", "2", "--seconds", "0.1", "--shapes-mb", "2", "--json", str(found))
    done = mpiexec(2, [sys.executable, str(script), str(tmp_path), *small], timeout=300)
    assert done.returncode == 0, done
    results = json.loads(found.read_text())
    assert len(results["training"]) == 2
    assert all(0 < rank["share"] < 1 and 50 < rank["peak_mib"] < 2000 for rank in results["training"])
    assert len(results["rounds"]) == 2
    for values in results["rounds"]:
        assert 0 < values["fancy"] < values["pipeline"]
    assert "of it (goal 0.7)" in done.stdout
    assert set(results["shapes"]) == {"rows", "one", "columns"}
    assert "the fastest (goal 1.3)" in done.stdout
    assert set(results["ranks"]) == {"alone", "together"} and set(results["files"]) == {"known", "read", "h5py"}
    assert list(tmp_path.iterdir()) == [found], "nothing is left behind"
