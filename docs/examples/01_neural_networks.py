"""What a neural network is: drawn from a run file, shallow and deep, and before and after training."""

import sys

import lecture
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch

from distnn import fit, graph
from distnn.data import write_data
from distnn.graph import N
from distnn.layers import Dense, Sequential, name_parameters
from distnn.optim import SGD

figures, work = lecture.folders()

# --- the data: hours of study and of sleep before an exam, and who passed
x, passed = lecture.exam(600)
splits = {"train": (x[:400], passed[:400]), "test": (x[400:], passed[400:])}
data = write_data(
    work / "exam.h5", splits, task="classification", classes=["failed", "passed"], names={"x": ["study", "sleep"]}
)

# --- a network described in a run file, and drawn by a command
RUN_FILE = """\
[data]
path = "exam.h5"

[model]
layers = [
    {kind = "dense", units = 3, activation = "tanh"},
    {kind = "dense", units = 1},
]
"""
(work / "exam.toml").write_text(RUN_FILE)
command = ["graph", "exam.toml", "--neurons", "-o", str((figures / "01_network.svg").resolve())]
said = lecture.shell(work, sys.executable, "-m", "distnn", *command)
print(f"distnn graph exam.toml --neurons: {said.split(':')[0]}")


# --- shallow and deep, drawn from Python
def drawn(*layers):
    """A network that reads two numbers, as circles and arrows, and its number of parameters."""
    output = Sequential(*layers)(graph.input("x", (N, 2)))
    name_parameters([output])
    parameters = sum(int(np.prod(node.shape)) for node in graph.parameter_nodes([output]).values())
    return graph.draw_neurons(output), parameters


shallow, few = drawn(Dense(6, "tanh"), Dense(1, "sigmoid"))
deep, many = drawn(Dense(4, "tanh"), Dense(4, "tanh"), Dense(4, "tanh"), Dense(1, "sigmoid"))
shallow.save(figures / "01_shallow.svg")
deep.save(figures / "01_deep.svg")
print(f"shallow: {few} parameters; deep: {many} parameters")
lecture.claim(
    (few, many) == (25, 57), f"the shallow network has 25 parameters, and the deep one 57; found {few}, {many}"
)

# --- the same network before and after training
trained = fit(
    Sequential(Dense(3, "tanh"), Dense(1)),
    data,
    out=work / "run",
    epochs=30,
    batch_size=20,
    optimizer=SGD(learning_rate=0.2, momentum=0.9),
    transforms={"x": ["standardize"]},
    checkpoint={"every_epochs": 0},
)
names = {"inputs": ["study", "sleep"], "outputs": ["passed"]}
first = trained.model.initialize(seed=0).value  # fit's own seed is 0 as well
graph.draw_neurons(trained.model.prediction, weights=first, **names).save(figures / "01_before.svg")
graph.draw_neurons(trained.model.prediction, weights=trained.parameters.value, **names).save(figures / "01_after.svg")
count, accuracy = trained.parameters.count, trained.summary.test.accuracy
print(f"the trained network: {count} parameters, test accuracy {accuracy:.3f}")
lecture.claim(count == 2 * 3 + 3 + 3 * 1 + 1, f"the network has 6 + 3 weights and 3 + 1 biases; found {count}")
lecture.claim(accuracy > 0.85, f"the trained network is right for more than 85 % of new students; found {accuracy:.1%}")
for student in ([8, 7], [2, 5]):
    chance = trained.predict(np.array([student], float))[0, -1]
    print(f"{student[0]} hours of study, {student[1]} of sleep: passes with probability {chance:.2f}")


# --- deep learning within machine learning
figure, axes = plt.subplots(figsize=(4.2, 3))
kinds = ("artificial intelligence", "machine learning", "neural networks", "deep learning")
for level, (kind, colour) in enumerate(
    zip(kinds, (lecture.GREY, lecture.BLUE, lecture.PURPLE, lecture.RED), strict=True)
):
    axes.add_patch(Ellipse((0, 0.36 * -level), 6 - 1.3 * level, 4 - 0.95 * level, ec=colour, fc=colour, alpha=0.18))
    axes.text(0, 1.55 - 0.85 * level, kind, ha="center", va="center", weight="bold" if level == 3 else "normal")
axes.set(xlim=(-3.1, 3.1), ylim=(-2.1, 2.1))
axes.axis("off")
lecture.save(figure, figures / "01_within.svg")


# --- training and predicting, as two pictures
def boxes(title, places, arrows):
    """Named boxes, and arrows between them: (from, to, colour)."""
    low = min(place[1] for place in places.values())
    figure, axes = plt.subplots(figsize=(4.4, 2.9 if low < 1 else 1.3))
    for words, (left, low) in places.items():
        style = {"boxstyle": "round,pad=0.02,rounding_size=0.12", "fc": "none", "ec": "black"}
        axes.add_patch(FancyBboxPatch((left - 0.75, low - 0.33), 1.5, 0.66, **style))
        axes.text(left, low, words, ha="center", va="center")
    for start, end, colour in arrows:
        a, b = np.array(places[start]), np.array(places[end])
        towards = (b - a) / np.abs((b - a) / (0.82, 0.4)).max()  # from edge to edge
        axes.add_patch(FancyArrowPatch(a + towards, b - towards, arrowstyle="-|>", mutation_scale=14, color=colour))
    axes.set(xlim=(-0.9, 5.3), ylim=(low - 1, 3.2), title=title)
    axes.axis("off")
    return figure


places = {"inputs $x$": (0, 2.6), "network": (2.2, 2.6), "outputs $\\hat y$": (4.4, 2.6)}
forward = [("inputs $x$", "network", lecture.BLUE), ("network", "outputs $\\hat y$", lecture.BLUE)]
training = places | {"targets $y$": (0, 0.4), "cost": (4.4, 0.4), "weights,\nbiases": (2.2, 0.4)}
back = [("outputs $\\hat y$", "cost", lecture.BLUE), ("cost", "weights,\nbiases", lecture.RED)]
back += [("weights,\nbiases", "network", lecture.RED)]
figure = boxes("training: again and again", training, forward + back)
bent = {"connectionstyle": "arc3,rad=0.12", "arrowstyle": "-|>", "mutation_scale": 14}
figure.axes[0].add_patch(FancyArrowPatch((0, 0), (4.4, 0), color=lecture.BLUE, **bent))
lecture.save(figure, figures / "01_training.svg")
lecture.save(boxes("predicting: once", places, forward), figures / "01_predicting.svg")
