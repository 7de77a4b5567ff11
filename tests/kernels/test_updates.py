"""The optimisers' updates, compiled: numpy's bits, step after step."""

from __future__ import annotations

import numpy as np
import pytest

from distnn.kernels.loading import compiled_kernels
from distnn.optim import SGD, Adam, AdamW, Optimizer, optimizer

pytestmark = pytest.mark.skipif(compiled_kernels("updates") is None, reason="numba isn't installed")

LENGTH = 100_003


def trained(rule: Optimizer, dtype: type) -> list[np.ndarray]:
    """The vectors after some steps."""
    random = np.random.default_rng(0)
    values, slots = random.normal(size=LENGTH).astype(dtype), {name: np.zeros(LENGTH, dtype) for name in rule.slots}
    gradients = np.zeros(LENGTH, dtype)
    update = rule.bind(values, gradients, slots, {"a.weight": slice(0, 60_000), "a.bias": slice(60_000, LENGTH)})
    for step in range(4):
        gradients[:] = random.normal(size=LENGTH)
        gradients[:10] = 0
        update(0.37, 0.01, step)
    return [values, *slots.values()]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(
    "rule",
    [SGD(), SGD(momentum=0.9), SGD(momentum=0.9, nesterov=True), Adam(), AdamW(), Adam(beta2=0.0, epsilon=1e-30)],
    ids=str,
)
def test_the_same_bits(rule: Optimizer, weight_decay: float, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = type(rule)(**{**vars(rule), "weight_decay": weight_decay})
    fused = trained(rule, dtype)
    monkeypatch.setattr(optimizer, "compiled_kernels", lambda name: None)
    for ours, theirs in zip(fused, trained(rule, dtype), strict=True):
        np.testing.assert_array_equal(ours, theirs)
