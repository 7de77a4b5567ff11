"""From one neuron to a network: XOR with two hidden neurons, and the moons with more and more of them."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit, graph
from distnn.layers import Dense, Sequential
from distnn.optim import SGD

figures, work = lecture.folders()

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
assert run["y"][:, 0].tolist() == [0, 1, 1, 0]

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.8))
colours = [lecture.BLUE, lecture.RED, lecture.RED, lecture.BLUE]
s = np.linspace(-0.4, 1.5, 2)
left.scatter(*corners.T, c=colours, s=120, zorder=2)
left.plot(s, -s, "--", color=lecture.GREY, label="$x_1 + x_2 = 0$, where $h_1$ begins")
left.plot(s, 1 - s, color=lecture.GREY, label="$x_1 + x_2 - 1 = 0$, where $h_2$ begins")
left.set(
    xlim=(-0.4, 1.5), ylim=(-0.4, 1.9), xlabel="$x_1$", ylabel="$x_2$", title="inputs: no line divides the colours"
)
right.scatter(*run["h"].T, c=colours, s=120, zorder=2)
right.plot([0.5, 2.5], [0, 1], color="black", label="$h_1 - 2 h_2 = 1/2$")
right.annotate("(0, 1) and (1, 0)\nfall on one point", (1, 0), (1.2, -0.2))
right.set(xlim=(-0.3, 2.6), ylim=(-0.3, 1.4), xlabel="$h_1$", ylabel="$h_2$", title="hidden neurons: one line does")
for axes in (left, right):
    axes.legend(loc="upper right" if axes is left else "upper left", fontsize=8)
lecture.save(figure, figures / "06_xor.svg")

# --- the moons with 1, 2, 4 and 16 hidden neurons, whose weights are learnt
data = lecture.two_classes(work / "moons.h5", *lecture.moons(2000))
figure, grid = plt.subplots(2, 2, figsize=(8, 5.8))
accuracy = {}
for axes, units in zip(grid.flat, (1, 2, 4, 16), strict=True):
    network = Sequential(Dense(units, "tanh"), Dense(1))
    trained = fit(
        network,
        data,
        out=work / str(units),
        epochs=30,
        batch_size=32,
        optimizer=SGD(learning_rate=0.3, momentum=0.9),
        checkpoint={"every_epochs": 0},
    )
    accuracy[units] = trained.summary.test.accuracy
    print(f"{units:>2} hidden: {trained.parameters.count:>2} parameters, test accuracy {accuracy[units]:.3f}")
    lecture.show_regions(axes, trained.predict, *lecture.moons(400, seed=1))
    axes.set_title(f"{units} hidden: {accuracy[units]:.3f}")
assert accuracy[1] < 0.92 and accuracy[16] > 0.99
lecture.save(figure, figures / "06_more_neurons.svg")

# --- what the last network computes
graph.draw(trained.model.loss, caption="16 hidden neurons").save(figures / "06_network.svg")
