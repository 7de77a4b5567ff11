"""``[[model.layers]]``: each kind of table builds its layer, and what doesn't fit is told with its place."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from distnn import config, graph, layers
from distnn.arrays import N
from distnn.errors import ShapeError, UsageError
from distnn.layers import Activation, Layer
from distnn.models import Model, build
from distnn.registry import keys

LABELS = tuple("abc")
#: For each kind a list of tables that holds it, the same in Python, and the shape of its samples.
CASES = {
    "dense": (
        [{"units": 4, "activation": "tanh"}, {"bias": False}],
        lambda: [layers.Dense(4, "tanh"), layers.Dense(3, bias=False)],
        (5,),
    ),
    "maxout": ([{"kind": "maxout", "units": 4, "pieces": 3}, {}], lambda: [layers.Maxout(4, 3), layers.Dense(3)], (5,)),
    "conv1d": (
        [
            {"kind": "conv1d", "filters": 4, "kernel": 2, "padding": [1, 0], "activation": "elu"},
            {"kind": "global_max_pool"},
            {},
        ],
        lambda: [layers.Conv1D(4, 2, "elu", padding=(1, 0)), layers.GlobalMaxPool(), layers.Dense(3)],
        (6, 2),
    ),
    "conv2d": (
        [
            {
                "kind": "conv2d",
                "filters": 4,
                "kernel": [3, 2],
                "stride": [2, 1],
                "padding": [[1, 0], [2, 1]],
                "groups": 2,
            },
            {"kind": "flatten"},
            {},
        ],
        lambda: [
            layers.Conv2D(4, (3, 2), stride=(2, 1), padding=((1, 0), (2, 1)), groups=2),
            layers.Flatten(),
            layers.Dense(3),
        ],
        (6, 5, 2),
    ),
    "max_pool1d": (
        [{"kind": "max_pool1d", "window": 3}, {"kind": "flatten"}, {}],
        lambda: [layers.MaxPool1D(3), layers.Flatten(), layers.Dense(3)],
        (7, 2),
    ),
    "average_pool1d": (
        [{"kind": "average_pool1d", "stride": 1, "padding": "same"}, {"kind": "flatten"}, {}],
        lambda: [layers.AveragePool1D(2, 1, padding="same"), layers.Flatten(), layers.Dense(3)],
        (7, 2),
    ),
    "max_pool2d": (
        [{"kind": "max_pool2d", "window": [2, 3]}, {"kind": "flatten"}, {}],
        lambda: [layers.MaxPool2D((2, 3)), layers.Flatten(), layers.Dense(3)],
        (4, 7, 2),
    ),
    "average_pool2d": (
        [{"kind": "average_pool2d"}, {"kind": "global_average_pool"}, {}],
        lambda: [layers.AveragePool2D(), layers.GlobalAveragePool(), layers.Dense(3)],
        (4, 7, 2),
    ),
    "layer_norm": (
        [{"kind": "layer_norm", "axes": 2}, {"kind": "flatten"}, {}],
        lambda: [layers.LayerNorm(2), layers.Flatten(), layers.Dense(3)],
        (4, 7),
    ),
    "dropout": (
        [
            {"units": 4},
            {"kind": "batch_norm", "epsilon": 0.1},
            {"kind": "activation", "activation": "silu"},
            {"kind": "dropout", "rate": 0.25},
            {},
        ],
        lambda: [layers.Dense(4), layers.BatchNorm(0.1), Activation("silu"), layers.Dropout(0.25), layers.Dense(3)],
        (5,),
    ),
    "gru": (
        [{"kind": "rnn", "units": 4}, {"kind": "gru", "units": 3}, {"kind": "lstm", "units": 5, "last": True}, {}],
        lambda: [layers.SimpleRNN(4), layers.GRU(3), layers.LSTM(5, last=True), layers.Dense(3)],
        (6, 2),
    ),
    "residual": (
        [
            {"kind": "conv2d", "filters": 4},
            {
                "kind": "residual",
                "layers": [{"kind": "conv2d", "filters": 6, "stride": 2, "padding": "same"}, {"kind": "batch_norm"}],
                "shortcut": [{"kind": "subsample", "channels": 6, "stride": 2}],
            },
            {"kind": "global_average_pool"},
            {},
        ],
        lambda: [
            layers.Conv2D(4),
            layers.Residual(
                layers.Sequential(layers.Conv2D(6, stride=2, padding="same"), layers.BatchNorm()),
                layers.Sequential(layers.Subsample(6, 2)),
            ),
            layers.GlobalAveragePool(),
            layers.Dense(3),
        ],
        (7, 6),
    ),
}


def settings(tables, **model):
    return config.from_dict({"model": {"layers": tables, **model}, "data": {"path": "x.h5"}}).model.table()


def classifier(tables, shape, **model):
    return build(settings(tables, **model), shape, task="classification", classes=LABELS)


@pytest.mark.parametrize("kind", CASES)
def test_a_list_of_tables_is_the_same_network_in_python(kind):
    tables, by_hand, shape = CASES[kind]
    found = classifier(tables, shape)
    expected = Model(layers.Sequential(*by_hand()), shape, task="classification", classes=LABELS)
    assert found.names == expected.names
    assert graph.draw(found.loss).dot == graph.draw(expected.loss).dot
    assert found.description == expected.description
    assert found.initialize(3).fingerprint() == expected.initialize(3).fingerprint()


def test_the_cases_and_the_table_of_layers_hold_every_kind():
    def kinds(tables):
        for table in tables:
            yield table.get("kind", "dense")
            yield from kinds([*table.get("layers", ()), *table.get("shortcut", ())])

    assert {kind for tables, _, _ in CASES.values() for kind in kinds(tables)} | {"embedding"} == set(
        Layer.family.kinds
    )
    layers_of_the_package = {getattr(layers, name) for name in layers.__all__} - {layers.Layer, layers.Sequential}
    assert {kind for kind in layers_of_the_package if inspect.isclass(kind)} == set(Layer.family.kinds.values())


def test_the_keys_of_a_table_are_its_layers_arguments():
    for kind, layer in Layer.family.kinds.items():
        arguments = set(inspect.signature(layer).parameters) - {"name", "options"}
        assert keys(layer).keys() - {"name"} == arguments, kind
        assert Layer.family.keys(layer).keys() == arguments - {"initialization"}, kind


def test_the_initialization_is_that_of_the_model():
    tables = [{"kind": "conv2d", "filters": 8}, {"kind": "flatten"}, {"units": 4, "activation": "relu"}, {}]
    expected = layers.Sequential(
        layers.Conv2D(8, initialization="he"),
        layers.Flatten(),
        layers.Dense(4, "relu", initialization="he"),
        layers.Dense(3, initialization="he"),
    )
    by_hand = Model(expected, (5, 5), task="classification", classes=LABELS)
    found = classifier(tables, (5, 5), initialization="he").initialize().fingerprint()
    assert found == by_hand.initialize().fingerprint() != classifier(tables, (5, 5)).initialize().fingerprint()


@pytest.mark.parametrize(
    "tables",
    [
        [{}],
        [{"kind": "maxout"}],
        [{"kind": "dropout"}, {"units": 4}, {"kind": "batch_norm"}, {}],
        [{"kind": "residual", "layers": [{"units": 20}]}, {}],
    ],
)
def test_layers_of_vectors_alone_take_samples_of_any_shape(tables):
    assert classifier(tables, (4, 5)).output.shape == (graph.N, 3)


def test_a_language_model_of_tables_carries_its_state():
    tables = [{"kind": "embedding", "units": 4}, {"kind": "lstm", "units": 5}, {}]
    model = build(settings(tables), (7,), task="language", classes=LABELS, target_shape=(7,))
    assert model.output.shape == (graph.N, 7, 3)
    assert model.states and model.description == "3-4-5-3, lstm"
    by_kind = config.from_dict({"model": {"kind": "char-lstm", "embedding": 4, "hidden": [5]}, "data": {"path": "x"}})
    expected = build(by_kind.model.table(), (7,), task="language", classes=LABELS, target_shape=(7,))
    assert model.initialize().fingerprint() == expected.initialize().fingerprint()


def test_a_network_of_tables_has_the_right_gradient():
    tables, _, shape = CASES["residual"]
    model = classifier(tables, shape)
    generator = np.random.default_rng(0)
    values = {"x": generator.normal(size=(3, *shape)), "y": generator.integers(0, 3, 3)}
    parameters = model.initialize(0, np.float64)
    assert graph.check_gradients(model.loss, values, batch=3, parameters=parameters) < 1e-6


@pytest.mark.parametrize(
    ("tables", "shape", "keys", "words"),
    [
        (
            [{"kind": "conv2d", "filters": 4, "kernel": 5, "stride": 2}, {"kind": "conv2d", "filters": 8}, {}],
            (8, 8),
            (1,),
            "model.layers[1] (conv2d): Conv2D(8, 3, name='conv2d2') on (N, 2, 2, 4): conv2d: the window eats the image",
        ),
        (
            [{"kind": "conv2d", "filters": 4}, {"kind": "conv2d", "filters": 6, "groups": 3}],
            (8, 8),
            (1,),
            "model.layers[1] (conv2d): Conv2D(6, 3, name='conv2d2') on (N, 6, 6, 4): 4 channels can't be split into 3",
        ),
        (
            [{"kind": "conv1d", "filters": 3, "groups": 2}, {}],
            (8, 4),
            (0,),
            "model.layers[0] (conv1d): Conv1D(3, 3, name='conv1d1') on (N, 8, 4): conv1d: 3 outputs can't be split",
        ),
        (
            [{"kind": "lstm", "units": 5, "last": True}, {"kind": "gru", "units": 3}],
            (6, 2),
            (1,),
            "model.layers[1] (gru): GRU(3, name='gru1'): its input has shape (N, 5); expected (N, steps, features).",
        ),
        (
            [{"kind": "max_pool2d", "window": 9}],
            (8, 8, 1),
            (0,),
            "model.layers[0] (max_pool2d): MaxPool2D(9, name='maxpool2d1') on (N, 8, 8, 1): maxpool2d: the window eats",
        ),
        (
            [{"kind": "conv2d", "filters": 4}, {"kind": "layer_norm", "axes": 4}, {}],
            (8, 8),
            (1,),
            "model.layers[1] (layer_norm): LayerNorm(4, name='layernorm1'): its input has shape (N, 6, 6, 4); expected",
        ),
        (
            [{"kind": "residual", "layers": [{"kind": "conv2d", "filters": 4}]}, {"kind": "flatten"}, {}],
            (8, 8, 2),
            (0,),
            "model.layers[0] (residual): Residual 'residual1': the block turns (N, 8, 8, 2) into (N, 6, 6, 4), but the "
            "shortcut gives (N, 8, 8, 2)",
        ),
        (
            [
                {
                    "kind": "residual",
                    "layers": [{"kind": "conv2d", "filters": 2}],
                    "shortcut": [{"kind": "flatten"}, {"kind": "conv2d", "filters": 2}],
                },
                {},
            ],
            (8, 8, 2),
            (0, "shortcut", 1),
            "model.layers[0].shortcut[1] (conv2d): Conv2D(2, 3, name='conv2d1') on (N, 128): conv2d: x has shape "
            "(N, 128); expected (N, H, W, C)",
        ),
        (
            [{"kind": "conv2d", "filters": 4}, {}],
            (8, 8),
            (1,),
            "model.layers[1] (dense): the model's output has shape (N, 6, 6, 3), but the data has 3 classes; expected "
            "(N, 3). Flatten, pool over all positions, or take the last step before the last layer.",
        ),
        (
            [{"units": 7}],
            (8,),
            (0,),
            "model.layers[0] (dense): the model's output has shape (N, 7), but the data has 3",
        ),
    ],
)
def test_a_layer_that_does_not_fit_is_named(tables, shape, keys, words):
    with pytest.raises(ShapeError) as error:
        classifier(tables, shape)
    assert str(error.value).startswith(words)
    assert error.value.keys == ("model", "layers", *keys)


def test_an_embedding_wants_tokens():
    with pytest.raises(
        UsageError, match=r"model\.layers\[0\] \(embedding\): .* isn't of integers; expected tokens: data"
    ):
        classifier([{"kind": "embedding", "units": 4}, {"kind": "flatten"}, {}], (8,))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"activation": "leaky_relu", "slope": 0.3}, [-0.6, 0.0, 2.0]),
        ({"activation": "leaky_relu"}, [-0.2, 0.0, 2.0]),
        ({"activation": "elu", "alpha": 2.0}, [2 * np.expm1(-2), 0.0, 2.0]),
    ],
    ids=str,
)
def test_an_activation_takes_its_options(options, expected):
    x = graph.input("x", (N, 3))
    run = graph.evaluate(Activation(**options)(x).named("y"), x=np.array([[-2.0, 0.0, 2.0]]))
    np.testing.assert_allclose(run["y"], [expected], rtol=1e-12)


def test_an_option_of_another_activation_is_refused():
    with pytest.raises(UsageError, match="slope belongs to leaky_relu and has no meaning with relu"):
        Activation("relu", slope=0.2)
