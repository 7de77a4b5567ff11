"""Convolutional networks: from locally connected neurons to a filter; filters that are learnt; digits moved aside."""

import lecture
import matplotlib.pyplot as plt
import numpy as np
from lecture_drawing import Sketch, pixels
from matplotlib.patches import Rectangle

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

# --- fully connected, locally connected, and the same weights everywhere
SHADES = (lecture.BLUE, lecture.RED, lecture.GREEN)
weights = {}
for kind in ("full", "local", "shared"):
    sketch, numbers = Sketch(2.6, 1.9), set()
    for k in range(6):
        sketch.circle(f"x{k}", 0.3 + 0.4 * k, 0.3, "", radius=0.13)
    for k in range(4):
        sketch.circle(f"y{k}", 0.7 + 0.4 * k, 1.5, "", radius=0.13)
        for i in range(6):
            if kind == "full" or k <= i < k + 3:
                sketch.arrow(f"x{i}", f"y{k}", colour=SHADES[i - k] if kind == "shared" else "black")
                numbers.add(i - k if kind == "shared" else (i, k))
    weights[kind] = len(numbers)
    lecture.save(sketch.figure, figures / f"13_{kind}.svg")
print("weights of six inputs and four neurons:", ", ".join(f"{kind} {count}" for kind, count in weights.items()))

# --- a filter by hand: the same nine weights at every position of the image
digit = images[labels == 4][0] * scale
down = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])  # bright above and dark below: a lower edge


def convolve(image, kernel):
    """At each position, the weighted sum of the pixels around it; outside of the image there are zeros."""
    padded, result = np.pad(image, 1), np.empty(image.shape)
    for i, j in np.ndindex(image.shape):
        result[i, j] = (padded[i : i + 3, j : j + 3] * kernel).sum()
    return result


def show(name, picture, title, at=None, size=3, **colours):
    """A picture's pixels, and a frame around those that are looked at."""
    figure, axes = plt.subplots(figsize=(2.1, 2.3))
    pixels(axes, picture, **colours)
    axes.set_title(title)
    if at:
        place = (at[1] + 0.5 - size / 2, at[0] + 0.5 - size / 2)
        axes.add_patch(Rectangle(place, size, size, fill=False, edgecolor=lecture.ORANGE, linewidth=3))
    lecture.save(figure, figures / name)


x = graph.input("x", (graph.N, 8, 8, 1))
y = graph.apply(convolution.Conv2D(padding="same"), x, down[:, :, None, None]).named("y")
lower = graph.evaluate(y, x=digit[None, :, :, None])["y"][0, :, :, 0]
apart = np.abs(lower - convolve(digit, down)).max()
i, j = np.unravel_index(lower.argmax(), lower.shape)
window = digit[i - 1 : i + 2, j - 1 : j + 2]
print(f"at row {i + 1}, column {j + 1}: {window[0].sum():.2f} above - {window[2].sum():.2f} below = {lower[i, j]:.2f}")
signs = {"cmap": lecture.BLUE_RED, "vmin": -3, "vmax": 3}
show("13_digit.svg", digit, "8 × 8 pixels", (i, j), cmap=lecture.INK)
show("13_lower.svg", lower, "lower edges", (i, j), size=1, **signs)
show("13_right.svg", convolve(digit, down.T), "right edges", **signs)
filters = {"lower edges": down, "right edges": down.T}
lecture.record(figures / "13_convolution.json", {"image": digit, "filters": filters})


# --- two networks: one that sees 64 numbers, and one that sees an image
def mlp():
    """Every hidden neuron has a weight for each of the 64 pixels."""
    return Sequential(Flatten(), Dense(64, "relu"), Dense(10))


def convnet():
    """Ten filters, then 16 that look at the ten maps; of each map the largest value counts, wherever it is."""
    return Sequential(
        Conv2D(10, 3, "relu", padding="same"),
        Conv2D(16, 3, "relu", padding="same"),
        MaxPool2D(2),
        GlobalMaxPool(),
        Dense(10),
    )


def moved(images, pixels):
    """The images, moved to the right (to the left if ``pixels`` is negative); what leaves the frame is lost."""
    return np.pad(images, ((0, 0), (0, 0), (2, 2)))[:, :, 2 - pixels : 10 - pixels]


shifts, accuracy = range(-2, 3), {}
shifted = np.concatenate([moved(images, by) for by in shifts])
figure, axes = plt.subplots(figsize=(4.5, 3.2))
for network, style in ((mlp, "s--"), (convnet, "o-")):
    made = {"optimizer": Adam(learning_rate=0.01), "schedule": {"kind": "cosine"}, "checkpoint": {"every_epochs": 0}}
    trained = fit(network(), data, out=work / network.__name__, epochs=8, batch_size=32, **made)
    right = (trained.predict(shifted).argmax(axis=1).reshape(len(shifts), -1) == labels).mean(axis=1)
    accuracy[network] = dict(zip(shifts, right, strict=True))
    name = f"{network.__name__}, {trained.parameters.count} parameters"
    print(f"{name:>24}:", ", ".join(f"{by:+d} px {value:.3f}" for by, value in accuracy[network].items()))
    axes.plot(shifts, right, style, label=name)
axes.set(xlabel="test digits moved to the right, in pixels", ylabel="accuracy", xticks=list(shifts), ylim=(0, 1.02))
axes.axhline(0.1, color=lecture.GREY, linestyle=":", label="guessing")
axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.12))
lecture.save(figure, figures / "13_moved.svg")

# --- what the convolutional network has learnt: its first filters, and what they see in the digit
weight, bias = (trained.parameters.value[f"conv2d1.{name}"] for name in ("weight", "bias"))  # (3, 3, 1, 10), (10,)
figure, axes = plt.subplots(figsize=(4.5, 3.1))
limit = np.abs(weight).max()
for k in range(10):
    left, top = 10 * (k % 5), 18 * (k // 5)
    pixels(axes, weight[:, :, 0, k], (left + 1, top), 2, cmap=lecture.BLUE_RED, vmin=-limit, vmax=limit)
    found = np.maximum(convolve(digit, weight[:, :, 0, k]) + bias[k], 0)
    pixels(axes, found, (left, top + 7), cmap=lecture.INK, vmin=0)
axes.set_axis_off()
lecture.save(figure, figures / "13_filters_learnt.svg")

lecture.claim(apart < 1e-12, f"four loops by hand and distnn's convolution agree; they differ by {apart:.0e}")
both = min(accuracy[mlp][0], accuracy[convnet][0])
lecture.claim(both > 0.93, f"both networks read digits where they have learnt them: {both:.3f}")
one = accuracy[mlp][1], accuracy[convnet][1]
lecture.claim(one[0] < 0.75 and one[1] > 0.85, f"a pixel further, only the convolutional one does: {one}")
