"""The cases: a network, a batch, and the files that every contender starts from."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent / "workers"))

import protocol

from distnn import config
from distnn.models import Model, build, mlp

LEARNING_RATE, MOMENTUM = 0.02, 0.9


#: The networks beside perceptrons, as distnn's run files describe them: on images of 28 × 28 in 10 classes, or texts.
NETWORKS = {
    "lenet": {"kind": "convnet", "channels": [32, 64], "hidden": [128]},
    "resnet-14": {"kind": "resnet", "depth": 14, "channels": [16, 32, 64]},
    "char-lstm": {"kind": "char-lstm", "hidden": [256]},
}

#: Those with batch norm.
NORMALISED = ("resnet-14",)


@dataclass(frozen=True)
class Case:
    """A network and the global batch: written ``784-128-10@256`` for a perceptron's widths, else ``lenet@256``."""

    widths: tuple[int, ...]
    batch: int
    network: str = "mlp"

    @classmethod
    def parse(cls, text: str) -> Case:
        """From its name.

        Raises:
            ValueError: if it isn't one.
        """
        match = re.fullmatch(rf"(\d+(?:-\d+)+|{'|'.join(NETWORKS)})@(\d+)", text.strip())
        if not match:
            names = " or ".join(f"{name}@256" for name in NETWORKS)
            raise ValueError(f"case '{text}': expected widths and global batch, such as 784-128-10@256, or {names}.")
        if match[1] in NETWORKS:
            return cls((784, 10), int(match[2]), match[1])
        return cls(tuple(int(width) for width in match[1].split("-")), int(match[2]))

    def __str__(self) -> str:
        return ("-".join(map(str, self.widths)) if self.network == "mlp" else self.network) + f"@{self.batch}"

    @property
    def model(self) -> Model:
        """As distnn has it."""
        classes = [str(label) for label in range(self.widths[-1])]
        if self.network == "mlp":
            return Model(
                mlp(self.widths[-1], self.widths[1:-1]), self.widths[:1], task="classification", classes=classes
            )
        settings = config.from_dict({"model": NETWORKS[self.network], "data": {"path": "none"}}, "case").model.table()
        if self.network == "char-lstm":
            tokens = [str(token) for token in range(protocol.TOKENS)]
            ends = {"target_shape": (protocol.LENGTH,), "classes": tokens}
            return build(settings, (protocol.LENGTH,), task="language", **ends)
        return build(settings, (28, 28), task="classification", classes=classes)

    @property
    def flops(self) -> int:
        """Of one sample's step in matrix products: forward, weights' gradient, and inputs' but for the first layer.

        For other networks than perceptrons three times all of the forward.
        """
        if self.network != "mlp":
            model = self.model
            return 3 * model.evaluation_plan(1, model.initialize()).flops
        products = [2 * a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]
        return 3 * sum(products) - products[0]

    def steps(self, available: int) -> int:
        """The steps of an epoch of so many samples; the last batch may be smaller."""
        return -(-available // self.batch)

    def samples(self, steps: int, available: int) -> int:
        """The samples in so many steps from an epoch's beginning."""
        epochs, rest = divmod(steps, self.steps(available))
        return epochs * available + rest * self.batch


CASES = tuple(map(Case.parse, ("784-128-10@256", "784-512-512-10@256", "784-512-512-10@1024")))
SLOW_CASES = tuple(map(Case.parse, ("784-2048-2048-2048-10@1024", "lenet@256", "resnet-14@128", "char-lstm@64")))


def check(cases: tuple[Case, ...], ranks: int, samples: int) -> None:
    """Make sure that the cases can be compared.

    Raises:
        ValueError: if they need different data, or DDP, which averages over ranks, would weigh samples unequally.
    """
    if len({(case.widths[0], case.widths[-1]) for case in cases}) > 1:
        raise ValueError("cases: all must have the same first width and the same last; they share one data set.")
    for case in cases:
        if case.batch > samples or case.batch % ranks or samples % case.batch % ranks:
            raise ValueError(
                f"case {case}: {ranks} ranks must be able to share the batch, and what {samples} samples leave for the "
                f"last one, evenly: PyTorch's DDP averages over ranks, not over samples."
            )


def write(folder: Path, cases: tuple[Case, ...], samples: int) -> None:
    """Everything the contenders load: one data set for cases of the same input and output, and each case's weights.

    The labels come from a random linear map with noise, so that the loss neither diverges nor falls to where numbers
    too small for float32's normal range slow the arithmetic down.
    """
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
        facts["network"] = case.network
        (folder / f"{case}.json").write_text(json.dumps(facts))
        start = case.model.initialize(0)
        first = [start.value[name] for name in start.trained]
        np.savez(folder / f"{case}.npz", **{f"{k:03}": values for k, values in enumerate(first)})
