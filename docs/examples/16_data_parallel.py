"""Data-parallel training: the same run on one to three ranks, and which rank computes which samples."""

import sys

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import checkpoint
from distnn.data.partition import Range, micro_shards

figures, work = lecture.folders()
RUN = """\
[model]
kind = "mlp"
hidden = [32]

[data]
path = "digits.h5"
batch_size = 32

[train]
epochs = 1

[optimizer]
learning_rate = 0.05
momentum = 0.9

[parallel]
shards = 12               # each batch is cut into twelve shards, on any number of ranks

[log]
interval = 0              # a line in metrics.jsonl for each step
"""
RANKS = (1, 2, 3)

lecture.digits(work)
(work / "run.toml").write_text(RUN)


def train(ranks, out, *more):
    """Train on ``ranks`` ranks, and return all weights at the end."""
    command = [sys.executable, "-m", "distnn", "train", "run.toml", "--out", out, "--quiet", *more]
    lecture.shell(work, "mpiexec", "-n", str(ranks), *command)
    saved = checkpoint.load(checkpoint.resolve(work / out))
    return np.concatenate([array.ravel() for array in saved.parameters.values()])


losses, parameters = {}, {}
for ranks in RANKS:
    parameters[ranks] = train(ranks, f"on-{ranks}")
    losses[ranks] = [record["loss"] for record in lecture.metrics(work / f"on-{ranks}", "train")]
    apart = np.abs(parameters[ranks] - parameters[1]).max() / np.abs(parameters[1]).max()
    steps, last = len(losses[ranks]), losses[ranks][-1]
    print(f"ranks: {ranks}, steps: {steps}, last loss: {last:.6f}, weights apart by {apart:.0e}")
    assert len(losses[ranks]) == len(losses[1]) and apart < 1e-5

exact = "--set", "parallel.reproducible=true"
alone, two = train(1, "exact-1", *exact), train(2, "exact-2", *exact)
print(f"reproducible, 1 and 2 ranks: weights apart by {np.abs(alone - two).max():.0e}")
assert alone.tobytes() == two.tobytes()

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
for ranks in RANKS:  # one batch of 32 samples: a bar for each shard, in the colour of its rank
    for rank in range(ranks):
        for shard in micro_shards(Range(0, 32), 12, ranks, rank):
            start, stop = shard.positions
            left.barh(str(ranks), stop - start, left=start, color=f"C{rank}", edgecolor="white")
    right.plot(losses[ranks], linewidth=10 - 2.5 * (ranks - 1), alpha=0.5, label=f"{ranks} rank{'s' * (ranks > 1)}")
left.set(xlabel="sample of the batch", ylabel="ranks", title="twelve shards, coloured by rank")
left.invert_yaxis()
right.set(xlabel="step", ylabel="training loss", title="three runs, one curve")
right.legend()
lecture.save(figure, figures / "16_data_parallel.svg")
