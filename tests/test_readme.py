"""README.md keeps its promises: its commands, its run file and its Python really run."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from distnn.layers import Layer
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
    text, *_ = blocks(readme, "toml")
    (checkout / "run.toml").write_text(text)
    run(["-m", "distnn", "train", "run.toml", "--set", "train.epochs=2"], checkout)
    assert (checkout / "runs" / "run" / "metrics.jsonl").exists()


def test_the_list_of_layers_trains_and_names_every_kind(readme: str, checkout: Path) -> None:
    text, layers, *_ = blocks(readme, "toml")
    (checkout / "run.toml").write_text(layers + text[text.index("[data]") :])
    run(["-m", "distnn", "train", "run.toml", "--set", "train.epochs=1"], checkout)
    assert (checkout / "runs" / "run" / "metrics.jsonl").exists()
    named = set(re.findall(r"\w+", " ".join(line.partition("#")[2] for line in layers.splitlines())))
    assert {kind for kind in Layer.family.kinds if not kind.endswith("pool1d")} <= named


def test_the_same_bits_and_large_data(readme: str, checkout: Path) -> None:
    text, _, exact, large = blocks(readme, "toml")
    assert 'path = "data/digits.h5"' in text
    assert "[parallel]" not in text
    text = text.replace("epochs = 30", "epochs = 1") + exact
    (checkout / "run.toml").write_text(
        text.replace('path = "data/digits.h5"', large.partition('"images.h5"')[2].strip() + '\npath = "data/digits.h5"')
    )
    run(["-m", "distnn", "train", "run.toml", "--set", "data.in_memory=false"], checkout)
    saved = (checkout / "runs" / "run" / "run.toml").read_text()
    assert "reproducible = true" in saved
    assert "shuffle_buffer = 65536" in saved


def test_the_commands_that_follow_a_run_work_on_it(readme: str, checkout: Path) -> None:
    text, *_ = blocks(readme, "toml")
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


def test_the_links_lead_somewhere(readme: str, repository: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert target.startswith("https://") or (repository / target).exists(), target
