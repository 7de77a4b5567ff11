"""Sampling from a language model: one token after another, each drawn from the predicted probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from distnn.arrays import Array
from distnn.errors import UsageError
from distnn.models.model import Model
from distnn.parameters import Parameters


def sample(
    model: Model, parameters: Parameters, prompt: Sequence[int], length: int, *, temperature: float = 1.0, seed: int = 0
) -> Iterator[int]:
    """The ``length`` tokens with which the model continues ``prompt``, one by one.

    The model reads one token at a time and keeps its states, so each token costs the same however long the text is.

    Arguments:
        model: a language model with states, for sequences of one token.
        prompt: the tokens that the model reads first, at least one.
        temperature: as in `draw`.
        seed: of the random choices; the same seed gives the same text.

    Raises:
        UsageError: for an empty prompt, a negative temperature, or a model that has no states.
    """
    if not prompt:
        raise UsageError("sampling needs a prompt of at least one token, for the model to continue.")
    if not temperature >= 0:
        raise UsageError(f"sampling: the temperature is {temperature}; expected a number of at least 0.")
    if model.task != "language" or not model.states:
        raise UsageError("sampling needs a language model whose layers carry a state from token to token.")

    def tokens() -> Iterator[int]:
        generator = np.random.default_rng(seed)
        plan = model.prediction_plan(1, parameters)
        states: dict[str, Array] = {name: np.zeros_like(plan.value[f"before {name}"]) for name in model.states}
        unread = list(prompt)
        for _ in range(length):
            for token in unread:
                plan.value["x"][...] = token
                for name, state in states.items():
                    np.copyto(plan.value[f"before {name}"], state)
                plan.forward()
                for name, state in states.items():
                    np.copyto(state, plan.value[f"after {name}"])
            unread = [draw(plan.value["prediction"].reshape(-1), temperature, generator)]
            yield unread[0]

    return tokens()


def draw(probabilities: Array, temperature: float, generator: np.random.Generator) -> int:
    """A token, with probability pᵢ^(1/τ) / Σⱼ pⱼ^(1/τ): the softmax of the logits over the temperature τ.

    A τ below 1 makes likely tokens even more likely; τ = 0 always takes the most likely one.
    """
    if temperature == 0:
        return int(np.argmax(probabilities))
    p = probabilities.astype(np.float64)
    edges = np.cumsum((p / p.max()) ** (1 / temperature))
    return min(int(np.searchsorted(edges, generator.random() * edges[-1], side="right")), len(p) - 1)
