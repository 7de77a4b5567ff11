"""`distnn graph`: the drawing of a run file's model, and what is said where there can be none."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from distnn.cli.main import main
from distnn.data import write_data
from tests.support.dot import boxes, edges, needs_dot
from tests.support.runs import distnn, line

LAYERS = [
    ["x"],
    ["y"],
    ["reshape"],
    ["dense1", "affine + relu", "4,160 parameters", "8.26 kFLOP"],
    ["dense2", "affine + relu", "2,080 parameters", "4.13 kFLOP"],
    ["dense3", "affine", "330 parameters", "640 FLOP"],
    ["cross-entropy", "50 FLOP"],
]


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    """A folder that looks like the checkout to what reads data/, and takes what is written."""
    (tmp_path / "data").symlink_to(repository / "data")
    return tmp_path


def distnn_graph(folder: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return distnn("graph", *words, cwd=folder, env=extra or None)


def test_the_text_of_a_run_files_model(checkout: Path) -> None:
    result = distnn_graph(checkout, "data/digits.toml", "-o", "model.dot")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "64-64-32-10, relu: wrote model.dot\n"
    dot = (checkout / "model.dot").read_text(encoding="utf-8")
    assert list(boxes(dot).values()) == LAYERS
    assert ("x", "reshape", "N × 8 × 8") in edges(dot)
    assert ("dense2", "dense3", "N × 32") in edges(dot)
    assert "digits.toml: 64-64-32-10, relu<BR/>6,570 parameters; 13.1 kFLOP forward for a sample" in dot


def test_without_a_file_the_text_is_printed_and_set_changes_the_model(checkout: Path) -> None:
    result = distnn_graph(checkout, "data/digits.toml", "--set", "model.hidden=[16]", "--set", "model.activation=tanh")
    assert result.returncode == 0
    assert list(boxes(result.stdout).values())[3] == ["dense1", "affine + tanh", "1,040 parameters", "2.06 kFLOP"]
    assert [path.name for path in checkout.iterdir()] == ["data"]


def test_the_loss_is_the_runs_own(checkout: Path) -> None:
    line(checkout / "line.h5", {"train": 20})
    words = ("--set", "data.path=line.h5", "--set", "model.hidden=[4]", "--set", "loss.kind=huber")
    result = distnn_graph(checkout, "data/digits.toml", *words)
    assert (result.returncode, result.stderr) == (0, "")
    assert [lines[0] for lines in boxes(result.stdout).values()][-1] == "huber"


@pytest.mark.parametrize(
    ("name", "begins"), [("model.svg", b"<svg"), pytest.param("model.png", b"\x89PNG", marks=needs_dot)]
)
def test_pictures(checkout: Path, name: str, begins: bytes) -> None:
    (checkout / name).write_text("an old one")
    result = distnn_graph(checkout, "data/digits.toml", "-o", name)
    assert (result.returncode, result.stderr) == (0, "")
    assert (checkout / name).read_bytes().startswith(begins)


def test_without_graphviz_the_text_is_still_there(checkout: Path) -> None:
    result = distnn_graph(checkout, "data/digits.toml", "-o", "model.png", PATH=str(checkout / "nowhere"))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("distnn: error: a drawing as .png needs the program dot of Graphviz")
    assert "apt install graphviz" in result.stderr
    assert "Wrote model.dot instead" in result.stderr
    assert list(boxes((checkout / "model.dot").read_text(encoding="utf-8")).values()) == LAYERS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data/none.toml"], "data/none.toml"),
        (["data/digits.toml", "--set", "data.path=none.h5"], "There is no data file none.h5"),
        (["data/digits.toml", "--set", "model.activation=rellu"], "relu"),
        (["bad.toml"], 'model.kind = "linear" is for regression'),
        (["data/digits.toml", "-o", "model.jpg"], "model.jpg: a drawing is written as .dot, .svg, .png or .pdf"),
        (["data/digits.toml", "--neurons", "-o", "net.png"], "net.png: a drawing of neurons is written as .svg"),
        (["data/digits.toml", "-o", "none/model.dot"], "none/model.dot can't be written: there is no folder none"),
    ],
)
def test_bad_input_ends_with_2(
    checkout: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (checkout / "bad.toml").write_text('[model]\nkind = "linear"\n[data]\npath = "data/digits.h5"\n')
    monkeypatch.chdir(checkout)
    with pytest.raises(SystemExit) as end:
        main(["graph", *words])
    said = capsys.readouterr()
    assert (end.value.code, said.out) == (2, "")
    assert message in said.err
    assert sorted(path.name for path in checkout.iterdir()) == ["bad.toml", "data"]


def test_neurons_are_drawn_without_graphviz_and_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("PATH", str(checkout / "nowhere"))
    with pytest.raises(SystemExit) as end:
        main(["graph", "data/digits.toml", "--neurons", "-o", "net.svg"])
    assert not end.value.code
    picture = ElementTree.parse(checkout / "net.svg").getroot()
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"64 neurons", "32 neurons", "10 neurons", "softmax", *map(str, range(10))} <= set(texts)


def test_one_neuron_for_two_classes_has_the_name_of_the_second(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    write_data(checkout / "exam.h5", {"train": (x, y)}, task="classification", classes=["failed", "passed"])
    (checkout / "exam.toml").write_text('[data]\npath = "exam.h5"\n[model]\nkind = "logistic"\n')
    monkeypatch.chdir(checkout)
    with pytest.raises(SystemExit) as end:
        main(["graph", "exam.toml", "--neurons"])
    text = capsys.readouterr().out
    assert not end.value.code
    assert text.startswith("<svg") and ">passed</text>" in text and ">failed<" not in text
