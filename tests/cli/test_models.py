"""Networks of all kinds from run files through the real command line: trained, drawn, inspected, and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.launch import launchers
from tests.support.refusals import refused
from tests.support.runs import DIGITS, distnn, losses, some_digits
from tests.support.thorough import THOROUGH
from tests.support.warm import warm

RUN = """\
[data]
path = "{data}"
batch_size = 20

[train]
epochs = 2
seed = 3

[parallel]
shards = 2

[log]
interval = 0

"""
RESNET = """\
[model]
kind = "resnet"
depth = 8
channels = [4, 6, 8]
shortcut = "{shortcut}"
"""
LAYERS = """\
[[model.layers]]
kind = "conv2d"
filters = 6
padding = "same"

[[model.layers]]
kind = "residual"
layers = [
  {kind = "batch_norm"},
  {kind = "activation", activation = "relu"},
  {kind = "conv2d", filters = 6, padding = "same"},
]

[[model.layers]]
kind = "max_pool2d"

[[model.layers]]
kind = "flatten"

[[model.layers]]
kind = "dropout"
rate = 0.2

[[model.layers]]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return some_digits(tmp_path / "some.h5", 110)


@pytest.mark.parametrize("launcher", launchers() if THOROUGH else launchers()[:1])
@pytest.mark.parametrize("model", [RESNET.format(shortcut="pad"), LAYERS], ids=["resnet", "layers"])
def test_two_ranks_train_what_one_does(model: str, launcher: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN.format(data=data) + model)
    for ranks in (1, 2):
        done = warm(ranks, ["train", "run.toml", "--out", f"out{ranks}"], launcher=launcher, cwd=tmp_path, timeout=120)
        assert done.returncode == 0, done
    alone, together = losses(tmp_path / "out1"), losses(tmp_path / "out2")
    assert len(alone) == 12
    assert alone == pytest.approx(together, rel=1e-4)
    # what the run wrote down builds the same network again
    scored = distnn("evaluate", "out2", data, "--json", cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["samples"] == 40


def test_a_resnet_is_drawn_and_inspected(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN.format(data=data) + RESNET.format(shortcut="projection"))
    drawn = distnn("graph", "run.toml", "-o", "model.dot", cwd=tmp_path)
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert drawn.stdout == "ResNet-8: 8×8-4(×3)-6(×3)-8(×3)-10, relu: wrote model.dot\n"
    dot = (tmp_path / "model.dot").read_text(encoding="utf-8")
    assert 'subgraph "cluster_residual2.shortcut"' in dot and "conv2d" in dot
    done = distnn("train", "run.toml", "--out", "out", "--set", "train.epochs=1", cwd=tmp_path)
    assert "ResNet-8: 8×8-4(×3)-6(×3)-8(×3)-10, relu, 2,142 parameters" in done.stdout
    seen = distnn("inspect", "out", cwd=tmp_path)
    assert "model: ResNet-8: 8×8-4(×3)-6(×3)-8(×3)-10, relu" in seen.stdout
    assert "residual2.shortcut.conv2d1.weight" in seen.stdout


BAD = {
    "the window eats the image": (
        '[[model.layers]]\nkind = "max_pool2d"\nwindow = 9\n',
        ["run.toml, line 1: model.layers[0] (max_pool2d): ", "(N, 8, 8)", "(N, H, W, C)"],
    ),
    "stride": (
        '[[model.layers]]\nkind = "conv2d"\nfilters = 4\nstride = 5\n\n'
        '[[model.layers]]\nkind = "conv2d"\nfilters = 2\n',
        ["run.toml, line 6: model.layers[1] (conv2d): Conv2D(2, 3, name='conv2d2') on (N, 2, 2, 4)", "eats the image"],
    ),
    "groups": (
        '[[model.layers]]\nkind = "conv2d"\nfilters = 4\ngroups = 2\n',
        ["run.toml, line 1: model.layers[0] (conv2d): ", "channels can't be split into 2 groups evenly"],
    ),
    "activation": (
        '[[model.layers]]\nkind = "conv2d"\nfilters = 4\nactivation = "rellu"\n',
        ['run.toml, line 4: model.layers[0].activation is "rellu"', "did you mean 'relu'?"],
    ),
    "positions": (
        '[[model.layers]]\nkind = "conv2d"\nfilters = 4\n\n[[model.layers]]\n',
        ["run.toml, line 5: model.layers[1] (dense): the model's output has shape (N, 6, 6, 10)", "expected (N, 10)"],
    ),
    "convnet": (
        '[model]\nkind = "convnet"\nchannels = [4, 4, 4, 4]\n',
        ["run.toml, line 3: convnet: ", "stage 4 has to halve is 8 × 8 → 4 × 4 → 2 × 2 → 1 × 1"],
    ),
    "resnet": ('[model]\nkind = "resnet"\ndepth = 9\n', ["run.toml, line 3: resnet: depth is 9; expected 6 n + 2"]),
}


@pytest.mark.parametrize("verb", ["train", "graph"])
@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_told_with_its_line(case: str, verb: str, tmp_path: Path) -> None:
    model, words = BAD[case]
    (tmp_path / "run.toml").write_text(f'{model}\n[data]\npath = "{DIGITS}"\n')
    told = refused(tmp_path, verb, "run.toml")
    for word in words:
        assert word in told, told


def test_an_override_is_blamed_where_it_is_to_blame(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN.format(data=DIGITS) + '[model]\nkind = "resnet"\n')
    assert "error: --set model.depth=9: resnet: depth is 9" in refused(
        tmp_path, "graph", "run.toml", "--set", "model.depth=9"
    )
