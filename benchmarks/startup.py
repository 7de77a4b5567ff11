"""What starting costs: the time of imports, and the files that they open, beside numpy, h5py and mpi4py alone.

    python benchmarks/startup.py

See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
#: What is started, by what it is called. The last imports what `distnn train` has imported before its first step.
STARTS = {
    "numpy, h5py, mpi4py": "import numpy, h5py, mpi4py.MPI",
    "import distnn": "import distnn",
    "distnn, graph, fit": "import distnn; distnn.graph, distnn.layers, distnn.optim, distnn.fit",
    "distnn train": "import distnn.cli.train, distnn.session.run, distnn.report.console, distnn.config, mpi4py.MPI",
}
FIRST = "numpy, h5py, mpi4py"
#: Times the first one's: the most that the second may take, and the most files that it may open.
GOALS = {"seconds": 1.15, "files": 1.2}

#: Every file that Python opens, and every library that it loads, is told to audit hooks (PEP 578).
PROGRAM = """
import sys, time
opened = set()
def hook(event, args):
    if event == "open" and isinstance(args[0], str):
        opened.add(args[0])
    elif event == "import" and args[1]:
        opened.add(args[1])
sys.addaudithook(hook)
start = time.perf_counter()
{code}
print(time.perf_counter() - start, len(opened))
"""


def measure(code: str) -> tuple[float, int]:
    """Seconds and files of one start in a process of its own."""
    command = [sys.executable, "-c", PROGRAM.format(code=code)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    seconds, files = done.stdout.split()
    return float(seconds), int(files)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rounds = [{name: measure(code) for name, code in STARTS.items()} for _ in range(given.rounds + 1)][1:]
    result: dict[str, Any] = {}
    print(f"{'':24}{'seconds':>9}{'files':>8}   divided by {FIRST}")
    for name in STARTS:
        seconds = [each[name][0] for each in rounds]
        ratio = median(each[name][0] / each[FIRST][0] for each in rounds)
        files, first = rounds[0][name][1], rounds[0][FIRST][1]
        result[name] = {"seconds": seconds, "files": files, "ratio": {"seconds": ratio, "files": files / first}}
        print(f"{name:24}{median(seconds):9.3f}{files:8}   {ratio:.2f} and {files / first:.2f}")
    print(f"goals for import distnn: {GOALS['seconds']} and {GOALS['files']}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
