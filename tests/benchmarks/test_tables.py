"""benchmarks/tables.py on one fold of a small table; who wins is not asked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_both_learn(repository: Path) -> None:
    command = [sys.executable, repository / "benchmarks" / "tables.py", "--only", "iris", "--folds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    scores = re.search(r"^iris +150 × 4 +accuracy +distnn (\S+) +scikit-learn (\S+) ", done.stdout, flags=re.MULTILINE)
    assert scores and min(map(float, scores.groups())) > 0.8, done.stdout + done.stderr
