"""Squared error and cross-entropy for one neuron: their curves, their gradients, and what a wrong choice costs."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import graph

figures, _ = lecture.folders()

# --- the two costs of one neuron's output p = σ(z), for a target t
z, t = graph.inputs("z t")
p = graph.sigmoid(z).named("p")
costs = {
    "squared error": ((t - p) ** 2).named("J"),
    "cross-entropy": (-(t * graph.log(p) + (1 - t) * graph.log(1 - p))).named("J"),
}
colours = {"squared error": lecture.RED, "cross-entropy": lecture.BLUE}
line = np.linspace(-6, 6, 121)
values, slopes = {}, {}
for name, J in costs.items():
    runs = [graph.evaluate(J, z=place, t=1) for place in line]
    values[name], slopes[name] = [run["J"] for run in runs], [run.gradient["z"] for run in runs]

figure, axes = plt.subplots(figsize=(4.2, 3.4))
for name in costs:
    axes.plot(line, values[name], color=colours[name], label=name)
axes.set(xlabel="$z$", ylabel="$J$", title="cost, if the target is 1")
axes.legend()
lecture.save(figure, figures / "03_costs.svg")

figure, axes = plt.subplots(figsize=(4.2, 3.4))
for name in costs:
    axes.plot(line, slopes[name], color=colours[name], label=name)
axes.axvspan(-6, -3, color=lecture.GREY, alpha=0.2, linewidth=0)
axes.text(-4.5, -0.62, "wrong,\nand sure\nof it", ha="center", va="center")
axes.set(xlabel="$z$", ylabel=r"$\partial J / \partial z$", title="its gradient", ylim=(-1.05, 0.05))
axes.legend(loc="lower right")
lecture.save(figure, figures / "03_gradients.svg")

# --- by hand, at z = −5 with the target 1
at = {name: graph.evaluate(J, z=-5, t=1) for name, J in costs.items()}
for name, run in at.items():
    print(f"z = −5, t = 1, {name}: p = {run['p']:.4f}, J = {run['J']:.4f}, ∂J/∂z = {run.gradient['z']:.4f}")
by_hand = 1 / (1 + np.exp(5))
flat, steep = (at[name].gradient["z"] for name in costs)
lecture.claim(np.isclose(steep, by_hand - 1), f"for cross-entropy ∂J/∂z is p − t; found {steep:.4f}")
lecture.claim(
    np.isclose(flat, 2 * (by_hand - 1) * by_hand * (1 - by_hand)),
    f"for the squared error ∂J/∂z is 2 (p − t) p (1 − p); found {flat:.4f}",
)
lecture.claim(
    70 < steep / flat < 80, f"at z = −5 cross-entropy's gradient is 75 times as large; found {steep / flat:.1f}"
)

# --- a neuron with the input 1 shall give 0. It begins near, or far on the wrong side
x, w, b = graph.inputs("x w b")
neuron = graph.sigmoid(w * x + b).named("p")
target = 0
both = {"squared error": (neuron - target) ** 2, "cross-entropy": -graph.log(1 - neuron)}


def learn(J, w, b, learning_rate=0.3, epochs=300):
    """The neuron's output before each step."""
    outputs = []
    for _ in range(epochs):
        run = graph.evaluate(J.named("J"), x=1, w=w, b=b)
        outputs.append(run["p"])
        w, b = w - learning_rate * run.gradient["w"], b - learning_rate * run.gradient["b"]
    return np.array(outputs)


half = {}
for start, (w0, b0) in {"unsure": (0.5, 0.5), "sure": (3.0, 2.0)}.items():
    figure, axes = plt.subplots(figsize=(4.2, 3.4))
    for name, J in both.items():
        outputs = learn(J, w0, b0)
        half[start, name] = int(np.argmax(outputs < 0.5))
        axes.plot(outputs, color=colours[name], label=name)
        print(f"begins {start} at p = {outputs[0]:.3f}, {name}: p < ½ after {half[start, name]} steps")
    axes.axhline(0.5, color=lecture.GREY, linewidth=0.8, linestyle="--")
    axes.set(xlabel="step", ylabel="output $p$; the target is 0", ylim=(0, 1.02), title=f"begins {start} and wrong")
    axes.legend()
    if start == "unsure":
        lecture.save(figure, figures / "03_unsure.svg")
    else:
        lecture.save(figure, figures / "03_saturated.svg")

slow, fast = half["sure", "squared error"], half["sure", "cross-entropy"]
lecture.claim(
    (fast, slow) == (10, 140), f"a saturated neuron turns after 10 steps, and after 140; found {fast} and {slow}"
)
lecture.claim(
    max(half["unsure", name] for name in both) < 10,
    f"a neuron that begins unsure turns within 10 steps with both; found {half}",
)
