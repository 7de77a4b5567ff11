"""Run all scripts of the lecture: python docs/examples/run_all.py [FOLDER]

The output of a script is written beside its figures, as FOLDER/NAME.txt, if the script succeeds. The tests run the
scripts with `run`; the build of the pages uses `run_stale`, which runs those whose output is missing or out of date.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

EXAMPLES = Path(__file__).parent
REPOSITORY = EXAMPLES.parents[1]
FIGURES = EXAMPLES.with_name("figures")
SCRIPTS = sorted(EXAMPLES.glob("[0-9]*.py"))


class ExampleError(Exception):
    """A script failed; the text holds its output."""


def run(script: Path, folder: Path = FIGURES) -> str:
    """Run a script with this Python and this checkout's distnn, and return its output.

    Raises:
        ExampleError: if it fails, by an error or by an assertion.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Who has imported distnn, as the tests have, has its choice of threads here; the scripts make their own.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment["PYTHONPATH"] = str(REPOSITORY)
    command = [sys.executable, str(script), str(folder)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExampleError(f"{script} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    (folder / f"{script.stem}.txt").write_text(done.stdout, encoding="utf-8")
    return done.stdout


def run_all(scripts: Iterable[Path] = SCRIPTS, folder: Path = FIGURES) -> None:
    """Run scripts, two at a time; each uses one core."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda script: run(script, folder), scripts))


def run_stale(folder: Path = FIGURES) -> None:
    """Run the scripts whose last run is older than the script, the module they share, or distnn."""
    shared = [*EXAMPLES.glob("lecture*"), *(REPOSITORY / "distnn").rglob("*.py")]
    newest = max(path.stat().st_mtime for path in shared)
    run_all(
        [script for script in SCRIPTS if _written(folder, script) < max(newest, script.stat().st_mtime)],
        folder,
    )


def _written(folder: Path, script: Path) -> float:
    """The time at which the script's output was written; 0 if it wasn't."""
    printed = folder / f"{script.stem}.txt"
    return printed.stat().st_mtime if printed.exists() else 0.0


if __name__ == "__main__":
    run_all(folder=Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else FIGURES)
