"""``[[model.layers]]`` in a run file: the keys of each kind, tables within tables, and what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from distnn.config import from_dict, read, to_dict, to_toml
from distnn.errors import RunFileError

KINDS = (
    '"dense", "maxout", "conv2d", "conv1d", "max_pool1d", "average_pool1d", "max_pool2d", "average_pool2d", '
    '"global_average_pool", "global_max_pool", "subsample", "dropout", "batch_norm", "layer_norm", "activation", '
    '"embedding", "rnn", "gru", "lstm", "flatten" or "residual"'
)
LENGTHS = "an integer of at least 1, or two of them, [height, width]"
SIDES = '"valid", "same", a number of zeros on each side, [height, width], or [[top, bottom], [left, right]]'


def table(*layers: Any) -> dict[str, Any]:
    return {"model": {"layers": list(layers)}, "data": {"path": "d.h5"}}


def reason(*layers: Any) -> str:
    with pytest.raises(RunFileError) as error:
        from_dict(table(*layers), where="it")
    return str(error.value)


NESTED = """\
[data]
path = "x.h5"

[[model.layers]]
kind = "conv2d"
filters = 16
padding = "same"

[[model.layers]]
kind = "residual"
layers = [
  {kind = "conv2d", filters = 16, padding = [[1, 1], [2, 0]], bias = false},
  {kind = "batch_norm"},
  {kind = "residual", layers = [{kind = "dropout"}]},
]

[[model.layers]]
kind = "residual"

[[model.layers.layers]]
kind = "conv2d"
filters = 8
kernel = [3, 1]

[[model.layers.shortcut]]
kind = "subsample"
channels = 32

[[model.layers]]
kind = "global_average_pool"

[[model.layers]]
"""


def test_tables_within_tables_come_back_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(NESTED)
    settings = read(path)
    assert settings.model.layers is not None
    convolution, block, wide, *_ = settings.model.layers
    assert (convolution.kind, convolution.padding, convolution.kernel) == ("conv2d", "same", 3)  # type: ignore[attr-defined]
    assert block.layers[0].padding == ((1, 1), (2, 0))  # type: ignore[attr-defined]
    assert block.layers[2].layers[0].rate == 0.5  # type: ignore[attr-defined]
    assert wide.shortcut[0].channels == 32  # type: ignore[attr-defined]
    assert from_dict(tomllib.loads(to_toml(settings))) == settings
    assert to_dict(settings)["model"]["layers"][3] == {"kind": "global_average_pool"}


def test_an_override_reaches_into_a_block(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(NESTED)
    layers = read(path, ["model.layers.1.layers.0.filters=3", "model.layers.0.padding=2"]).model.layers
    assert layers is not None
    assert (layers[1].layers[0].filters, layers[0].padding) == (3, 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([3], "model.layers[0] is 3 (an integer), but must be a table of settings"),
        (
            [{"kind": "maxpool2d"}],
            f"model.layers[0].kind is \"maxpool2d\" (text), but must be {KINDS} (did you mean 'max_pool2d'?)",
        ),
        ([{"kind": 3}], f"model.layers[0].kind is 3 (an integer), but must be {KINDS}"),
        (
            [{"kind": "dropout", "rat": 0.3}],
            "model.layers[0].rat is not a setting (did you mean 'rate'?); [model.layers[0]] takes kind, rate",
        ),
        ([{"kind": "flatten", "units": 3}], "model.layers[0].units is not a setting; [model.layers[0]] takes kind"),
        ([{"kind": "conv2d"}], "model.layers[0].filters is missing; it must be an integer of at least 1"),
        (
            [{"kind": "conv2d", "filters": 2, "kernel": [1]}],
            f"model.layers[0].kernel is [1] (a list), but must be {LENGTHS}",
        ),
        (
            [{"kind": "conv2d", "filters": 2, "stride": 0}],
            f"model.layers[0].stride is 0 (an integer), but must be {LENGTHS}",
        ),
        (
            [{"kind": "conv2d", "filters": 2, "stride": "2"}],
            f'model.layers[0].stride is "2" (text), but must be {LENGTHS} (without quotation marks: 2)',
        ),
        (
            [{"kind": "conv2d", "filters": 2, "padding": "sane"}],
            f"model.layers[0].padding is \"sane\" (text), but must be {SIDES} (did you mean 'same'?)",
        ),
        (
            [{"kind": "conv2d", "filters": 2, "padding": [-1, 2]}],
            f"model.layers[0].padding is [-1, 2] (a list), but must be {SIDES}",
        ),
        (
            [{"kind": "conv1d", "filters": 2, "padding": [[1, 2], [3, 4]]}],
            'model.layers[0].padding is [[1, 2], [3, 4]] (a list), but must be "valid", "same", a number of zeros on '
            "each side, or [before, after]",
        ),
        (
            [{"kind": "max_pool2d", "padding": 1}],
            'model.layers[0].padding is 1 (an integer), but must be "valid" or "same"',
        ),
        (
            [{"kind": "dropout", "rate": 1}],
            "model.layers[0].rate is 1 (an integer), but must be a number of at least 0 and below 1",
        ),
        (
            [{"kind": "residual", "layers": [{"kind": "lstm", "units": 2, "last": 1}]}],
            "model.layers[0].layers[0].last is 1 (an integer), but must be true or false",
        ),
        (
            [{"kind": "residual"}],
            "model.layers[0].layers is missing; it must be a list of tables, each written [[model.layers]]",
        ),
        ([{"kind": "residual", "layers": []}], "model.layers[0].layers is empty, but must hold at least one table"),
        (
            [{"kind": "residual", "layers": [{}]}],
            "model.layers[0].layers[0].units is missing: only the network's last layer may leave it out (it has one "
            "unit per output of the data)",
        ),
        (
            [{"kind": "maxout"}, {"kind": "dropout"}],
            "model.layers[0].units is missing: only the network's last layer may leave it out (it has one unit per "
            "output of the data)",
        ),
    ],
)
def test_what_is_refused(layers: list[Any], words: str) -> None:
    assert reason(*layers) == f"it: {words}."


def test_an_unknown_activation_brings_the_nearest() -> None:
    for kind in ({"kind": "conv2d", "filters": 2}, {"kind": "activation"}, {"units": 3}):
        assert "(did you mean 'leaky_relu'?)" in reason({**kind, "activation": "leakyrelu"})


def test_mistakes_in_several_tables_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(NESTED.replace("filters = 8", "filter = 8").replace('"subsample"', '"subsampel"'))
    with pytest.raises(RunFileError) as error:
        read(path)
    first, *rest = str(error.value).splitlines()
    assert first.startswith("3 mistakes")
    assert [line.split(" is ")[0].removeprefix(f"  {path}, ") for line in rest] == [
        "line 20: model.layers[2].layers[0].filters",
        "line 22: model.layers[2].layers[0].filter",
        "line 26: model.layers[2].shortcut[0].kind",
    ]


def test_the_options_of_activations_are_their_own() -> None:
    settings = from_dict(table({"kind": "activation", "activation": "leaky_relu", "slope": 0.3}, {}))
    assert to_dict(settings)["model"]["layers"][0] == {"kind": "activation", "activation": "leaky_relu", "slope": 0.3}
    assert 'slope belongs to activation = "leaky_relu" and has no meaning with activation = "elu"' in reason(
        {"kind": "activation", "activation": "elu", "slope": 0.3}
    )
    assert "a number above 0 and below 1" in reason({"kind": "activation", "activation": "leaky_relu", "slope": 1.0})
