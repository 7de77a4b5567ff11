"""Logistic regression: its hyperplane, and two data sets that no hyperplane separates."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit
from distnn.layers import Dense, Sequential
from distnn.optim import SGD

figures, work = lecture.folders()


def learn(name, network, samples):
    """Train on a data set, and return the trained network and its accuracy on the test split."""
    data = work / f"{samples.__name__}.h5"
    if not data.exists():
        lecture.two_classes(data, *samples(2000))
    trained = fit(
        network,
        data,
        out=work / f"{name}-{samples.__name__}",
        epochs=30,
        batch_size=32,
        optimizer=SGD(learning_rate=0.3, momentum=0.9),
        checkpoint={"every_epochs": 0},
    )
    return trained, trained.summary.test.accuracy


def logistic():
    """One neuron: a weighted sum of the inputs, and a bias."""
    return Sequential(Dense(1))


def mlp():
    """Two hidden layers between input and output."""
    return Sequential(Dense(16, "tanh"), Dense(16, "tanh"), Dense(1))


# --- the hyperplane
trained, accuracy = learn("logistic", logistic(), lecture.clouds)
w = trained.parameters.value["dense1.weight"][:, 0]
b = trained.parameters.value["dense1.bias"][0]
foot = -b * w / (w @ w)  # the point of the hyperplane that is nearest to the origin
print(f"two clouds: w = ({w[0]:.2f}, {w[1]:.2f}), b = {b:.2f}, test accuracy {accuracy:.3f}")
assert np.allclose(trained.predict(foot[None, :])[0], 0.5, atol=1e-5)  # on the hyperplane it can't decide

figure, axes = plt.subplots(figsize=(4.6, 4.2))
lecture.show_regions(axes, trained.predict, *lecture.clouds(300, seed=1))
axes.annotate("", foot + w / np.linalg.norm(w), foot, arrowprops={"arrowstyle": "-|>", "lw": 2, "color": "black"})
axes.annotate("$w$", foot + 1.15 * w / np.linalg.norm(w), size=14, bbox={"boxstyle": "circle", "fc": "white"})
axes.set_title("$w^T x + b = 0$ divides the plane")
lecture.save(figure, figures / "02_hyperplane.svg")

# --- two data sets on which it fails, and a network doesn't
figure, grid = plt.subplots(2, 2, figsize=(8, 6.6))
for row, samples in zip(grid, (lecture.xor, lecture.moons), strict=True):
    for axes, (name, network) in zip(row, {"logistic regression": logistic(), "MLP": mlp()}.items(), strict=True):
        trained, accuracy = learn(name, network, samples)
        print(f"{samples.__name__:>6}, {name}: test accuracy {accuracy:.3f}")
        assert accuracy < 0.92 if name == "logistic regression" else accuracy > 0.99
        lecture.show_regions(axes, trained.predict, *samples(400, seed=1))
        axes.set_title(f"{'XOR' if samples is lecture.xor else 'moons'}, {name}: {accuracy:.3f}")
lecture.save(figure, figures / "02_where_it_fails.svg")
