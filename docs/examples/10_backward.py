"""The backward pass: the chain rule by hand, by a plan, and checked by differences."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import graph
from distnn.graph import N, Plan

figures, _ = lecture.folders()

# --- a network with one hidden layer and the squared error, for three samples
random = np.random.default_rng(0)
array = {
    name: random.normal(size=shape) for name, shape in {"x": (3, 2), "W": (2, 4), "v": (4, 1), "t": (3, 1)}.items()
}
x, t = graph.input("x", (N, 2)), graph.input("t", (N, 1))
W, v = graph.input("W", (2, 4)), graph.input("v", (4, 1))
J = graph.sum((graph.tanh(x @ W) @ v - t) ** 2)

# --- by a plan: buffers are allocated once; then forward and backward are two lists of functions
plan = Plan({"J": J}, batch=3, loss=J, wrt=[W, v], dtype=np.float64)
for name, values in array.items():
    plan.value[name][...] = values
plan.forward()
plan.backward()

# --- by hand: the derivative from the operation after it, times its own
h = np.tanh(array["x"] @ array["W"])
dy = 2 * (h @ array["v"] - array["t"])  # ∂J/∂y for y = h v
dv = h.T @ dy  # ∂J/∂v
dh = dy @ array["v"].T  # ∂J/∂h
dz = dh * (1 - h**2)  # ∂J/∂z for z = x W, since tanh′ = 1 − tanh²
dW = array["x"].T @ dz  # ∂J/∂W
print(f"J = {plan.value['J']:.6f}")
for name, by_hand in (("W", dW), ("v", dv)):
    print(f"dJ/d{name}: by hand and by the plan differ by {np.abs(by_hand - plan.gradient[name]).max():.0e}")
    assert np.allclose(by_hand, plan.gradient[name], rtol=1e-13)

# --- by differences, which need no rules: how small should the step be?
steps = 10.0 ** np.arange(-12, 0.5, 0.5)
exact = plan.gradient["W"][0, 0]


def J_at(W00):
    """J with the first weight changed."""
    for name, values in array.items():
        plan.value[name][...] = values
    plan.value["W"][0, 0] = W00
    plan.forward()
    return float(plan.value["J"])


centre = array["W"][0, 0]
central = [abs((J_at(centre + s) - J_at(centre - s)) / (2 * s) - exact) / abs(exact) for s in steps]
forward = [abs((J_at(centre + s) - J_at(centre)) / s - exact) / abs(exact) for s in steps]
best = steps[np.argmin(central)]
print(f"central differences are best at h = {best:.0e}, with a relative error of {min(central):.0e}")
assert min(central) < 1e-8 < min(forward) < 1e-5

figure, axes = plt.subplots(figsize=(5.5, 3.6))
axes.loglog(steps, central, "o-", label="central: $(J(w + h) - J(w - h)) / 2h$")
axes.loglog(steps, forward, "s--", label="forward: $(J(w + h) - J(w)) / h$")
axes.set(
    xlabel="step $h$", ylabel="relative error of the derivative", title="too large: curvature; too small: rounding"
)
axes.legend()
lecture.save(figure, figures / "10_differences.svg")

# --- one neuron, drawn: p = σ(w x + b), J = −ln p for the class 1
x, w, b = graph.inputs("x w b")
z = (w * x + b).named("z")
p = graph.sigmoid(z).named("p")
J = (-graph.log(p)).named("J")
graph.draw(J, values=True, x=2, w=0.5, b=-2).save(figures / "10_neuron.svg")
run = graph.evaluate(J, x=2, w=0.5, b=-2)
assert np.isclose(run.gradient["z"], run["p"] - 1)
