"""The examples, run before the pages are built: their figures, and what they print, come from that run."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sphinx.errors import ExtensionError

DOCS = Path(__file__).parents[1]
FIGURES = DOCS / "figures"


def fresh(script, printed):
    """Whether a script's last run is newer than the script, what it shares with the others, and distnn."""
    sources = [script, *DOCS.glob("examples/lecture.*"), *(DOCS.parent / "distnn").rglob("*.py")]
    return printed.exists() and printed.stat().st_mtime > max(source.stat().st_mtime for source in sources)


def run(script):
    """Run a script; what it prints is written beside its figures, once it has ended well."""
    printed = FIGURES / f"{script.stem}.txt"
    if fresh(script, printed):
        return
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    command = [sys.executable, script, FIGURES]
    done = subprocess.run(command, env=environment, cwd=DOCS, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExtensionError(f"{script} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    printed.write_text(done.stdout)


def run_all(app):
    """Run all of them, two at a time."""
    FIGURES.mkdir(exist_ok=True)
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(run, sorted(DOCS.glob("examples/[0-9]*.py"))))


def setup(app):
    """Tell Sphinx."""
    app.connect("builder-inited", run_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
