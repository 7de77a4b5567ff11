"""README.md keeps its promises: its commands, its run file and its Python really run."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import distnn


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    """A folder that looks like the checkout to what reads data/, and takes what is written."""
    (tmp_path / "data").symlink_to(repository / "data")
    return tmp_path


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def run(arguments: list[str], folder: Path) -> str:
    """The standard output of Python with `arguments`, which must succeed."""
    if arguments[:2] == ["-m", "distnn"]:
        done = distnn(*arguments[2:], cwd=folder)
    else:
        done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_two_commands_are_one_line_each(readme: str) -> None:
    """CI runs them as they stand here: `.ci/run` takes the first two sh blocks."""
    first, second = blocks(readme, "sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert "'.[mpi]'" in first
    assert first.endswith("mpiexec -n 2 distnn train data/digits.toml\n")
    assert "'.[mpi,test]'" in second
    assert second.endswith("python -m pytest\n")


def test_the_run_file_trains(readme: str, checkout: Path) -> None:
    (text,) = blocks(readme, "toml")
    (checkout / "run.toml").write_text(text)
    run(["-m", "distnn", "train", "run.toml", "--set", "train.epochs=2"], checkout)
    assert (checkout / "runs" / "run" / "metrics.jsonl").exists()


def test_the_commands_that_follow_a_run_work_on_it(readme: str, checkout: Path) -> None:
    (text,) = blocks(readme, "toml")
    (checkout / "run.toml").write_text(text.replace("epochs = 30", "epochs = 1"))
    run(["-m", "distnn", "train", "run.toml"], checkout)
    (verbs,) = [block for block in blocks(readme, "sh") if "distnn evaluate" in block]
    commands = [line.split("#")[0].split() for line in verbs.splitlines() if "fashion-mnist" not in line]
    assert [words[1] for words in commands] == ["train", "evaluate", "predict", "inspect", "compare"]
    for words in commands:
        run(["-m", *words], checkout)
    assert (checkout / "out.csv").exists()


def test_the_python_example_reaches_what_it_prints(readme: str, checkout: Path) -> None:
    script, _ = blocks(readme, "python")
    printed = run(["-c", script], checkout)
    match = re.search(r"^test accuracy (\d\.\d\d)$", printed, flags=re.MULTILINE)
    assert match, printed
    assert float(match[1]) > 0.9


def test_the_graph_example(repository: Path) -> None:
    result = doctest.testfile(str(repository / "README.md"), module_relative=False)
    assert result.attempted == 5
    assert result.failed == 0


def test_it_fits_two_screens(readme: str) -> None:
    assert readme.count("\n") <= 110
    assert readme.count("![") == 1


def test_the_picture_shows_what_was_measured(repository: Path) -> None:
    """The numbers on it are those of the first table of benchmarks/README.md."""
    picture = (repository / "docs" / "static" / "speed.svg").read_text()
    table = (repository / "benchmarks" / "README.md").read_text()
    ratios = re.findall(r"^\| \S+@\d+ \| [\d,]+ \| ([\d.]+) \|", table, flags=re.MULTILINE)
    assert len(ratios) == 7
    assert set(re.findall(r"<!-- ([\d.]+) × -->", picture)) == set(ratios)


def test_the_links_lead_somewhere(readme: str, repository: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert target.startswith("https://") or (repository / target).exists(), target
