"""``distnn init``: the run file is valid, trains, and says what each key means."""

from __future__ import annotations

import math
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn import config
from distnn.cli.main import main
from distnn.cli.proposal import RECIPES
from distnn.config.draft import UNSET, WIDTH
from distnn.config.text import show
from distnn.data import write_data
from distnn.data.file.writing import About, write_fields
from distnn.models.kinds import MODELS
from tests.support.runs import DIGITS, babble, blobs, distnn, line, metrics


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*words: str | Path) -> int | str | None:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as end:
        main(["init", *map(str, words)])
    return end.value.code


def model_of(*words: str | Path) -> config.RunSettings:
    """What the run file that the command writes, and which is then removed, says."""
    assert init(*words) == 0
    settings = config.read("run.toml")
    Path("run.toml").unlink()
    return settings


@pytest.mark.parametrize("kind", MODELS.kinds)
def test_every_kind_of_model(kind: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("--model", kind) == 0
    assert capsys.readouterr().out.startswith(f"wrote run.toml: {kind}, for data that `distnn")
    text = Path("run.toml").read_text()
    settings = config.read("run.toml")
    assert settings.model.kind == kind
    assert max(map(len, text.splitlines())) <= WIDTH
    # Every setting of the file, commented or not, is the one that holds without it, or the chosen one.
    Path("run.toml").write_text(re.sub(r"^# (?=\w+ = (?!\.))", "", text, flags=re.MULTILINE))
    assert config.read("run.toml") == settings
    for section, keys in config.to_dict(settings).items():
        part = text.partition(f"\n[{section}]\n")[2].partition("\n[")[0]
        for key, value in keys.items():
            assert re.search(rf"^(# )?{key} = {re.escape(show(value))} +# \w", part, flags=re.MULTILINE), key
    assert f"\n# patience = {UNSET} " in text


def test_recipes_are_for_every_kind() -> None:
    assert RECIPES.keys() == MODELS.kinds.keys()


def test_the_meanings_are_those_of_the_settings(here: Path) -> None:
    assert init() == 0
    text = Path("run.toml").read_text()
    assert re.search(r"^epochs = 30 +# passes over the training samples$", text, flags=re.MULTILINE)
    assert re.search(
        r'^kind = "adam" +# the update rule \("sgd", "adam", "adamw", "lars" or "lamb"\)$', text, flags=re.MULTILINE
    )
    assert "\n#   distnn data digits -o digits.h5\n#   mpiexec -n 2 distnn train run.toml\n" in text


def test_data_that_nothing_describes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was guessed stands in the run file, which trains, and is said."""
    random = np.random.default_rng(0)
    images, labels = (
        random.integers(0, 255, (40, 3, 16, 16)).astype("u1"),
        np.array([b"ash", b"elm"])[np.arange(40) % 2],
    )
    with h5py.File("a.h5", "w") as file:
        for split in ("train", "dev"):
            file[f"{split}/images"], file[f"{split}/kinds"] = images, labels
    assert init("--data", "a.h5") == 0
    said = capsys.readouterr().out
    assert 'x = {path = "{split}/images", layout = "channels_first"}, y = "{split}/kinds"' in said
    assert "a.h5: dev is taken for validation" in said
    settings = config.read("run.toml")
    assert (settings.model.kind, settings.data.classes) == ("convnet", ("ash", "elm"))
    out = distnn("train", "run.toml", "--out", "out", "--set", "train.epochs=1").stdout
    assert "a.h5: y holds texts; each is read as the place of its class" in out and "validation  loss" in out
    again = config.read("out/run.toml")
    assert again.data == settings.data


def test_labels_that_do_not_begin_at_0(here: Path) -> None:
    with h5py.File("a.h5", "w") as file:
        file["x"], file["y"] = np.random.default_rng(0).normal(size=(60, 4)), np.array([1, 4, 9])[np.arange(60) % 3]
    assert init("--data", "a.h5") == 0
    assert '\ny = ["shift_labels"]' in Path("run.toml").read_text()
    out = distnn("train", "run.toml", "--out", "out", "--set", "train.epochs=1").stdout
    assert "the labels 1, 4, 9 become 0..2" in out
    assert config.read("out/run.toml").data.classes == ("1", "4", "9")


def test_data_that_can_not_be_guessed_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File("a.h5", "w") as file:
        file["a"] = np.arange(3)
    assert init("--data", "a.h5") == 2
    assert "a.h5 has no group `train`" in capsys.readouterr().err
    assert init("--data", "none.h5") == 2


def test_images_whose_channels_seem_to_come_first(here: Path) -> None:
    with h5py.File("a.h5", "w") as file:
        file.attrs.update({"task": "classification", "classes": ["a", "b"]})
        file["train/x"], file["train/y"] = np.zeros((20, 3, 16, 16), "f4"), np.arange(20) % 2
    found = model_of("--data", "a.h5")
    assert found.model.kind == "convnet" and found.data.x is not None and found.data.x.layout == "channels_first"


def test_models_for_data(here: Path) -> None:
    found = model_of("--data", DIGITS)
    assert (found.model.kind, found.data.path, found.data.batch_size) == ("mlp", str(DIGITS), 64)
    found = model_of("--data", babble(here / "text.h5", 4000))
    assert (found.model.kind, found.data.streams, found.data.batch_size) == ("char-lstm", True, 64)
    assert found.schedule.warmup_steps == 4, "a tenth of the 48 steps"
    found = model_of("--data", line(here / "line.h5", {"train": 9}))
    assert (found.model.kind, found.data.batch_size) == ("mlp", 9)
    found = model_of("--data", DIGITS, "--model", "convnet")
    assert found.model.kind == "convnet"


def test_images_that_are_large_enough_get_convolutions(here: Path) -> None:
    images = np.zeros((40, 16, 20, 3), np.uint8)
    write_data(here / "i.h5", {"train": (images, np.arange(40) % 2)}, task="classification", classes=["a", "b"])
    assert model_of("--data", "i.h5").model.kind == "convnet"


def test_missing_numbers_are_filled_in(here: Path) -> None:
    x = np.ones((40, 3), np.float32)
    x[30, 1] = np.nan
    splits = {"train": (x, np.arange(40.0))}
    write_fields(here / "m.h5", splits, About("regression"), missing=True)
    found = model_of("--data", "m.h5").transforms.table(list)
    assert [each["kind"] for each in found["x"]] == ["fill", "standardize"]


def test_tables_and_targets_are_standardised_and_pixels_scaled(here: Path) -> None:
    regression = model_of("--data", line(here / "l.h5", {"train": 20}))
    assert [each["kind"] for each in regression.metrics.table(list)["kinds"]] == ["r2", "mae"]
    found = regression.transforms.table(list)
    assert [each["kind"] for field in "xy" for each in found[field]] == ["standardize", "standardize"]
    found = model_of("--data", blobs(here / "b.h5", {"train": 20})).transforms.table(list)
    assert (len(found["x"]), found["y"]) == (1, [])
    images = np.zeros((40, 8, 8), np.uint8)
    write_data(here / "i.h5", {"train": (images, np.zeros(40))}, task="regression")
    assert model_of("--data", "i.h5").transforms.table(list)["x"] == [{"kind": "scale", "factor": 1 / 255}]
    write_data(here / "i.h5", {"train": (images, np.zeros(40))}, task="regression", scale=1 / 255, force=True)
    assert model_of("--data", "i.h5").transforms.x == ()
    fields = np.random.default_rng(0).normal(size=(40, 8, 9, 2)) * [1, 100]
    write_data(here / "f.h5", {"train": (fields, fields[..., 0])}, task="regression")
    found = model_of("--data", "f.h5")
    assert found.model.table()["kind"] == "fcn"  # images to images
    assert [(each["kind"], each["axis"]) for each in found.transforms.table(list)["x"]] == [("standardize", "channel")]


@pytest.mark.parametrize("name", ["digits", "blobs", "line", "text"])
def test_it_trains(name: str, here: Path) -> None:
    path = {
        "digits": lambda: DIGITS,
        "blobs": lambda: blobs(here / "b.h5", {"train": 300, "test": 60}),
        "line": lambda: line(here / "l.h5", {"train": 300, "test": 60}),
        "text": lambda: babble(here / "t.h5", 2000, validation=0.1, test=0.1),
    }[name]()
    assert init("--data", path) == 0
    smaller = ("--set", "model.hidden=[16]") if name == "text" else ()
    done = distnn("train", "run.toml", "--set", "train.epochs=5", *smaller, cwd=here)
    assert done.returncode == 0, done.stderr
    (found,) = [each for each in metrics(here / "runs" / "run", "evaluation") if each["split"] == "test"]
    assert math.isfinite(found["loss"])
    if name in ("digits", "blobs"):
        assert found["accuracy"] > 0.8


@pytest.mark.parametrize(("samples", "decay", "best"), [(90, 1.0, False), (1200, 0.3, True)])
def test_small_tables_get_more_weight_decay_and_no_best_by_few_validation_samples(
    samples: int, decay: float, best: bool, here: Path
) -> None:
    found = model_of("--data", blobs(here / "b.h5", {"train": samples, "validation": samples // 9}))
    assert found.optimizer.make().weight_decay == decay
    assert (found.checkpoint.best, found.checkpoint.every_epochs) == ((True, 1) if best else (False, 10))


def test_nothing_is_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.toml").write_text("mine")
    assert init() == 2
    assert "run.toml is there already; name a new file with -o, or remove it." in capsys.readouterr().err
    assert Path("run.toml").read_text() == "mine"
    assert init("-o", "other.toml") == 0
    assert init("-o", "absent/run.toml") == 2
    assert "absent/run.toml can't be written: there is no folder absent; create it first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "mpl"), '--model mpl: model.kind is "mpl" (text), but must be "linear", "logistic", "softmax"'),
        (("--model", "mpl", "--data", str(DIGITS)), "(did you mean 'mlp'?)"),
        (("--data", "absent.h5"), "There is no data file absent.h5"),
        (("--data", str(DIGITS), "--model", "linear"), 'model.kind = "linear" is for regression, but the data\'s task'),
        (("--data", str(DIGITS), "--model", "char-lstm"), "is for language, but the data's task is classification"),
    ],
)
def test_refused(words: tuple[str, ...], message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(*words) == 2
    assert message in capsys.readouterr().err
    assert list(here.iterdir()) == []
