"""Batch normalisation, with statistics of the micro-shard, so that they don't depend on the number of ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.errors import ShapeError
from distnn.ops.op import Array, Closures, Op, Shape, Work, nothing, show, size


def _check(x: Shape, vectors: tuple[Shape, ...]) -> Shape:
    if len(x) < 2 or any(vector != x[-1:] for vector in vectors):
        listed = ", ".join(show(vector) for vector in vectors)
        raise ShapeError(
            f"batchnorm: x {show(x)} and per-channel arrays {listed} do not fit; expected (N, …, C) and (C,)."
        )
    return x


class BatchNormInference(Op):
    """y = γ (x − m) / √(v + ε) + β with the running mean m and variance v.   x (N, …, C); γ, β, m, v (C,).

    Only in forward-only plans: no gradient flows through it.
    """

    onnx = "BatchNormalization"
    differentiable = False

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def shape(self, x: Shape, gain: Shape, bias: Shape, mean: Shape, variance: Shape) -> Shape:
        return _check(x, (gain, bias, mean, variance))

    def flops(self, y: tuple[int, ...], *inputs: Any) -> int:
        return 2 * size(y)

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Work]:
        return {name: Work(y[-1:], "forward") for name in ("factor", "offset")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, gain, bias, mean, variance = arrays[:5]
        factor, offset = work["factor"], work["offset"]

        def forward() -> None:
            np.add(variance, self.epsilon, out=factor)
            np.sqrt(factor, out=factor)
            np.divide(gain, factor, out=factor)
            np.multiply(mean, factor, out=offset)
            np.subtract(bias, offset, out=offset)
            np.multiply(x, factor, out=y)
            np.add(y, offset, out=y)

        return forward, nothing


class BatchNorm(Op):
    """y = γ x̂ + β,  x̂ = (x − μ) / √(σ² + ε), with μ and σ² over all axes but the last of this micro-shard.

    x (N, …, C); γ, β, running mean and running variance (C,) → y (N, …, C). With M elements to a channel:

        ∂J/∂γ = Σ dy x̂,   ∂J/∂β = Σ dy,   ∂J/∂x = γ / √(σ² + ε) · (dy − ∂J/∂β / M − x̂ ∂J/∂γ / M)

    Where the running arrays' gradients would be stand N μ and N σ² M / (M − 1): sums that, added up over the shards and
    divided by the samples, are the means the running arrays move towards. Prediction uses those (`BatchNormInference`).
    Source: Ioffe and Szegedy, Batch Normalization, 2015.

    Arguments:
        epsilon: ε.
    """

    onnx = "BatchNormalization"
    keeps_inputs = False

    def __init__(self, epsilon: float = 1e-5) -> None:
        self.epsilon = epsilon

    def shape(self, x: Shape, gain: Shape, bias: Shape, mean: Shape, variance: Shape) -> Shape:
        return _check(x, (gain, bias, mean, variance))

    def flops(self, y: tuple[int, ...], *inputs: Any) -> int:
        return 7 * size(y)

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Work]:
        channels = y[-1:]
        saved = {name: Work(channels, "saved") for name in ("mu", "square", "deviation")}
        return {"normal": Work(y, "saved"), "full": Work(y, "forward"), "row": Work(channels, "backward"), **saved}

    def inference(self, inputs: tuple[Any, ...]) -> tuple[Op, tuple[Any, ...]]:
        return BatchNormInference(self.epsilon), inputs

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, gain, bias, _, _, dy, *_ = arrays
        flat = (-1, y.shape[-1])
        x, out, normal, full = (array.reshape(flat) for array in (x, y, work["normal"], work["full"]))
        mu, square, deviation = work["mu"], work["square"], work["deviation"]
        mean_of = np.full(len(x), 1 / len(x), x.dtype)

        def forward() -> None:
            np.dot(mean_of, x, out=mu)
            np.subtract(x, mu, out=normal)
            np.multiply(normal, normal, out=full)
            np.dot(mean_of, full, out=square)
            np.add(square, self.epsilon, out=deviation)
            np.sqrt(deviation, out=deviation)
            np.divide(normal, deviation, out=normal)
            np.multiply(normal, gain, out=out)
            np.add(out, bias, out=out)

        if dy is None:
            return forward, forward
        return forward, self._backward(work, len(y), *arrays)

    def _backward(self, work: dict[str, Array], samples: int, *arrays: Any) -> Any:
        _, gain, _, _, _, dy, dx, dgain, dbias, dmean, dvariance = arrays
        flat = (-1, dy.shape[-1])
        dy, normal = dy.reshape(flat), work["normal"].reshape(flat)
        dx = None if dx is None else dx.reshape(flat)
        count = len(dy)
        ones = np.ones(count, dy.dtype)
        bias_sum = dbias if dbias is not None else np.empty(flat[1:], dy.dtype)
        gain_sum = dgain if dgain is not None else np.empty(flat[1:], dy.dtype)
        row = work["row"]

        def backward() -> None:
            np.dot(ones, dy, out=bias_sum)
            np.einsum("mc,mc->c", dy, normal, out=gain_sum)
            if dmean is not None:
                np.multiply(work["mu"], samples, out=dmean)
                np.multiply(work["square"], samples * count / max(1, count - 1), out=dvariance)
            if dx is not None:
                np.multiply(gain_sum, 1 / count, out=row)
                np.multiply(normal, row, out=normal)
                np.subtract(dy, normal, out=dx)
                np.multiply(bias_sum, 1 / count, out=row)
                np.subtract(dx, row, out=dx)
                np.divide(gain, work["deviation"], out=row)
                np.multiply(dx, row, out=dx)

        return backward
