"""Names of files on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.runs import distnn

VERBS = {
    "train": ["train", "run.toml", "--out=NAME"],
    "train a run file": ["train", "NAME"],
    "resume": ["train", "run.toml", "--resume=NAME"],
    "evaluate": ["evaluate", "NAME", "d.h5"],
    "evaluate on": ["evaluate", "run", "NAME"],
    "predict": ["predict", "run", "d.h5", "-o", "NAME"],
    "sample": ["sample", "NAME", "--prompt", "a"],
    "inspect": ["inspect", "NAME"],
    "compare": ["compare", "NAME"],
    "graph": ["graph", "run.toml", "--output=NAME"],
    "data": ["data", "digits", "--output=NAME"],
    "init": ["init", "-o", "NAME"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_names_that_no_file_can_have_and_those_that_only_a_shell_expands(verb: str, tmp_path: Path) -> None:
    for name, words in (("~/x", "~ and $NAME are not expanded here"), ("a" * 300, "File name too long")):
        done = distnn(*(word.replace("NAME", name) for word in VERBS[verb]), cwd=tmp_path)
        assert done.returncode == 2, done
        assert done.stderr.startswith("distnn: error: "), done.stderr
        assert words in done.stderr
    assert not any(tmp_path.iterdir())
