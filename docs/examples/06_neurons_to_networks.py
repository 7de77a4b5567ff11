"""From one neuron to a network: a neuron by hand, XOR with two hidden neurons, and the moons with more and more."""

import lecture
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle

from distnn import fit, graph
from distnn.layers import Dense, Sequential, name_parameters
from distnn.optim import SGD

figures, work = lecture.folders()

# --- one neuron by hand
x, w, b = graph.input("x", (graph.N, 2)), np.array([[1.5], [1]]), -1
z = (x @ w + b).named("z")
a = graph.sigmoid(z).named("a")
run = graph.evaluate(a, x=[[2, -1]])
print(f"one neuron: z = {run['z'].item():g}, a = {run['a'].item():.3f}")
lecture.claim(run["z"].item() == 1, f"z = 1.5 · 2 + 1 · (−1) − 1 = 1; found {run['z'].item():g}")
lecture.claim(abs(run["a"].item() - 0.731) < 0.0005, f"σ(1) is 0.731; found {run['a'].item():.4f}")

figure, axes = plt.subplots(figsize=(4.6, 2.5))
for words, place in {"$x_1 = 2$": (0, 2), "$x_2 = -1$": (0, 1), "$1$": (0, 0)}.items():
    axes.text(*place, words, ha="right", va="center")
    style = {"arrowstyle": "-|>", "color": lecture.GREY}
    axes.annotate("", (1.62, 1 + 0.25 * (place[1] - 1)), (0.1, place[1]), arrowprops=style)
for words, place in {"$w_1 = 1.5$": (1.05, 1.86), "$w_2 = 1$": (0.7, 1.15), "$b = -1$": (1.0, 0.12)}.items():
    axes.text(*place, words, ha="center", va="center", color=lecture.PURPLE)
axes.add_patch(Circle((2, 1), 0.38, fc="none", ec=lecture.BLUE, lw=1.6))
axes.add_patch(Circle((3.3, 1), 0.38, fc="none", ec=lecture.RED, lw=1.6))
axes.text(2, 1, r"$\Sigma$", ha="center", va="center", size=15)
axes.text(3.3, 1, r"$\sigma$", ha="center", va="center", size=15)
for left, words in ((2.38, "$z = 1$"), (3.68, "$a = 0.73$")):
    axes.annotate("", (left + 0.54, 1), (left, 1), arrowprops={"arrowstyle": "-|>", "color": "black"})
    axes.text(left + 0.29, 1.42, words, ha="center", va="bottom")
axes.set(xlim=(-0.75, 4.4), ylim=(-0.3, 2.3), aspect="equal")
axes.axis("off")
lecture.save(figure, figures / "06_neuron.svg")

# --- XOR by hand: two hidden neurons, with weights that are easy to check
x = graph.input("x", (graph.N, 2))
W, c = np.array([[1, 1], [1, 1]]), np.array([0, -1])
w = np.array([[1], [-2]])
h = graph.relu(x @ W + c).named("h")
y = (h @ w).named("y")

corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
run = graph.evaluate(y, x=corners)
for corner, hidden, output in zip(corners, run["h"], run["y"][:, 0], strict=True):
    print(f"x = {corner}   h = {hidden}   y = {output:g}")
answers = run["y"][:, 0].tolist()
lecture.claim(answers == [0, 1, 1, 0], f"the network computes XOR: 0, 1, 1, 0; found {answers}")

layers = Sequential(Dense(2, "relu", name="hidden"), Dense(1, bias=False, name="output"))
network = layers(graph.input("x", (graph.N, 2)))
name_parameters([network])
weights = {"hidden.weight": W, "output.weight": w}
graph.draw_neurons(network, weights=weights, inputs=["x₁", "x₂"], outputs=["y"]).save(figures / "06_xor_network.svg")

colours = [lecture.BLUE, lecture.RED, lecture.RED, lecture.BLUE]
s = np.linspace(-0.4, 1.5, 2)
figure, axes = plt.subplots(figsize=(4.2, 3.6))
axes.scatter(*corners.T, c=colours, s=120, zorder=2)
axes.plot(s, -s, "--", color=lecture.GREY, label="$h_1$ begins: $x_1 + x_2 = 0$")
axes.plot(s, 1 - s, color=lecture.GREY, label="$h_2$ begins: $x_1 + x_2 = 1$")
axes.set(xlim=(-0.4, 1.5), ylim=(-0.4, 2), xlabel="$x_1$", ylabel="$x_2$", title="inputs: no line divides the colours")
axes.legend(loc="upper right")
lecture.save(figure, figures / "06_xor_inputs.svg")

figure, axes = plt.subplots(figsize=(4.2, 3.6))
axes.scatter(*run["h"].T, c=colours, s=120, zorder=2)
axes.plot([0.5, 2.5], [0, 1], color="black", label="$h_1 - 2 h_2 = 1/2$")
axes.text(1.2, -0.25, "(0, 1) and (1, 0)\nfall on one point", va="center")
axes.set(xlim=(-0.3, 2.6), ylim=(-0.5, 1.6), xlabel="$h_1$", ylabel="$h_2$", title="hidden neurons: one line does")
axes.legend(loc="upper left")
lecture.save(figure, figures / "06_xor_hidden.svg")

# --- the moons with 1, 2, 4 and 16 hidden neurons, whose weights are learnt
data = lecture.two_classes(work / "moons.h5", *lecture.moons(2000))
accuracy = {}
pictures = {1: figures / "06_one.svg", 2: figures / "06_two.svg"}
pictures |= {4: figures / "06_four.svg", 16: figures / "06_sixteen.svg"}
for units, path in pictures.items():
    trained = fit(
        Sequential(Dense(units, "tanh"), Dense(1)),
        data,
        out=work / str(units),
        epochs=30,
        batch_size=32,
        optimizer=SGD(learning_rate=0.3, momentum=0.9),
        checkpoint={"every_epochs": 0},
    )
    accuracy[units] = trained.summary.test.accuracy
    print(f"{units:>2} hidden: {trained.parameters.count:>2} parameters, test accuracy {accuracy[units]:.3f}")
    figure, axes = plt.subplots(figsize=(4.2, 3))
    lecture.show_regions(axes, trained.predict, *lecture.moons(400, seed=1))
    axes.set_title(f"{units} hidden: {accuracy[units]:.3f}")
    lecture.save(figure, path)
lecture.claim(accuracy[1] < 0.92, f"one hidden neuron is right for less than 92 %; found {accuracy[1]:.1%}")
lecture.claim(accuracy[16] > 0.99, f"sixteen are right for more than 99 %; found {accuracy[16]:.1%}")

# --- what the last network computes
graph.draw(trained.model.loss, caption="16 hidden neurons").save(figures / "06_network.svg")
