"""Cases of losses, and of the counts beside them."""

from __future__ import annotations

import numpy as np
import scipy.special

from distnn.graph import N
from distnn.ops import classification, loss
from distnn.ops.classification import CorrectClasses
from tests.support.ops import BITS, LABELS, SEQUENCES, Case

#: Classes of these modules that are no ops by themselves.
ABSTRACT = {loss.ElementwiseLoss, loss.OfDifference, classification.OverClasses}

WEIGHTS = np.array([0.5, 2.0, 0.0, 1.25])


def ce(z, t):
    logs = scipy.special.log_softmax(z, axis=-1)
    return -np.sum(np.take_along_axis(logs, t[..., None], -1))


def weighted(weights, smoothing, ignore):
    def formula(z, t):
        logs, total = scipy.special.log_softmax(z, axis=-1).reshape(-1, z.shape[-1]), 0
        for row, label in zip(logs, t.reshape(-1), strict=True):
            if label != ignore:
                total -= (1 - smoothing) * weights[label] * row[label] + smoothing * np.mean(weights * row)
        return total

    return formula


def bce(z, t):
    p = scipy.special.expit(z.reshape(-1))
    return -np.sum(scipy.special.xlogy(t, p) + scipy.special.xlogy(1 - t, 1 - p))


def weights(w, t):
    """The weights of samples or targets, for each target."""
    return np.broadcast_to(w.reshape(w.shape + (1,) * (t.ndim - w.ndim)), t.shape)


def each(formula):
    """A formula of samples or sequences, as one of weights too: the sum of each target's by itself, weighted."""

    def summed(z, t, w):
        rows = zip(z.reshape(-1, z.shape[-1]), t.reshape(-1), weights(w, t).reshape(-1), strict=True)
        return sum(weight * formula(row[None], np.array([label])) for row, label, weight in rows)

    return summed


def huber(p, t):
    return np.sum(scipy.special.huber(0.7, p - t))


def apart(generator, shape):
    """Targets at least 0.1 away from predictions in (−1, 1), and from where Huber's loss turns linear at 0.7."""
    return generator.choice([-3.0, 3.0], shape) + generator.uniform(-1, 1, shape)


def below_one(generator, shape):
    return generator.uniform(-0.3, 0.3, shape)


CASES = [
    Case(loss.SquaredError(), ((N, 3), (N, 3)), (), lambda p, t: np.sum((p - t) ** 2)),
    Case(loss.SquaredError(), ((N, 1), (N,)), (), lambda p, t: np.sum((p[:, 0] - t) ** 2)),
    Case(loss.AbsoluteError(), ((N, 3), (N, 3)), (), lambda p, t: np.sum(np.abs(p - t)), {0: below_one, 1: apart}),
    Case(loss.AbsoluteError(), ((N,), (N, 1)), (), lambda p, t: np.sum(np.abs(p - t[:, 0])), {0: below_one, 1: apart}),
    Case(loss.Huber(0.7), ((N, 3), (N, 3)), (), huber, {0: below_one, 1: apart}),
    Case(loss.Huber(0.7), ((N, 2, 3), (N, 2, 3)), (), huber, {0: below_one, 1: below_one}),
    Case(loss.SquaredError(), ((N, 3), (N, 3), LABELS), (), lambda p, t, w: np.sum(weights(w, t) * (p - t) ** 2)),
    Case(loss.SquaredError(), ((N, 3, 1), (N, 3), SEQUENCES), (), lambda p, t, w: np.sum(w * (p[..., 0] - t) ** 2)),
    Case(
        loss.AbsoluteError(),
        ((N, 3), (N, 3), SEQUENCES),
        (),
        lambda p, t, w: np.sum(w * np.abs(p - t)),
        {0: below_one, 1: apart},
    ),
    Case(
        loss.Huber(0.7),
        ((N, 2, 3), (N, 2, 3), LABELS),
        (),
        lambda p, t, w: np.sum(weights(w, t) * scipy.special.huber(0.7, p - t)),
        {0: below_one, 1: apart},
    ),
    Case(loss.BinaryCrossEntropy(), ((N, 1), BITS, LABELS), (), each(bce)),
    Case(loss.BinaryCrossEntropy(), ((N, 1), BITS), (), bce),
    Case(loss.BinaryCrossEntropy(), ((N,), BITS), (), bce),
    Case(classification.CrossEntropy(), ((N, 4), LABELS), (), ce),
    Case(classification.CrossEntropy(), ((N, 3, 4), SEQUENCES), (), ce),
    Case(classification.WeightedCrossEntropy(WEIGHTS), ((N, 4), LABELS), (), weighted(WEIGHTS, 0, None)),
    Case(classification.WeightedCrossEntropy(None, 0.1), ((N, 4), LABELS), (), weighted(np.ones(4), 0.1, None)),
    Case(classification.WeightedCrossEntropy(None, 0, 2), ((N, 3, 4), SEQUENCES), (), weighted(np.ones(4), 0, 2)),
    Case(classification.WeightedCrossEntropy(WEIGHTS, 0.2, 1), ((N, 3, 4), SEQUENCES), (), weighted(WEIGHTS, 0.2, 1)),
    Case(classification.WeightedCrossEntropy(), ((N, 4), LABELS, LABELS), (), each(ce)),
    Case(
        classification.WeightedCrossEntropy(WEIGHTS, 0.2, 1),
        ((N, 3, 4), SEQUENCES, LABELS),
        (),
        each(weighted(WEIGHTS, 0.2, 1)),
    ),
    Case(
        classification.WeightedCrossEntropy(WEIGHTS, 0.2, 1),
        ((N, 3, 4), SEQUENCES, SEQUENCES),
        (),
        each(weighted(WEIGHTS, 0.2, 1)),
    ),
    Case(classification.LabelWeight(), (SEQUENCES,), (), np.size),
    Case(
        classification.LabelWeight(WEIGHTS, 1),
        (SEQUENCES, LABELS),
        (),
        lambda t, w: np.sum(weights(w, t) * WEIGHTS[t] * (t != 1)),
    ),
    Case(CorrectClasses(1), ((N, 4), LABELS, LABELS), (), lambda z, t, w: np.sum(w * (z.argmax(1) == t) * (t != 1))),
    Case(CorrectClasses(), ((N, 3, 4), SEQUENCES, LABELS), (), lambda z, t, w: w @ (z.argmax(2) == t).sum(1)),
    Case(classification.CorrectBinary(), ((N, 1), BITS, LABELS), (), lambda z, t, w: np.sum(w * ((z[:, 0] > 0) == t))),
    Case(classification.LabelWeight(ignore=3), (LABELS,), (), lambda t: np.sum(t != 3)),
    Case(classification.LabelWeight(WEIGHTS, 1), (SEQUENCES,), (), lambda t: np.sum(WEIGHTS[t] * (t != 1))),
    Case(CorrectClasses(), ((N, 4), LABELS), (), lambda z, t: np.sum(z.argmax(1) == t)),
    Case(
        classification.CorrectClasses(0), ((N, 3, 4), SEQUENCES), (), lambda z, t: np.sum((z.argmax(2) == t) & (t != 0))
    ),
    Case(
        classification.CorrectBinary(),
        ((N, 1), BITS),
        (),
        lambda z, t: np.sum((scipy.special.expit(z[:, 0]) > 0.5) == t),
    ),
]
