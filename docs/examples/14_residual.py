"""Residual networks: the same networks with and without shortcuts, from shallow to very deep."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit
from distnn.layers import BatchNorm, Dense, Flatten, Residual, Sequential
from distnn.optim import SGD

figures, work = lecture.folders()
data = lecture.digits(work)
BLOCKS = (1, 3, 7, 15, 31)


def block():
    """Two layers of 32 neurons, on inputs that are normalised first."""
    return Sequential(BatchNorm(), Dense(32, "relu"), Dense(32))


def network(blocks, shortcuts):
    """Blocks one after the other, each with a shortcut around it or without."""
    middle = [Residual(block()) if shortcuts else block() for _ in range(blocks)]
    return Sequential(Flatten(), Dense(32), *middle, Dense(10))


accuracy, loss, curves = {}, {}, {}
for shortcuts in (False, True):
    for blocks in BLOCKS:
        run = work / f"{blocks}-{shortcuts}"
        trained = fit(
            network(blocks, shortcuts),
            data,
            out=run,
            epochs=6,
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
            f"parameters: training loss {loss[shortcuts, layers]:.3f}, test accuracy "
            f"{accuracy[shortcuts, layers]:.3f}"
        )
assert accuracy[False, 4] > 0.9 and accuracy[True, 4] > 0.9
assert accuracy[False, 64] < 0.5 and accuracy[True, 64] > 0.9
assert loss[False, 64] > 10 * loss[False, 4]  # it isn't overfitting: even the training samples are not learnt

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
for shortcuts, marker in ((False, "s--"), (True, "o-")):
    name = "with shortcuts" if shortcuts else "without shortcuts"
    deep = {layers: value for (has, layers), value in accuracy.items() if has == shortcuts}
    left.plot(list(deep), list(deep.values()), marker, label=name)
    smooth = np.convolve(curves[shortcuts], np.full(20, 1 / 20), "valid")
    right.semilogy(np.arange(len(smooth)) + 20, smooth, marker[1:], label=name)
left.axhline(0.1, color=lecture.GREY, linestyle=":", label="guessing")
left.set(xscale="log", xlabel="layers", ylabel="test accuracy", ylim=(0, 1.02), title="after 6 epochs")
left.set_xticks([2 * blocks + 2 for blocks in BLOCKS], [str(2 * blocks + 2) for blocks in BLOCKS])
left.minorticks_off()
right.set(xlabel="step", ylabel="training loss, mean of 20 steps", title="64 layers")
left.legend(loc="center left")
right.legend(loc="lower left")
lecture.save(figure, figures / "14_residual.svg")
