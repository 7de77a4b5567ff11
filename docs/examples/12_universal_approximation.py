"""Universal approximation: a step, a bump, a function made of bumps; then the same number of neurons, trained."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit, graph
from distnn.data import write_data
from distnn.layers import Dense, Sequential
from distnn.optim import Adam

figures, work = lecture.folders()
COLOURS = [lecture.BLUE, lecture.GREEN, lecture.RED, lecture.ORANGE]
line = np.linspace(-3, 3, 301)[:, None]


def wiggly(x):
    """The function to learn, from −3 to 3."""
    return np.sin(2 * x) + 0.4 * np.cos(4 * x)


def by_hand(w, b, v):
    """The output of a network whose weights nobody has trained: sum over i of v_i σ(w_i x + b_i)."""
    x = graph.input("x", (graph.N, 1))
    output = (graph.sigmoid(x @ np.reshape(w, (1, -1)) + np.array(b)) @ np.reshape(v, (-1, 1))).named("output")
    return graph.evaluate(output, x=line)["output"][:, 0]


def bumps(count, steepness=60.0):
    """The function from ``count`` bumps side by side, two hidden neurons each, as high as the function there."""
    edges = np.linspace(-3, 3, count + 1)
    height = wiggly((edges[:-1] + edges[1:]) / 2)
    up, down = edges[:-1], edges[1:]
    places = np.concatenate([up, down])
    return by_hand(np.full(2 * count, steepness), -steepness * places, np.concatenate([height, -height]))


def error(output):
    """The root of the mean square error."""
    return np.mean((output - wiggly(line)[:, 0]) ** 2) ** 0.5


# --- one neuron is a step, the steeper the larger its weight; its place is −b/w
figure, axes = plt.subplots(figsize=(3.2, 2.4))
for w, colour in zip((2, 8, 60), COLOURS, strict=False):
    axes.plot(line, by_hand([w], [-w], [1]), color=colour, label=f"$w = {w}$")
axes.set(xlabel="$x$", title=r"a step: $\sigma(w x - w)$")
axes.legend()
lecture.save(figure, figures / "12_step.svg")

# --- two neurons are a bump: up at −1, down at 1
bump = by_hand([60, 60], [60, -60], [0.8, -0.8])
figure, axes = plt.subplots(figsize=(3.2, 2.4))
axes.plot(line, by_hand([60], [60], [0.8]), color=lecture.BLUE, linestyle=":", label="up")
axes.plot(line, by_hand([60], [-60], [-0.8]), color=lecture.GREEN, linestyle=":", label="down")
axes.plot(line, bump, color=lecture.RED, label="their sum")
axes.set(xlabel="$x$", title="a bump: two steps", ylim=(-1, 1.35))
axes.legend(ncols=3, loc="upper center", columnspacing=0.8, handlelength=1)
lecture.save(figure, figures / "12_bump.svg")
lecture.claim(
    abs(bump[150] - 0.8) < 1e-6 > abs(bump[0]), f"the bump is 0.8 in the middle, not {bump[150]:.3f}, and 0 far off"
)

# --- many bumps are any function
hand = {count: error(bumps(count)) for count in (4, 8, 16, 32, 64)}
for count in (8, 32):
    figure, axes = plt.subplots(figsize=(3.2, 2.4))
    axes.plot(line, wiggly(line), color=lecture.GREY, linewidth=4, alpha=0.5)
    axes.plot(line, bumps(count), color=lecture.RED)
    axes.set(xlabel="$x$", title=f"{count} bumps, {2 * count} neurons")
    lecture.save(figure, figures / f"12_bumps_{count}.svg")
for count, value in hand.items():
    print(f"{count:>2} bumps, {2 * count:>3} neurons, by hand: root mean square error {value:.3f}")
halved = all(hand[2 * count] < 0.62 * hand[count] for count in (4, 8, 16, 32))
lecture.claim(halved, f"twice as many bumps leave about half of the error: {hand}")

# --- learnt: where the steps are, how steep and how high
x = np.random.default_rng(0).uniform(-3, 3, (256, 1))
data = write_data(work / "wiggly.h5", {"train": (x, wiggly(x)), "test": (line, wiggly(line))}, task="regression")
learnt, trained_error, curves = {}, {}, {}
for units in (1, 2, 4, 8, 16, 32):
    trained = fit(
        Sequential(Dense(units, "tanh", initialization="he"), Dense(1)),
        data,
        out=work / str(units),
        epochs=90,
        batch_size=16,
        optimizer=Adam(learning_rate=0.1),
        schedule={"kind": "cosine"},
        checkpoint={"every_epochs": 0},
    )
    weights = {"w": "dense1.weight", "b": "dense1.bias", "v": "dense2.weight", "c": "dense2.bias"}
    learnt[units] = {letter: trained.parameters.value[name].ravel() for letter, name in weights.items()}
    curves[units] = trained.predict(line)[:, 0]
    trained_error[units] = error(curves[units])
    print(f"{units:>2} hidden, learnt: root mean square error {trained_error[units]:.3f}")

figure, axes = plt.subplots(figsize=(4.5, 3.2))
axes.plot(line, wiggly(line), color=lecture.GREY, linewidth=5, alpha=0.5, label="function")
for units, colour in zip((1, 2, 4, 8), COLOURS, strict=True):
    axes.plot(line, curves[units], color=colour, linewidth=1.4, label=f"{units} hidden")
axes.set(xlabel="$x$", ylim=(-1.5, 2.6))
axes.legend(ncols=3, loc="upper center")
lecture.save(figure, figures / "12_universal_approximation.svg")
lecture.record(
    figures / "12_universal_approximation.json", {"x": line[:, 0], "target": wiggly(line)[:, 0], "learnt": learnt}
)

figure, axes = plt.subplots(figsize=(4.5, 3))
axes.loglog([2 * count for count in hand], list(hand.values()), "s--", color=lecture.RED, label="bumps by hand")
axes.loglog(list(trained_error), list(trained_error.values()), "o-", color=lecture.BLUE, label="learnt")
axes.set(xlabel="hidden neurons", ylabel="error", xticks=[1, 2, 4, 8, 16, 32, 64, 128])
axes.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5])
for axis in (axes.xaxis, axes.yaxis):
    axis.set_major_formatter("{x:g}")
axes.minorticks_off()
axes.legend()
lecture.save(figure, figures / "12_errors.svg")

falls = trained_error[1] > 0.5 > trained_error[2] > trained_error[4] > 0.1 > trained_error[8]
lecture.claim(falls, f"the error falls with each doubling, below 0.1 with 8 neurons: {trained_error}")
better = trained_error[8] < hand[4]
lecture.claim(better, f"8 trained neurons are better than 4 bumps by hand: {trained_error[8]:.3f}, {hand[4]:.3f}")
