"""Gradient descent with one parameter: the cost, its slope, and four learning rates."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit, graph
from distnn.data import write_data
from distnn.layers import Dense, Sequential
from distnn.optim import SGD

figures, work = lecture.folders()

# --- the model has one parameter θ and no bias: ŷ = θ x. The cost is the mean squared error on three points
x, y = np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
theta = graph.input("theta")
J = (graph.sum((theta * x - y) ** 2) / 3).named("J")


def cost_and_slope(value):
    """J(θ) and dJ/dθ, which the graph's backward pass gives."""
    run = graph.evaluate(J, theta=value)
    return run["J"], run.gradient["theta"]


def descend(alpha, start=-1.0, steps=20):
    """Gradient descent: θ and J before each step, and after the last."""
    path, value = [], start
    for _ in range(steps + 1):
        cost, slope = cost_and_slope(value)
        path.append((value, cost))
        value = value - alpha * slope  # the whole method is this line
    return np.array(path)


line = np.linspace(-2, 5, 141)
curve = np.array([cost_and_slope(value)[0] for value in line])


def bowl(title):
    """A figure with the curve J(θ)."""
    figure, axes = plt.subplots(figsize=(4.2, 3.2))
    axes.plot(line, curve, color=lecture.GREY)
    axes.plot(1.5, 1 / 6, "*", color="black", markersize=11, zorder=4)
    axes.set(xlabel=r"$\theta$", ylabel=r"$J(\theta)$", title=title, xlim=(-2, 5), ylim=(-3, 25))
    return figure, axes


# --- the slope at one place, and the step that it causes
cost, slope = cost_and_slope(-1.0)
figure, axes = bowl(r"$dJ/d\theta = -10$ at $\theta = -1$")
near = np.array([-2, 0.1])
axes.plot(near, cost + slope * (near + 1), color=lecture.RED, label="its slope")
axes.plot(-1, cost, "o", color=lecture.BLUE)
axes.annotate("", (0, -1.8), (-1, -1.8), arrowprops={"arrowstyle": "-|>", "color": lecture.BLUE, "lw": 2})
axes.text(0.1, -1.8, r"step $-\alpha\, dJ/d\theta$ for $\alpha = 0.1$", color=lecture.BLUE, va="center")
axes.legend(loc="upper right")
lecture.save(figure, figures / "04_slope.svg")
lecture.claim(abs(slope + 10) < 1e-9, f"dJ/dθ at θ = −1 is −10; found {slope:g}")

# --- four learning rates
rates = {"too small": 0.01, "right": 0.1, "too large": 0.45, "diverging": 0.55}
paths = {kind: descend(alpha) for kind, alpha in rates.items()}
pictures = {"too small": figures / "04_too_small.svg", "right": figures / "04_right.svg"}
pictures |= {"too large": figures / "04_too_large.svg", "diverging": figures / "04_diverging.svg"}
for kind, path in paths.items():
    figure, axes = bowl(rf"$\alpha = {rates[kind]}$: {kind}")
    shown = path[: int(np.argmax(path[:, 1] > 25)) + 1] if path[:, 1].max() > 25 else path  # to the first one outside
    axes.plot(*shown.T, "o-", color=lecture.BLUE, markersize=4, linewidth=1)
    lecture.save(figure, pictures[kind])
    steps = "  ".join(f"{value:.3f}" for value in path[:5, 0])
    print(f"α = {rates[kind]:<4}  θ: {steps} …  after 20 steps {path[-1, 0]:.3f}, J = {path[-1, 1]:.4g}")
    ratio = (path[1:6, 0] - 1.5) / (path[:5, 0] - 1.5)
    wanted = 1 - 4 * rates[kind]
    lecture.claim(np.allclose(ratio, wanted), f"each step multiplies the distance by {wanted:.2f}; found {ratio}")

left = {kind: abs(path[-1, 0] - 1.5) / 2.5 for kind, path in paths.items()}
lecture.claim(
    abs(left["too small"] - 0.44) < 0.005, f"too small: 44 % of the way is left; found {left['too small']:.0%}"
)
lecture.claim(left["right"] < 1e-4, f"right: less than 0.01 % of the way is left; found {left['right']:.3%}")
sides = np.sign(paths["too large"][:10, 0] - 1.5)
lecture.claim((sides[1:] == -sides[:-1]).all(), f"too large: each step leaps over the minimum; found the sides {sides}")
lecture.claim(left["too large"] < 0.05, f"too large: it comes closer all the same; found {left['too large']:.1%} left")
lecture.claim(
    left["diverging"] > 30, f"diverging: 30 times as far away in the end; found {left['diverging']:.1f} times"
)
exact = descend(0.25, steps=1)[-1, 0]
lecture.claim(abs(exact - 1.5) < 1e-9, f"α = 0.25 reaches the minimum 1.5 in one step; found θ = {exact:g}")
by_hand = descend(0.1, steps=3)[:, 0]
lecture.claim(np.allclose(by_hand, [-1, 0, 0.6, 0.96]), f"the steps by hand are −1, 0, 0.6, 0.96; found {by_hand}")

lecture.record(figures / "04_rates.json", {"x": x, "y": y, "range": [-2, 5], "start": -1, "rates": rates})

# --- the same with distnn.fit: one weight, no bias, all samples in each step
data = write_data(work / "points.h5", {"train": (x[:, None], y[:, None])}, task="regression")
trained = fit(
    Sequential(Dense(1, bias=False)),
    data,
    out=work / "run",
    epochs=20,
    batch_size="full",
    optimizer=SGD(learning_rate=0.1),
)
learnt = trained.parameters.value["dense1.weight"].item()
print(f"distnn.fit, 20 steps with α = 0.1: θ = {learnt:.4f}")
lecture.claim(abs(learnt - 1.5) < 1e-3, f"distnn.fit finds θ = 1.5 as well; found {learnt:.4f}")
