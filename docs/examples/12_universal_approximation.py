"""Universal approximation: a wiggly function, fitted by more and more hidden neurons."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit
from distnn.data import write_data
from distnn.layers import Dense, Sequential
from distnn.optim import Adam

figures, work = lecture.folders()


def wiggly(x):
    """The function to learn, from −3 to 3."""
    return np.sin(2 * x) + 0.4 * np.cos(4 * x)


x = np.random.default_rng(0).uniform(-3, 3, (256, 1))
line = np.linspace(-3, 3, 301)[:, None]
data = write_data(work / "wiggly.h5", {"train": (x, wiggly(x)), "test": (line, wiggly(line))}, task="regression")

figure, grid = plt.subplots(2, 3, figsize=(9.5, 5), sharex=True, sharey=True)
error, learnt = {}, {}
for axes, units in zip(grid.flat, (1, 2, 4, 8, 16, 32), strict=True):
    trained = fit(
        Sequential(Dense(units, "tanh", initialization="he"), Dense(1)),
        data,
        out=work / str(units),
        epochs=150,
        batch_size=16,
        optimizer=Adam(learning_rate=0.1),
        schedule={"kind": "cosine"},
        checkpoint={"every_epochs": 0},
    )
    value = trained.parameters.value
    weights = {"w": "dense1.weight", "b": "dense1.bias", "v": "dense2.weight", "c": "dense2.bias"}
    learnt[units] = {letter: value[name].ravel() for letter, name in weights.items()}
    error[units] = trained.summary.test.loss**0.5
    print(f"{units:>2} hidden, {trained.parameters.count:>3} parameters: root mean square error {error[units]:.3f}")
    axes.plot(line, wiggly(line), color=lecture.GREY, linewidth=4, alpha=0.5, label="the function")
    axes.plot(line, trained.predict(line), color=lecture.RED, label="the network")
    axes.set_title(f"{units} hidden: error {error[units]:.3f}")
grid.flat[0].legend(fontsize=8)
figure.supxlabel("$x$", fontsize=10)
figure.supylabel("$f(x)$", fontsize=10)
assert error[1] > 0.5 > error[2] > error[4] > 0.1 > error[32]
lecture.save(figure, figures / "12_universal_approximation.svg")
lecture.record(
    figures / "12_universal_approximation.json",
    {"x": line[:, 0], "target": wiggly(line)[:, 0], "learnt": learnt},
)
