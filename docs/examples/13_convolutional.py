"""Convolutional networks: a filter by hand, filters that are learnt, and digits that are moved aside."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit, graph
from distnn.data import DataFile
from distnn.layers import Conv2D, Dense, Flatten, GlobalMaxPool, MaxPool2D, Sequential
from distnn.ops.conv import convolution
from distnn.optim import Adam

figures, work = lecture.folders()
data = lecture.digits(work)
with DataFile(data) as file:
    images, labels = file.read("test")
    scale = file.scale  # pixels are stored as small integers, and scaled to 0 … 1 when they are read

# --- a filter by hand: the same nine weights at every position of the image
digit = images[labels == 4][0] * scale
down = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])  # bright above and dark below: a lower edge
filters = {"lower edges": down, "right edges": down.T}


def convolve(image, kernel):
    """At each position, the weighted sum of the pixels around it; outside of the image there are zeros."""
    padded, result = np.pad(image, 1), np.empty(image.shape)
    for i, j in np.ndindex(image.shape):
        result[i, j] = (padded[i : i + 3, j : j + 3] * kernel).sum()
    return result


x = graph.input("x", (graph.N, 8, 8, 1))
figure, axes = plt.subplots(1, 3, figsize=(8, 2.9))
axes[0].imshow(digit, cmap="Greys")
axes[0].set_title("a digit, 8 × 8 pixels")
for place, (name, kernel) in enumerate(filters.items(), 1):
    y = graph.apply(convolution.Conv2D(padding="same"), x, kernel[:, :, None, None]).named("y")
    found = graph.evaluate(y, x=digit[None, :, :, None])["y"][0, :, :, 0]
    assert np.allclose(found, convolve(digit, kernel))
    picture = axes[place].imshow(found, cmap="RdBu_r", vmin=-3, vmax=3)
    axes[place].set_title(f"{name}: red")
figure.colorbar(picture, ax=axes, label="weighted sum", shrink=0.8)
for ax in axes:
    ax.set_axis_off()
lecture.save(figure, figures / "13_filters_by_hand.svg")


# --- two networks: one that sees 64 numbers, and one that sees an image
def mlp():
    """Every hidden neuron has a weight for each of the 64 pixels."""
    return Sequential(Flatten(), Dense(64, "relu"), Dense(10))


def convnet():
    """Twelve filters, then 24 that look at the twelve maps; of each map the largest value counts, wherever it is."""
    return Sequential(
        Conv2D(12, 3, "relu", padding="same"),
        Conv2D(24, 3, "relu", padding="same"),
        MaxPool2D(2),
        GlobalMaxPool(),
        Dense(10),
    )


def moved(images, pixels):
    """The images, moved to the right (to the left if ``pixels`` is negative); what leaves the frame is lost."""
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2)))
    return padded[:, :, 2 - pixels : 10 - pixels]


pixels = range(-2, 3)
accuracy = {}
figure, axes = plt.subplots(figsize=(5.4, 3.6))
for network, marker in ((mlp, "s--"), (convnet, "o-")):
    trained = fit(
        network(),
        data,
        out=work / network.__name__,
        epochs=12,
        batch_size=32,
        optimizer=Adam(learning_rate=0.01),
        schedule={"kind": "cosine"},
        checkpoint={"every_epochs": 0},
    )
    right = [np.mean(trained.predict(moved(images, by)).argmax(axis=1) == labels) for by in pixels]
    accuracy[network] = dict(zip(pixels, right, strict=True))
    name = f"{network.__name__}, {trained.parameters.count} parameters"
    print(f"{name:>24}:", ", ".join(f"{by:+d} px {value:.3f}" for by, value in accuracy[network].items()))
    axes.plot(pixels, right, marker, label=name)
assert min(accuracy[mlp][0], accuracy[convnet][0]) > 0.94  # both read digits where they have learnt them …
assert accuracy[mlp][1] < 0.75 and accuracy[convnet][1] > 0.85  # … but only one of them a pixel further
axes.set(xlabel="test digits moved to the right, in pixels", ylabel="accuracy", xticks=list(pixels), ylim=(0, 1.02))
axes.axhline(0.1, color=lecture.GREY, linestyle=":", label="guessing")
axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.12), fontsize=8)
lecture.save(figure, figures / "13_moved.svg")

# --- what the convolutional network has learnt: its first filters, and what they see in the digit
weight = trained.parameters.value["conv2d1.weight"]  # (3, 3, 1, 12)
bias = trained.parameters.value["conv2d1.bias"]
figure, grid = plt.subplots(4, 6, figsize=(8.4, 6))
limit = np.abs(weight).max()
for k in range(12):
    upper, lower = grid[2 * (k // 6), k % 6], grid[2 * (k // 6) + 1, k % 6]
    upper.imshow(weight[:, :, 0, k], cmap="RdBu_r", vmin=-limit, vmax=limit)
    upper.set_title(f"filter {k + 1}", fontsize=9)
    lower.imshow(np.maximum(convolve(digit, weight[:, :, 0, k]) + bias[k], 0), cmap="Greys", vmin=0)
for ax in grid.flat:
    ax.set_axis_off()
lecture.save(figure, figures / "13_filters_learnt.svg")
