"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

from distnn.layers import Dense, Flatten, Layer, Sequential


def mlp(
    outputs: int, hidden: Sequence[int] = (64,), activation: str = "relu", *, initialization: str = "auto"
) -> Layer:
    """Dense layers of ``hidden`` units, each with the activation, and a last one of ``outputs`` without.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, chapter 6.
    """
    layers = [Dense(units, activation, initialization=initialization) for units in hidden]
    return Sequential(Flatten(), *layers, Dense(outputs, initialization=initialization))
