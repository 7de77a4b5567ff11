"""What a graph's steps cost, counted by hand."""

from __future__ import annotations

from distnn.graph.cost import costs
from distnn.models import Model, mlp

CLASSES = ["a", "b", "c"]


def test_a_perceptron() -> None:
    model = Model(mlp(3, (5,)), (4,), task="classification", classes=CLASSES)
    forward, backward = (2 * 10 * 4 * 5, 2 * 10 * 5 * 3), (2 * 10 * 4 * 5, 2 * 2 * 10 * 5 * 3)
    products = [cost.flops for cost in costs([model.loss], 10)]
    # ReLU and biases come on top: one operation for each output.
    for found, first, later in ((products[0], forward[0], 100), (products[1], backward[0], 100)):
        assert first <= found <= first + later
    assert forward[1] <= products[2] <= forward[1] + 60
    assert backward[1] <= products[3] <= backward[1] + 120


def test_it_is_what_a_plan_counts() -> None:
    model = Model(mlp(3, (5, 6)), (4,), task="classification", classes=CLASSES)
    plan = model.training_plan(7, model.initialize())
    found = costs(list(model.outputs.values()), 7)
    learnt = sum(cost.flops for cost in costs([model.loss], 7))
    assert plan.flops < learnt < 3 * plan.flops
    assert plan.flops < sum(cost.flops for cost in found)
    assert all(cost.elements > 0 for cost in found)
