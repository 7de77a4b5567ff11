"""Sums over samples: by name, added up, as plain numbers in a checkpoint."""

from __future__ import annotations

import math

import numpy as np
import pytest

from distnn.errors import ShapeError, UsageError
from distnn.graph import functions
from distnn.layers import Dense
from distnn.models import Model
from distnn.sums import WEIGHTED, Layout, Sums

FURTHER = {"confusion": 4, "errors": 1}


def measured(layout: Layout, samples: int, **values: object) -> Sums:
    sums = layout.zeros()
    layout.read({name: np.asarray(value, float) for name, value in values.items()}, samples, sums.vector)
    return sums


def test_means_are_those_of_the_sums() -> None:
    layout = Layout({"loss": 1, "correct": 1, "weight": 1, "count": 1} | FURTHER, targets=5)
    sums = measured(layout, 3, loss=6, correct=4, weight=2, count=8, confusion=[[1, 2], [3, 4]], errors=0.5)
    assert (sums.loss, sums.correct, sums.weight, sums.count, sums.samples) == (6, 4, 2, 8, 3)
    assert (sums.mean_loss, sums.accuracy) == (3, 0.5)
    np.testing.assert_array_equal(sums["confusion"], [1, 2, 3, 4])
    both = sums + sums
    both += sums
    np.testing.assert_array_equal(both.vector, 3 * sums.vector)
    assert (both.mean_loss, both.accuracy) == (3, 0.5)
    with pytest.raises(KeyError):
        sums["other"]


def test_what_a_model_does_not_compute_follows_from_the_number_of_samples() -> None:
    sums = measured(Layout({"loss": 1}, targets=5), 3, loss=6)
    assert (sums.count, sums.weight, sums.samples) == (15, 15, 3)
    assert (sums.mean_loss, sums.correct, sums.accuracy) == (0.4, None, None)


def test_nothing_has_a_mean_of_zero() -> None:
    assert Layout({"loss": 1}).zeros().mean_loss == 0
    assert Layout({"loss": 1, "correct": 1}).zeros().accuracy == 0


def test_samples_of_which_none_counts_have_no_mean() -> None:
    lengths = {"loss": 1, "correct": 1, "weight": 1, "count": 1}
    for layout in (Layout(lengths), Layout(lengths | dict.fromkeys(WEIGHTED, 1))):
        zeros = dict.fromkeys([*lengths, *layout.further], 0)
        sums = measured(layout, 3, **zeros)
        assert math.isnan(sums.mean_loss) and math.isnan(sums.accuracy or 0)


def test_plain_numbers_and_back() -> None:
    layout = Layout({"loss": 1, "correct": 1} | FURTHER)
    sums = measured(layout, 3, loss=0.1, correct=2, confusion=[1, 0, 0, 2], errors=7)
    plain = sums.to_dict()
    assert plain == {
        "loss": 0.1, "correct": 2, "weight": 3, "count": 3, "samples": 3, "confusion": [1, 0, 0, 2], "errors": [7],
    }  # fmt: skip
    again = layout.zeros()
    again.load(plain)
    assert again.to_dict() == plain


def test_a_checkpoint_of_distnn_0_1_holds_a_bare_list() -> None:
    sums = Layout({"loss": 1, "correct": 1, "weight": 1} | FURTHER).zeros()
    sums.load([0.25, 2.0, 0.5, 3.0, 4.0])
    assert (sums.loss, sums.correct, sums.weight, sums.count, sums.samples) == (0.25, 2, 0.5, 3, 4)
    assert not sums["confusion"].any()


def test_a_name_that_is_taken_and_a_batch_that_is_not_summed_are_refused() -> None:
    def network(**further: object) -> Model:
        return Model(Dense(1), (2,), task="regression", target_shape=(1,), further=lambda output, target: further)

    with pytest.raises(UsageError, match="named 'samples', which has a meaning already"):
        network(samples=functions.sum(Model(Dense(1), (2,), task="regression", target_shape=(1,)).y))
    with pytest.raises(ShapeError, match=r"the further sum 'errors' has shape \(N, 1\): sum it over the batch first"):
        network(errors=Model(Dense(1), (2,), task="regression", target_shape=(1,)).y)
