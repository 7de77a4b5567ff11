"""All activations of distnn with their derivatives; and maxout, which learns its own curve."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import graph
from distnn.ops.activation import Activation

figures, _ = lecture.folders()


def value_and_derivative(name, x):
    """f(x) and f′(x) from the graph.

    Softmax and its logarithm use a whole row of numbers. So each row here is (x, 0), and only the first output of the
    row is summed; for the other activations, the second number makes no difference.
    """
    rows = graph.input("rows", (graph.N, 2))
    f = graph.activate(rows, name).named("f")
    first = graph.sum(f * np.array([1.0, 0.0]))
    run = graph.evaluate(first, rows=np.column_stack([x, np.zeros_like(x)]))
    return run["f"][:, 0], run.gradient["rows"][:, 0]


x = np.linspace(-4, 4, 400)  # an even number of points: none falls on a kink at 0
names = [name for name in Activation.family.kinds if name != "identity"]
figure, grid = plt.subplots(-(-(len(names) + 1) // 3), 3, figsize=(9, 2.6 * -(-(len(names) + 1) // 3)), sharex=True)
for axes, name in zip(grid.flat, names, strict=False):
    f, derivative = value_and_derivative(name, x)
    h = 1e-6
    slope = (value_and_derivative(name, x + h)[0] - value_and_derivative(name, x - h)[0]) / (2 * h)
    error = np.abs(derivative - slope).max()
    print(
        f"{name:>12}: f(-1) = {np.interp(-1, x, f):7.4f}, f(1) = {np.interp(1, x, f):7.4f}, |f' - slope| = {error:.0e}"
    )
    assert error < 1e-8
    axes.plot(x, f, color=lecture.BLUE, label="$f$")
    axes.plot(x, derivative, color=lecture.RED, linestyle="--", label="$f'$")
    axes.set_title(name + " of $(x, 0)$" if "softmax" in name else name)

# --- maxout: the largest of three lines, each with its own weight and bias
x_node = graph.input("x", (graph.N, 1))
lines = x_node @ np.array([[-1.0, 0.2, 1.5]]) + np.array([-2.0, 0.0, -1.5])
maxout = graph.maxout(lines, 3).named("maxout")
run = graph.evaluate(graph.sum(maxout), x=x[:, None])
axes = grid.flat[len(names)]
axes.plot(x, x[:, None] * [-1.0, 0.2, 1.5] + [-2.0, 0.0, -1.5], color=lecture.GREY, linewidth=0.8)
axes.plot(x, run["maxout"], color=lecture.BLUE)
axes.plot(x, run.gradient["x"], color=lecture.RED, linestyle="--")
axes.set(title="maxout of three lines", ylim=(-3, 5))

for axes in grid.flat[len(names) + 1 :]:
    axes.set_visible(False)
for axes in grid.flat:
    axes.axhline(0, color=lecture.GREY, linewidth=0.5)
grid.flat[0].legend()
lecture.save(figure, figures / "07_activations.svg")
