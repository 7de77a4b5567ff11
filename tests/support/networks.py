"""A module that run files name: factory = "tests.support.networks:network"."""

from __future__ import annotations

from distnn import layers


def network(input_shape: tuple[int, ...], outputs: int) -> layers.Layer:
    """What [model] kind = "mlp", hidden = [16] builds."""
    return layers.Sequential(layers.Flatten(), layers.Dense(16, "relu"), layers.Dense(outputs))
