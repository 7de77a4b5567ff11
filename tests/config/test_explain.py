"""The words in which each mistake in a run file is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distnn.config import DataSettings, from_dict, read
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


def refusal(text: str, overrides: tuple[str, ...] = ()) -> str:
    """The words in which run.toml with this text is refused."""
    Path("run.toml").write_text(text)
    with pytest.raises(RunFileError) as error:
        read("run.toml", overrides)
    assert error.value.exit_code == 2
    assert "pydantic" not in str(error.value)
    return str(error.value)


def table(**sections: dict[str, Any]) -> dict[str, Any]:
    return {"model": {"kind": "mlp"}, "data": {"path": "d.h5"}, **sections}


def reason(**sections: dict[str, Any]) -> str:
    """The words in which a table with these sections is refused."""
    with pytest.raises(RunFileError) as error:
        from_dict(table(**sections), where="it")
    return str(error.value)


# What can't be read at all


def test_a_missing_file(run: Path) -> None:
    with pytest.raises(
        RunFileError, match=r"the run file rum\.toml does not exist \(run files there: run\.toml\)\. Check"
    ):
        read("rum.toml")


def test_a_directory(run: Path) -> None:
    Path("folder").mkdir()
    with pytest.raises(RunFileError, match=r"folder is a directory; expected a run file \(TOML\)"):
        read("folder")


def test_a_device_is_no_run_file() -> None:
    with pytest.raises(RunFileError, match=r"/dev/null is a pipe, a device or a socket; expected a run file \(TOML\)"):
        read("/dev/null")


def test_bytes_that_are_no_text(run: Path) -> None:
    run.write_bytes(b"\x89HDF\r\n\x1a\n\xff")
    with pytest.raises(RunFileError, match=r"run\.toml is not a text file in UTF-8 \(byte 0 is not\)"):
        read(run)


def test_broken_toml(run: Path) -> None:
    words = refusal("[model]\nkind = mlp\n")
    assert words.startswith(
        "run.toml is not valid TOML: Invalid value (at line 2, column 8). Text goes in quotation marks"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[model]\nkind='mlp'\n",
            'run.toml: the section [data] is missing; it needs at least path = "data/digits.h5".',
        ),
        ("[data]\npath='x'\n", 'run.toml: the section [model] is missing; it needs at least kind = "mlp".'),
        (
            "[data]\n[model]\nkind='mlp'\n",
            "run.toml, line 1: data.path is missing; it must be text in quotation marks.",
        ),
        (
            "model = 3\n[data]\npath='x'\n",
            "run.toml, line 1: model is 3 (an integer), but must be a table of settings.",
        ),
    ],
)
def test_missing_parts(run: Path, text: str, words: str) -> None:
    assert refusal(text) == words


# Unknown keys and bad values


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        (
            "[train]\nepoch = 3",
            "run.toml, line 12: train.epoch is not a setting (did you mean 'epochs'?); [train] takes epochs, seed, "
            "dtype, accumulate, clip_norm, on_nan, monitor, target, target_accuracy, "
            "target_loss, patience, min_delta.",
        ),
        (
            "[trian]\nepochs = 3",
            "run.toml, line 11: trian is not a section of a run file (did you mean 'train'?); the sections are model, "
            "data, transforms, augment, train, loss, metrics, optimizer, schedule, parallel, checkpoint, log.",
        ),
        (
            "[log]\nbatch_size = 3",
            "run.toml, line 12: log.batch_size is not a setting (it belongs in [data]); [log] takes interval, trace.",
        ),
        (
            "[train]\ndtype = 'Float32'",
            'run.toml, line 12: train.dtype is "Float32" (text), but must be "float32" or "float64" '
            "(did you mean 'float32'?).",
        ),
    ],
)
def test_a_mistake_is_found_with_its_line(run: Path, addition: str, words: str) -> None:
    assert refusal(GOOD + addition + "\n") == words


COUNT = "an integer of at least 1"
#: What stands beside a key that isn't every kind's.
BESIDE = {
    "beta1": {"kind": "adam"},
    "epsilon": {"kind": "adam"},
    "factor": {"kind": "step", "every_epochs": 1},
    "final": {"kind": "cosine"},
    "activation": {"kind": "mlp"},
}


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("train", "epochs", "3", f'"3" (text), but must be {COUNT} (without quotation marks: 3)'),
        ("train", "epochs", True, f"true (a boolean), but must be {COUNT}"),
        ("train", "epochs", 3.0, f"3.0 (a float), but must be {COUNT}"),
        ("train", "epochs", 0, f"0 (an integer), but must be {COUNT}"),
        ("train", "seed", -1, "-1 (an integer), but must be an integer from 0 to 2^63 - 1"),
        ("train", "seed", 2**63, "9223372036854775808 (an integer), but must be an integer from 0 to 2^63 - 1"),
        ("train", "dtype", "half", '"half" (text), but must be "float32" or "float64"'),
        ("train", "accumulate", 0, f"0 (an integer), but must be {COUNT}"),
        ("train", "clip_norm", 0, "0 (an integer), but must be a finite number above 0"),
        ("train", "target_accuracy", 96, "96 (an integer), but must be a number above 0, up to 1"),
        ("train", "target_loss", float("nan"), "nan (a float), but must be a finite number"),
        ("train", "patience", [2], f"[2] (a list), but must be {COUNT}"),
        ("data", "path", "", '"" (text), but must be text in quotation marks'),
        ("data", "path", 3, "3 (an integer), but must be text in quotation marks"),
        ("data", "batch_size", "all", f'"all" (text), but must be {COUNT} or "full"'),
        ("data", "batch_size", "ful", f'"ful" (text), but must be {COUNT} or "full" (did you mean \'full\'?)'),
        ("data", "batch_size", 0, f'0 (an integer), but must be {COUNT} or "full"'),
        ("data", "shuffle", 1, "1 (an integer), but must be true or false"),
        ("data", "shuffle", "true", '"true" (text), but must be true or false (without quotation marks: true)'),
        (
            *("optimizer", "kind", "adm"),
            '"adm" (text), but must be "sgd", "adam", "adamw", "lars" or "lamb" (did you mean \'adam\'?)',
        ),
        ("optimizer", "beta1", 1, "1 (an integer), but must be a number of at least 0 and below 1"),
        ("optimizer", "epsilon", 0, "0 (an integer), but must be a finite number above 0"),
        ("optimizer", "learning_rate", 0, "0 (an integer), but must be a finite number above 0"),
        ("optimizer", "learning_rate", float("inf"), "inf (a float), but must be a finite number above 0"),
        ("optimizer", "learning_rate", False, "false (a boolean), but must be a finite number above 0"),
        ("optimizer", "momentum", 1.0, "1.0 (a float), but must be a number of at least 0 and below 1"),
        ("optimizer", "weight_decay", -0.1, "-0.1 (a float), but must be a finite number of at least 0"),
        (
            *("schedule", "kind", "cosin"),
            '"cosin" (text), but must be "constant", "step" or "cosine" (did you mean \'cosine\'?)',
        ),
        ("schedule", "warmup_steps", -1, "-1 (an integer), but must be an integer of at least 0"),
        ("schedule", "factor", 0, "0 (an integer), but must be a number above 0, up to 1"),
        ("schedule", "final", 1, "1 (an integer), but must be a number of at least 0 and below 1"),
        ("parallel", "shards", 0, f"0 (an integer), but must be {COUNT}"),
        ("parallel", "threads", 1.5, f"1.5 (a float), but must be {COUNT}"),
        ("checkpoint", "every_epochs", -1, f"-1 (an integer), but must be {COUNT}, or 0 for never"),
        ("checkpoint", "every_epochs", False, f"false (a boolean), but must be {COUNT}, or 0 for never"),
        ("checkpoint", "every_minutes", 0.0, "0.0 (a float), but must be a finite number above 0"),
        ("checkpoint", "keep", 0, f"0 (an integer), but must be {COUNT}"),
        ("log", "interval", -1, "-1 (an integer), but must be a finite number of at least 0"),
        ("model", "activation", "rely", None),
        ("model", "factory", "module.function", '"module.function" (text), but must be text such as "module:function"'),
    ],
)
def test_bad_values(section: str, key: str, value: Any, words: str | None) -> None:
    words = words or (
        '"rely" (text), but must be "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu", "silu", '
        '"softmax", "log_softmax" or "identity" (did you mean \'relu\'?)'
    )
    sections = table() | ({"model": {}} if section == "model" else {})
    sections.setdefault(section, {}).update({**BESIDE.get(key, {}), key: value})
    with pytest.raises(RunFileError) as error:
        from_dict(sections, where="it")
    assert str(error.value) == f"it: {section}.{key} is {words}."


def test_an_item_of_a_list_is_named(run: Path) -> None:
    words = refusal(GOOD.replace("[64, 32]", "[\n  64,\n  0,\n]"))
    assert words == "run.toml, line 4: model.hidden[1] is 0 (an integer), but must be an integer of at least 1."


def test_all_mistakes_come_at_once(run: Path) -> None:
    words = refusal(GOOD.replace("mlp", "mpl").replace("path", "file"), ("train.epochs=x", "log.interval=-1", "oops"))
    assert words.splitlines() == [
        "6 mistakes in the settings of run.toml:",
        "  --set oops: expected section.key=value, as in --set train.epochs=3.",
        '  run.toml, line 3: model.kind is "mpl" (text), but must be "linear", "logistic", "softmax", "mlp", '
        '"convnet", "resnet", "fcn" or "char-lstm" (did you mean \'mlp\'?).',
        "  run.toml, line 6: data.path is missing; it must be text in quotation marks.",
        f"  run.toml, line 7: data.file is not a setting; [data] takes {', '.join(DataSettings.model_fields)}.",
        '  --set train.epochs=x: train.epochs is "x" (text), but must be an integer of at least 1.',
        "  --set log.interval=-1: log.interval is -1 (an integer), but must be a finite number of at least 0.",
    ]


# Keys that contradict each other


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            {"hidden": [3]},
            'model must say what to build: kind = "linear", "logistic", "softmax", "mlp", "convnet", "resnet", '
            '"fcn" or "char-lstm"; or [[model.layers]] tables; or factory = "module:function"',
        ),
        (
            {"kind": "mlp", "factory": "a:b"},
            "model.factory stands beside kind, but each says what to build; keep one of them",
        ),
        (
            {"kind": "mlp", "layers": [{}]},
            "model.layers stands beside kind, but each says what to build; keep one of them",
        ),
        (
            {"kind": "logistic", "hidden": [3]},
            'model.hidden belongs to kind = "mlp", "convnet" or "char-lstm" and has no meaning with kind = '
            '"logistic"; remove it',
        ),
        (
            {"layers": [{"units": 3}], "activation": "tanh"},
            'model.activation belongs to kind = "mlp", "convnet", "resnet" or "fcn" and has no meaning with '
            "[[model.layers]]; remove it, or give one to each layer",
        ),
        (
            {"kind": "resnet", "initialization": "he"},
            'model.initialization belongs to kind = "linear", "logistic", "softmax", "mlp", "convnet", "fcn" or '
            '"char-lstm" and has no meaning with kind = "resnet"; remove it',
        ),
        (
            {"kind": "mlp", "depth": 8},
            'model.depth belongs to kind = "resnet" and has no meaning with kind = "mlp"; remove it',
        ),
        (
            {"kind": "resnet", "channels": []},
            "model.channels is [] (a list), but must be a list of one or more integers of at least 1, such as "
            "[16, 32, 64]",
        ),
        (
            {"kind": "resnet", "shortcut": "padding"},
            'model.shortcut is "padding" (text), but must be "projection" or "pad" (did you mean \'pad\'?)',
        ),
        (
            {"kind": "convnet", "dropout": 1},
            "model.dropout is 1 (an integer), but must be a number of at least 0 and below 1",
        ),
        (
            {"factory": "a.b:c", "initialization": "he"},
            "model.initialization has no meaning with a factory, which makes its own weights; remove it",
        ),
        ({"layers": []}, "model.layers is empty, but must hold at least one table"),
        (
            {"layers": [{}, {}]},
            "model.layers[0].units is missing: only the network's last layer may leave it out "
            "(it has one unit per output of the data)",
        ),
        ({"layers": 3}, "model.layers is 3 (an integer), but must be a list of tables, each written [[model.layers]]"),
        (
            {"layers": [{"unit": 3}]},
            "model.layers[0].unit is not a setting (did you mean 'units'?); [model.layers[0]] takes kind, units, "
            "activation, bias",
        ),
    ],
)
def test_a_model_is_said_in_one_way(model: dict[str, Any], words: str) -> None:
    assert reason(model=model) == f"it: {words}."


def test_other_clashes() -> None:
    assert reason(optimizer={"nesterov": True}) == (
        "it: optimizer.nesterov is true, which needs a momentum above 0, such as momentum = 0.9."
    )
    assert reason(optimizer={"kind": "adam", "momentum": 0.9}) == (
        'it: optimizer.momentum belongs to kind = "sgd" or "lars" and has no meaning with kind = "adam"; remove it.'
    )
    assert reason(optimizer={"trust": 0.01}) == (
        'it: optimizer.trust belongs to kind = "lars" and has no meaning with kind = "sgd"; remove it.'
    )
    assert reason(data={"path": "*.h5", "one_sample_files": True, "x": {"path": "a", "layout": "samples_last"}}) == (
        'it: data.x.layout is "samples_last", but with one_sample_files = true a file is one sample, without such an '
        'axis; use "reversed" if its dimensions stand the other way round.'
    )
    assert reason(schedule={"kind": "step"}) == (
        "it: schedule.every_epochs is missing; it must be an integer of at least 1."
    )
    for key, owner, other in (
        ("every_epochs", "step", "cosine"),
        ("factor", "step", "constant"),
        ("final", "cosine", "constant"),
    ):
        value = 5 if key == "every_epochs" else 0.5
        assert reason(schedule={"kind": other, key: value}) == (
            f'it: schedule.{key} belongs to kind = "{owner}" and has no meaning with kind = "{other}"; remove it.'
        )


# Overrides


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("epochs=3", "--set epochs=3: epochs is not a section of a run file (it belongs in [train]); the sections are"),
        ("train.epoch=3", "--set train.epoch=3: train.epoch is not a setting (did you mean 'epochs'?); [train] takes"),
        ("train.epochs", "--set train.epochs: expected section.key=value, as in --set train.epochs=3."),
        ("train.epochs=", "--set train.epochs=: expected section.key=value"),
        (".epochs=3", "--set .epochs=3: expected section.key=value"),
        ("model.hidden=[8", "--set model.hidden=[8: the value is not valid TOML: "),
        ("data.path.x=3", "--set data.path.x=3: data.path has no place for a key x."),
        ("model.0=3", "--set model.0=3: model.0 is not a setting; [model] takes kind"),
        ("model.kind=softmax", 'run.toml, line 4: model.hidden belongs to kind = "mlp", "convnet" or "char-lstm"'),
        ("model=softmax", '--set model=softmax: model is "softmax" (text), but must be a table of settings.'),
        ("data.path=1979-05-27", "--set data.path=1979-05-27: data.path is 1979-05-27 (date), but must be text"),
    ],
)
def test_bad_overrides(run: Path, override: str, words: str) -> None:
    assert refusal(GOOD, (override,)).startswith(words)
