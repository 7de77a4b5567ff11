"""The same perceptron as scikit-learn's MLPClassifier, by partial_fit: one pass over what it is given, in batches."""

from __future__ import annotations

import numpy as np
import sklearn
from protocol import SCALE, Case, serve
from sklearn.neural_network import MLPClassifier


class Sklearn:
    def __init__(self, case: Case) -> None:
        self.case = case
        self.x, self.y = case.x.astype(np.float32) * np.float32(SCALE), case.y
        rule = {"learning_rate_init": case.learning_rate, "momentum": case.momentum, "nesterovs_momentum": False}
        self.model = MLPClassifier(case.widths[1:-1], solver="sgd", alpha=0, batch_size=case.batch, **rule)
        self.model.partial_fit(self.x[: case.batch], self.y[: case.batch], classes=np.arange(case.widths[-1]))

    def reset(self) -> None:
        model, first = self.model, self.case.first
        for target, values in zip([*model.coefs_, *model.intercepts_], [*first[::2], *first[1::2]], strict=True):
            target[...] = values
        for velocity in model._optimizer.velocities:
            velocity[...] = 0

    def run(self, steps: int) -> None:
        epochs, rest = divmod(steps, self.case.steps)
        for _ in range(epochs):
            self.model.partial_fit(self.x, self.y)
        if rest:
            self.model.partial_fit(self.x[: rest * self.case.batch], self.y[: rest * self.case.batch])

    def losses(self, steps: int) -> list[float]:
        found = []
        for k in range(steps):
            chosen = self.case.order[k * self.case.batch : (k + 1) * self.case.batch]
            self.model.partial_fit(self.x[chosen], self.y[chosen])
            found.append(self.model.loss_)
        return found


if __name__ == "__main__":
    serve(Sklearn, lambda: None, {"rank": 0, "scikit-learn": sklearn.__version__})
