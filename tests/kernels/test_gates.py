"""The LSTM's gates: tanh against float64's, the step against its formula, and compiled as in numpy."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.kernels import gates as reference
from tests.support.kernels import same_bits

Arrays = dict[str, np.ndarray]
SPECIAL = np.array([0.0, -0.0, 1e-38, -1e-30, 8.999, 9.0, 9.001, -9.5, 88.0, -1e30, np.inf, -np.inf], np.float32)


def tanh(x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    reference.tanh(x, out, np.empty((3, *x.shape), x.dtype))
    return out


def test_tanh_is_exact_to_a_few_units() -> None:
    x = np.concatenate([np.linspace(-12, 12, 1_000_001), np.logspace(-30, 0, 10_001)]).astype(np.float32)
    exact = np.tanh(x.astype(np.float64))
    found = tanh(x)
    assert np.all(np.abs(found - exact) <= 5e-7 * np.abs(exact))
    assert np.all(np.abs(found) <= 1), "1 - y² is a slope, and no slope is negative"


def test_tanh_at_the_edges() -> None:
    found = tanh(SPECIAL)
    np.testing.assert_allclose(found, np.tanh(SPECIAL), rtol=5e-7)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(SPECIAL))
    assert np.isnan(tanh(np.array([np.nan], np.float32)))


def test_float64_has_numpys() -> None:
    x = np.linspace(-30, 30, 1001)
    np.testing.assert_array_equal(tanh(x), np.tanh(x))


def step(seed: int, samples: int, units: int, dtype: type = np.float32) -> Arrays:
    """What a step needs; some of the pre-activations are extreme."""
    random = np.random.default_rng(seed)
    shapes = dict.fromkeys(("before", "after", "squashed", "h", "dh", "dc"), (samples, units))
    shapes |= {"z": (samples, 4 * units), "step": (samples, 4 * units), "bias": (4 * units,)}
    shapes |= {"gates": (4, samples, units), "rooms": (2, samples, units)}
    arrays = {name: random.normal(0, 3, shape).astype(dtype) for name, shape in shapes.items()}
    arrays["z"].flat[: len(SPECIAL) - 2] = SPECIAL[:-2][: arrays["z"].size]
    return arrays


def run(kernels: ModuleType, arrays: Arrays) -> Arrays:
    """All that a step forward and one back leave behind; the gates of the forward, and not those of the backward."""
    arrays = {name: array.copy() for name, array in arrays.items()}
    columns = arrays["gates"].reshape(arrays["z"].shape)  # the same memory, as in a plan
    forward = [arrays[name] for name in ("bias", "gates", "before", "after", "squashed", "h")]
    kernels.forward(arrays["z"], columns, *forward)
    after = {name: arrays[name].copy() for name in ("gates", "after", "squashed", "h")}
    kernels.backward(*(arrays[name] for name in ("gates", "before", "squashed", "dh", "dc", "step", "rooms")))
    return after | {name: arrays[name] for name in ("dh", "dc", "step")}


@given(seed=st.integers(0, 2**31), samples=st.integers(1, 5), units=st.integers(1, 40))
def test_the_same_bits_compiled_as_in_numpy(seed: int, samples: int, units: int) -> None:
    arrays = step(seed, samples, units)
    same_bits("gates", lambda kernels: run(kernels, arrays))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_formula(dtype: type) -> None:
    arrays = step(0, 3, 7, dtype)
    exact = {name: array.astype(np.float64) for name, array in arrays.items()}
    z = exact["z"] + exact["gates"].reshape(exact["z"].shape) + exact["bias"]
    zi, zf, zg, zo = z.reshape(3, 4, 7).transpose(1, 0, 2)
    i, f, o = (1 / (1 + np.exp(-each)) for each in (zi, zf, zo))
    g = np.tanh(zg)
    c = f * exact["before"] + i * g
    t, dh = np.tanh(c), exact["dh"]
    dc = exact["dc"] + dh * o * (1 - t**2)
    expected = {"gates": np.stack([i, f, g, o]), "after": c, "squashed": t, "h": o * t, "dc": dc * f, "dh": 0 * dh}
    slopes = (dc * g * i * (1 - i), dc * exact["before"] * f * (1 - f), dc * i * (1 - g**2), dh * t * o * (1 - o))
    expected["step"] = np.concatenate(slopes, axis=1)
    found = run(reference, arrays)
    for name, array in expected.items():
        tolerance = 2e-6 if dtype is np.float32 else 1e-13
        np.testing.assert_allclose(found[name], array, rtol=tolerance, atol=3 * tolerance, err_msg=name)
