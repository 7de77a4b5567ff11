"""What the tests of optimisers share: a toy model's vectors, and the path that an optimiser takes through them."""

from __future__ import annotations

import numpy as np

#: Two layers and a gain, with gaps between them as alignment leaves them.
SEGMENTS = {
    "dense1.weight": slice(0, 12),
    "dense1.bias": slice(16, 19),
    "norm1.gain": slice(32, 35),
    "dense2.weight": slice(48, 66),
    "dense2.bias": slice(80, 86),
}
LENGTH = 96


def gradients(steps=20, length=LENGTH, seed=0):
    """First values and a gradient for each step; zero in the gaps, as in a model's vectors."""
    generator = np.random.default_rng(seed)
    start, found = np.zeros(length), np.zeros((steps, length))
    for where in SEGMENTS.values() if length == LENGTH else [slice(None)]:
        count = len(start[where])
        start[where], found[:, where] = generator.normal(size=count), generator.normal(size=(steps, count))
    return start, found


def trajectory(optimizer, start, found, segments=None, *, scale=0.25, rates=None, dtype=np.float64):
    """Where ``optimizer`` ends after these gradients, each given as a sum that ``scale`` turns into the mean."""
    values = start.astype(dtype)
    slots = {name: np.zeros_like(values) for name in optimizer.slots}
    summed = np.empty_like(values)
    update = optimizer.bind(values, summed, slots, SEGMENTS if segments is None else segments)
    for step, gradient in enumerate(found):
        summed[:] = gradient / scale
        update(scale, optimizer.learning_rate if rates is None else rates[step], step)
    return values


def in_torch(build, start, found, rates=None):
    """Where a PyTorch optimiser ends: ``build(weights, others)`` makes it from lists of tensors."""
    import torch

    tensors = {name: torch.tensor(start[where].copy(), requires_grad=True) for name, where in SEGMENTS.items()}
    weights = [tensor for name, tensor in tensors.items() if name.endswith("weight")]
    others = [tensor for name, tensor in tensors.items() if not name.endswith("weight")]
    rule = build(weights, others)
    for step, gradient in enumerate(found):
        for group in rule.param_groups:
            group["lr"] = group["lr"] if rates is None else rates[step]
        for name, where in SEGMENTS.items():
            tensors[name].grad = torch.tensor(gradient[where].copy())
        rule.step()
    values = start.copy()
    for name, where in SEGMENTS.items():
        values[where] = tensors[name].detach().numpy()
    return values
