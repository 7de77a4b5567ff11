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


def draw(name, x, f, derivative, title=None, lines=None):
    """A curve and its derivative."""
    figure, axes = plt.subplots(figsize=(2.9, 2.3))
    for each in [] if lines is None else lines.T:
        axes.plot(x, each, color=lecture.GREY, linewidth=1, linestyle=":")
    axes.axhline(0, color=lecture.GREY, linewidth=0.6)
    axes.axvline(0, color=lecture.GREY, linewidth=0.6)
    axes.plot(x, f, color=lecture.BLUE, linewidth=2, label="$f$")
    axes.plot(x, derivative, color=lecture.RED, linestyle="--", label="$f'$")
    axes.set(title=title or name.replace("_", " "), ylim=(max(f.min(), -4) - 0.3, max(f.max(), derivative.max()) + 0.3))
    axes.legend(loc="lower right" if name == "log_softmax" else "upper left")
    lecture.save(figure, figures / f"07_{name}.svg")


x = np.linspace(-4, 4, 200)  # an even number of points: none falls on a kink at 0
curves = {}
print(f"{'':>12}   f(-2)   f(-1)    f(1)    f(2)  f'(-2)  f'(2)")
for name in Activation.family.kinds:
    if name == "identity":
        continue
    f, derivative = value_and_derivative(name, x)
    curves[name] = {"f": f, "slope": derivative}
    at, slopes = value_and_derivative(name, np.array([-2.0, -1.0, 1.0, 2.0]))
    print(f"{name:>12}", "".join(f"{value:8.4f}" for value in [*at, slopes[0], slopes[3]]))
    h = 1e-6
    slope = (value_and_derivative(name, x + h)[0] - value_and_derivative(name, x - h)[0]) / (2 * h)
    error = np.abs(derivative - slope).max()
    lecture.claim(error < 1e-8, f"the derivative of {name} is that of differences; they differ by {error:.0e}")
    draw(name, x, f, derivative, name.replace("_", " ") + " of $(x, 0)$" if "softmax" in name else None)

# --- maxout: the largest of three lines, each with its own weight and bias
w, b = np.array([-1.0, 0.2, 1.5]), np.array([-2.0, 0.0, -1.5])
node = graph.input("x", (graph.N, 1))
maxout = graph.maxout(node @ w[None] + b, 3).named("maxout")
run = graph.evaluate(graph.sum(maxout), x=x[:, None])
lines = x[:, None] * w + b
draw("maxout", x, run["maxout"][:, 0], run.gradient["x"][:, 0], "maxout of three lines", lines)
curves["maxout"] = {"f": run["maxout"][:, 0], "slope": run.gradient["x"][:, 0]}
lecture.record(figures / "07_activations.json", {"x": x, "curves": curves})
apart = np.abs(run["maxout"][:, 0] - lines.max(axis=1)).max()
lecture.claim(apart == 0, f"maxout is the largest of its lines; it differs by {apart:.0e}")
