"""The oracle of the training tests: a network of dense layers, trained in twenty lines of numpy, always in float64."""

from __future__ import annotations

import numpy as np

from distnn.session.build import Run

Arrays = dict[str, np.ndarray]


def forward(values: Arrays, x: np.ndarray) -> list[np.ndarray]:
    """The input, every hidden layer after its ReLU, and the logits."""
    layers = len(values) // 2
    found = [x.reshape(len(x), -1)]
    for k in range(1, layers + 1):
        z = found[-1] @ values[f"dense{k}.weight"] + values[f"dense{k}.bias"]
        found.append(z if k == layers else np.maximum(z, 0))
    return found


def probabilities(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def gradients(values: Arrays, x: np.ndarray, y: np.ndarray) -> tuple[float, int, Arrays]:
    """Cross-entropy summed over the samples, how many are classified right, and the gradient of the sum."""
    outputs = forward(values, x)
    p = probabilities(outputs[-1])
    rows = np.arange(len(y))
    loss = -np.log(p[rows, y]).sum()
    delta = p.copy()
    delta[rows, y] -= 1
    found: Arrays = {}
    for k in range(len(values) // 2, 0, -1):
        found[f"dense{k}.weight"] = outputs[k - 1].T @ delta
        found[f"dense{k}.bias"] = delta.sum(axis=0)
        delta = (delta @ values[f"dense{k}.weight"].T) * (outputs[k - 1] > 0)
    return float(loss), int(np.sum(outputs[-1].argmax(axis=1) == y)), found


def epoch(run: Run, values: Arrays, velocity: Arrays, order: np.ndarray, first: int = 0) -> list[tuple[float, float]]:
    """Train ``values`` as the settings of ``run`` say; the mean loss and accuracy of each step."""
    train, rule = run.settings.train, run.settings.optimizer
    x, y = run.loader.fields["x"] * float(run.loader.scale or 1), run.loader.fields["y"]
    curve = []
    a_step = run.batch_size * train.accumulate
    for number, start in enumerate(range(0, len(x), a_step), first):
        chosen = order[start : start + a_step]
        loss, correct, g = gradients(values, x[chosen], y[chosen])
        curve.append((loss / len(chosen), correct / len(chosen)))
        g = {name: array / len(chosen) for name, array in g.items()}
        norm = np.sqrt(sum(np.sum(array**2) for array in g.values()))
        factor = min(1, train.clip_norm / norm) if train.clip_norm else 1
        rate = rule.learning_rate * run.factor(number)
        for name, array in g.items():
            decay = rule.weight_decay if name.endswith("weight") else 0
            gradient = factor * array + decay * values[name]
            velocity[name] = rule.momentum * velocity.get(name, 0) + gradient
            step = gradient + rule.momentum * velocity[name] if rule.nesterov else velocity[name]
            values[name] = values[name] - rate * step
    return curve
