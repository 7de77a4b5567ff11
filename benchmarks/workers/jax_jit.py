"""The same network in JAX: one compiled step, which uses all cores."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from protocol import Case, serve


def language(values: list[Any], x: Any) -> Any:
    """An LSTM's, over all steps of a text."""
    embedding, inward, recurrent, bias, weight, last = values
    inputs = (embedding[x] @ inward + bias).transpose(1, 0, 2)
    start = jnp.zeros((len(x), len(recurrent)), jnp.float32)

    def cell(state: Any, each: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(each + h @ recurrent, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return lax.scan(cell, (start, start), inputs)[1].transpose(1, 0, 2) @ weight + last


def logits(network: str, values: list[Any], x: Any) -> Any:
    """The perceptron's, LeNet's, or the language model's."""
    if network == "char-lstm":
        return language(values, x)
    if network == "lenet":
        x = x.reshape(-1, 28, 28, 1)
        for k in (0, 2):
            form = ("NHWC", "HWIO", "NHWC")
            x = lax.conv_general_dilated(x, values[k], (1, 1), "SAME", dimension_numbers=form) + values[k + 1]
            x = lax.reduce_window(jax.nn.relu(x), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x, values = x.reshape(len(x), -1), values[4:]
    for k in range(0, len(values), 2):
        x = x @ values[k] + values[k + 1]
        x = jax.nn.relu(x) if k + 2 < len(values) else x
    return x


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def step(rule: tuple[str, float, float], values: list[Any], velocity: list[Any], x: Any, y: Any, index: Any) -> Any:
    """The values and velocities after a step, and its loss."""
    network, rate, momentum = rule

    def loss(values: list[Any]) -> Any:
        found = jax.nn.log_softmax(logits(network, values, x[index]))
        return -jnp.mean(jnp.take_along_axis(found, y[index][..., None], -1))

    found, slopes = jax.value_and_grad(loss)(values)
    velocity = [momentum * v + g for v, g in zip(velocity, slopes, strict=True)]
    return [w - rate * v for w, v in zip(values, velocity, strict=True)], velocity, found


class Jax:
    def __init__(self, case: Case) -> None:
        self.case, self.rule = case, (case.network, case.learning_rate, case.momentum)
        self.x = jnp.asarray(case.x if case.scale is None else case.x.astype(np.float32) * np.float32(case.scale))
        self.y = jnp.asarray(case.y)
        self.epoch = 0
        for length in {case.batch, len(case.x) % case.batch or case.batch}:  # both shapes are compiled before the clock
            self.reset()
            self.one(np.arange(length))

    def reset(self) -> None:
        self.values = [jnp.array(values) for values in self.case.first]
        self.velocity = [jnp.zeros_like(values) for values in self.values]

    def one(self, index: np.ndarray) -> Any:
        self.values, self.velocity, loss = step(self.rule, self.values, self.velocity, self.x, self.y, index)
        return loss

    def run(self, steps: int) -> None:
        for k in range(steps):
            window = k % self.case.steps
            if window == 0:
                order = np.random.default_rng(self.epoch).permutation(len(self.case.x))
                self.epoch += 1
            self.one(order[window * self.case.batch : (window + 1) * self.case.batch])
        jax.block_until_ready(self.values)

    def losses(self, steps: int) -> list[float]:
        batch = self.case.batch
        return [float(self.one(self.case.order[k * batch : (k + 1) * batch])) for k in range(steps)]


class Matrix:
    """A matrix whose product is there when it returns."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = jnp.asarray(values)

    def __matmul__(self, other: Matrix) -> Any:
        return jax.block_until_ready(self.values @ other.values)


if __name__ == "__main__":
    serve(Jax, lambda: None, {"rank": 0, "jax": jax.__version__}, Matrix)
