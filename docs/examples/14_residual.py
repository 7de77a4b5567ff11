"""Residual networks: the same networks with and without shortcuts, from shallow to deep."""

import lecture
import matplotlib.pyplot as plt
import numpy as np
from lecture_drawing import Sketch

from distnn import fit, graph
from distnn.layers import BatchNorm, Dense, Flatten, Residual, Sequential
from distnn.models import Model
from distnn.optim import SGD

figures, work = lecture.folders()
data = lecture.digits(work)
BLOCKS = (1, 3, 7, 15)
CLASSES = "0123456789"


def block():
    """Two layers of 32 neurons, on inputs that are normalised first."""
    return Sequential(BatchNorm(), Dense(32, "relu"), Dense(32))


def network(blocks, shortcuts):
    """Blocks one after the other, each with a shortcut around it or without."""
    middle = [Residual(block()) if shortcuts else block() for _ in range(blocks)]
    return Sequential(Flatten(), Dense(32), *middle, Dense(10))


# --- one block, drawn by distnn from the model, and by us
one = Model(network(1, True), (8, 8), task="classification", classes=CLASSES)
graph.draw(one.output).save(figures / "14_model.svg")

sketch = Sketch(4.5, 1.7)
for name, text, place, width in (
    ("x", "$x$", 0.35, 0.4),
    ("f", "layers: $f(x)$", 1.9, 1.4),
    ("plus", "$+$", 3.3, 0.4),
    ("y", "$y$", 4.15, 0.4),
):
    sketch.box(name, place, 0.5, text, width=width)
for start, stop in (("x", "f"), ("f", "plus"), ("plus", "y")):
    sketch.arrow(start, stop)
sketch.arrow("x", "plus", "shortcut: $x$", colour=lecture.RED, bend=-0.4, above=0.16)
lecture.save(sketch.figure, figures / "14_block.svg")


# --- with and without shortcuts, from 4 to 32 layers
accuracy, loss, curves = {}, {}, {}
for shortcuts in (False, True):
    for blocks in BLOCKS:
        run = work / f"{blocks}-{shortcuts}"
        trained = fit(
            network(blocks, shortcuts),
            data,
            out=run,
            epochs=5,
            batch_size=64,
            optimizer=SGD(learning_rate=0.03, momentum=0.9),
            schedule={"kind": "cosine"},
            log={"interval": 0},
            checkpoint={"every_epochs": 0},
        )
        layers = 2 * blocks + 2
        accuracy[shortcuts, layers] = trained.summary.test.accuracy
        loss[shortcuts, layers] = trained.summary.train.loss
        curves[shortcuts] = [record["loss"] for record in lecture.metrics(run, "train")]
        print(
            f"{'with' if shortcuts else 'without':>7} shortcuts, {layers:>2} layers, {trained.parameters.count:>5} "
            f"parameters: training loss {loss[shortcuts, layers]:.3f}, test accuracy {accuracy[shortcuts, layers]:.3f}"
        )

figure, axes = plt.subplots(figsize=(4.5, 3.2))
for shortcuts, style in ((False, "s--"), (True, "o-")):
    deep = {layers: value for (has, layers), value in accuracy.items() if has == shortcuts}
    axes.plot(list(deep), list(deep.values()), style, label="with shortcuts" if shortcuts else "without")
axes.axhline(0.1, color=lecture.GREY, linestyle=":", label="guessing")
axes.set(xscale="log", xlabel="layers", ylabel="test accuracy", ylim=(0, 1.02))
axes.set_xticks([2 * blocks + 2 for blocks in BLOCKS], [str(2 * blocks + 2) for blocks in BLOCKS])
axes.minorticks_off()
axes.legend(loc="lower left", bbox_to_anchor=(0, 0.1))
lecture.save(figure, figures / "14_depth.svg")

figure, axes = plt.subplots(figsize=(4.5, 3.2))
for shortcuts, style in ((False, "--"), (True, "-")):
    smooth = np.convolve(curves[shortcuts], np.full(10, 1 / 10), "valid")
    axes.semilogy(np.arange(len(smooth)) + 10, smooth, style, label="with shortcuts" if shortcuts else "without")
axes.set(xlabel="step", ylabel="training loss, mean of 10 steps", title="32 layers")
axes.legend(loc="lower left")
lecture.save(figure, figures / "14_losses.svg")

shallow = min(accuracy[False, 4], accuracy[True, 4])
lecture.claim(shallow > 0.9, f"with 4 layers both kinds learn to read digits: {shallow:.3f}")
deep = accuracy[False, 32], accuracy[True, 32]
lecture.claim(deep[0] < 0.8 and deep[1] > 0.9, f"with 32 layers only those with shortcuts do: {deep}")
ratio = loss[False, 32] / loss[False, 4]
lecture.claim(
    ratio > 5, f"it isn't overfitting: the deep one doesn't learn its training samples; {ratio:.1f} × the loss"
)
