"""The run file: what is read and what is put over it, and that settings come back from what is written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.config import RunSettings, from_dict, read, to_dict, to_toml
from distnn.errors import RunFileError

GOOD = """\
# a comment
[model]
kind = "mlp"
hidden = [64, 32]

[data]
path = "digits.h5"

[optimizer]
learning_rate = 1
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good run file, ``run.toml`` in the current directory."""
    monkeypatch.chdir(tmp_path)
    path = Path("run.toml")
    path.write_text(GOOD)
    return path


def table(**sections: dict[str, Any]) -> dict[str, Any]:
    return {"model": {"kind": "mlp"}, "data": {"path": "d.h5"}, **sections}


def test_defaults(run: Path) -> None:
    settings = read(run)
    assert settings.model.hidden == (64, 32)
    assert (settings.model.activation, settings.model.initialization) == ("relu", "auto")
    assert (settings.data.batch_size, settings.data.shuffle) == (64, True)
    train = settings.train
    assert (train.epochs, train.seed, train.dtype, train.accumulate) == (10, 0, "float32", 1)
    assert isinstance(settings.optimizer.learning_rate, float), "an integer may stand for a float, and becomes one"
    assert (settings.checkpoint.every_epochs, settings.checkpoint.keep) == (1, 3)
    assert settings.log.interval == 10.0
    assert from_dict(table()).model.hidden == (64,)


def test_settings_are_frozen(run: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(run).train.epochs = 3  # type: ignore[misc]


# Overrides


def test_overrides(run: Path) -> None:
    settings = read(
        run,
        [
            *("data.path=fm 2.h5", "train.epochs=3", "train.epochs = 4", "model.hidden=[8]", "data.batch_size=full"),
            *("optimizer.nesterov=true", "optimizer.momentum=9e-1", 'train.dtype="float64"', "checkpoint.keep=7"),
        ],
    )
    assert (settings.data.path, settings.train.epochs, settings.model.hidden) == ("fm 2.h5", 4, (8,))
    assert (settings.data.batch_size, settings.optimizer.momentum, settings.optimizer.nesterov) == ("full", 0.9, True)
    assert (settings.train.dtype, settings.checkpoint.keep) == ("float64", 7)


def test_an_override_reaches_into_layers(run: Path) -> None:
    run.write_text("[data]\npath='x'\n[[model.layers]]\nunits=3\n[[model.layers]]\n")
    assert read(run, ["model.layers.0.units=5"]).model.layers[0].units == 5  # type: ignore[index]
    with pytest.raises(
        RunFileError, match=r"--set model\.layers\.2\.units=5: model\.layers has no place for a key 2\."
    ):
        read(run, ["model.layers.2.units=5"])


# There and back


def test_never_is_written_as_zero(run: Path) -> None:
    settings = read(run, ["checkpoint.every_epochs=0"])
    assert settings.checkpoint.every_epochs is None
    assert "every_epochs = 0" in to_toml(settings)


def test_keys_without_meaning_are_left_out() -> None:
    written = to_dict(from_dict(table(model={"kind": "softmax"})))
    assert written["model"] == {"kind": "softmax", "initialization": "auto"}
    assert written["schedule"] == {"kind": "constant", "warmup_steps": 0}
    layers = to_dict(from_dict(table(model={"layers": [{"units": 3}, {}]})))["model"]
    assert layers["layers"][1] == {"kind": "dense", "activation": "identity", "bias": True}


counts = st.integers(1, 10**12)
unit = st.floats(0, 1, exclude_min=True, exclude_max=True)
activations = st.sampled_from(["relu", "gelu", "leaky_relu", "tanh", "identity"])
lengths = counts | st.lists(counts, min_size=2, max_size=2)
sides = st.integers(0, 9) | st.lists(st.integers(0, 9), min_size=2, max_size=2) | st.sampled_from(["same", "valid"])


def made(kind: str, **keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind)}, optional=keys)


dense = st.fixed_dictionaries({"units": counts}, optional={"activation": activations, "bias": st.booleans()})
convolution = st.fixed_dictionaries(
    {"kind": st.just("conv2d"), "filters": counts},
    optional={"kernel": lengths, "stride": lengths, "padding": sides | st.just([[0, 1], [2, 3]]), "groups": counts},
)
layer = st.recursive(
    st.one_of(
        *(dense, convolution, made("flatten"), made("batch_norm", whole=st.booleans()), made("dropout", rate=unit)),
        made("max_pool2d", window=lengths, stride=lengths),
        st.fixed_dictionaries({"kind": st.sampled_from(["rnn", "gru", "lstm"]), "units": counts}),
        st.fixed_dictionaries({"kind": st.just("embedding"), "units": counts}, optional={"tokens": counts}),
    ),
    lambda inner: st.fixed_dictionaries(
        {"kind": st.just("residual"), "layers": st.lists(inner, min_size=1, max_size=3)},
        optional={"shortcut": st.lists(inner, min_size=1, max_size=2)},
    ),
    max_leaves=4,
)
inits = {"initialization": st.sampled_from(["auto", "glorot", "he"])}
models = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("mlp")}, optional={**inits, "hidden": st.lists(counts, max_size=4), "activation": activations}
    ),
    made("convnet", channels=st.lists(counts, min_size=1, max_size=3), kernel=counts, dropout=unit, **inits),
    made("fcn", channels=st.lists(counts, min_size=1, max_size=3), dilations=st.lists(counts, max_size=3), **inits),
    made("resnet", channels=st.lists(counts, min_size=1, max_size=3), depth=counts, shortcut=st.just("pad")),
    st.fixed_dictionaries({"kind": st.sampled_from(["linear", "logistic", "softmax"])}, optional=inits),
    st.fixed_dictionaries({"layers": st.lists(layer, min_size=1, max_size=4)}, optional=inits),
    st.fixed_dictionaries({"factory": st.just("my.models:net")}),
)
schedules = st.one_of(
    st.fixed_dictionaries({"kind": st.just("step"), "every_epochs": counts}, optional={"factor": unit}),
    st.fixed_dictionaries({"kind": st.just("cosine")}, optional={"final": unit, "warmup_steps": st.integers(0, 99)}),
)
optimizers = st.one_of(
    st.fixed_dictionaries({"momentum": unit}, optional={"nesterov": st.booleans()}),
    st.fixed_dictionaries({"kind": st.sampled_from(["adam", "adamw", "lamb"])}, optional={"beta1": unit}),
    st.fixed_dictionaries({"kind": st.just("lars")}, optional={"learning_rate": unit, "trust": unit}),
)
runs = st.fixed_dictionaries(
    {
        "model": models,
        "data": st.fixed_dictionaries(
            {"path": st.text(st.characters(exclude_categories=["Cs"]), min_size=1)},
            optional={"batch_size": counts | st.just("full"), "shuffle": st.booleans()},
        ),
    },
    optional={
        "train": st.fixed_dictionaries(
            {},
            optional={
                "epochs": counts,
                "seed": st.integers(0, 2**63 - 1),
                "clip_norm": st.floats(1e-300, 1e300),
                "target_loss": st.floats(allow_nan=False, allow_infinity=False),
                "patience": counts,
            },
        ),
        "optimizer": optimizers,
        "schedule": schedules,
        "checkpoint": st.fixed_dictionaries({}, optional={"every_epochs": st.integers(0, 9), "every_minutes": unit}),
        "log": st.fixed_dictionaries({"interval": st.floats(0, 1e9)}),
    },
)


@given(runs)
def test_settings_survive_toml_and_json(sections: dict[str, Any]) -> None:
    settings = from_dict(sections)
    assert from_dict(tomllib.loads(to_toml(settings))) == settings
    assert from_dict(json.loads(json.dumps(to_dict(settings)))) == settings


def test_a_resolved_run_file_is_read_again(run: Path) -> None:
    settings = read(run)
    Path("resolved.toml").write_text(to_toml(settings))
    again = read("resolved.toml")
    assert isinstance(again, RunSettings)
    assert again == settings
    assert to_toml(again) == to_toml(settings)
