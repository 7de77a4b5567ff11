"""Models: the loss that a task asks for, builders, and known solutions as oracles."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from distnn import config, graph, models
from distnn.errors import RunFileError, ShapeError
from distnn.models import Model, build
from distnn.optim import SGD


def settings(**model):
    return config.from_dict({"model": model, "data": {"path": "x.h5"}}).model.table()


def descend(model, x, y, steps, learning_rate, momentum=0.9):
    """Batch gradient descent in float64, without any of the trainer."""
    parameters = model.initialize(0, np.float64)
    plan = model.training_plan(len(x), parameters)
    optimizer = SGD(learning_rate, momentum)
    slots = {name: np.zeros_like(parameters.values) for name in optimizer.slots}
    update = optimizer.bind(parameters.values, parameters.gradients, slots, {})
    for step in range(steps):
        graph.bind_input(plan, "x", x)
        graph.bind_input(plan, "y", y)
        plan.forward()
        plan.backward()
        update(1 / len(x), learning_rate, step)
    return parameters


def test_linear_regression_finds_the_least_squares_solution():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 3))
    y = x @ [[1.0, -1], [2, 0.5], [0, 3]] + [0.3, -2] + 0.1 * generator.normal(size=(60, 2))
    model = Model(models.linear(2), (3,), task="regression", target_shape=(2,))
    found = descend(model, x, y, 600, 0.05)
    exact = LinearRegression().fit(x, y)
    np.testing.assert_allclose(found.value["dense1.weight"], exact.coef_.T, atol=1e-8)
    np.testing.assert_allclose(found.value["dense1.bias"], exact.intercept_, atol=1e-8)


def test_logistic_regression_finds_scikit_learns_hyperplane():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(200, 2))
    y = (x @ [1.0, -2] + 0.5 + generator.logistic(size=200) > 0).astype(int)
    model = Model(models.logistic(), (2,), task="classification", classes=("no", "yes"))
    found = descend(model, x, y.astype(float), 800, 0.5)
    exact = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(found.value["dense1.weight"][:, 0], exact.coef_[0], rtol=1e-5)
    np.testing.assert_allclose(found.value["dense1.bias"], exact.intercept_, rtol=1e-5)
    plan = model.prediction_plan(200, found)
    graph.bind_input(plan, "x", x)
    plan.forward()
    np.testing.assert_allclose(plan.value["prediction"][:, 0], exact.predict_proba(x)[:, 1], rtol=1e-5)


def test_softmax_regression_has_scikit_learns_probabilities():
    generator = np.random.default_rng(2)
    x = generator.normal(size=(300, 2))
    y = np.argmax(x @ generator.normal(size=(2, 3)) + generator.gumbel(size=(300, 3)), axis=1)
    model = Model(models.softmax(3), (2,), task="classification", classes=("a", "b", "c"))
    found = descend(model, x, y, 1500, 0.5)
    plan = model.prediction_plan(300, found)
    graph.bind_input(plan, "x", x)
    plan.forward()
    exact = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(plan.value["prediction"], exact.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "identity"])
@pytest.mark.parametrize("hidden", [[], [5], [6, 5, 4]], ids=["0", "1", "3"])
def test_an_mlp_of_any_depth_has_the_right_gradient(activation, hidden):
    network = models.mlp(3, hidden, activation)
    model = Model(network, (2, 2), task="classification", classes=("a", "b", "c"))
    generator = np.random.default_rng(3)
    values = {"x": generator.normal(size=(4, 2, 2)), "y": generator.integers(0, 3, 4)}
    parameters = model.initialize(0, np.float64)
    # with biases of zero a unit behind dead units sits on ReLU's kink, where differences see half a slope
    parameters.values += generator.normal(0, 0.1, parameters.length)
    assert graph.check_gradients(model.loss, values, batch=4, parameters=parameters) < 1e-6
    assert len(model.names) == 2 * (len(hidden) + 1)


def test_run_file_and_python_build_the_same_graph():
    by_kind = build(settings(kind="mlp", hidden=[6, 5], activation="tanh"), (4,), task="regression")
    tables = [{"units": 6, "activation": "tanh"}, {"units": 5, "activation": "tanh"}, {}]
    by_layers = build(settings(layers=tables), (4,), task="regression")
    by_hand = Model(models.mlp(1, [6, 5], "tanh"), (4,), task="regression")
    for model in (by_layers, by_hand):
        assert model.names == by_kind.names
        assert model.description == by_kind.description == "4-6-5-1, tanh"
        assert model.initialize(7).fingerprint() == by_kind.initialize(7).fingerprint()


def test_a_factory_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "mine_for_the_test.py").write_text(
        "from distnn.layers import Dense\ndef network(shape, outputs):\n    return Dense(outputs)\n"
    )
    monkeypatch.chdir(tmp_path)
    model = build(settings(factory="mine_for_the_test:network"), (4,), task="regression", target_shape=(2,))
    assert model.output.shape[1] == 2
    with pytest.raises(RunFileError, match="no module 'absent_module'"):
        build(settings(factory="absent_module:network"), (4,), task="regression")
    with pytest.raises(RunFileError, match="has no function 'nets'"):
        build(settings(factory="mine_for_the_test:nets"), (4,), task="regression")


@pytest.mark.parametrize(
    ("model", "facts", "text"),
    [
        (
            {"kind": "linear"},
            {"task": "classification", "classes": ("a", "b")},
            "is for regression, but the data's task",
        ),
        ({"kind": "softmax"}, {"task": "regression"}, "is for classification, but the data's task is regression"),
        (
            {"kind": "logistic"},
            {"task": "classification", "classes": ("a", "b", "c")},
            "parts two classes, but the data",
        ),
    ],
)
def test_a_kind_that_does_not_serve_the_task_is_refused(model, facts, text):
    with pytest.raises(RunFileError, match=text):
        build(settings(**model), (4,), **facts)


def test_an_output_that_does_not_fit_the_data_is_refused():
    with pytest.raises(ShapeError, match=r"output has shape \(N, 4\), but the data has 3 classes; expected \(N, 3\)"):
        Model(models.softmax(4), (2,), task="classification", classes=("a", "b", "c"))
    with pytest.raises(ShapeError, match=r"targets have shape \(N, 2, 2\); the last layer needs 4 outputs"):
        Model(models.linear(3), (2,), task="regression", target_shape=(2, 2))
