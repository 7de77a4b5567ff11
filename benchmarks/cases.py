"""The cases: a network, a batch, and the files that every contender starts from."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LEARNING_RATE, MOMENTUM = 0.02, 0.9


@dataclass(frozen=True)
class Case:
    """A perceptron's widths from input to output, and the global batch: written ``784-128-10@256``."""

    widths: tuple[int, ...]
    batch: int

    @classmethod
    def parse(cls, text: str) -> Case:
        """From its name.

        Raises:
            ValueError: if it isn't one.
        """
        match = re.fullmatch(r"(\d+(?:-\d+)+)@(\d+)", text.strip())
        if not match:
            raise ValueError(f"case '{text}': expected widths and global batch, such as 784-128-10@256.")
        return cls(tuple(int(width) for width in match[1].split("-")), int(match[2]))

    def __str__(self) -> str:
        return "-".join(map(str, self.widths)) + f"@{self.batch}"

    @property
    def flops(self) -> int:
        """Of one sample's step in matrix products: forward, weights' gradient, and inputs' but for the first layer."""
        products = [2 * a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]
        return 3 * sum(products) - products[0]


CASES = tuple(map(Case.parse, ("784-128-10@256", "784-512-512-10@256", "784-512-512-10@1024")))
SLOW_CASES = (Case.parse("784-2048-2048-2048-10@1024"),)


def write(folder: Path, cases: tuple[Case, ...], samples: int) -> None:
    """Everything the contenders load: one data set for cases of the same input and output, and each case's weights.

    The labels come from a random linear map with noise, so that the loss neither diverges nor falls to where numbers
    too small for float32's normal range slow the arithmetic down.

    Raises:
        ValueError: if the cases need different data.
    """
    if len({(case.widths[0], case.widths[-1]) for case in cases}) > 1:
        raise ValueError("cases: the first width and the last must be the same in all of them; they share one data set.")
    inputs, classes = cases[0].widths[0], cases[0].widths[-1]
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (samples, inputs), dtype=np.uint8)
    scores = x.astype(np.float32) @ random.normal(0, 1, (inputs, classes)).astype(np.float32)
    noise = random.normal(0, 2 * scores.std(), scores.shape)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", np.argmax(scores - scores.mean(0) + noise, axis=1))
    np.save(folder / "order.npy", random.permutation(samples))
    for case in cases:
        facts = {"widths": case.widths, "batch": case.batch, "learning_rate": LEARNING_RATE, "momentum": MOMENTUM}
        (folder / f"{case}.json").write_text(json.dumps(facts))
        first: list[np.ndarray] = []
        for a, b in zip(case.widths, case.widths[1:], strict=False):  # He et al. 2015, as distnn does for ReLU
            first += [random.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32), np.zeros(b, np.float32)]
        np.savez(folder / f"{case}.npz", **{f"{k:03}": values for k, values in enumerate(first)})
