"""The GRU's gates: the step against its formula, and the same bits compiled as in numpy."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.kernels import gru as reference
from tests.support.kernels import same_bits

Arrays = dict[str, np.ndarray]


def step(seed: int, samples: int, units: int, dtype: type = np.float32) -> Arrays:
    """What a step needs; some of the sums are extreme."""
    random = np.random.default_rng(seed)
    shapes = dict.fromkeys(("before", "apart", "h", "dh"), (samples, units)) | {"gates": (3, samples, units)}
    shapes |= dict.fromkeys(("sums", "step"), (samples, 3 * units)) | dict.fromkeys(("b", "c"), (3 * units,))
    arrays = {name: random.normal(0, 2, shape).astype(dtype) for name, shape in shapes.items()}
    arrays["sums"].flat[:3] = (0.0, 60.0, -60.0)[: arrays["sums"].size]
    return arrays | {"rooms": np.empty((2, samples, units), dtype)}


def run(kernels: ModuleType, arrays: Arrays) -> Arrays:
    """All that a step forward and one back leave behind; the gates of the forward, and not those of the backward."""
    arrays = {name: array.copy() for name, array in arrays.items()}
    gates, before, apart, h = (arrays[name] for name in ("gates", "before", "apart", "h"))
    columns = gates.reshape(arrays["sums"].shape)  # the same memory, as in a plan
    kernels.forward(arrays["sums"], columns, (arrays["b"], arrays["c"]), gates, before, apart, h)
    after = {"gates": gates.copy(), "m": apart.copy(), "h": h.copy()}
    kernels.backward(gates, before, apart, arrays["dh"], arrays["step"], arrays["rooms"])
    return after | {"dm": apart, "dh": arrays["dh"], "step": arrays["step"]}


@given(seed=st.integers(0, 2**31), samples=st.integers(1, 5), units=st.integers(1, 40))
def test_the_same_bits_compiled_as_in_numpy(seed: int, samples: int, units: int) -> None:
    arrays = step(seed, samples, units)
    same_bits("gru", lambda kernels: run(kernels, arrays))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_formula(dtype: type) -> None:
    arrays = step(0, 3, 7, dtype)
    exact = {name: array.astype(np.float64) for name, array in arrays.items()}
    inner, outer = exact["sums"] + exact["c"], exact["gates"].reshape(exact["sums"].shape) + exact["b"]
    r, z = (1 / (1 + np.exp(-(inner + outer)[:, k * 7 : (k + 1) * 7])) for k in range(2))
    n = np.tanh(outer[:, 14:] + r * inner[:, 14:])
    found = run(reference, arrays)
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(found["h"], n + z * (exact["before"] - n), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found["gates"], [r, z, n], rtol=tolerance, atol=tolerance)
    dh = exact["dh"]
    dn = dh * (1 - z) * (1 - n**2)
    slopes = dn * inner[:, 14:] * r * (1 - r), dh * (exact["before"] - n) * z * (1 - z), dn
    np.testing.assert_allclose(found["step"], np.concatenate(slopes, axis=1), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found["dm"], dn * r, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found["dh"], dh * z, rtol=tolerance, atol=tolerance)
