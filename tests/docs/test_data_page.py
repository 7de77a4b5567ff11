"""The page about data keeps its promises: each section's Python, run file and commands run, in this order."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import distnn

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
TITLES, *PARTS = zip(*(part.split("\n", 1) for part in PAGE.read_text().split("\n## ")[1:]), strict=True)
SECTIONS = {
    title: blocks
    for title, text in zip(TITLES, *PARTS, strict=True)
    if (blocks := re.findall(r"^```(python|toml|sh)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))
}


@pytest.mark.parametrize("title", SECTIONS)
def test_an_example_runs(title: str, tmp_path: Path) -> None:
    for language, text in SECTIONS[title]:
        if language == "toml":
            (tmp_path / "run.toml").write_text(text)
        elif language == "python":
            subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True)
        for line in text.splitlines() if language == "sh" else ():
            program, *arguments = shlex.split(line)
            assert program == "distnn"
            done = distnn(*arguments, cwd=tmp_path)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "runs" / "run" / "metrics.jsonl").exists()


def test_links_lead_to_its_sections() -> None:
    titles = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in TITLES}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE.read_text())) <= titles
