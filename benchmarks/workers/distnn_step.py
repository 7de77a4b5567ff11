"""distnn as a user runs it: Loader, graph, plan, reduction and update, by way of `distnn.train.step.Step`."""

from __future__ import annotations

import sys
from pathlib import Path

from protocol import Case, serve

sys.path.append(str(Path(__file__).resolve().parents[1]))

import cases
from training import training_step

import distnn
from distnn.data.loader import Loader
from distnn.data.order import Whole, permutation
from distnn.data.partition import Batching
from distnn.optim import SGD
from distnn.parallel.memory import NodeMemory
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.session.compiling import prepare

world = World.open()
comm = world.comm
#: The epoch whose order is the case's own.
GIVEN = -1


class Distnn:
    def __init__(self, case: Case) -> None:
        self.case = case
        model = cases.Case(case.widths, case.batch, case.network).model
        memory = (
            NodeMemory(world.comm) if world.comm.size > 1 else None
        )  # what parallel.reduction = "auto" takes on one node
        samples = len(case.x)
        order = Whole(samples, lambda _, epoch: case.order if epoch == GIVEN else permutation(samples, 0, epoch), "own")
        self.loader = Loader({"x": case.x.reshape(-1, *model.input_shape), "y": case.y}, case.scale, order=order)
        optimizer = SGD(case.learning_rate, case.momentum)
        batching = Batching(case.batch, world.comm.size)
        self.step = training_step(model, self.loader, world, batching, optimizer, memory=memory)
        self.parameters = self.step.parameters
        prepare(model, optimizer, self.parameters, world.comm, -(-case.batch // world.comm.size), reproducible=False)
        self.epoch = 0

    def reset(self) -> None:
        for name, values in zip(self.parameters.trained, self.case.first, strict=True):
            self.parameters.value[name][...] = values
        for slot in self.step.update.slots.values():
            slot[:] = 0

    def run(self, steps: int) -> None:
        step, windows = self.step, self.step.windows
        for k in range(steps):
            window = k % windows
            if window == 0:
                self.loader.begin(0, self.epoch)
                self.epoch += 1
            step.run(window, self.case.learning_rate)

    def losses(self, steps: int) -> list[float]:
        self.loader.begin(0, GIVEN)
        means = []
        for window in range(steps):
            means.append(self.step.run(window, self.case.learning_rate).sums.mean_loss)
        return means


if __name__ == "__main__":
    serve(Distnn, comm.barrier, {"rank": comm.rank, "distnn": distnn.__version__, "threads": blas_threads.now.count})
