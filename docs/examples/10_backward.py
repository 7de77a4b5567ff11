"""The backward pass: the chain rule along a graph's edges, for numbers and for matrices, checked by differences."""

import lecture
import matplotlib.pyplot as plt
import numpy as np
from lecture_drawing import Sketch

from distnn import graph

figures, _ = lecture.folders()
PLACES = {"a": (0.6, 2.4), "b": (0.6, 1.5), "c": (0.6, 0.55), "u": (1.95, 1.0), "v": (3.1, 1.8), "J": (4.3, 1.8)}

# --- J = 3 (a + bc), forward: each step computes its value, and its own derivatives by its inputs
STEPS = {"u": ("b c", lambda b, c: b * c), "v": ("a u", lambda a, u: a + u), "J": ("v", lambda v: 3 * v)}
value, local, slope = {"a": 5.0, "b": 3.0, "c": 2.0}, {}, {"J": 1.0}
for name, (names, rule) in STEPS.items():
    step = graph.evaluate(rule(*graph.inputs(names)).named(name), **{each: value[each] for each in names.split()})
    value[name] = step[name]
    local |= {(each, name): step.gradient[each] for each in names.split()}

# --- backward: what has arrived at a step goes on to each of its inputs, times the derivative of that edge
for name in reversed(STEPS):
    for each in STEPS[name][0].split():
        slope[each] = slope.get(each, 0) + slope[name] * local[each, name]
for name in "vuabc":
    print(f"{name} = {value[name]:g}, dJ/d{name} = {slope[name]:g}")
lecture.claim([slope[name] for name in "vuabc"] == [3, 3, 3, 6, 9], f"the derivatives are 3, 3, 3, 6, 9: {slope}")

a, b, c = graph.inputs("a b c")
J = (3 * (a + (b * c).named("u")).named("v")).named("J")
whole = graph.evaluate(J, a=5, b=3, c=2)
lecture.record(figures / "10_numbers.json", lecture.graph_steps(J, a=5, b=3, c=2))
same = all(whole.gradient[name] == slope[name] for name in "vuabc")
lecture.claim(same, f"distnn computes the same derivatives for the whole graph: {whole.gradient}")

RULES = {"bu": "c", "cu": "b", "av": "1", "uv": "1", "vJ": "3"}
ABOVE = {"a": 0.19, "b": 0.23, "c": -0.23, "u": -0.36, "v": 0.36}  # how far a text is from its arrow
for file in ("10_edges", "10_numbers"):
    sketch = Sketch(4.6, 2.75)
    for name, (x, y) in PLACES.items():
        sketch.circle(name, x, y)
        if file == "10_numbers":
            sketch.text(*((x - 0.37, y) if name in "abc" else (x, y + 0.36)), f"{value[name]:g}", lecture.BLUE)
            sketch.text(x, y - 0.36, f"{slope[name]:g}", lecture.RED, weight="bold")
    for (start, stop), rule in RULES.items():
        number = f"{local[start, stop]:g}"
        fraction = rf"$\partial {stop}/\partial {start} = {rule}$"
        text = number if file == "10_numbers" else fraction
        sketch.arrow(start, stop, text, textcolour=lecture.GREEN, at=0.5, above=ABOVE[start])
    lecture.save(sketch.figure, figures / f"{file}.svg")

# --- a node that is used twice: its derivative is the sum over both paths
x, y = graph.inputs("x y")
s = (x + y).named("s")
twice = graph.evaluate((s * x).named("f"), x=3, y=1)
print(f"f = (x + y) x: df/dx = {twice.gradient['x']:g}, which is x = 3 along one path, plus s = 4 along the other")
lecture.claim(twice.gradient["x"] == 7, f"the derivatives of the two paths add up to 7: {twice.gradient['x']:g}")
sketch = Sketch(4.2, 1.8)
for name, *place in (("x", 0.6, 1.4), ("y", 0.6, 0.4), ("s", 2.1, 0.6), ("f", 3.6, 1.2)):
    sketch.circle(name, *place)
for start, stop, number, bend in (
    ("x", "s", "1", 0),
    ("y", "s", "1", 0),
    ("s", "f", "x = 3", 0),
    ("x", "f", "s = 4", -0.1),
):
    sketch.arrow(start, stop, f"${number}$", bend=bend, above=0.17, textcolour=lecture.GREEN)
lecture.save(sketch.figure, figures / "10_two_paths.svg")

# --- matrices: J = sum (tanh(x W) v - t)^2, for three samples at once
random = np.random.default_rng(0)
shapes = {"x": (3, 2), "W": (2, 4), "v": (4, 1), "t": (3, 1)}
array = {name: random.normal(size=shape) for name, shape in shapes.items()}
node = {name: graph.input(name, shape) for name, shape in shapes.items()}
J = graph.sum((graph.tanh(node["x"] @ node["W"]) @ node["v"] - node["t"]) ** 2).named("J")
run = graph.evaluate(J, **array)

h = np.tanh(array["x"] @ array["W"])
dy = 2 * (h @ array["v"] - array["t"])  # ∂J/∂y for y = h v
dv = h.T @ dy  # ∂J/∂v
dh = dy @ array["v"].T  # ∂J/∂h
dz = dh * (1 - h**2)  # ∂J/∂z for z = x W, since tanh′ = 1 − tanh²
dW = array["x"].T @ dz  # ∂J/∂W
for name, by_hand in (("W", dW), ("v", dv)):
    apart = np.abs(by_hand - run.gradient[name]).max()
    print(f"dJ/d{name} {by_hand.shape}: by hand and by distnn differ by {apart:.0e}")
    lecture.claim(apart < 1e-12, f"∂J/∂{name} by hand is that of distnn; they differ by {apart:.0e}")


# --- differences, which need no rules: how small should the step be?
def J_at(W00):
    """J with the first weight changed."""
    W = array["W"].copy()
    W[0, 0] = W00
    return np.sum((np.tanh(array["x"] @ W) @ array["v"] - array["t"]) ** 2)


steps, w, exact = 10.0 ** np.arange(-12, 0.5, 0.5), array["W"][0, 0], run.gradient["W"][0, 0]
central = [abs((J_at(w + h) - J_at(w - h)) / (2 * h) / exact - 1) for h in steps]
forward = [abs((J_at(w + h) - J_at(w)) / h / exact - 1) for h in steps]
best = steps[np.argmin(central)]
print(f"differences to both sides are best with h = {best:.0e}: relative error {min(central):.0e}")

figure, axes = plt.subplots(figsize=(4.5, 3.2))
axes.loglog(steps, central, "o-", markersize=4, label="to both sides")
axes.loglog(steps, forward, "s--", markersize=4, label="to one side")
axes.set(xlabel="step $h$", ylabel="relative error")
axes.legend()
lecture.save(figure, figures / "10_differences.svg")
lecture.claim(
    min(central) < 1e-8 < min(forward) < 1e-5, f"both sides are better: {min(central):.0e}, {min(forward):.0e}"
)
