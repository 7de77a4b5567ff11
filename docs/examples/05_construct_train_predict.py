"""Construct, train, predict: a line of code for each step, then the same by one call, and by three commands."""

import shlex
import sys

import h5py
import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit
from distnn.layers import Dense, Flatten, Sequential
from distnn.models import Model
from distnn.optim import SGD

figures, work = lecture.folders()
data = lecture.digits(work)
with h5py.File(data) as file:  # pixels are stored as integers from 0 to 16
    x, y, unseen, truth = (file[name][:] for name in ("train/x", "train/y", "test/x", "test/y"))
x, unseen = x / 16, unseen / 16
alpha, size, happy = 0.2, 32, 0.15

# construct
network = Sequential(Flatten(), Dense(32, "relu"), Dense(10))
model = Model(network, (8, 8), task="classification", classes=list("0123456789"))
parameters = model.initialize(seed=0)
plan = model.training_plan(size, parameters)

# train
random, costs = np.random.default_rng(0), []
while not costs or costs[-1] > happy:
    total = 0.0
    for batch in np.split(random.permutation(len(x))[: len(x) // size * size], len(x) // size):
        plan.value["x"][...], plan.value["y"][...] = x[batch], y[batch]
        plan.forward()  # the forward pass: from the inputs to the outputs, and on to the cost
        total += plan.value["loss"].item()
        plan.backward()  # the backward pass: the cost's derivative with respect to each weight and bias
        for name in parameters.value:
            parameters.value[name][...] -= alpha * parameters.gradient[name] / size  # the update
    costs.append(total / (len(x) // size * size))

# predict
answer = model.prediction_plan(len(unseen), parameters)
answer.value["x"][...] = unseen
answer.forward()
chances = answer.value["prediction"].copy()

accuracy = float((chances.argmax(axis=1) == truth).mean())
print(f"by hand: cost {costs[0]:.3f} after the first epoch, {costs[-1]:.3f} after epoch {len(costs)}")
print(f"by hand: test accuracy {accuracy:.3f}")
lecture.claim(3 <= len(costs) <= 20, f"the cost falls below {happy} within 20 epochs; found {len(costs)}")
lecture.claim(accuracy > 0.9, f"it is right for more than 90 % of the digits that it hasn't seen; found {accuracy:.1%}")
lecture.claim(np.allclose(chances.sum(axis=1), 1, atol=1e-5), "the ten probabilities of each digit add up to 1")

figure, axes = plt.subplots(figsize=(4.4, 2.8))
axes.plot(range(1, len(costs) + 1), costs, "o-", color=lecture.BLUE, markersize=4)
axes.axhline(happy, color=lecture.GREEN, linestyle="--", linewidth=1)
axes.text(len(costs), happy * 1.15, "happy", color=lecture.GREEN, ha="right", va="bottom")
axes.set(xlabel="epoch", ylabel="cost", title="train until happy", ylim=(0, None))
lecture.save(figure, figures / "05_cost.svg")

# --- four digits that it hasn't seen: the three it is least sure of, and one more
doubtful = [*np.argsort(chances.max(axis=1))[:3], 0]
figure, grid = plt.subplots(2, 4, figsize=(4.6, 2.9), height_ratios=(1, 1.1))
for place, (image, bars) in zip(doubtful, grid.T, strict=True):
    image.pcolormesh(unseen[place][::-1], cmap=lecture.INK)  # squares, which have the colour of the page's text
    image.set_aspect("equal")
    image.set_title(f"a {truth[place]}", fontsize=10)
    image.axis("off")
    colours = [lecture.GREEN if digit == truth[place] else lecture.GREY for digit in range(10)]
    bars.bar(range(10), chances[place], color=colours)
    bars.set(ylim=(0, 1), xticks=[0, 5, 9], yticks=[0, 1] if place == doubtful[0] else [])
    print(f"a {truth[place]}: predicted {chances[place].argmax()} with probability {chances[place].max():.2f}")
lecture.save(figure, figures / "05_predicted.svg")

# --- the same by one call
trained = fit(
    Sequential(Flatten(), Dense(32, "relu"), Dense(10)),
    data,
    out=work / "run",
    epochs=len(costs),
    batch_size=size,
    optimizer=SGD(learning_rate=alpha),
    checkpoint={"every_epochs": 0},
)
print(f"distnn.fit: test accuracy {trained.summary.test.accuracy:.3f}")
difference = abs(trained.summary.test.accuracy - accuracy)
lecture.claim(
    difference < 0.03, f"distnn.fit's accuracy is the same within 3 %; found a difference of {difference:.3f}"
)

# --- the same by commands
RUN_FILE = """\
[data]
path = "digits.h5"
batch_size = 32

[model]
kind = "mlp"
hidden = [32]
activation = "relu"

[train]
epochs = 10

[optimizer]
kind = "sgd"
learning_rate = 0.2
"""
COMMANDS = """\
distnn train digits.toml --out first --quiet
distnn predict first digits.h5 -o predictions.csv
"""
(work / "digits.toml").write_text(RUN_FILE)
for command in COMMANDS.splitlines():
    said = lecture.shell(work, sys.executable, "-m", *shlex.split(command))
rows = [row.split(",") for row in (work / "predictions.csv").read_text().splitlines()]
for row in rows[:3]:
    print(f"{row[0]:>5} {row[1]:>12} … {row[-1]:>7}")
hits = np.mean([row[1] == row[-1] for row in rows[1:]])
lecture.claim(hits > 0.9, f"the commands' predictions are right for more than 90 %, too; found {hits:.1%}")


# --- the whole as a picture
figure, axes = plt.subplots(figsize=(4.4, 3.3))
places = {"construct": (0, 2.4), "predict": (2.4, 2.4), "forward pass": (0, 1.2), "cost $J$": (2.4, 1.2)}
places |= {"backward pass": (2.4, 0), "update": (0, 0)}
ways = [("construct", "forward pass"), ("forward pass", "cost $J$"), ("cost $J$", "predict")]
ways += [("cost $J$", "backward pass"), ("backward pass", "update"), ("update", "forward pass")]
colours = dict(zip(places, ["black", "black", lecture.BLUE, lecture.BLUE, lecture.RED, lecture.RED], strict=True))
for words, place in places.items():
    box = {"boxstyle": "round,pad=0.45", "fc": "none", "ec": colours[words]}
    axes.text(*place, words, ha="center", va="center", bbox=box)
for tail, head in ways:
    a, b = np.array(places[tail]), np.array(places[head])
    edge = np.sign(b - a) * (0.72, 0.27)
    axes.annotate("", b - edge, a + edge, arrowprops={"arrowstyle": "-|>", "color": colours[head], "lw": 1.6})
axes.text(2.5, 1.8, "happy", va="center")
axes.text(2.5, 0.6, "not yet", va="center")
axes.text(1.2, 0.6, "train", ha="center", va="center", weight="bold")
axes.set(xlim=(-0.8, 3.2), ylim=(-0.35, 2.75))
axes.axis("off")
lecture.save(figure, figures / "05_loop.svg")
