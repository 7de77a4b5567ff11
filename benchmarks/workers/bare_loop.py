"""The yardstick: this one network by hand, in numpy and mpi4py, as fast as we can write it without a framework.

Every buffer is allocated once, every gradient is a view into one flat vector that Allreduce sums in place. It knows
things that a general trainer can't: shards are equal, the loss is cross-entropy, nothing needs to be counted.
"""

from __future__ import annotations

import numpy as np
from mpi4py import MPI
from protocol import SCALE, Case, serve

world = MPI.COMM_WORLD
#: The update goes block by block, whose numbers stay in the cache from one pass to the next.
BLOCK = 65536


class Buffers:
    """What a rank's share of a batch needs, for one length of it."""

    def __init__(self, widths: tuple[int, ...], length: int) -> None:
        self.staging = np.empty((length, widths[0]), np.uint8)
        self.labels = np.empty(length, np.intp)
        self.a = [np.empty((length, width), np.float32) for width in widths]
        self.d = [np.empty((length, width), np.float32) for width in widths]
        self.mask = [np.empty((length, width), np.bool_) for width in widths]
        self.row = np.empty((length, 1), np.float32)
        self.picked = np.empty(length, np.float32)
        self.ones = np.ones(length, np.float32)
        self.starts = np.arange(length) * widths[-1]


class BareLoop:
    def __init__(self, case: Case) -> None:
        self.case = case
        count = sum(values.size for values in case.first)
        self.values, self.velocity = np.zeros(count, np.float32), np.zeros(count, np.float32)
        self.message = np.zeros(count + 1, np.float32)  # the loss rides behind the gradient
        gradient, scratch = self.message[:count], np.zeros(min(BLOCK, count), np.float32)
        self.w, self.b = self._views(self.values)
        self.dw, self.db = self._views(gradient)
        parts = [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
        self.blocks = [(self.values[p], gradient[p], self.velocity[p], scratch[: p.stop - p.start]) for p in parts]
        self.buffers: dict[int, Buffers] = {}
        self.epoch = 0

    def _views(self, vector: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        views, start = [], 0
        for values in self.case.first:
            views.append(vector[start : start + values.size].reshape(values.shape))
            start += values.size
        return views[::2], views[1::2]

    def reset(self) -> None:
        np.concatenate([values.ravel() for values in self.case.first], out=self.values)
        self.velocity[:] = 0

    def run(self, steps: int) -> None:
        for step in range(steps):
            window = step % self.case.steps
            if window == 0:
                order = np.random.default_rng(self.epoch).permutation(len(self.case.x))
                self.epoch += 1
            self.step(order, window)

    def losses(self, steps: int) -> list[float]:
        return [self.step(self.case.order, step) for step in range(steps)]

    def step(self, order: np.ndarray, window: int) -> float:
        start, stop, whole = self.case.share(window, world.rank, world.size)
        if stop - start not in self.buffers:
            self.buffers[stop - start] = Buffers(self.case.widths, stop - start)
        have = self.buffers[stop - start]
        index = order[start:stop]
        np.take(self.case.x, index, axis=0, out=have.staging, mode="clip")
        np.take(self.case.y, index, out=have.labels, mode="clip")
        np.copyto(have.a[0], have.staging, casting="unsafe")
        np.multiply(have.a[0], np.float32(SCALE), out=have.a[0])
        self.message[-1] = self.forward(have)
        self.backward(have, whole)
        world.Allreduce(MPI.IN_PLACE, self.message)
        self.update()
        return float(self.message[-1]) / whole

    def forward(self, have: Buffers) -> float:
        a, last = have.a, len(self.w) - 1
        for k, (w, b) in enumerate(zip(self.w, self.b, strict=True)):
            z = a[k + 1]
            np.matmul(a[k], w, out=z)
            np.add(z, b, out=z)
            if k < last:
                np.maximum(z, 0, out=z)
        p, row, picked = a[-1], have.row, have.picked
        np.maximum.reduce(p, axis=1, keepdims=True, out=row)
        np.subtract(p, row, out=p)
        np.add(have.labels, have.starts, out=have.labels)
        np.take(p.ravel(), have.labels, out=picked, mode="clip")
        np.exp(p, out=p)
        np.add.reduce(p, axis=1, keepdims=True, out=row)
        np.divide(p, row, out=p)
        np.log(row, out=row)
        return float(row.sum() - picked.sum())

    def backward(self, have: Buffers, whole: int) -> None:
        a, d = have.a, have.d
        a[-1].reshape(-1)[have.labels] -= 1
        np.multiply(a[-1], np.float32(1 / whole), out=d[-1])
        for k in reversed(range(len(self.w))):
            dz = d[k + 1]
            np.matmul(a[k].T, dz, out=self.dw[k])
            np.dot(have.ones, dz, out=self.db[k])
            if k:
                np.matmul(dz, self.w[k].T, out=d[k])
                np.greater(a[k], 0, out=have.mask[k])
                np.multiply(d[k], have.mask[k], out=d[k])

    def update(self) -> None:
        momentum, learning_rate = self.case.momentum, self.case.learning_rate
        for w, g, v, t in self.blocks:
            np.multiply(v, momentum, out=v)
            np.add(v, g, out=v)
            np.multiply(v, learning_rate, out=t)
            np.subtract(w, t, out=w)


if __name__ == "__main__":
    library = MPI.Get_library_version().split("\n")[0].strip()
    serve(BareLoop, world.Barrier, {"rank": world.rank, "numpy": np.__version__, "mpi": library})
