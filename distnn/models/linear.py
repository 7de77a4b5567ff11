"""The three models of one layer: linear, logistic and softmax regression.

Source: Bishop, Pattern Recognition and Machine Learning, 2006, sections 3.1, 4.3.2 and 4.3.4.
"""

from __future__ import annotations

from distnn.layers import Dense, Flatten, Layer, Sequential


def linear(outputs: int = 1, *, initialization: str = "auto") -> Layer:
    """Linear regression, ŷ = x W + b. Trained with the squared error."""
    return Sequential(Flatten(), Dense(outputs, initialization=initialization))


def logistic(*, initialization: str = "auto") -> Layer:
    """Logistic regression: one logit x·w + b; its hyperplane x·w + b = 0 parts the two classes."""
    return Sequential(Flatten(), Dense(1, initialization=initialization))


def softmax(classes: int, *, initialization: str = "auto") -> Layer:
    """Softmax regression: a logit for each of ``classes``."""
    return Sequential(Flatten(), Dense(classes, initialization=initialization))
