"""Batch norm, with statistics of the micro-shard or of the whole batch, never of what a rank happens to have."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError
from distnn.kernels.loading import load
from distnn.ops.op import Buffer, Closure, Closures, Exchange, Op, nothing, together


class PerChannel(Op):
    """A normalisation of x (N, …, C) with gain, bias, running mean and running variance (C,), and an ε."""

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def shape(self, x: Shape, *vectors: Shape) -> Shape:
        if len(x) < 2 or any(vector != x[-1:] for vector in vectors):
            listed = ", ".join(show(vector) for vector in vectors)
            raise ShapeError(
                f"batchnorm: x {show(x)} and per-channel arrays {listed} do not fit; expected (N, …, C) and (C,)."
            )
        return x


class BatchNormInference(PerChannel):
    """y = γ (x − m) / √(v + ε) + β with the running mean m and variance v.   x (N, …, C); γ, β, m, v (C,).

    Only in forward-only plans: no gradient flows through it.
    """

    differentiable, cost = False, 2

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        return {name: Buffer(y[-1:], "forward") for name in ("factor", "offset")}

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


class BatchNorm(PerChannel):
    """y = γ x̂ + β,  x̂ = (x − μ) / √(σ² + ε), with μ and σ² over all axes but the last of this micro-shard.

    x (N, …, C); γ, β, running mean and running variance (C,) → y (N, …, C). With M elements to a channel:

        ∂J/∂γ = Σ dy x̂,   ∂J/∂β = Σ dy,   ∂J/∂x = γ / √(σ² + ε) · (dy − ∂J/∂β / M − x̂ ∂J/∂γ / M)

    In place of the running arrays' gradients backward writes N μ and N σ² M / (M − 1): sums that, added up over the
    shards and divided by the samples, are the means that the running arrays move towards. Prediction uses the running
    arrays (`BatchNormInference`).
    Source: Ioffe and Szegedy, Batch Normalization, 2015.

    With ``exchange``, which adds an array up over all shards of the batch, M, μ, σ² and the sums in ∂J/∂x are the whole
    batch's (Peng et al., MegDet, 2018). All shards must then be computed at the same time.

    Arguments:
        epsilon: ε.
        whole: whether the statistics are those of the whole batch; a plan then gives the ``exchange``.

    Raises:
        ShapeError: by ``bind`` or, with an ``exchange``, by forward, if M is below 2.
    """

    keeps_inputs, cost = False, 7
    kernels = "batch_norm"

    def __init__(self, epsilon: float = 1e-5, *, whole: bool = False) -> None:
        super().__init__(epsilon)
        self.exchanges = whole
        self._exchange: Exchange | None = None

    def check(self, y: tuple[int, ...]) -> None:
        if (values := size(y[:-1])) < 2:
            raise ShapeError(
                f"batch norm: {'a whole batch' if self.exchanges else 'a micro-shard'} would have {values} of each "
                f"channel's values to train on, and so no variance; expected 2 or more. Choose another batch_size, "
                f"fewer micro-shards (parallel.shards, or ranks), whole = true, or layer_norm."
            )

    def over(self, exchange: Exchange) -> BatchNorm:
        op = BatchNorm(self.epsilon, whole=True)
        op._exchange = exchange
        return op

    def messages(self, *inputs: tuple[int, ...]) -> tuple[list[int], list[int]]:
        channels = inputs[0][-1]
        return [channels + 1, channels], [2 * channels]

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        rows, channels = ChannelRows(y), y[-1]
        asked = {"normal": Buffer(y, "saved"), "deviation": Buffer((channels,), "saved")}
        asked |= {"moments": Buffer((2 * channels + 1,), "saved"), "sums": Buffer((2 * channels,), "backward")}
        for direction in ("forward", "backward"):
            asked[f"block {direction}"] = Buffer((rows.block, rows.width), direction)
            asked[f"rows {direction}"] = Buffer((4, rows.width), direction)
        return asked

    def inference(self, inputs: tuple[Any, ...]) -> tuple[Op, tuple[Any, ...]]:
        return BatchNormInference(self.epsilon), inputs

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, gain, bias, _, _, dy, *_ = arrays
        rows, channels = ChannelRows(y.shape), y.shape[-1]
        moments, deviation = work["moments"], work["deviation"]
        first, mu, square = moments[: channels + 1], moments[:channels], moments[channels + 1 :]
        scratch, (sums, part, scale, shift) = work["block forward"], work["rows forward"]
        x, out, normal = map(rows.flat, (x, y, work["normal"]))
        kernels, block, exchange = load(self.kernels), rows.block, self._exchange
        if not exchange:
            self.check(y.shape)

        def forward() -> None:
            kernels.total(x, block, part, sums)
            rows.fold(sums, mu)
            moments[channels] = rows.count
            if exchange:
                exchange(first)
                self.check((int(moments[channels]), channels))
            count = moments[channels]
            np.divide(mu, count, out=mu)
            rows.spread(mu, shift)
            kernels.squares(x, shift, block, scratch, part, sums)
            rows.fold(sums, square)
            if exchange:
                exchange(square)
            np.divide(square, count, out=square)
            np.add(square, self.epsilon, out=deviation)
            np.sqrt(deviation, out=deviation)
            rows.spread(mu, sums)
            rows.spread(deviation, part)
            np.divide(1, part, out=part)
            rows.spread(gain, scale)
            rows.spread(bias, shift)
            kernels.normalise(x, sums, part, scale, shift, block, normal, out)

        return forward, forward if dy is None else self._backward(work, rows, len(y), *arrays)

    def _backward(self, work: dict[str, Array], rows: ChannelRows, samples: int, *arrays: Any) -> Closure:
        _, gain, _, _, _, dy, dx, dgain, dbias, dmean, dvariance = arrays
        channels, moments, total = len(gain), work["moments"], work["sums"]
        scratch, (sums, part, scale, shift) = work["block backward"], work["rows backward"]
        dy, normal = rows.flat(dy), rows.flat(work["normal"])
        dx = dy if dx is None else rows.flat(dx)
        kernels, block, exchange = load(self.kernels), rows.block, self._exchange
        of_bias, of_gain = total[:channels], total[channels:]

        def reduce() -> None:
            kernels.slopes(dy, normal, block, scratch, part, shift, scale)
            rows.fold(shift, of_bias)
            rows.fold(scale, of_gain)
            for gradient, total_of in ((dbias, of_bias), (dgain, of_gain)):
                if gradient is not None:
                    np.copyto(gradient, total_of)
            if dmean is not None:
                count = float(moments[channels])
                np.multiply(moments[:channels], samples, out=dmean)
                np.multiply(moments[channels + 1 :], samples * count / (count - 1), out=dvariance)

        def spread() -> None:
            if exchange:
                exchange(total)
            np.divide(total, moments[channels], out=total)
            rows.spread(of_bias, shift)
            rows.spread(of_gain, scale)
            rows.spread(gain, sums)
            rows.spread(work["deviation"], part)
            np.divide(sums, part, out=sums)
            kernels.spread(dy, normal, shift, scale, sums, block, scratch, dx)

        # Without dx there is nothing to write, and the other shards don't ask for the sums either.
        return reduce if arrays[6] is None else together([reduce, spread])


class ChannelRows:
    """(N, …, C) as rows of several positions each, in blocks.

    C numbers are too few for numpy's inner loop, which takes longer to start than to run over 16 channels; so a row has
    as many positions as divide their number, up to about ``WIDTH`` numbers. Blocks stay in a core's cache.

    Arguments:
        shape: with the batch bound.

    Attributes:
        count: M, the positions.
        width, block: the numbers in a row, and the rows in a block.
    """

    WIDTH, BLOCK = 1024, 65536

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._channels = shape[-1]
        self.count = size(shape) // self._channels
        limit = max(1, min(self.WIDTH // self._channels, self.count))
        self._positions = next(k for k in range(limit, 0, -1) if self.count % k == 0)
        self.width = self._positions * self._channels
        rows = self.count // self._positions
        self.block = max(1, min(rows, self.BLOCK // self.width))

    def flat(self, array: Array) -> Array:
        """The array's rows: a view."""
        return array.reshape(-1, self.width)

    def fold(self, row: Array, channels: Array) -> None:
        """Add up a row's positions: (width,) → (C,)."""
        np.add.reduce(row.reshape(self._positions, self._channels), axis=0, out=channels)

    def spread(self, channels: Array, row: Array) -> None:
        """Repeat the channels' numbers for each of a row's positions: (C,) → (width,)."""
        np.copyto(row.reshape(self._positions, self._channels), channels)
