"""What every contender shares: its data, and the conversation with the driver, one JSON object a line each way.

Each process of a contender connects to the driver by itself and sleeps in `serve` until it is told what to do next: a
rank that waited for another rank inside MPI would burn the core that someone else is being measured on.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

#: Texts are sequences of so many tokens, of which there are so many different ones.
LENGTH, TOKENS = 100, 64
#: Pixels are bytes, and are multiplied with this on their way into the network.
SCALE = 1 / 255


@dataclass(frozen=True)
class Case:
    """A network, a global batch, and the rule of the update, with everything that a contender starts from.

    Attributes:
        widths: of input, hidden layers (each followed by a ReLU) and output.
        network: ``mlp``, or the name of another one between the same ends.
        x, y: all samples (N, widths[0]) as bytes, and their labels (N,); texts as in `samples_of`.
        scale: what x is multiplied with; None for tokens.
        order: the samples' order in the first epoch, for the check; later ones and measurements draw their own.
        first: the first values of all parameters, as distnn has them: weights (I, O) or (kh, kw, I, O), biases (O,), …
    """

    widths: tuple[int, ...]
    batch: int
    learning_rate: float
    momentum: float
    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    first: list[np.ndarray]
    network: str

    @classmethod
    def load(cls, folder: Path, name: str) -> Case:
        """The case that the driver wrote under ``name``."""
        facts = json.loads((folder / f"{name}.json").read_text())
        pixels, labels, order = (np.load(folder / f"{array}.npy") for array in ("x", "y", "order"))
        x, y = samples_of(facts["network"], pixels, labels)
        with np.load(folder / f"{name}.npz") as first:
            values = [first[key] for key in sorted(first)]
        rule = facts["learning_rate"], facts["momentum"]
        return cls(tuple(facts["widths"]), facts["batch"], *rule, x, y, order, values, facts["network"])

    def share(self, step: int, rank: int, ranks: int) -> tuple[int, int, int]:
        """A step's batch in an epoch: the positions start to stop that are this rank's, and the length of the whole."""
        start = step * self.batch
        stop = min(start + self.batch, len(self.x))
        return start + (stop - start) * rank // ranks, start + (stop - start) * (rank + 1) // ranks, stop - start

    @property
    def scale(self) -> float | None:
        return None if self.network == "char-lstm" else SCALE

    @property
    def steps(self) -> int:
        """The steps of an epoch; the last batch may be smaller."""
        return -(-len(self.x) // self.batch)


def samples_of(network: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a network is trained on: pixels and labels, or tokens (N, LENGTH) and those that follow them."""
    if network != "char-lstm":
        return x, y
    tokens = x[:, : LENGTH + 1] % TOKENS
    return tokens[:, :-1].copy(), tokens[:, 1:].copy()


class Trainer(Protocol):
    """One contender at one case."""

    def reset(self) -> None:
        """Go back to the first values."""

    def run(self, steps: int) -> None:
        """Train for so many steps, from the beginning of an epoch in a new order: what is measured."""

    def losses(self, steps: int) -> list[float]:
        """The mean loss of each of the first steps, over all samples or over this process's, in the driver's order."""


def serve(
    make: Callable[[Case], Trainer],
    barrier: Callable[[], None],
    facts: dict[str, Any],
    from_numpy: Callable[[np.ndarray], Any] = np.asarray,
) -> None:
    """Do what the driver says until it hangs up.

    Arguments:
        make: the contender's trainer for a case.
        barrier: waits for the contender's other processes.
        facts: what the report should say about this process: versions and the like.
        from_numpy: to the contender's own arrays, whose matrix product is timed.
    """
    address, folder = sys.argv[1], Path(sys.argv[2])
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        lines = connection.makefile("rw")

        def answer(message: dict[str, Any]) -> None:
            lines.write(json.dumps(message) + "\n")
            lines.flush()

        answer({"contender": sys.argv[3], **facts})
        trainers: dict[str, Trainer] = {}
        for line in lines:
            order = json.loads(line)
            if order["do"] == "sgemm":
                answer({"gflops": _sgemm(from_numpy)})
                continue
            name, steps = order["case"], order["steps"]
            if name not in trainers:
                trainers[name] = make(Case.load(folder, name))
            trainers[name].reset()
            if order["do"] == "check":
                answer({"losses": trainers[name].losses(steps)})
            else:
                answer({"seconds": _seconds(trainers[name], steps, barrier)})


def _seconds(trainer: Trainer, steps: int, barrier: Callable[[], None]) -> float:
    barrier()
    start = time.perf_counter()
    trainer.run(steps)
    barrier()
    return time.perf_counter() - start


def _sgemm(from_numpy: Callable[[np.ndarray], Any], length: int = 1024, times: int = 9) -> float:
    """GFLOP/s of the best of a few products of square float32 matrices."""
    a = from_numpy(np.random.default_rng(0).random((length, length), np.float32))
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return 2 * length**3 / min(seconds) / 1e9
