"""What every refusal of the command line has in common."""

from __future__ import annotations

from pathlib import Path

from tests.support.runs import distnn, snapshot


def refused(folder: Path, *args: str | Path) -> str:
    """The message with which ``distnn args``, run in ``folder``, is refused; checks the rules for such messages."""
    before = snapshot(folder)
    done = distnn(*args, cwd=folder)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("distnn: error: "), done.stderr
    assert len(lines) == 1 or lines[1:] == ["Try 'distnn train --help'."] or all(line[0] == " " for line in lines[1:])
    assert snapshot(folder) == before
    return done.stderr
