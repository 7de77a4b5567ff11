"""Every optimiser by its name in a run file: its defaults, training on digits, and resuming to the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from distnn.config import read, recorded, to_dict
from distnn.layers import Dense, Flatten, Sequential
from distnn.ops.activation import LeakyReLU
from distnn.optim import LAMB, Optimizer
from distnn.session.fit import fit
from distnn.session.run import train
from tests.support.runs import DIGITS, alone, assembled, settings

OPTIMIZERS = Optimizer.family.kinds
RATES = {"sgd": 0.1, "adam": 0.003, "adamw": 0.003, "lars": 5.0, "lamb": 0.02}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_run_file_has_the_defaults_of_the_classes(kind):
    rule = OPTIMIZERS[kind]()
    chosen = settings(optimizer={"kind": kind, "learning_rate": rule.learning_rate})
    assert chosen.optimizer.make() == rule
    assert recorded(Optimizer.family, rule).table() == to_dict(chosen)["optimizer"]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_digits_are_learned_and_a_resumed_run_ends_in_the_same_bits(kind, tmp_path):
    chosen = settings(
        optimizer={"kind": kind, "learning_rate": RATES[kind]},
        train={"epochs": 12},
        checkpoint={"every_steps": 100, "keep": 100},
    )
    world = alone()
    summary, whole = train(chosen, out=tmp_path / "whole", world=world)
    assert summary.test.accuracy > 0.9
    middle = sorted((tmp_path / "whole" / "checkpoints").glob("step-*.h5"))[0]
    _, again = train(chosen, out=tmp_path / "again", resume=str(middle), world=world)
    assert whole.progress.step == again.progress.step > 150
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)
    for name, slot in whole.step.update.slots.items():
        assert slot.any()
        np.testing.assert_array_equal(again.step.update.slots[name], slot, err_msg=name)


def test_a_step_tells_the_optimizer_its_number():
    """Adam's first step moves no element by more than α; with moments of 0 and no correction left, by 3.16 α."""
    moves = []
    for number in (0, 10**6):
        run = assembled(alone(), optimizer={"kind": "adam"}, train={"dtype": "float64"})
        before = run.parameters.values.copy()
        run.step.run(0, 0.01, number=number)
        moves.append(np.abs(run.parameters.values - before).max())
    np.testing.assert_allclose(moves, [0.01, 0.01 * 0.1 / np.sqrt(0.001)], rtol=1e-3)


def test_fit_takes_any_optimizer_and_activation_op(tmp_path):
    network = Sequential(Flatten(), Dense(16, LeakyReLU(0.2)), Dense(10))
    fitted = fit(network, DIGITS, out=tmp_path / "run", epochs=3, optimizer=LAMB(0.02))
    assert fitted.summary.test.accuracy > 0.8
    written = read(tmp_path / "run" / "run.toml")
    assert written.optimizer.make() == LAMB(0.02)
    assert written.model.factory == "python:Sequential"
