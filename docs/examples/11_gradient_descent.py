"""Batch, mini-batch and stochastic gradient descent on one problem: their paths and their losses."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit, graph
from distnn.data import write_data
from distnn.graph import N, Plan
from distnn.layers import Dense, Sequential
from distnn.optim import SGD

figures, work = lecture.folders()
SAMPLES, EPOCHS = 128, 20
KINDS = {"batch": SAMPLES, "mini-batch": 16, "stochastic": 1}
COLOURS = {"batch": lecture.BLUE, "mini-batch": lecture.RED, "stochastic": lecture.GREEN}

# --- the problem: a straight line through noisy points
random = np.random.default_rng(0)
x = random.uniform(-1, 1, (SAMPLES, 1))
y = 2 * x - 1 + random.normal(0, 0.5, (SAMPLES, 1))


def path(batch_size, learning_rate=0.1, epochs=4):
    """Gradient descent, spelled out: (w, b) after each step."""
    X, T = graph.input("x", (N, 1)), graph.input("t", (N, 1))
    w, b = graph.input("w", (1, 1)), graph.input("b", (1,))
    J = graph.squared_error(X @ w + b, T)
    plan = Plan({"J": J}, batch=batch_size, loss=J, wrt=[w, b], dtype=np.float64)
    parameters = {"w": np.full((1, 1), -1.0), "b": np.full(1, 1.0)}
    places = [(-1.0, 1.0)]
    for _ in range(epochs):
        for batch in np.split(np.random.default_rng(1).permutation(SAMPLES), SAMPLES // batch_size):
            for name, values in {"x": x[batch], "t": y[batch], **parameters}.items():
                plan.value[name][...] = values
            plan.forward()
            plan.backward()
            for name in ("w", "b"):
                parameters[name] -= learning_rate * plan.gradient[name] / batch_size
            places.append((parameters["w"].item(), parameters["b"].item()))
    return np.array(places)


figure, axes = plt.subplots(figsize=(4.5, 4))
W, B = np.meshgrid(np.linspace(-1.3, 3, 80), np.linspace(-2, 1.4, 80))
cost = ((x[:, 0] * W[..., None] + B[..., None] - y[:, 0]) ** 2).mean(axis=-1)
axes.contour(W, B, cost, levels=np.geomspace(cost.min() * 1.02, cost.max(), 12), colors=lecture.GREY, linewidths=0.6)
places = {kind: path(batch_size) for kind, batch_size in KINDS.items()}
for order, (kind, way) in enumerate(places.items()):
    print(f"{kind:>10}: {len(way) - 1:>3} steps in four epochs, w = {way[-1, 0]:.2f}, b = {way[-1, 1]:.2f}")
    style = {"color": COLOURS[kind], "markersize": 6 - 2 * order, "linewidth": 1, "zorder": 3 - order}
    axes.plot(*way.T, "o-", label=f"{kind}, {len(way) - 1} steps", **style)
axes.plot(*np.polyfit(x[:, 0], y[:, 0], 1), "*", color="black", markersize=11, zorder=4, label="the minimum")
axes.set(xlabel="$w$", ylabel="$b$")
axes.legend(loc="upper right")
lecture.save(figure, figures / "11_paths.svg")
lecture.record(figures / "11_paths.json", {"x": x[:, 0], "y": y[:, 0], "batch": KINDS, "places": places})

# --- the same with distnn.fit, where the kind is one key; each epoch ends with a validation, here on the same points
data = write_data(work / "line.h5", {"train": (x, y), "validation": (x, y)}, task="regression")
best = np.polyfit(x[:, 0], y[:, 0], 1, full=True)[1][0] / SAMPLES  # the least-squares line has the lowest loss
figure, axes = plt.subplots(figsize=(4.5, 4))
final = {}
for kind, batch_size in {**KINDS, "stochastic, falling rate": 1}.items():
    trained = fit(
        Sequential(Dense(1)),
        data,
        out=work / kind,
        epochs=EPOCHS,
        batch_size="full" if kind == "batch" else batch_size,
        optimizer=SGD(learning_rate=0.1),
        schedule={"kind": "cosine" if "falling" in kind else "constant"},
        checkpoint={"every_epochs": 0},
    )
    records = lecture.metrics(work / kind, "evaluation")
    excess = {record["epoch"]: record["loss"] - best for record in records if record["split"] == "validation"}
    final[kind] = excess[EPOCHS]
    axes.semilogy(
        *zip(*excess.items(), strict=True), "o-", color=COLOURS.get(kind, lecture.ORANGE), markersize=3, label=kind
    )
    print(f"{kind:>24}: {trained.summary.step:>5} steps, loss {best:.4f} + {final[kind]:.0e}")
axes.set(xlabel="epochs", ylabel="loss above that of the best line", xticks=range(0, EPOCHS + 1, 5))
figure.legend(loc="outside lower center", ncols=2)
lecture.save(figure, figures / "11_losses.svg")

lecture.claim(
    final["mini-batch"] < final["batch"], f"in {EPOCHS} epochs mini-batches come closer than batches: {final}"
)
falling = final["stochastic, falling rate"] < final["stochastic"] / 10
lecture.claim(falling, f"with a falling rate stochastic descent comes ten times as close: {final}")
