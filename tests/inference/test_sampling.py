"""Sampling: the draw's distribution, and that the model read what it wrote."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.special

from distnn.errors import UsageError
from distnn.inference.sampling import draw, sample
from distnn.models import Model, char_lstm, softmax

P = np.array([0.1, 0.2, 0.4, 0.3])


def language(steps, **options):
    return Model(
        char_lstm(6, 4, [8, 5], **options), (steps,), task="language", classes=tuple("abcdef"), target_shape=(steps,)
    )


@pytest.mark.parametrize("temperature", [0.25, 0.8, 1, 3])
def test_draws_are_distributed_as_the_softmax_at_the_temperature(temperature):
    generator, draws = np.random.default_rng(0), 20_000
    found = np.bincount([draw(P, temperature, generator) for _ in range(draws)], minlength=4) / draws
    expected = scipy.special.softmax(np.log(P) / temperature)
    assert np.all(np.abs(found - expected) < 5 * np.sqrt(expected * (1 - expected) / draws) + 1e-9)


def test_temperature_nought_is_greedy_and_a_tiny_one_too():
    generator = np.random.default_rng(0)
    for temperature in (0, 1e-9, 5e-324):
        assert {draw(P, temperature, generator) for _ in range(50)} == {2}


def test_what_cannot_come_is_never_drawn():
    generator = np.random.default_rng(0)
    for temperature in (0.01, 1, 100):
        assert {draw(np.array([0.0, 1.0, 0.0]), temperature, generator) for _ in range(200)} == {1}


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_greedy_text_is_the_likeliest_by_a_pass_over_all_of_it(cell):
    """The states that go from character to character are those of one long sequence."""
    one = language(1, cell=cell)
    held = one.initialize(3, np.float64)
    held.value["dense1.weight"] *= 5  # far from a tie
    text = [1, 4, *sample(one, held, [1, 4], 10, temperature=0)]
    whole = language(len(text), cell=cell)
    plan = whole.prediction_plan(1, held)
    for name in whole.states:
        plan.value[f"before {name}"][...] = 0
    plan.value["x"][...] = text
    plan.forward()
    assert text[2:] == plan.value["prediction"][0].argmax(axis=1)[1:-1].tolist()
    assert len(set(text)) > 1


def test_the_seed_decides():
    model = language(1)
    held = model.initialize(0)
    texts = [list(sample(model, held, [0], 30, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert list(itertools.islice(sample(model, held, [0], 10**9, seed=1), 30)) == texts[0]
    assert list(sample(model, held, [0], 0)) == []


def test_what_cannot_be_sampled():
    model = language(1)
    held = model.initialize(0)
    with pytest.raises(UsageError, match="a prompt of at least one token"):
        sample(model, held, [], 3)
    with pytest.raises(UsageError, match="the temperature is -1; expected a number of at least 0"):
        sample(model, held, [0], 3, temperature=-1)
    classifier = Model(softmax(3), (4,), task="classification", classes=tuple("abc"))
    with pytest.raises(UsageError, match="needs a language model"):
        sample(classifier, classifier.initialize(0), [0], 3)
