"""The language model: shapes, names, losses per character against numpy, states, and what doesn't fit."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from distnn import config, graph
from distnn.errors import RunFileError, ShapeError, UsageError
from distnn.graph import N
from distnn.layers import LSTM, Dense, Dropout, Embedding, Sequential
from distnn.losses import CrossEntropy
from distnn.models import Model, build, char_lstm

LETTERS = tuple("abcdef")
FACTS = {"task": "language", "classes": LETTERS, "target_shape": (5,)}


def model(network=None, **options):
    return Model(network or char_lstm(6, 3, [4]), (5,), **FACTS, **options)


def tokens(batch, seed=0):
    x, y = np.random.default_rng(seed).integers(0, 6, (2, batch, 5))
    return {"x": x, "y": y}


def fill(plan, values):
    for name, array in values.items():
        graph.bind_input(plan, name, array)
    for name in plan.value:
        if name.startswith("before ") and name not in values:
            plan.value[name][...] = 0


def test_layers_parameters_and_description():
    found = model(char_lstm(6, 3, [4, 5], dropout=0.1))
    assert found.output.shape == (N, 5, 6)
    assert found.description == "6-3-4-5-6, lstm"
    assert list(found.initialize().shapes)[:3] == ["embedding1.weight", "lstm1.weight_input", "lstm1.weight_recurrent"]
    assert list(found.states) == ["lstm1.h", "lstm1.c", "lstm2.h", "lstm2.c"]
    assert found.states["lstm2.c"][0].shape == found.states["lstm2.c"][1].shape == (N, 5)
    assert sum(isinstance(layer, Dropout) for layer in char_lstm(6, 3, [4, 5], dropout=0.1).layers) == 2


@pytest.mark.parametrize(("cell", "states"), [("lstm", ["h", "c"]), ("gru", ["h"]), ("rnn", ["h"])])
def test_every_cell(cell, states):
    found = model(char_lstm(6, 3, [4], cell=cell))
    layer = {"rnn": "simplernn"}.get(cell, cell)
    assert list(found.states) == [f"{layer}1.{state}" for state in states]


def test_a_layer_that_is_no_cell_is_refused():
    with pytest.raises(UsageError, match=r"cell is 'dense'; expected 'lstm', 'gru' or 'rnn'"):
        char_lstm(6, 3, [4], cell="dense")


def test_loss_and_hits_are_sums_over_all_characters():
    found = model()
    parameters = found.initialize(0, np.float64)
    plan, values = found.evaluation_plan(3, parameters), tokens(3)
    fill(plan, values)
    plan.forward()
    loss, correct = float(plan.value["loss"]), float(plan.value["correct"])
    predicting = found.prediction_plan(3, parameters)
    fill(predicting, {"x": values["x"]})
    predicting.forward()
    p = predicting.value["prediction"]
    assert p.shape == (3, 5, 6)
    chosen = np.take_along_axis(p, values["y"][..., None], axis=2)
    assert loss == pytest.approx(-np.log(chosen).sum(), rel=1e-12)
    assert correct == np.sum(p.argmax(axis=2) == values["y"])
    assert found.targets == 5


def test_the_network_by_hand():
    """Embedding, cell and dense layer by hand, for one character."""
    found = Model(char_lstm(6, 3, [4]), (1,), task="language", classes=LETTERS, target_shape=(1,))
    held = found.initialize(0, np.float64)
    plan = found.prediction_plan(1, held)
    fill(plan, {"x": np.array([[2]])})
    plan.forward()
    v = held.value
    gates = v["embedding1.weight"][2] @ v["lstm1.weight_input"] + v["lstm1.bias"]
    i, _, g, o = np.split(gates, 4)
    h = scipy.special.expit(o) * np.tanh(scipy.special.expit(i) * np.tanh(g))
    expected = scipy.special.softmax(h @ v["dense1.weight"] + v["dense1.bias"])
    np.testing.assert_allclose(plan.value["prediction"][0, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(plan.value["after lstm1.h"][0], h, rtol=1e-12)


def test_gradients_stop_at_the_state_that_came_in():
    """The gradient with a state is that of central differences in which the state is a constant."""
    found = model()
    held = found.initialize(0, np.float64)
    random = np.random.default_rng(1)
    values = tokens(2) | {f"before {name}": random.normal(size=(2, 4)) for name in found.states}
    assert graph.check_gradients(found.loss, values, batch=2, parameters=held) < 1e-7
    plan = found.training_plan(2, held)
    assert not [name for name in plan.gradient if name.startswith("before ")]


def test_a_network_without_states_is_a_language_model_too():
    found = model(lambda x: Dense(6)(LSTM(4)(Embedding(6, 3)(x))))
    assert found.states == {}
    plan = found.training_plan(2, found.initialize())
    fill(plan, tokens(2))
    plan.forward()
    assert np.isfinite(plan.value["loss"])


def test_only_a_plain_cross_entropy_is_told_in_bits():
    assert model().in_bits
    assert model(loss=CrossEntropy(ignore_label=0)).in_bits
    assert not model(loss=CrossEntropy(label_smoothing=0.1)).in_bits
    assert not model(loss=CrossEntropy(class_weights=(1.0,) * 6)).in_bits


def test_ignored_characters_do_not_count():
    found, values = model(loss=CrossEntropy(ignore_label=2)), tokens(3)
    plan = found.evaluation_plan(3, found.initialize())
    fill(plan, values)
    plan.forward()
    assert plan.value["weight"] == plan.value["count"] == np.sum(values["y"] != 2)


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (
            char_lstm(7, 3, [4]),
            r"\(N, 5, 7\), but the data has sequences of 5 with 6 different tokens; expected \(N, 5",
        ),
        (Sequential(Embedding(6, 3), LSTM(4, last=True), Dense(6)), r"\(N, 6\), but .* expected \(N, 5, 6\): for each"),
    ],
)
def test_an_output_that_is_no_logit_for_each_step(network, text):
    with pytest.raises(ShapeError, match=text):
        model(network)


def settings(**keys):
    return config.from_dict({"model": keys, "data": {"path": "x.h5"}}).model.table()


def test_kinds_and_tasks_that_do_not_fit():
    with pytest.raises(RunFileError, match=r'"mlp" is for regression or classification, .* try kind = "char-lstm"'):
        build(settings(kind="mlp"), (5,), **FACTS)
    with pytest.raises(RunFileError, match=r'"char-lstm" is for language, but the .* is class.* kind = "mlp"'):
        build(settings(kind="char-lstm"), (5,), task="classification", classes=LETTERS)


def test_settings_reach_the_model():
    keys = {"kind": "char-lstm", "embedding": 3, "hidden": [4, 5], "cell": "gru", "dropout": 0.2}
    assert build(settings(**keys), (5,), **FACTS).description == "6-3-4-5-6, gru"
    with pytest.raises(RunFileError, match=r'model.cell is "lstn" .* must be "lstm", "gru" or "rnn" \(did you mean'):
        settings(kind="char-lstm", cell="lstn")
    with pytest.raises(RunFileError, match=r'model.embedding belongs to kind = "char-lstm" and has no meaning with'):
        settings(kind="mlp", embedding=3)


def test_a_state_too_few_is_refused():
    layers = Sequential(Embedding(6, 3), LSTM(4))
    with pytest.raises(UsageError, match=r"its state is 1 nodes; expected 2"):
        layers.unroll(graph.input("x", (N, 5), integer=True), state=[graph.input("h", (N, 4))])
